//! The nodes of the cluster: a record of each in etcd, under the lease that its events hang on too.
//!
//! Owns the records' form, and that no two live nodes have one name. Says who is registered, not who can be reached. There is
//! no embedded counterpart: without etcd a node is alone.

use std::{
    fmt,
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use etcd_client::{Compare, CompareOp, GetOptions, PutOptions, Txn, TxnOp, WatchOptions, WatchStream};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio::time::{Instant, sleep, timeout};

use super::{
    error::StoreError,
    etcd::{self, Etcd, Failure, keys, lease::LeaseKeeper},
    wishes::WishStore,
};

/// A predecessor that died is in the way until its lease has run out: 5 s and what etcd takes to notice.
const PREDECESSOR: Duration = Duration::from_secs(7);
/// Between two looks whether it is gone.
const LOOK: Duration = Duration::from_millis(100);
/// For the record to be taken away at the end; after that the lease does it.
const LEAVE: Duration = Duration::from_secs(1);
/// Parts of certificates' names, keys and log lines.
const NAME_LENGTH: usize = 32;

/// Tells one life of a node from the next one under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boot(u64);

impl Boot {
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Boot {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// As text everywhere: JSON has no such numbers.
impl Serialize for Boot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Boot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// One life of one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    pub node: String,
    pub boot: Boot,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.node, self.boot)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Takes its name; serves nobody yet.
    Starting,
    Up,
    /// Gives its events away and takes none.
    Draining,
}

/// What others must know of a node. Unknown fields are let through: nodes of two versions run side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub boot: Boot,
    /// Where its data lie: one process at a time can be there, so the next one knows that this one is dead.
    pub home: String,
    /// Who belongs together: those that have the same cookie. Tells nothing about it.
    pub cluster: String,
    /// `host:port` for links between nodes.
    pub link: String,
    /// Addresses of the public and the admin listener, for people and proxies. One on loopback is for the machine itself.
    pub public: String,
    pub admin: String,
    pub version: String,
    pub state: State,
    /// Milliseconds since 1970, by the node's own clock; for people.
    pub since_ms: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    #[error(
        "another node runs as {node} (boot {boot}, links at {link}): give this one another name (--node), or stop that one"
    )]
    Taken { node: String, boot: String, link: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a node may be called so: it becomes part of a certificate, where only this is sure to mean the same everywhere.
pub fn is_node_name(name: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    name.len() <= NAME_LENGTH
        && is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes.iter().all(|byte| is_edge(Some(byte)) || *byte == b'-')
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub struct Membership {
    etcd: Arc<Etcd>,
    lease: Arc<LeaseKeeper>,
    node: String,
}

/// What stands under this node's name.
struct Found {
    revision: i64,
    /// `None`: nobody can read it.
    record: Option<Record>,
}

impl Membership {
    pub fn new(etcd: Arc<Etcd>, lease: Arc<LeaseKeeper>, node: impl Into<String>) -> Self {
        Self { etcd, lease, node: node.into() }
    }

    pub fn node(&self) -> &str {
        &self.node
    }

    /// What operators want of the members.
    pub fn wishes(&self) -> WishStore {
        WishStore::new(Arc::clone(&self.etcd))
    }

    /// For how long this node may answer without asking; see [`LeaseKeeper::sure_for`].
    pub fn sure_for(&self) -> Option<Duration> {
        self.lease.sure_for()
    }

    /// Puts this node's record, under the lease whose id it gives back. If another process has the name, waits until its
    /// lease must have run out, unless it is known to be dead.
    pub async fn enter(&self, record: &Record) -> Result<i64, EnterError> {
        let value = serde_json::to_vec(record).map_err(|error| StoreError::Invalid(error.into()))?;
        let deadline = Instant::now() + PREDECESSOR;
        loop {
            let lease = timeout(etcd::PATIENCE, self.lease.id());
            let lease = lease.await.map_err(|late| StoreError::Unavailable(late.into()))?;
            let revision = match self.read().await? {
                None => 0,
                Some(found) if found.is_ours(record) => found.revision,
                Some(_) if Instant::now() < deadline => {
                    sleep(LOOK).await;
                    continue;
                }
                Some(found) => return Err(self.taken(found)),
            };
            if self.put(&value, revision, lease).await? {
                return Ok(lease);
            }
        }
    }

    /// Returns when another lease is there than the one that the record was put under.
    pub async fn lease_lost(&self, lease: i64) {
        self.lease.id_after(lease).await;
    }

    /// Bound to what was read before, so that a copy that lands late changes nothing. Says whether it was done.
    async fn put(&self, value: &[u8], revision: i64, lease: i64) -> Result<bool, StoreError> {
        let key = keys::node(&self.node);
        let put = TxnOp::put(key.as_str(), value, Some(PutOptions::new().with_lease(lease)));
        let txn = Txn::new().when([Compare::mod_revision(key.as_str(), CompareOp::Equal, revision)]).and_then([put]);
        match timeout(etcd::PATIENCE, self.etcd.txn(txn)).await {
            Ok(Ok(answer)) => Ok(answer.succeeded()),
            Ok(Err(error)) if etcd::is_lease_gone(&error) => {
                sleep(LOOK).await;
                Ok(false)
            }
            Ok(Err(error)) => Err(StoreError::ReadOnly(error.into())),
            Err(late) => Err(StoreError::Unknown(late.into())),
        }
    }

    async fn read(&self) -> Result<Option<Found>, StoreError> {
        let mut found = self.etcd.get(keys::node(&self.node), GetOptions::new()).await?;
        Ok(found
            .take_kvs()
            .into_iter()
            .next()
            .map(|found| Found { revision: found.mod_revision(), record: serde_json::from_slice(found.value()).ok() }))
    }

    fn taken(&self, found: Found) -> EnterError {
        let node = self.node.clone();
        let (boot, link) = found.record.map_or(("?".to_owned(), "?".to_owned()), |r| (r.boot.to_string(), r.link));
        EnterError::Taken { node, boot, link }
    }

    /// Takes this life's record away, if it is still there.
    pub async fn leave(&self, boot: Boot) {
        let leaving = async {
            let found = self.read().await.ok().flatten()?;
            found.record.as_ref().filter(|record| record.boot == boot)?;
            let key = keys::node(&self.node);
            let txn = Txn::new()
                .when([Compare::mod_revision(key.as_str(), CompareOp::Equal, found.revision)])
                .and_then([TxnOp::delete(key.as_str(), None)]);
            self.etcd.txn(txn).await.ok()
        };
        // Undone, it stays until the lease has run out.
        let _ = timeout(LEAVE, leaving).await;
    }

    /// Every node's name with its record; what cannot be read is left out.
    pub async fn list(&self) -> Result<Vec<(String, Record)>, StoreError> {
        let found = self.etcd.get(keys::NODES, GetOptions::new().with_prefix()).await?;
        let nodes = found.kvs().iter().filter_map(|found| {
            let name = found.key_str().ok()?.strip_prefix(keys::NODES)?;
            let record = serde_json::from_slice(found.value()).inspect_err(|error| {
                tracing::warn!(node = name, %error, "a node's record cannot be read");
            });
            is_node_name(name).then_some((name.to_owned(), record.ok()?))
        });
        Ok(nodes.collect())
    }

    /// Something is told when the list has changed. A hint only: some changes may never be told.
    pub async fn watch(&self) -> Result<WatchStream, Failure> {
        self.etcd.watch(keys::NODES, WatchOptions::new().with_prefix()).await
    }
}

impl Found {
    /// This life's own, or left by a dead one.
    fn is_ours(&self, record: &Record) -> bool {
        self.record.as_ref().is_some_and(|found| found.boot == record.boot || found.home == record.home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_called_what_a_certificate_can_say() {
        for good in ["n1", "a", "node-3", "test-0a1b2c3d"] {
            assert!(is_node_name(good), "{good}");
        }
        let long = "a".repeat(33);
        for bad in ["", "-a", "a-", "N1", "a.b", "a b", "a/b", "a@b", "ä", &long] {
            assert!(!is_node_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_record_reads_back_and_one_of_a_later_version_too() {
        let record = Record {
            boot: Boot(0xff),
            home: "h".into(),
            cluster: "c".into(),
            link: "127.0.0.1:1".into(),
            public: "127.0.0.1:2".into(),
            admin: "127.0.0.1:3".into(),
            version: "0.1.0".into(),
            state: State::Draining,
            since_ms: 1,
        };
        let text = serde_json::to_string(&record).expect("plain");
        assert!(text.contains(r#""boot":"00000000000000ff""#) && text.contains(r#""state":"draining""#), "{text}");
        let later = text.replacen('{', r#"{"new":1,"#, 1);
        assert_eq!(serde_json::from_str::<Record>(&later).expect("read"), record);
    }
}
