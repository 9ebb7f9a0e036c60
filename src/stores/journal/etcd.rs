//! The journal in etcd: every write is one transaction, guarded by the owner key's mod_revision.
//!
//! Owns the meaning of a failed guard ([`commit`]); recovery is read in pages ([`read`]).

mod commit;
mod read;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use etcd_client::{Compare, CompareOp, DeleteOptions, GetOptions, Txn, TxnOp};
use tokio::{sync::mpsc, time::timeout};

use super::{Append, AppendError, Epoch, InventoryJournal, NewSnapshot, Piece, check_length, manifest::Manifest};
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

    async fn read(&self, event: EventId, pieces: mpsc::Sender<Piece>) -> Result<(), StoreError> {
        read::read(&self.etcd, event, &pieces).await
    }

    async fn begin_snapshot(
        &self,
        event: EventId,
        epoch: Epoch,
        seq: u64,
    ) -> Result<Box<dyn NewSnapshot + '_>, AppendError> {
        let before = self.mod_revision(&keys::manifest(event)).await?;
        Ok(Box::new(NewInEtcd { journal: self, event, epoch, before, manifest: Manifest::new(seq) }))
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
}

struct NewInEtcd<'a> {
    journal: &'a EtcdJournal,
    event: EventId,
    epoch: Epoch,
    /// Revision of the manifest found at the beginning.
    before: i64,
    manifest: Manifest,
}

#[async_trait]
impl NewSnapshot for NewInEtcd<'_> {
    async fn chunk(&mut self, bytes: Vec<u8>) -> Result<(), AppendError> {
        let n = self.manifest.add(&bytes);
        let key = keys::chunk(self.event, &self.manifest.generation, n);
        let txn = Txn::new()
            .when([commit::owned(self.event, self.epoch)])
            .and_then([TxnOp::put(key, bytes, None)])
            .or_else([commit::read_owner(self.event)]);
        match self.journal.commit(txn).await? {
            None => Ok(()),
            Some(_) => Err(AppendError::Fenced),
        }
    }

    async fn finish(self: Box<Self>) -> Result<(), AppendError> {
        let Self { journal, event, epoch, before, manifest } = *self;
        let checked = read::check_chunks(&journal.etcd, event, &manifest).await;
        checked.map_err(|error| AppendError::ReadOnly(error.into()))?;
        let (key, json, seq) = (keys::manifest(event), manifest.to_json(), manifest.seq);
        // The manifest must be the one found at the beginning: a late copy of this transaction would otherwise put back a
        // manifest whose chunks are gone.
        let txn = Txn::new()
            .when([
                commit::owned(event, epoch),
                Compare::mod_revision(key.as_str(), CompareOp::Equal, before),
                Compare::version(keys::segment(event, seq), CompareOp::Equal, 1),
            ])
            .and_then([
                TxnOp::put(key.as_str(), json.as_str(), None),
                delete((keys::segment(event, 0), keys::segment(event, seq))),
                delete((keys::generations(event).0, keys::generation(event, &manifest.generation).0)),
                delete((keys::generation(event, &manifest.generation).1, keys::generations(event).1)),
            ])
            .or_else([commit::read_owner(event), TxnOp::get(key.as_str(), None)]);
        let Some(refused) = journal.commit(txn).await? else { return Ok(()) };
        match refused.value() {
            Some(found) if found == json.as_bytes() => Ok(()),
            _ if !refused.is_owner(epoch) => Err(AppendError::Fenced),
            _ if refused.value_mod_revision() != before => Err(AppendError::Overwritten(seq)),
            _ => Err(AppendError::Gap(seq)),
        }
    }
}

fn delete((first, end): (String, String)) -> TxnOp {
    TxnOp::delete(first, Some(DeleteOptions::new().with_range(end)))
}
