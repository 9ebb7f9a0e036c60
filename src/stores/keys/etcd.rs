//! Generations of keys in etcd: the list under one key, and below it what each node says, under the node's lease.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use etcd_client::{Compare, CompareOp, GetOptions, PutOptions, Txn, TxnOp};
use tokio::time::timeout;

use super::{CHANGED, InForce, KeyStore, Stored, Version, parsed, written};
use crate::{
    domain::keys::Schedule,
    stores::{
        error::StoreError,
        etcd::{self, Etcd, lease::LeaseKeeper},
    },
};

/// For the lease: without one there is nothing to say.
const LEASE: Duration = Duration::from_secs(2);

pub struct EtcdKeys {
    etcd: Arc<Etcd>,
    lease: Arc<LeaseKeeper>,
    node: String,
    /// The list's key; what nodes say follows after a slash.
    key: String,
}

impl EtcdKeys {
    pub fn new(etcd: Arc<Etcd>, lease: Arc<LeaseKeeper>, node: impl Into<String>, key: &str) -> Self {
        Self { etcd, lease, node: node.into(), key: key.to_owned() }
    }

    /// What is to be said, of a node's key.
    fn of_node(&self, key: &str) -> Option<String> {
        Some(key.strip_prefix(&self.key)?.strip_prefix('/')?.to_owned())
    }
}

#[async_trait]
impl KeyStore for EtcdKeys {
    async fn read(&self) -> Result<Stored, StoreError> {
        let found = self.etcd.get(self.key.as_str(), GetOptions::new().with_prefix()).await?;
        let mut stored = Stored { schedule: Schedule::first(), version: Version(0), nodes: Vec::new() };
        for found in found.kvs() {
            let Ok(key) = found.key_str() else { continue };
            if key == self.key {
                stored.schedule = parsed(found.value())?;
                stored.version = Version(found.mod_revision().unsigned_abs());
            } else if let (Some(node), Ok(in_force)) = (self.of_node(key), serde_json::from_slice(found.value())) {
                stored.nodes.push((node, in_force));
            }
        }
        Ok(stored)
    }

    async fn replace(&self, read: Version, schedule: &Schedule) -> Result<(), StoreError> {
        let before = i64::try_from(read.0).unwrap_or(i64::MAX);
        let txn = Txn::new()
            .when([Compare::mod_revision(self.key.as_str(), CompareOp::Equal, before)])
            .and_then([TxnOp::put(self.key.as_str(), written(schedule), None)]);
        match timeout(etcd::PATIENCE, self.etcd.txn(txn)).await {
            Ok(Ok(answer)) if answer.succeeded() => Ok(()),
            Ok(Ok(_)) => Err(StoreError::Conflict(CHANGED)),
            Ok(Err(error)) => Err(StoreError::ReadOnly(error.into())),
            Err(late) => Err(StoreError::Unknown(late.into())),
        }
    }

    async fn report(&self, in_force: InForce) -> Result<(), StoreError> {
        let lease = timeout(LEASE, self.lease.id()).await.map_err(|late| StoreError::Unavailable(late.into()))?;
        let (key, value) = (format!("{}/{}", self.key, self.node), serde_json::to_vec(&in_force));
        let value = value.map_err(|error| StoreError::Invalid(error.into()))?;
        // A late copy may bring back what was said before; it is said again when that is seen.
        self.etcd
            .with_patience(StoreError::Unknown, |mut server| {
                let (key, value, options) = (key.clone(), value.clone(), PutOptions::new().with_lease(lease));
                async move { server.kv.put(key, value, Some(options)).await }
            })
            .await
            .map(drop)
    }

    fn node(&self) -> &str {
        &self.node
    }
}
