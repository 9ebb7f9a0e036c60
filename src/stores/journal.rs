//! Port: the committed, ordered record of each event.
//!
//! A write is bound to the owner's epoch and to the sequence: an old epoch's write is refused whenever it arrives, also when
//! it was sent long before. Adapters resolve a lost reply themselves, by sending the same bytes again.

pub mod embedded;
pub mod etcd;
mod manifest;

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::id::EventId;

/// The fence of one ownership: a number that only grows, new with every activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The longest segment that every adapter takes: etcd's default limit for a request is 1.5 MiB.
pub const MAX_SEGMENT_BYTES: usize = 1024 * 1024;

pub struct Append {
    pub event: EventId,
    pub epoch: Epoch,
    /// Last appended plus one; the first of all is 1.
    pub seq: u64,
    pub bytes: Vec<u8>,
    /// Counters for people's eyes, written along: (ticket type, free).
    pub counters: Vec<(String, u32)>,
    /// Sets or clears the mark that somebody must run this event; `None` leaves it.
    pub active: Option<bool>,
}

#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The event has another owner or epoch now, and this segment is not in the journal... or it is, and the new owner has
    /// it: callers are told "outcome unknown".
    #[error("fenced by another epoch")]
    Fenced,
    /// A definite error that stays (no space, too large, not allowed). The epoch is spent: step down.
    #[error("the journal takes no writes: {0}")]
    ReadOnly(#[source] super::error::Source),
    /// This segment is taken by other bytes of the same epoch: a bug, or two processes that believe to be one owner.
    #[error("segment {0} holds other bytes")]
    Overwritten(u64),
    /// The segment before this one is not there: a bug. Nothing was done.
    #[error("segment {0} does not follow the last one")]
    Gap(u64),
}

/// What recovery gives back, in order.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The newest snapshot and the last segment that it covers.
    pub snapshot: Option<(u64, Vec<u8>)>,
    /// Segments after it, without gaps: (seq, bytes).
    pub segments: Vec<(u64, Vec<u8>)>,
    /// Facts up to this number are published.
    pub published: u64,
}

impl Recovered {
    /// Puts together what an adapter read, and refuses what cannot be whole. `segments` begin with the last one that the
    /// snapshot covers, which trimming leaves.
    fn assemble(
        snapshot: Option<(u64, Vec<u8>)>,
        mut segments: Vec<(u64, Vec<u8>)>,
        published: u64,
    ) -> Result<Self, StoreError> {
        let first = snapshot.as_ref().map_or(1, |(seq, _)| *seq);
        for (expected, (seq, _)) in (first..).zip(&segments) {
            if *seq != expected {
                return Err(StoreError::Corrupt(format!("segment {expected} is missing")));
            }
        }
        if snapshot.is_some() {
            if segments.is_empty() {
                return Err(StoreError::Corrupt(format!("segment {first} is missing")));
            }
            segments.remove(0);
        }
        Ok(Self { snapshot, segments, published })
    }
}

/// The length check that every adapter makes first.
fn check_length(append: &Append) -> Result<(), AppendError> {
    if append.bytes.len() <= MAX_SEGMENT_BYTES {
        return Ok(());
    }
    Err(AppendError::ReadOnly(format!("segment {} is longer than {MAX_SEGMENT_BYTES} bytes", append.seq).into()))
}

#[async_trait]
pub trait InventoryJournal: Send + Sync + 'static {
    /// Makes the segment durable. Returns only when the outcome is certain: a lost reply is resolved by sending the same
    /// transaction again, for as long as it takes.
    async fn append(&self, append: Append) -> Result<(), AppendError>;

    /// Reads everything. Only after `Ownership::claim`, so that no older epoch can still add to it.
    async fn recover(&self, event: EventId) -> Result<Recovered, StoreError>;

    /// Stores a snapshot that covers segments up to `seq`, and deletes those but the last; all or nothing, and only for
    /// the owner.
    async fn snapshot(&self, event: EventId, epoch: Epoch, seq: u64, bytes: &[u8]) -> Result<(), AppendError>;

    /// Facts up to `number` are published. Lost updates do no harm.
    async fn mark_published(&self, event: EventId, epoch: Epoch, number: u64) -> Result<(), AppendError>;

    /// Events that somebody must run.
    async fn active(&self) -> Result<Vec<EventId>, StoreError>;

    /// Every event that has a journal.
    async fn events(&self) -> Result<Vec<EventId>, StoreError>;

    /// Whether the journal answers, within a second or two.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Returns when this process can no longer tell what is durable (an I/O error while committing): every later call
    /// fails. Answer "unknown", exit, start again, recover. On most stores it never returns.
    async fn poisoned(&self);
}
