//! Ownership in etcd: a key per event under the node's lease; the key's mod_revision is the epoch.
//!
//! Owns claiming. The lease is kept by [`crate::stores::etcd::lease`]; it only decides when others may claim, and when this node stops
//! answering without a commit. What fences is the epoch in each write's guard.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, PutOptions, Txn, TxnOp};
use tokio::time::{sleep, timeout};

use super::{Owner, Ownership};
use crate::{
    domain::id::EventId,
    stores::{
        error::StoreError,
        etcd::{self, Etcd, keys, lease::LeaseKeeper},
        journal::Epoch,
    },
};

/// Until the keeper has noticed a lost lease.
const PAUSE: Duration = Duration::from_millis(50);

pub struct EtcdOwnership {
    etcd: Arc<Etcd>,
    /// No two live processes may have the same: each would take the other's events, again and again.
    node: String,
    lease: Arc<LeaseKeeper>,
}

impl EtcdOwnership {
    pub fn new(etcd: Arc<Etcd>, lease: Arc<LeaseKeeper>, node: impl Into<String>) -> Self {
        Self { etcd, node: node.into(), lease }
    }

    async fn read(&self, event: EventId) -> Result<Option<KeyValue>, StoreError> {
        let mut found = self.etcd.get(keys::owner(event), GetOptions::new()).await?;
        Ok(found.take_kvs().into_iter().next())
    }

    /// Each attempt is bound to what was read before it: a copy that lands late changes nothing, for every success
    /// changes that.
    async fn try_claim(&self, event: EventId) -> Result<Epoch, StoreError> {
        let key = keys::owner(event);
        loop {
            let lease = self.lease.id().await;
            let before = match self.read(event).await? {
                None => 0,
                Some(found) if found.value() == self.node.as_bytes() => found.mod_revision(),
                Some(_) => return Err(StoreError::Conflict("another node owns the event")),
            };
            let put = TxnOp::put(key.as_str(), self.node.as_str(), Some(PutOptions::new().with_lease(lease)));
            let txn = Txn::new().when([Compare::mod_revision(key.as_str(), CompareOp::Equal, before)]).and_then([put]);
            match self.etcd.txn(txn).await {
                Ok(answer) if answer.succeeded() => {
                    let revision = answer.header().map_or(0, |header| header.revision());
                    return Ok(Epoch(revision.unsigned_abs()));
                }
                // Changed since it was read: by another node, or by this very transaction, whose reply was lost.
                Ok(_) => {}
                Err(error) if etcd::is_lease_gone(&error) => sleep(PAUSE).await,
                Err(error) => return Err(StoreError::ReadOnly(error.into())),
            }
        }
    }
}

#[async_trait]
impl Ownership for EtcdOwnership {
    async fn claim(&self, event: EventId) -> Result<Epoch, StoreError> {
        timeout(etcd::PATIENCE, self.try_claim(event)).await.map_err(|late| StoreError::Unknown(late.into()))?
    }

    async fn release(&self, event: EventId, epoch: Epoch) -> Result<(), StoreError> {
        let key = keys::owner(event);
        let revision = i64::try_from(epoch.0).unwrap_or(i64::MAX);
        let txn = Txn::new()
            .when([Compare::mod_revision(key.as_str(), CompareOp::Equal, revision)])
            .and_then([TxnOp::delete(key.as_str(), None)]);
        // Refused: it is given up already, or somebody else's.
        self.etcd
            .with_patience(StoreError::Unknown, |mut server| {
                let txn = txn.clone();
                async move { server.kv.txn(txn).await }
            })
            .await
            .map(drop)
    }

    async fn owner(&self, event: EventId) -> Result<Option<Owner>, StoreError> {
        Ok(self.read(event).await?.as_ref().map(owner))
    }

    async fn owners(&self) -> Result<HashMap<EventId, Owner>, StoreError> {
        let found = self.etcd.list(keys::OWNERS).await?;
        // What names no event is nothing that a claim has written.
        let owners = found.iter().filter_map(|found| {
            let event = found.key_str().ok()?.strip_prefix(keys::OWNERS)?.parse().ok()?;
            Some((event, owner(found)))
        });
        Ok(owners.collect())
    }

    fn is_sure(&self, epoch: Epoch) -> bool {
        self.lease.is_sure(epoch)
    }

    fn is_lost(&self, epoch: Epoch) -> bool {
        self.lease.is_lost(epoch)
    }
}

fn owner(found: &KeyValue) -> Owner {
    let node = String::from_utf8_lossy(found.value()).into_owned();
    Owner { node, epoch: Epoch(found.mod_revision().unsigned_abs()) }
}
