//! What operators want of the nodes: one to run nothing, an event to run on a certain one, all events to halt. In etcd, beside the nodes' records.
//!
//! Owns the keys' form. They hang on no lease: what is wanted holds over every restart, until it is taken back. Says nothing of
//! what is so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, Txn, TxnOp, WatchFilterType, WatchOptions, WatchStream};
use tokio::time::timeout;

use super::{
    error::StoreError,
    etcd::{self, Etcd, Failure, keys},
};
use crate::domain::id::EventId;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Nodes that are to run nothing.
    pub drained: BTreeSet<String>,
    /// The node that is to run an event, whatever placement says.
    pub pinned: BTreeMap<EventId, String>,
}

/// What a look at wishes and owners may be due for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Drained,
    Pinned,
    /// An event was given up, or its owner is gone.
    Unowned,
}

pub struct WishStore {
    etcd: Arc<Etcd>,
}

impl WishStore {
    pub fn new(etcd: Arc<Etcd>) -> Self {
        Self { etcd }
    }

    pub async fn list(&self) -> Result<Wishes, StoreError> {
        let drained = self.etcd.list(keys::DRAINED).await?;
        let pinned = self.etcd.list(keys::PINNED).await?;
        let node = |found: &KeyValue| Some(found.key_str().ok()?.strip_prefix(keys::DRAINED)?.to_owned());
        let pin = |found: &KeyValue| {
            let event = found.key_str().ok()?.strip_prefix(keys::PINNED)?.parse().ok()?;
            Some((event, found.value_str().ok()?.to_owned()))
        };
        Ok(Wishes {
            drained: drained.iter().filter_map(node).collect(),
            pinned: pinned.iter().filter_map(pin).collect(),
        })
    }

    pub async fn drain(&self, node: &str) -> Result<(), StoreError> {
        self.set(keys::drained(node), Some("")).await
    }

    pub async fn undrain(&self, node: &str) -> Result<(), StoreError> {
        self.set(keys::drained(node), None).await
    }

    pub async fn pin(&self, event: EventId, node: &str) -> Result<(), StoreError> {
        self.set(keys::pinned(event), Some(node)).await
    }

    pub async fn unpin(&self, event: EventId) -> Result<(), StoreError> {
        self.set(keys::pinned(event), None).await
    }

    /// What is written about a halt of all events, if there is one.
    pub async fn halted(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.etcd.get(keys::HALTED, GetOptions::new()).await?;
        Ok(found.kvs().first().map(|found| found.value().to_vec()))
    }

    pub async fn set_halted(&self, value: Option<&str>) -> Result<(), StoreError> {
        self.set(keys::HALTED.to_owned(), value).await
    }

    /// Something is told when a look may be due. A hint only.
    pub async fn watch(&self, change: Change) -> Result<WatchStream, Failure> {
        let options = WatchOptions::new().with_prefix();
        let (prefix, options) = match change {
            Change::Drained => (keys::DRAINED, options),
            Change::Pinned => (keys::PINNED, options),
            Change::Unowned => (keys::OWNERS, options.with_filters([WatchFilterType::NoPut])),
        };
        self.etcd.watch(prefix, options).await
    }

    async fn set(&self, key: String, value: Option<&str>) -> Result<(), StoreError> {
        timeout(etcd::PATIENCE, self.try_set(&key, value)).await.map_err(|late| StoreError::Unknown(late.into()))?
    }

    /// Each attempt is bound to what was read before it: a copy that lands late must not bring back what an operator has
    /// taken back since.
    async fn try_set(&self, key: &str, value: Option<&str>) -> Result<(), StoreError> {
        loop {
            let found = self.etcd.get(key, GetOptions::new()).await?;
            let found = found.kvs().first();
            if found.map(KeyValue::value) == value.map(str::as_bytes) {
                return Ok(());
            }
            let before = found.map_or(0, KeyValue::mod_revision);
            let change = value.map_or_else(|| TxnOp::delete(key, None), |value| TxnOp::put(key, value, None));
            let txn = Txn::new().when([Compare::mod_revision(key, CompareOp::Equal, before)]).and_then([change]);
            // Refused, it was changed since it was read, perhaps by this very transaction, whose reply was lost.
            self.etcd.txn(txn).await.map_err(|error| StoreError::ReadOnly(error.into()))?;
        }
    }
}
