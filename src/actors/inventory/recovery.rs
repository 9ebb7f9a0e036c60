//! From what the journal gives back to the state of the event.
//!
//! Refuses what contradicts itself: a gap, a step back in epochs, an entry that does not apply. Such an event must not run.

use std::iter;

use tokio::{
    sync::mpsc,
    task::{JoinError, spawn_blocking},
};

use crate::{
    domain::{
        id::EventId,
        inventory::{
            Corrupt, Inventory,
            entry::{Segment, Unreadable},
        },
    },
    stores::{
        error::StoreError,
        journal::{InventoryJournal, Piece},
    },
};

/// The state as of the last committed segment.
#[derive(Debug, Clone, Default)]
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
    #[error("a piece of a snapshot stands among segments")]
    StrayChunk,
    #[error("segment {seq}: {source}")]
    Segment { seq: u64, source: Unreadable },
    #[error("segment {found} stands where {expected} belongs")]
    Gap { expected: u64, found: u64 },
    #[error("segment {seq} is of epoch {epoch}, after one of epoch {after}")]
    EpochRunsBack { seq: u64, epoch: u64, after: u64 },
    #[error("segment {seq}: {source}")]
    Entry { seq: u64, source: Corrupt },
}

#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Fold(#[from] FoldError),
    #[error("folding was cut short: {0}")]
    CutShort(#[from] JoinError),
}

/// Pieces that wait to be folded: enough that reading and folding go on at the same time.
const PIECES_AHEAD: usize = 4;

/// Reads and folds at the same time: the journal's bytes and the state never stand in memory together.
pub async fn recover(journal: &dyn InventoryJournal, event: EventId) -> Result<Folded, RecoveryError> {
    let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
    let folding = spawn_blocking(move || fold(iter::from_fn(|| pieces.blocking_recv())));
    let read = journal.read(event, sender).await;
    let folded = folding.await?;
    // What was not read to its end folds to something else, or not at all.
    read?;
    Ok(folded?)
}

/// Takes as long as there are entries: run it where blocking is allowed. Reads no piece before it has done with those before.
pub fn fold(pieces: impl IntoIterator<Item = Piece>) -> Result<Folded, FoldError> {
    let mut pieces = pieces.into_iter().peekable();
    let mut folding = Folding::default();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Begin { published, covered } => {
                if let Some(seq) = covered {
                    let chunks = iter::from_fn(|| match pieces.next_if(|piece| matches!(piece, Piece::Chunk(_)))? {
                        Piece::Chunk(chunk) => Some(chunk),
                        _ => None,
                    });
                    folding.snapshot(seq, chunks)?;
                }
                folding.published(published);
            }
            Piece::Chunk(_) => return Err(FoldError::StrayChunk),
            Piece::Segments(page) => {
                for (seq, bytes) in page {
                    folding.segment(seq, &bytes)?;
                }
            }
        }
    }
    Ok(folding.folded)
}

#[derive(Default)]
struct Folding {
    folded: Folded,
    epoch: u64,
}

impl Folding {
    fn snapshot(&mut self, seq: u64, chunks: impl Iterator<Item = Vec<u8>>) -> Result<(), FoldError> {
        let bytes = &mut self.folded.snapshot_bytes;
        let counted = chunks.inspect(|chunk| *bytes += chunk.len() as u64);
        self.folded.inventory =
            Inventory::from_chunks(counted).map_err(|source| FoldError::Snapshot { seq, source })?;
        self.folded.seq = seq;
        Ok(())
    }

    fn published(&mut self, number: u64) {
        self.folded.inventory.published(number);
        self.folded.published = number;
    }

    fn segment(&mut self, stored_as: u64, bytes: &[u8]) -> Result<(), FoldError> {
        let Self { folded, epoch } = self;
        let segment = Segment::from_bytes(bytes).map_err(|source| FoldError::Segment { seq: stored_as, source })?;
        let expected = folded.seq + 1;
        if stored_as != expected || segment.seq != expected {
            return Err(FoldError::Gap { expected, found: stored_as });
        }
        if segment.epoch < *epoch {
            return Err(FoldError::EpochRunsBack { seq: stored_as, epoch: segment.epoch, after: *epoch });
        }
        for entry in &segment.entries {
            let applied = folded.inventory.apply(segment.at, entry);
            applied.map_err(|source| FoldError::Entry { seq: stored_as, source })?;
        }
        (folded.seq, *epoch) = (stored_as, segment.epoch);
        folded.tail_bytes += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_among_segments_is_refused() {
        let begin = || Piece::Begin { published: 0, covered: None };
        assert!(fold([begin(), Piece::Segments(Vec::new())]).is_ok());
        let stray = fold([begin(), Piece::Segments(Vec::new()), Piece::Chunk(vec![1])]);
        assert_eq!(stray.map(|folded| folded.seq), Err(FoldError::StrayChunk));
    }

    #[test]
    fn a_snapshot_is_folded_however_it_is_cut() {
        let bytes = Inventory::default().to_snapshot();
        for size in 1..=bytes.len() {
            let chunks = bytes.chunks(size).map(|chunk| Piece::Chunk(chunk.to_vec()));
            let begin = Piece::Begin { published: 5, covered: Some(9) };
            let folded = fold(iter::once(begin).chain(chunks)).expect("whole");
            assert_eq!((folded.seq, folded.published, folded.snapshot_bytes), (9, 5, bytes.len() as u64));
        }
    }
}
