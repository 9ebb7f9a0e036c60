//! What must survive: a port for each need, an adapter for each technology, and the embedded default on SQLite.
//!
//! Architecture invariant: knows `domain` only. What is decided is decided elsewhere; stores keep, fence and give back.

pub mod config;
pub mod data_dir;
pub mod database;
pub mod error;
pub mod etcd;
pub mod journal;
pub mod order_bus;
pub mod ownership;
pub mod queue;
pub mod secret;
pub mod sqlite;
