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

/// What is left of an event's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// Nothing was lost that was here when it was last found to be whole.
    pub is_whole: bool,
    /// Places of terms before this one may have been lost at some time; 0: none.
    pub lost_before: u32,
    /// Of those, the ones that were forgotten since, in order.
    pub spent: Vec<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub places: usize,
    /// As of [`Remains`].
    pub is_whole: bool,
}

/// What an owner says about the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Places of terms before this one may be missing; what is forgotten of them from now on is kept as spent. Never falls.
    Lost { before: u32 },
    /// All that the owner knows of is written from now on.
    Filling,
    /// It has been written. Does nothing if anything was lost since `Filling`.
    Whole,
}

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
    async fn count(&self, event: EventId, term: u32) -> Result<Counted, StoreError>;

    /// To be asked after `open`: what is lost later the caller has in memory. A store that never had the event is not whole.
    async fn remains(&self, event: EventId, term: u32) -> Result<Remains, StoreError>;

    async fn mark(&self, event: EventId, term: u32, mark: Mark) -> Result<(), StoreError>;

    async fn ping(&self) -> Result<(), StoreError>;

    /// Returns when this process can do no more with the store: exit, start again, recover. On most stores it never does.
    async fn poisoned(&self) {
        std::future::pending().await
    }
}
