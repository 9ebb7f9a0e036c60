//! Who decides: thin shells around the state machines of `domain`, standing on `stores`.
//!
//! Architecture invariant: knows `domain`, `documents` and `stores`, not `cluster` or `http`. Other code reaches an actor through its
//! `Handle` only, found through a [`directory::Directory`].

mod backoff;
mod beside;
mod breather;
mod bulletin;
pub mod clock;
pub mod codes;
pub mod config;
pub mod courier;
pub mod errand;
mod foundation;
mod gate;
pub mod halt;
pub mod letters;
pub mod mailer;
pub mod measures;
pub mod notes;
pub mod papers;
pub mod webhooks;
pub mod worker;

pub mod connection;
pub mod directory;
mod event_keeper;
mod intake;
pub mod inventory;
pub mod mirror;
pub mod operations;
pub mod orders;
pub mod payments;
pub mod stand_in;
pub mod stock;
pub mod waiting_room;
