//! The journal in etcd: every write is one transaction, guarded by the owner key's mod_revision.
//!
//! Owns the meaning of a failed guard ([`commit`]); recovery is read in pages ([`read`]).

mod commit;
mod read;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use etcd_client::{Compare, CompareOp, DeleteOptions, GetOptions, Txn, TxnOp};
use tokio::time::timeout;

use super::{
    Append, AppendError, Epoch, InventoryJournal, Recovered, check_length,
    manifest::{CHUNK_BYTES, Manifest},
};
use crate::{
    domain::id::EventId,
    stores::{
        error::StoreError,
        etcd::{Etcd, keys},
    },
};

/// A transaction takes 128 operations; these leave room for the segment and the marks. The rest is left out: they are
/// written for people's eyes only.
const COUNTERS: usize = 120;
const PING: Duration = Duration::from_secs(2);

pub struct EtcdJournal {
    etcd: Arc<Etcd>,
}

impl EtcdJournal {
    pub fn new(etcd: Arc<Etcd>) -> Self {
        Self { etcd }
    }
}

#[async_trait]
impl InventoryJournal for EtcdJournal {
    async fn append(&self, append: Append) -> Result<(), AppendError> {
        check_length(&append)?;
        let Append { event, epoch, seq, bytes, counters, active } = append;
        let Some(before) = seq.checked_sub(1) else { return Err(AppendError::Gap(seq)) };
        let segment = keys::segment(event, seq);
        let mut puts = vec![TxnOp::put(segment.as_str(), bytes.as_slice(), None)];
        // The first has no predecessor. Absence alone would let a late copy of it in again when it has been trimmed.
        let follows = if before == 0 {
            puts.push(TxnOp::put(keys::published(event), commit::number(0), None));
            Compare::version(keys::published(event), CompareOp::Equal, 0)
        } else {
            Compare::version(keys::segment(event, before), CompareOp::Equal, 1)
        };
        for (ticket_type, free) in counters.iter().take(COUNTERS) {
            puts.push(TxnOp::put(keys::available(event, ticket_type), free.to_string(), None));
        }
        match active {
            Some(true) => puts.push(TxnOp::put(keys::active(event), "", None)),
            Some(false) => puts.push(TxnOp::delete(keys::active(event), None)),
            None => {}
        }
        let txn = Txn::new()
            .when([commit::owned(event, epoch), Compare::version(segment.as_str(), CompareOp::Equal, 0), follows])
            .and_then(puts)
            .or_else([commit::read_owner(event), TxnOp::get(segment, None)]);
        let Some(refused) = self.commit(txn).await? else { return Ok(()) };
        match refused.value() {
            // Committed by an earlier sending, whose reply was lost; also if the event is somebody else's by now.
            Some(found) if found == bytes => Ok(()),
            _ if !refused.is_owner(epoch) => Err(AppendError::Fenced),
            Some(_) => Err(AppendError::Overwritten(seq)),
            None => Err(AppendError::Gap(seq)),
        }
    }

    async fn recover(&self, event: EventId) -> Result<Recovered, StoreError> {
        read::recover(&self.etcd, event).await
    }

    async fn snapshot(&self, event: EventId, epoch: Epoch, seq: u64, bytes: &[u8]) -> Result<(), AppendError> {
        let manifest_key = keys::manifest(event);
        let before = self.mod_revision(&manifest_key).await?;
        let manifest = Manifest::new(seq, bytes);
        for (n, chunk) in (0..).zip(bytes.chunks(CHUNK_BYTES)) {
            let key = keys::chunk(event, &manifest.generation, n);
            let txn = Txn::new()
                .when([commit::owned(event, epoch)])
                .and_then([TxnOp::put(key, chunk, None)])
                .or_else([commit::read_owner(event)]);
            if self.commit(txn).await?.is_some() {
                return Err(AppendError::Fenced);
            }
        }
        let json = manifest.to_json();
        // The manifest must be the one found at the beginning: a late copy of this transaction would otherwise put back a
        // manifest whose chunks are gone.
        let txn = Txn::new()
            .when([
                commit::owned(event, epoch),
                Compare::mod_revision(manifest_key.as_str(), CompareOp::Equal, before),
                Compare::version(keys::segment(event, seq), CompareOp::Equal, 1),
            ])
            .and_then([
                TxnOp::put(manifest_key.as_str(), json.as_str(), None),
                delete((keys::segment(event, 0), keys::segment(event, seq))),
                delete((keys::generations(event).0, keys::generation(event, &manifest.generation).0)),
                delete((keys::generation(event, &manifest.generation).1, keys::generations(event).1)),
            ])
            .or_else([commit::read_owner(event), TxnOp::get(manifest_key.as_str(), None)]);
        let Some(refused) = self.commit(txn).await? else { return Ok(()) };
        match refused.value() {
            Some(found) if found == json.as_bytes() => Ok(()),
            _ if !refused.is_owner(epoch) => Err(AppendError::Fenced),
            _ if refused.value_mod_revision() != before => Err(AppendError::Overwritten(seq)),
            _ => Err(AppendError::Gap(seq)),
        }
    }

    async fn mark_published(&self, event: EventId, epoch: Epoch, number: u64) -> Result<(), AppendError> {
        let key = keys::published(event);
        let text = commit::number(number);
        let txn = Txn::new()
            .when([commit::owned(event, epoch), Compare::value(key.as_str(), CompareOp::Less, text.as_str())])
            .and_then([TxnOp::put(key.as_str(), text.as_str(), None)])
            .or_else([commit::read_owner(event)]);
        match self.commit(txn).await? {
            Some(refused) if !refused.is_owner(epoch) => Err(AppendError::Fenced),
            // Marked, now or before.
            _ => Ok(()),
        }
    }

    async fn active(&self) -> Result<Vec<EventId>, StoreError> {
        read::events(&self.etcd, keys::ACTIVE).await
    }

    async fn events(&self) -> Result<Vec<EventId>, StoreError> {
        read::events(&self.etcd, keys::PUBLISHED).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        match timeout(PING, self.etcd.get(keys::ACTIVE, GetOptions::new())).await {
            Ok(answer) => answer.map(drop),
            Err(late) => Err(StoreError::Unavailable(late.into())),
        }
    }

    /// etcd decides; nothing is in doubt for longer than it does not answer.
    async fn poisoned(&self) {
        std::future::pending().await
    }
}

fn delete((first, end): (String, String)) -> TxnOp {
    TxnOp::delete(first, Some(DeleteOptions::new().with_range(end)))
}
