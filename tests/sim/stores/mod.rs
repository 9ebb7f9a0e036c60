//! The simulated stores and the payment provider: what goes wrong in them is decided by the world.

pub mod broker;
pub mod database;
pub mod journal;
pub mod provider;
pub mod queue_store;
