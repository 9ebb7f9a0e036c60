//! The sandbox provider's own books: as foreign to the shop as any provider's.

use super::{Database, Write};
use crate::{
    domain::{id::OrderRef, money::Money, time::EventTime},
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: String,
    pub reference: OrderRef,
    pub amount: Money,
    pub state: State,
    pub return_url: String,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

/// Open becomes paid, declined or cancelled; paid becomes refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Paid,
    Declined,
    Cancelled,
    Refunded,
}

/// A webhook that waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: String,
    pub body: String,
    /// Made so far.
    pub attempts: u32,
    pub next_at: EventTime,
}

/// Does nothing if the session is there: the same request again.
pub async fn create(_write: &mut Write, _session: &Session) -> Result<(), StoreError> {
    todo!("database helper")
}

pub async fn by_id(_database: &Database, _id: &str) -> Result<Option<Session>, StoreError> {
    todo!("database helper")
}

/// Moves the session and, if there is one, lays the webhook down to be delivered, in one transaction. `false` if it is in
/// that state already; [`StoreError::Conflict`] if it cannot get there.
pub async fn decide(
    _database: &Database,
    _id: &str,
    _to: State,
    _webhook: Option<(&str, &str)>,
    _now: EventTime,
) -> Result<bool, StoreError> {
    todo!("database helper")
}

/// Webhooks to deliver now, the longest due first.
pub async fn due(_database: &Database, _now: EventTime, _limit: u32) -> Result<Vec<Webhook>, StoreError> {
    todo!("database helper")
}

pub async fn delivered(_database: &Database, _id: &str, _now: EventTime) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Counts the attempt.
pub async fn deliver_later(_database: &Database, _id: &str, _next_at: EventTime) -> Result<(), StoreError> {
    todo!("database helper")
}
