//! From what the journal gives back to the state of the event.
//!
//! Refuses what contradicts itself: a gap, a step back in epochs, an entry that does not apply. Such an event must not run.

use crate::{
    domain::inventory::{
        Corrupt, Inventory,
        entry::{Segment, Unreadable},
    },
    stores::journal::Recovered,
};

/// The state as of the last committed segment.
#[derive(Debug, Clone)]
pub struct Folded {
    pub inventory: Inventory,
    /// The last segment, 0 for an empty journal.
    pub seq: u64,
    pub published: u64,
    /// Size of the snapshot that it began with, and of the segments after it.
    pub snapshot_bytes: u64,
    pub tail_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    #[error("snapshot at {seq}: {source}")]
    Snapshot { seq: u64, source: Unreadable },
    #[error("segment {seq}: {source}")]
    Segment { seq: u64, source: Unreadable },
    #[error("segment {found} stands where {expected} belongs")]
    Gap { expected: u64, found: u64 },
    #[error("segment {seq} is of epoch {epoch}, after one of epoch {after}")]
    EpochRunsBack { seq: u64, epoch: u64, after: u64 },
    #[error("segment {seq}: {source}")]
    Entry { seq: u64, source: Corrupt },
}

/// Takes as long as there are entries: run it where blocking is allowed.
pub fn fold(recovered: Recovered) -> Result<Folded, FoldError> {
    let (mut seq, mut inventory, mut snapshot_bytes) = (0, Inventory::default(), 0);
    if let Some((covered, bytes)) = recovered.snapshot {
        inventory = Inventory::from_snapshot(&bytes).map_err(|source| FoldError::Snapshot { seq: covered, source })?;
        (seq, snapshot_bytes) = (covered, bytes.len() as u64);
    }
    inventory.published(recovered.published);
    let (mut epoch, mut tail_bytes) = (0, 0);
    for (stored_as, bytes) in recovered.segments {
        let segment = Segment::from_bytes(&bytes).map_err(|source| FoldError::Segment { seq: stored_as, source })?;
        let expected = seq + 1;
        if stored_as != expected || segment.seq != expected {
            return Err(FoldError::Gap { expected, found: stored_as });
        }
        if segment.epoch < epoch {
            return Err(FoldError::EpochRunsBack { seq: stored_as, epoch: segment.epoch, after: epoch });
        }
        for entry in &segment.entries {
            inventory.apply(segment.at, entry).map_err(|source| FoldError::Entry { seq: stored_as, source })?;
        }
        (seq, epoch) = (stored_as, segment.epoch);
        tail_bytes += bytes.len() as u64;
    }
    Ok(Folded { inventory, seq, published: recovered.published, snapshot_bytes, tail_bytes })
}
