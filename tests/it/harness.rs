//! Which adapters a test runs on, and names that no other test uses.

use std::{sync::Arc, time::Duration};

use onsale::{
    domain::id::EventId,
    stores::{
        etcd::Etcd,
        journal::{
            Append, AppendError, CHUNK_BYTES, Epoch, InventoryJournal, embedded::EmbeddedJournal, etcd::EtcdJournal,
        },
        ownership::{Ownership, embedded::EmbeddedOwnership, etcd::EtcdOwnership},
        sqlite,
    },
};

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

/// The first of the etcd endpoints.
pub fn one_etcd() -> Option<String> {
    address("ONSALE_TEST_ETCD").map(|all| all.split(',').next().expect("at least one").to_owned())
}

/// An event of this test alone: servers are shared by all tests.
pub fn new_event() -> EventId {
    EventId::from_u128(rand::random())
}

/// A deadline for what could otherwise wait for ever; generous, for machines that do much else.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("within a minute")
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
    let etcd = Arc::new(Etcd::new(endpoints).await.expect("addresses"));
    let ownership = Arc::new(EtcdOwnership::new(endpoints, node).await.expect("addresses"));
    Opened { journal: Arc::new(EtcdJournal::new(etcd)), ownership }
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
