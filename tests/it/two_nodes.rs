//! Two nodes in one process, on one etcd and one Redis, with a link between them that is ours: everything crosses it as
//! bytes, and it loses, delays and repeats as a seed says.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use onsale::{
    actors::{
        config::Config,
        courier::{Attendance, Bulletin, Courier, NotCarried},
        directory::{Directory, DirectoryError, EventHandles, LocalDirectory},
        errand::{Errand, Report},
        mirror::Mirrors,
        stand_in::StandIns,
    },
    domain::{id::EventId, keys::Schedule},
    stores::{self, Stores, keys::ring::KeyRing, ownership::Ownership, queue::redis::RedisQueue, secret::RootSecret},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    harness::{address, in_time, open_etcd},
    shop::Shop,
};

/// Of a hundred frames.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub lost: u32,
    pub repeated: u32,
    pub longest_delay_ms: u64,
}

pub struct TwoNodes {
    /// The database, bus and queue are the same for both.
    pub shops: [Shop<Node>; 2],
    link: Arc<Link>,
    _folders: [TempDir; 2],
}

/// A node as the cluster makes one: its own actors, and mirrors of what runs at the other.
pub struct Node {
    at: usize,
    name: String,
    ownership: Arc<dyn Ownership>,
    pub local: Arc<LocalDirectory>,
    pub mirrors: OnceLock<Mirrors>,
    link: Arc<Link>,
}

/// Between the two.
struct Link {
    nodes: OnceLock<[Weak<Node>; 2]>,
    /// Frames to each, in order.
    to: [mpsc::UnboundedSender<Vec<u8>>; 2],
    /// At each node: of the other one's mirrors.
    stand_ins: [Mutex<Option<StandIns>>; 2],
    random: Mutex<StdRng>,
    faults: Mutex<Faults>,
    cut: AtomicBool,
    /// Which node is to run what nobody runs.
    home: AtomicUsize,
}

#[derive(Serialize, Deserialize)]
enum Frame {
    Attend(EventId, Attendance),
    Bulletin(Bulletin),
}

impl TwoNodes {
    /// `None` without servers.
    pub async fn open(faults: Faults) -> Option<Self> {
        let [etcd, redis] = ["ONSALE_TEST_ETCD", "ONSALE_TEST_REDIS"].map(address);
        let (etcd, redis) = (etcd?, redis?);
        let etcd: Vec<String> = etcd.split(',').map(str::to_owned).collect();
        let seed =
            std::env::var("ONSALE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
        println!("ONSALE_TEST_SEED={seed}");
        let (link, receivers) = Link::new(seed, faults);
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("temporary folder"));
        let mut stores = Vec::new();
        for (n, folder) in folders.iter().enumerate() {
            stores
                .push(node_stores(folder.path(), &format!("n{n}-{:08x}", rand::random::<u32>()), &etcd, &redis).await);
        }
        let [first, second] = <[_; 2]>::try_from(stores).unwrap_or_else(|_| unreachable!("two"));
        let (database, providers) = (first.0.database.clone(), first.0.providers.clone());
        let second = (Stores { database, providers, bus: first.0.bus.clone(), ..second.0 }, second.1);
        first.0.database.migrate().await.expect("tables");
        let mut shops = Vec::new();
        for (at, (stores, name)) in [first, second].into_iter().enumerate() {
            let secret = RootSecret::open(None, folders[0].path()).expect("a root secret");
            let keys = KeyRing::fixed(secret, Schedule::first());
            let config = Config { queue_publish_ms: 100, ..Config::default() };
            let local = LocalDirectory::start_member(&stores, keys, config.clone()).await.expect("actors start");
            let ownership = Arc::clone(&stores.ownership);
            let node = Node { at, name, ownership, local, mirrors: OnceLock::new(), link: Arc::clone(&link) };
            let node = Arc::new(node);
            let courier = Arc::new(Messenger { at, link: Arc::clone(&link) });
            let _ = node.mirrors.set(Mirrors::new(courier, &config));
            shops.push(Shop { stores, directory: node });
        }
        let shops = <[_; 2]>::try_from(shops).unwrap_or_else(|_| unreachable!("two"));
        link.connect(&shops, receivers);
        for shop in &shops {
            let asked: Arc<dyn Directory> = Arc::clone(&shop.directory) as _;
            shop.directory.local.begin(Arc::downgrade(&asked));
        }
        Some(Self { shops, link, _folders: folders })
    }

    /// Whoever is asked first for an event that nobody runs has this one run it.
    pub fn home(&self, at: usize) {
        self.link.home.store(at, Ordering::Relaxed);
    }

    /// Moves the event to the other node.
    pub async fn move_to(&self, event: EventId, at: usize) {
        self.home(at);
        self.shops[1 - at].directory.local.give_up(event).await;
    }

    pub fn set_faults(&self, faults: Faults) {
        *locked(&self.link.faults) = faults;
    }

    /// As when the link breaks: nothing passes, and the stand-ins at this node end.
    pub fn cut_off(&self, at: usize) {
        self.link.cut.store(true, Ordering::Relaxed);
        *locked(&self.link.stand_ins[at]) = None;
    }

    pub async fn close(self) {
        for shop in &self.shops {
            if let Some(mirrors) = shop.directory.mirrors.get() {
                mirrors.shutdown();
            }
        }
        for shop in &self.shops {
            in_time(shop.directory.local.shutdown(Duration::from_secs(10))).await;
        }
        self.shops[0].stores.database.close().await;
    }
}

async fn node_stores(folder: &Path, name: &str, etcd: &[String], redis: &str) -> (Stores, String) {
    let config = stores::config::Config { data_dir: folder.to_owned(), ..Default::default() };
    let stores = stores::open(&config, name).await.expect("embedded stores open");
    let opened = open_etcd(etcd, name).await;
    let queue = Arc::new(RedisQueue::open(redis).expect("an address"));
    let stores = Stores { journal: opened.journal, ownership: opened.ownership, queue, ..stores };
    (stores, name.to_owned())
}

#[async_trait]
impl Directory for Node {
    async fn event(&self, event: EventId) -> Result<EventHandles, DirectoryError> {
        if let Some(handles) = self.local.here(event) {
            return Ok(handles);
        }
        let owner = self.ownership.owner(event).await.map_err(|_| DirectoryError::Unavailable)?;
        let home = self.link.home.load(Ordering::Relaxed);
        match owner {
            Some(owner) if owner.node == self.name => self.local.event(event).await,
            Some(_) => self.mirror(event).await,
            None if home == self.at => self.local.activate(event).await,
            None => {
                self.link.node(home).ok_or(DirectoryError::Unavailable)?.local.activate(event).await?;
                self.mirror(event).await
            }
        }
    }
}

impl Node {
    async fn mirror(&self, event: EventId) -> Result<EventHandles, DirectoryError> {
        self.mirrors.get().ok_or(DirectoryError::Unavailable)?.event(event).await
    }
}

/// What the router of a cluster does, between two.
struct Messenger {
    at: usize,
    link: Arc<Link>,
}

#[async_trait]
impl Courier for Messenger {
    async fn carry(&self, event: EventId, errand: Errand, deadline: Duration) -> Result<Report, NotCarried> {
        let bytes = postcard::to_allocvec(&errand).expect("encodes");
        let until = Instant::now() + deadline;
        let mut may_be_done = false;
        while Instant::now() < until {
            match timeout_at(until, self.try_once(event, &errand, &bytes, until)).await {
                Ok(Ok(report)) if !report.is_unavailable() => return Ok(report),
                Ok(Ok(_)) | Ok(Err(NotCarried::NotSent)) => sleep(Duration::from_millis(20)).await,
                Ok(Err(NotCarried::Overloaded)) => return Err(NotCarried::Overloaded),
                Ok(Err(NotCarried::Unknown)) | Err(_) => {
                    may_be_done = true;
                    if !errand.is_repeatable() {
                        break;
                    }
                }
            }
        }
        Err(if may_be_done { NotCarried::Unknown } else { NotCarried::NotSent })
    }

    fn attend(&self, event: EventId, attendance: Attendance) {
        self.link.send(1 - self.at, &Frame::Attend(event, attendance));
    }
}

impl Messenger {
    async fn try_once(
        &self,
        event: EventId,
        errand: &Errand,
        bytes: &[u8],
        until: Instant,
    ) -> Result<Report, NotCarried> {
        let me = self.link.node(self.at).ok_or(NotCarried::NotSent)?;
        let left = until - Instant::now();
        if let Some(handles) = me.local.here(event) {
            return Ok(handles.run(errand.clone(), left).await);
        }
        let other = self.link.node(1 - self.at).ok_or(NotCarried::NotSent)?;
        let handles = other.local.here(event).ok_or(NotCarried::NotSent)?;
        let fate = self.link.fate();
        sleep(fate.delay).await;
        if fate.lost {
            return Err(NotCarried::Unknown);
        }
        let errand: Errand = postcard::from_bytes(bytes).expect("decodes");
        if fate.repeated && errand.is_repeatable() {
            let (handles, errand) = (handles.clone(), errand.clone());
            tokio::spawn(async move { handles.run(errand, left).await });
        }
        let report = postcard::to_allocvec(&handles.run(errand, left).await).expect("encodes");
        let fate = self.link.fate();
        sleep(fate.delay).await;
        if fate.lost { Err(NotCarried::Unknown) } else { Ok(postcard::from_bytes(&report).expect("decodes")) }
    }
}

struct Fate {
    lost: bool,
    repeated: bool,
    delay: Duration,
}

impl Link {
    fn new(seed: u64, faults: Faults) -> (Arc<Self>, [mpsc::UnboundedReceiver<Vec<u8>>; 2]) {
        let [(first, first_end), (second, second_end)] = [(); 2].map(|()| mpsc::unbounded_channel());
        let link = Self {
            nodes: OnceLock::new(),
            to: [first, second],
            stand_ins: [Mutex::new(None), Mutex::new(None)],
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            faults: Mutex::new(faults),
            cut: AtomicBool::new(false),
            home: AtomicUsize::new(0),
        };
        (Arc::new(link), [first_end, second_end])
    }

    fn connect(self: &Arc<Self>, shops: &[Shop<Node>; 2], receivers: [mpsc::UnboundedReceiver<Vec<u8>>; 2]) {
        let _ = self.nodes.set([0, 1].map(|at: usize| Arc::downgrade(&shops[at].directory)));
        for at in [0, 1] {
            let (sender, mut bulletins) = mpsc::channel(16);
            *locked(&self.stand_ins[at]) = Some(StandIns::new(sender));
            let link = Arc::clone(self);
            tokio::spawn(async move {
                while let Some(bulletin) = bulletins.recv().await {
                    link.send(1 - at, &Frame::Bulletin(bulletin));
                }
            });
        }
        for (at, mut frames) in receivers.into_iter().enumerate() {
            let link = Arc::clone(self);
            tokio::spawn(async move {
                while let Some(bytes) = frames.recv().await {
                    let fate = link.fate();
                    sleep(fate.delay).await;
                    let times = if fate.lost { 0 } else { 1 + usize::from(fate.repeated) };
                    (0..times).for_each(|_| link.arrive(at, &bytes));
                }
            });
        }
    }

    fn send(&self, to: usize, frame: &Frame) {
        let bytes = postcard::to_allocvec(frame).expect("encodes");
        assert!(bytes.len() <= 256 * 1024, "a frame of {} bytes", bytes.len());
        let _ = self.to[to].send(bytes);
    }

    fn arrive(&self, at: usize, bytes: &[u8]) {
        let Some(node) = self.node(at) else { return };
        match postcard::from_bytes(bytes).expect("decodes") {
            Frame::Attend(event, attendance) => {
                if let Some(stand_ins) = &mut *locked(&self.stand_ins[at]) {
                    stand_ins.attend(event, attendance, || node.local.here(event));
                }
            }
            Frame::Bulletin(bulletin) => node.mirrors.get().into_iter().for_each(|all| all.bulletin(bulletin.clone())),
        }
    }

    fn node(&self, at: usize) -> Option<Arc<Node>> {
        self.nodes.get()?[at].upgrade()
    }

    fn fate(&self) -> Fate {
        let faults = *locked(&self.faults);
        let mut random = locked(&self.random);
        Fate {
            lost: self.cut.load(Ordering::Relaxed) || random.random_range(0..100) < faults.lost,
            repeated: random.random_range(0..100) < faults.repeated,
            delay: Duration::from_millis(random.random_range(0..=faults.longest_delay_ms)),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
