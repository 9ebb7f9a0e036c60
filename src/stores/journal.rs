//! Port: the committed, ordered record of each event.
//!
//! A write is bound to the owner's epoch and to the sequence: an old epoch's write is refused whenever it arrives, also when
//! it was sent long before. Adapters resolve a lost reply themselves, by sending the same bytes again.

pub mod embedded;
pub mod etcd;
mod manifest;
mod tail;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::error::StoreError;
use crate::domain::id::EventId;

/// The fence of one ownership: a number that only grows, new with every activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// The longest segment that every adapter takes: etcd's default limit for a request is 1.5 MiB.
pub const MAX_SEGMENT_BYTES: usize = 1024 * 1024;

/// How a snapshot is cut: small enough for one etcd request, and for three in a reply.
pub const CHUNK_BYTES: usize = 1024 * 1024;

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

/// A journal as it is read, piece by piece: `Begin`, the snapshot's chunks, then segments.
#[derive(Debug)]
pub enum Piece {
    Begin {
        /// Facts up to this number are published.
        published: u64,
        /// The last segment that the snapshot covers, if there is a snapshot.
        covered: Option<u64>,
    },
    /// Of the snapshot.
    Chunk(Vec<u8>),
    /// Some of those after the snapshot: (seq, bytes), without gaps.
    Segments(Vec<(u64, Vec<u8>)>),
}

/// A journal as a whole, for those that are known to be small.
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
    fn add(&mut self, piece: Piece) {
        match piece {
            Piece::Begin { published, covered } => {
                self.published = published;
                self.snapshot = covered.map(|seq| (seq, Vec::new()));
            }
            Piece::Chunk(chunk) => {
                if let Some((_, bytes)) = &mut self.snapshot {
                    bytes.extend_from_slice(&chunk);
                }
            }
            Piece::Segments(page) => self.segments.extend(page),
        }
    }
}

impl IntoIterator for Recovered {
    type Item = Piece;
    type IntoIter = std::vec::IntoIter<Piece>;

    fn into_iter(self) -> Self::IntoIter {
        let (covered, bytes) = self.snapshot.unzip();
        let mut pieces = vec![Piece::Begin { published: self.published, covered }];
        pieces.extend(bytes.map(Piece::Chunk));
        pieces.push(Piece::Segments(self.segments));
        pieces.into_iter()
    }
}

/// Takes what is read and keeps none of it.
async fn discard(mut pieces: mpsc::Receiver<Piece>) {
    while pieces.recv().await.is_some() {}
}

/// The length check that every adapter makes first.
fn check_length(append: &Append) -> Result<(), AppendError> {
    if append.bytes.len() <= MAX_SEGMENT_BYTES {
        return Ok(());
    }
    Err(AppendError::ReadOnly(format!("segment {} is longer than {MAX_SEGMENT_BYTES} bytes", append.seq).into()))
}

/// A snapshot on its way into the journal. Dropped before it is finished, it leaves nothing but chunks that the next one
/// takes away.
#[async_trait]
pub trait NewSnapshot: Send {
    /// The next [`CHUNK_BYTES`] of it, or what is left at the end.
    async fn chunk(&mut self, bytes: Vec<u8>) -> Result<(), AppendError>;

    /// From here on the snapshot counts, and the segments that it covers are deleted but for the last; all or nothing, and
    /// only for the owner. Not before the chunks have been read back: nothing else will tell what the segments did.
    async fn finish(self: Box<Self>) -> Result<(), AppendError>;
}

#[async_trait]
pub trait InventoryJournal: Send + Sync + 'static {
    /// Makes the segment durable. Returns only when the outcome is certain: a lost reply is resolved by sending the same
    /// transaction again, for as long as it takes.
    async fn append(&self, append: Append) -> Result<(), AppendError>;

    /// Reads everything, a few pieces ahead of whoever takes them; ends early when nobody does. What was handed over is whole
    /// only if this returns `Ok`. Only after `Ownership::claim`, so that no older epoch can still add to it.
    async fn read(&self, event: EventId, pieces: mpsc::Sender<Piece>) -> Result<(), StoreError>;

    /// [`Self::read`] at once into memory.
    async fn recover(&self, event: EventId) -> Result<Recovered, StoreError> {
        let (sender, mut pieces) = mpsc::channel(1);
        let gather = async {
            let mut recovered = Recovered::default();
            while let Some(piece) = pieces.recv().await {
                recovered.add(piece);
            }
            recovered
        };
        let (read, recovered) = tokio::join!(self.read(event, sender), gather);
        read.map(|()| recovered)
    }

    /// Begins a snapshot that covers segments up to `seq`. Nothing has changed until [`NewSnapshot::finish`].
    async fn begin_snapshot(
        &self,
        event: EventId,
        epoch: Epoch,
        seq: u64,
    ) -> Result<Box<dyn NewSnapshot + '_>, AppendError>;

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
    async fn poisoned(&self) {
        std::future::pending().await
    }
}
