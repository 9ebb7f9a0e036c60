//! Messages that wait for the order bus: written with what they tell of, sent by a relay, at least once.

use uuid::Uuid;

use super::{Database, Write};
use crate::{domain::time::EventTime, stores::error::StoreError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Ascending.
    pub id: Uuid,
    pub routing_key: String,
    /// JSON.
    pub body: String,
    pub created_at: EventTime,
}

pub async fn push(_write: &mut Write, _routing_key: &str, _body: &str, _now: EventTime) -> Result<Uuid, StoreError> {
    todo!("database helper")
}

/// Oldest first. Ask again from the start: one with a lower id may be committed later.
pub async fn unsent(_database: &Database, _limit: u32) -> Result<Vec<Unsent>, StoreError> {
    todo!("database helper")
}

pub async fn mark_sent(_database: &Database, _ids: &[Uuid], _now: EventTime) -> Result<(), StoreError> {
    todo!("database helper")
}

/// How many wait.
pub async fn count_unsent(_database: &Database) -> Result<u64, StoreError> {
    todo!("database helper")
}

/// Forgets what was sent before `before`; says how many.
pub async fn purge(_database: &Database, _before: EventTime) -> Result<u64, StoreError> {
    todo!("database helper")
}
