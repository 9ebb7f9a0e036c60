//! An event's stock, live: which seats are free, for anybody who watches, by server-sent events or on a socket.
//!
//! Owns the words and how they get to viewers: on each node one [`Station`](station::Station) for each event that is watched follows the
//! event's feed and encodes what is new, once; every viewer is sent the same bytes. What is new is decided where the event runs.

mod edition;
mod lanes;
pub mod resume;
pub mod station;
pub mod stream;
mod words;
