//! The edge itself, over HTTP: sessions, roles, limits, bad input. Each test of a line of the security list is named by it.

mod accounts;
mod idempotency;
mod limits;
mod privileges;
pub mod server;
mod sessions;
mod supply;
