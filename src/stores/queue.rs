//! Port: the copy of each event's queue that outlives its owner's process.

pub mod embedded;
pub mod redis;

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{
    id::{EventId, FanId},
    queue::{Move, Place, Tie},
};

const OLD_TERM: &str = "the queue has a newer owner";

/// Every call carries the caller's term; a call of an older term than the store has seen is a `Conflict`.
#[async_trait]
pub trait QueueStore: Send + Sync + 'static {
    /// Begins a term and gives back all places joined and not forgotten, in order. Again in the same term: the same.
    async fn open(&self, event: EventId, term: u32) -> Result<Vec<(Place, FanId)>, StoreError>;

    /// All or nothing; the same places again are no change.
    async fn join(&self, event: EventId, term: u32, joins: &[(Place, FanId)]) -> Result<(), StoreError>;

    /// All or nothing: these devices have no places any more, and the accounts have those. Again: no change.
    async fn tie(&self, event: EventId, term: u32, ties: &[Tie]) -> Result<(), StoreError>;

    /// All or nothing: these fans have left the one place for the other. Again: no change.
    async fn relocate(&self, event: EventId, term: u32, moves: &[Move]) -> Result<(), StoreError>;

    async fn forget(&self, event: EventId, term: u32, places: &[Place]) -> Result<(), StoreError>;

    /// How many places it has of the event. Fewer than were joined and not forgotten: it has lost some.
    async fn count(&self, event: EventId, term: u32) -> Result<usize, StoreError>;

    async fn ping(&self) -> Result<(), StoreError>;

    /// Returns when this process can do no more with the store: exit, start again, recover. On most stores it never does.
    async fn poisoned(&self) {
        std::future::pending().await
    }
}
