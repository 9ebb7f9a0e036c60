//! Snapshots, made beside the actor.
//!
//! The state is not cloned from the actor, which would stop the sale for as long as the copy takes, and committed segments
//! are not kept in memory: the journal is read back and folded. That reads as much as a snapshot is large, once for each
//! time the journal has doubled, and shows that what is stored can be recovered, before anything is trimmed.

use std::sync::Arc;

use super::{
    message::SnapshotMade,
    recovery::{self, Folded},
};
use crate::{
    domain::id::EventId,
    stores::journal::{Epoch, InventoryJournal},
};

/// The error is for the log: a snapshot that is not made costs only a longer recovery.
pub(super) async fn make(
    journal: Arc<dyn InventoryJournal>,
    event: EventId,
    epoch: Epoch,
) -> Result<SnapshotMade, String> {
    let recovered = journal.recover(event).await.map_err(|error| error.to_string())?;
    let folded = tokio::task::spawn_blocking(move || {
        let Folded { inventory, seq, .. } = recovery::fold(recovered).map_err(|error| error.to_string())?;
        Ok::<_, String>((seq, inventory.to_snapshot()))
    });
    let (seq, bytes) = folded.await.map_err(|error| error.to_string())??;
    journal.snapshot(event, epoch, seq, &bytes).await.map_err(|error| error.to_string())?;
    Ok(SnapshotMade { size_bytes: bytes.len() as u64 })
}
