//! Which adapters a test runs on, and names that no other test uses.

use std::{sync::Arc, time::Duration};

use onsale::{
    domain::id::EventId,
    stores::{
        etcd::{Etcd, lease::LeaseKeeper},
        journal::{
            Append, AppendError, CHUNK_BYTES, Epoch, InventoryJournal, embedded::EmbeddedJournal, etcd::EtcdJournal,
        },
        ownership::{Ownership, embedded::EmbeddedOwnership, etcd::EtcdOwnership},
        sqlite,
    },
};
use sqlx::{AnyConnection, Connection as _, Executor as _};

/// Of every account that a test makes.
pub const PASSWORD: &str = "correct horse battery staple";

/// The address of a real server, from the environment; `scripts/test` starts one and sets it.
///
/// `None` only under `ONSALE_TEST_EMBEDDED_ONLY=1`, for a quick run without servers: a missing address is a failure
/// otherwise, so that nothing is skipped in silence.
pub fn address(variable: &str) -> Option<String> {
    if std::env::var("ONSALE_TEST_EMBEDDED_ONLY").is_ok_and(|value| value == "1") {
        println!("ONSALE_TEST_EMBEDDED_ONLY=1: not run on the server of {variable}");
        return None;
    }
    let address = std::env::var(variable).unwrap_or_default();
    assert!(!address.is_empty(), "{variable} is not set: run scripts/test, or set ONSALE_TEST_EMBEDDED_ONLY=1");
    Some(address)
}

/// Where one store keeps what a test gives it: opened as often as the test likes.
pub enum Home {
    Embedded(tempfile::TempDir),
    /// On a Redis that others use too.
    Redis(String),
}

impl Home {
    /// One for each adapter.
    pub fn all() -> Vec<Self> {
        let embedded = Self::Embedded(tempfile::tempdir().expect("temporary folder"));
        [embedded].into_iter().chain(address("ONSALE_TEST_REDIS").map(Self::Redis)).collect()
    }
}

/// The first of the etcd endpoints.
pub fn one_etcd() -> Option<String> {
    address("ONSALE_TEST_ETCD").map(|all| all.split(',').next().expect("at least one").to_owned())
}

/// PostgreSQL's address with a schema of one test's own.
pub async fn database_of_its_own() -> Option<String> {
    let server = address("ONSALE_TEST_DATABASE")?;
    sqlx::any::install_default_drivers();
    let schema = format!("test_{:032x}", rand::random::<u128>());
    let mut connection = AnyConnection::connect(&server).await.expect("connect");
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
    connection.execute(create).await.expect("create schema");
    let separator = if server.contains('?') { '&' } else { '?' };
    Some(format!("{server}{separator}options=-csearch_path%3D{schema}"))
}

/// An event of this test alone: servers are shared by all tests.
pub fn new_event() -> EventId {
    EventId::from_u128(rand::random())
}

/// For what could otherwise wait for ever; generous, for machines that do much else.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("within a minute")
}

/// Asks again until there is something; the test fails if that takes longer than a minute.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| unreachable!("within a minute: {what}"))
}

/// Asks again until it is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    eventually(what, async || is_so().await.then_some(())).await;
}

/// A place for the journal and ownership of one test, opened as often as the test likes.
pub enum JournalHome {
    Embedded(tempfile::TempDir),
    Etcd(Vec<String>),
}

/// One opening: what a process holds.
pub struct Opened {
    pub journal: Arc<dyn InventoryJournal>,
    pub ownership: Arc<dyn Ownership>,
}

impl JournalHome {
    /// One for each adapter.
    pub fn all() -> Vec<Self> {
        let etcd = address("ONSALE_TEST_ETCD").map(|list| Self::Etcd(list.split(',').map(str::to_owned).collect()));
        [Self::embedded()].into_iter().chain(etcd).collect()
    }

    pub fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().expect("temporary folder"))
    }

    /// The embedded journal's file, to look into or to damage.
    pub async fn open_file(&self) -> sqlx::SqlitePool {
        let Self::Embedded(folder) = self else { unreachable!("only embedded journals are files") };
        sqlite::open(&folder.path().join("journal.db"), 1, "SELECT 1").await.expect("open")
    }

    /// Changes a letter in every chunk of the event's snapshots, in the store itself.
    pub async fn damage_chunks(&self, event: EventId) {
        match self {
            Self::Embedded(_) => {
                let damage = sqlx::query("UPDATE chunk SET bytes = 'snapshoT'");
                damage.execute(&self.open_file().await).await.expect("damaged");
            }
            Self::Etcd(endpoints) => {
                let mut client = etcd_client::Client::connect(endpoints, None).await.expect("etcd");
                let chunks = etcd_client::GetOptions::new().with_prefix();
                let found = client.get(format!("onsale/snapshot/{event}/"), Some(chunks)).await.expect("read");
                for chunk in found.kvs() {
                    client.put(chunk.key(), "snapshoT", None).await.expect("damaged");
                }
            }
        }
    }

    pub async fn open(&self) -> Opened {
        match self {
            Self::Embedded(folder) => {
                println!("embedded journal");
                let journal = EmbeddedJournal::open(&folder.path().join("journal.db")).await.expect("open");
                let journal = Arc::new(journal);
                let ownership = Arc::new(EmbeddedOwnership::new(Arc::clone(&journal), "node-1"));
                Opened { journal, ownership }
            }
            Self::Etcd(endpoints) => {
                println!("journal in etcd");
                open_etcd(endpoints, "node-1").await
            }
        }
    }
}

pub async fn open_etcd(endpoints: &[String], node: &str) -> Opened {
    let connect = async || Etcd::new(endpoints).await.expect("addresses");
    let journal = EtcdJournal::new(Arc::new(connect().await));
    let ownership = EtcdOwnership::new(Arc::new(connect().await), LeaseKeeper::start(connect().await), node);
    Opened { journal: Arc::new(journal), ownership: Arc::new(ownership) }
}

/// An append without counters or mark.
pub fn append(event: EventId, epoch: Epoch, seq: u64, bytes: impl Into<Vec<u8>>) -> Append {
    Append { event, epoch, seq, bytes: bytes.into(), counters: Vec::new(), active: None }
}

/// As the inventory does it, but all at once.
pub async fn store_snapshot(
    journal: &dyn InventoryJournal,
    event: EventId,
    epoch: Epoch,
    seq: u64,
    bytes: &[u8],
) -> Result<(), AppendError> {
    let mut snapshot = journal.begin_snapshot(event, epoch, seq).await?;
    for chunk in bytes.chunks(CHUNK_BYTES) {
        snapshot.chunk(chunk.to_vec()).await?;
    }
    snapshot.finish().await
}
