//! What must survive: a port for each need, an adapter for each technology, and the embedded default on SQLite.
//!
//! Architecture invariant: knows `domain` only. What is decided is decided elsewhere; stores keep, fence and give back.

pub mod config;
pub mod crash_point;
pub mod data_dir;
pub mod database;
pub mod egress;
pub mod error;
pub mod etcd;
pub mod halts;
pub mod journal;
pub mod keys;
pub mod membership;
pub mod order_bus;
pub mod ownership;
pub mod pass_key;
pub mod post;
pub mod provider;
pub mod queue;
pub mod redis;
pub mod secret;
pub mod sqlite;
pub mod used_tickets;
pub mod waits;
pub mod wallets;
pub mod wishes;

use std::sync::Arc;

use self::{
    config::Config,
    data_dir::{DataDir, DataDirError},
    database::Database,
    error::StoreError,
    etcd::{Etcd, lease::LeaseKeeper},
    halts::{HaltStore, embedded::EmbeddedHalts},
    journal::{InventoryJournal, embedded::EmbeddedJournal, etcd::EtcdJournal},
    keys::{KeyStore, embedded::EmbeddedKeys, etcd::EtcdKeys},
    membership::Membership,
    order_bus::{OrderBus, RetryDelay, embedded::EmbeddedBus, rabbitmq::RabbitBus},
    ownership::{Ownership, embedded::EmbeddedOwnership, etcd::EtcdOwnership},
    provider::Providers,
    queue::{QueueStore, embedded::EmbeddedQueue, redis::RedisQueue},
    redis::Redis,
    used_tickets::{UsedTickets, embedded::EmbeddedTickets, redis::RedisTickets},
    waits::{Waits, embedded::EmbeddedWaits, redis::RedisWaits},
};

/// One of each, on whatever the configuration says; nobody else knows which.
pub struct Stores {
    pub journal: Arc<dyn InventoryJournal>,
    pub ownership: Arc<dyn Ownership>,
    pub queue: Arc<dyn QueueStore>,
    pub used_tickets: Arc<dyn UsedTickets>,
    pub waits: Arc<dyn Waits>,
    pub bus: Arc<dyn OrderBus>,
    pub database: Database,
    /// The sandbox; the boot puts those of the configuration here.
    pub providers: Providers,
    pub keys: Arc<dyn KeyStore>,
    pub halts: Arc<dyn HaltStore>,
    /// Only where there may be other nodes: with etcd.
    pub membership: Option<Arc<Membership>>,
    /// Last, so that it is given up after the files in it.
    pub data_dir: DataDir,
}

impl Stores {
    /// Returns, with the store's name, when one of them can do no more in this process: exit, start again, recover.
    pub async fn poisoned(&self) -> &'static str {
        tokio::select! {
            () = self.journal.poisoned() => "journal",
            () = self.queue.poisoned() => "queue",
            () = self.bus.poisoned() => "order bus",
            () = self.database.poisoned() => "database",
        }
    }
}

/// What is in Redis, if there is one.
type OnRedis = (Arc<dyn QueueStore>, Arc<dyn UsedTickets>, Arc<dyn Waits>);

/// What is in etcd, if there is one.
struct OnEtcd {
    journal: Arc<dyn InventoryJournal>,
    ownership: Arc<dyn Ownership>,
    keys: Arc<dyn KeyStore>,
    halts: Arc<dyn HaltStore>,
    membership: Option<Arc<Membership>>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("{store}: {source}")]
    Store { store: &'static str, source: StoreError },
}

/// `node` is this node's name; no other live process on the same etcd may have it.
pub async fn open(config: &Config, node: &str) -> Result<Stores, OpenError> {
    fn of(store: &'static str) -> impl FnOnce(StoreError) -> OpenError {
        move |source| OpenError::Store { store, source }
    }
    let data_dir = DataDir::open(&config.data_dir)?;
    let on_etcd = if config.etcd.is_empty() {
        let journal = EmbeddedJournal::open(&data_dir.file("journal.db")).await.map_err(of("journal"))?;
        let journal = Arc::new(journal);
        let keys = EmbeddedKeys::open(&data_dir.file("keys.json"), node).map_err(of("keys"))?;
        let halts = EmbeddedHalts::open(&data_dir.file("halted.json")).map_err(of("halts"))?;
        let ownership = Arc::new(EmbeddedOwnership::new(Arc::clone(&journal), node));
        OnEtcd { journal, ownership, keys: Arc::new(keys), halts: Arc::new(halts), membership: None }
    } else {
        // Connections of its own for each: neither a large commit nor a long list may delay what the others do.
        let connect = async || Etcd::new(&config.etcd).await.map_err(of("etcd"));
        let lease = LeaseKeeper::start(connect().await?);
        let journal = EtcdJournal::new(Arc::new(connect().await?));
        let etcd = Arc::new(connect().await?);
        let ownership = EtcdOwnership::new(Arc::clone(&etcd), Arc::clone(&lease), node);
        let keys = EtcdKeys::new(Arc::clone(&etcd), Arc::clone(&lease), node, etcd::keys::KEYS);
        let membership = Arc::new(Membership::new(etcd, lease, node));
        OnEtcd {
            journal: Arc::new(journal),
            ownership: Arc::new(ownership),
            keys: Arc::new(keys),
            halts: Arc::new(membership.wishes()),
            membership: Some(membership),
        }
    };
    let (queue, used_tickets, waits): OnRedis = if config.redis.is_empty() {
        let queue = EmbeddedQueue::open(&data_dir.file("queue.db")).await.map_err(of("queue"))?;
        let waits = EmbeddedWaits::open(&data_dir.file("waits.db")).await.map_err(of("waits"))?;
        (Arc::new(queue), Arc::new(EmbeddedTickets::default()), Arc::new(waits))
    } else {
        let redis = Arc::new(Redis::open(&config.redis).map_err(of("queue"))?);
        let used_tickets = RedisTickets::new(Arc::clone(&redis));
        (Arc::new(RedisQueue::new(Arc::clone(&redis))), Arc::new(used_tickets), Arc::new(RedisWaits::new(redis)))
    };
    let bus: Arc<dyn OrderBus> = if config.rabbitmq.is_empty() {
        let bus = EmbeddedBus::open(&data_dir.file("bus.db"), RetryDelay::default()).await;
        Arc::new(bus.map_err(of("order bus"))?)
    } else {
        Arc::new(RabbitBus::open(order_bus::rabbitmq::Options::new(&config.rabbitmq)).map_err(of("order bus"))?)
    };
    let database = Database::connect(config).await.map_err(of("database"))?;
    let providers = Providers::sandbox(&database);
    let OnEtcd { journal, ownership, keys, halts, membership } = on_etcd;
    Ok(Stores {
        journal,
        ownership,
        queue,
        used_tickets,
        waits,
        bus,
        database,
        providers,
        keys,
        halts,
        membership,
        data_dir,
    })
}

/// The journal alone, without the lock on the data directory: for reading beside a running node.
pub async fn open_journal(config: &Config) -> Result<Arc<dyn InventoryJournal>, StoreError> {
    if config.etcd.is_empty() {
        return Ok(Arc::new(EmbeddedJournal::open(&config.data_dir.join("journal.db")).await?));
    }
    Ok(Arc::new(EtcdJournal::new(Arc::new(Etcd::new(&config.etcd).await?))))
}
