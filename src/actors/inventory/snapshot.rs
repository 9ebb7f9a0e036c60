//! Snapshots, made beside the actor.
//!
//! The state is not cloned from the actor, which would stop the sale for as long as the copy takes, and committed segments
//! are not kept in memory: the journal is read back and folded. That reads as much as a snapshot is large, once for each
//! time the journal has doubled, and shows that what is stored can be recovered, before anything is trimmed.

use std::sync::Arc;

use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    message::SnapshotMade,
    recovery::{self, Folded},
};
use crate::{
    domain::id::EventId,
    stores::journal::{CHUNK_BYTES, Epoch, InventoryJournal},
};

/// Chunks that wait to be stored.
const CHUNKS_AHEAD: usize = 2;

/// The error is for the log: a snapshot that is not made costs only a longer recovery.
pub(super) async fn make(
    journal: Arc<dyn InventoryJournal>,
    event: EventId,
    epoch: Epoch,
) -> Result<SnapshotMade, String> {
    let folded = recovery::recover(&*journal, event).await.map_err(|error| error.to_string())?;
    let Folded { inventory, seq, .. } = folded;
    let mut snapshot = journal.begin_snapshot(event, epoch, seq).await.map_err(|error| error.to_string())?;
    let (sender, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
    let sealing = spawn_blocking(move || {
        inventory.to_chunks(CHUNK_BYTES, |chunk| {
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
