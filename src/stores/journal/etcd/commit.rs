//! One guarded transaction, sent until its outcome is certain.
//!
//! A reply that does not come says nothing: the transaction may have been done, or may yet be done. So the same one is sent
//! again, to whatever endpoint answers. Its guards let it through once at most, whenever and in whatever order the
//! copies arrive; a refusal brings along what decides why.

use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, Txn, TxnOp, TxnOpResponse};

use super::EtcdJournal;
use crate::{
    domain::id::EventId,
    stores::{
        etcd::keys,
        journal::{AppendError, Epoch},
    },
};

/// What the other branch read, in the moment of the refusal.
pub struct Refused {
    owner: Option<KeyValue>,
    value: Option<KeyValue>,
}

impl EtcdJournal {
    /// `None`: done. The transaction's other branch reads the owner, then at most one key more.
    pub async fn commit(&self, txn: Txn) -> Result<Option<Refused>, AppendError> {
        let answer = self.etcd.txn(txn).await.map_err(|error| AppendError::ReadOnly(error.into()))?;
        if answer.succeeded() {
            return Ok(None);
        }
        let mut reads = answer.op_responses().into_iter().map(|response| match response {
            TxnOpResponse::Get(mut found) => found.take_kvs().into_iter().next(),
            _ => None,
        });
        let owner = reads.next().flatten();
        Ok(Some(Refused { owner, value: reads.next().flatten() }))
    }

    /// 0 when the key is not there, which no write ever has.
    pub async fn mod_revision(&self, key: &str) -> Result<i64, AppendError> {
        let found = self
            .etcd
            .until_answered(|mut server| async move { server.kv.get(key, Some(GetOptions::new())).await })
            .await
            .map_err(|error| AppendError::ReadOnly(error.into()))?;
        Ok(found.kvs().first().map_or(0, KeyValue::mod_revision))
    }
}

impl Refused {
    pub fn is_owner(&self, epoch: Epoch) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.mod_revision() == revision(epoch))
    }

    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_ref().map(KeyValue::value)
    }

    pub fn value_mod_revision(&self) -> i64 {
        self.value.as_ref().map_or(0, KeyValue::mod_revision)
    }
}

/// The guard of every write.
pub fn owned(event: EventId, epoch: Epoch) -> Compare {
    Compare::mod_revision(keys::owner(event), CompareOp::Equal, revision(epoch))
}

pub fn read_owner(event: EventId) -> TxnOp {
    TxnOp::get(keys::owner(event), None)
}

/// A number as text that sorts like the number.
pub fn number(number: u64) -> String {
    format!("{number:020}")
}

/// 0 is the revision of what is not there: an epoch that never was must not match it.
fn revision(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).ok().filter(|revision| *revision > 0).unwrap_or(i64::MAX)
}
