//! Messages of payment providers, each taken in once for ever, together with what follows from it.

use super::Database;
use crate::{domain::time::EventTime, stores::error::StoreError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    Now,
    /// A repeat: nothing was done.
    Already,
}

/// Remembers the message and puts what follows into the outbox, in one transaction.
pub async fn receive(
    _database: &Database,
    _provider: &str,
    _id: &str,
    _routing_key: &str,
    _body: &str,
    _now: EventTime,
) -> Result<Received, StoreError> {
    todo!("database helper")
}
