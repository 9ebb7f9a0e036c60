//! Snapshots, written beside the actor.
//!
//! The actor freezes its state between two batches, when it is exactly what is durable; what is long is shared, not copied, so
//! the sale does not stop for it. Reading the journal back and folding it instead would need a second state beside the first,
//! and the processor for as long as a recovery takes, in the middle of the sale.

use std::sync::Arc;

use tokio::{sync::mpsc, task::spawn_blocking};

use super::message::SnapshotMade;
use crate::{
    domain::{id::EventId, inventory::snapshot::Frozen},
    stores::journal::{CHUNK_BYTES, Epoch, InventoryJournal},
};

/// Chunks that wait to be stored.
const CHUNKS_AHEAD: usize = 2;

/// `frozen` is the state as of segment `seq`. The error is for the log: a snapshot that is not made costs only a longer
/// recovery.
pub(super) async fn make(
    journal: Arc<dyn InventoryJournal>,
    event: EventId,
    epoch: Epoch,
    seq: u64,
    frozen: Frozen,
) -> Result<SnapshotMade, String> {
    let mut snapshot = journal.begin_snapshot(event, epoch, seq).await.map_err(|error| error.to_string())?;
    let (sender, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
    let sealing = spawn_blocking(move || {
        frozen.to_chunks(CHUNK_BYTES, |chunk| {
            // Nobody takes it when storing another one has failed.
            let _ = sender.blocking_send(chunk);
        });
    });
    let mut size_bytes = 0;
    while let Some(chunk) = chunks.recv().await {
        size_bytes += chunk.len() as u64;
        snapshot.chunk(chunk).await.map_err(|error| error.to_string())?;
    }
    // Only now it is certain that there are no more.
    sealing.await.map_err(|error| error.to_string())?;
    snapshot.finish().await.map_err(|error| error.to_string())?;
    Ok(SnapshotMade { size_bytes })
}
