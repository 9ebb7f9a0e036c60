//! Where benchmarks run: a node in this process, on stores of its own or on the configured servers.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::sleep};
use uuid::Uuid;

use super::sweep;
use crate::{
    actors::{
        clock::Clock,
        directory::EventHandles,
        inventory::{self, recovery},
    },
    boot::Node,
    cli::{ConfigOptions, log},
    config::Config,
    domain::{
        account::Role,
        event::Phase,
        id::{EventId, FanId, OrderId},
        inventory::{
            Inventory,
            configuration::{Configuration, Limits, Mode, OrphanRule, QueueSettings, Stock, TicketType},
            entry::{Entry, Segment},
            fact::Facts,
            request::{Admittee, Answer, Command, Hold, Identity, Request, Want},
        },
        money::Currency,
        price::Charges,
        queue::Place,
        time::{EventTime, Millis},
    },
    failure::Failure,
    http,
    stores::{
        self,
        database::{accounts, events},
        etcd::{Etcd, lease::LeaseKeeper},
        journal::{InventoryJournal, Recovered},
        ownership::{Ownership, etcd::EtcdOwnership},
    },
};

/// Holds that one fan may have: the largest limit there is.
pub const PER_FAN: u16 = 20;
pub const STOCK: u32 = 10_000_000;
pub const HOT: &str = "HOT";
/// Admitted in one command.
const ADMIT_AT_ONCE: usize = 500;
/// For another node to run an event.
const BEGIN: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(20);
/// For an event that is left behind to be at rest,
const SETTLING: Duration = Duration::from_secs(60);
/// and between two looks at it: each reads its journal.
const LONG_LOOK: Duration = Duration::from_millis(500);
/// Order messages between two marks of how far they are published.
const MARK_EVERY: u64 = 10_000;

pub struct Stage {
    node: Node,
    config: Config,
    /// Removed at the end; `None` where a data directory was given.
    temporary: Option<TempDir>,
    organizer: FanId,
    /// The same accounts serve every event.
    fans: Vec<FanId>,
    /// Opened so far.
    events: Mutex<Vec<EventId>>,
}

/// What is there when the node has stopped: another one can be started on it.
pub struct Left {
    pub config: Config,
    events: Vec<EventId>,
    _temporary: Option<TempDir>,
}

impl Left {
    /// Servers are left without what was written; a directory is not, it is either given or temporary.
    pub async fn sweep(&self) -> Result<(), Failure> {
        sweep::remove(&self.config.stores.etcd, &self.events).await
    }
}

/// Whether holds are refused while too many order messages wait for the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lagging {
    AsConfigured,
    Unlimited,
}

/// Accounts made beforehand: as many as the longest measurement can use up.
const FANS: usize = 60_000;

impl Stage {
    /// With the configured limit of order messages that lag, or without one: the consumers are no part of a hold's path.
    pub async fn open(options: &ConfigOptions, lagging: Lagging) -> Result<Self, Failure> {
        let mut options = options.clone();
        let temporary = match options.data_dir {
            Some(_) => None,
            None => Some(TempDir::with_prefix("onsale-bench-")?),
        };
        options.data_dir = options.data_dir.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned()));
        options.listen = options.listen.or_else(|| Some("127.0.0.1:0".into()));
        options.admin_listen = options.admin_listen.or_else(|| Some("127.0.0.1:0".into()));
        let mut config = options.load()?;
        // Measured is the path of a hold, not the limits that protect it.
        config.http.max_connections = config.http.max_connections.max(10_000);
        if lagging == Lagging::Unlimited {
            // As large as a configuration file may say.
            config.actors.outbox_limit = u64::from(u32::MAX);
        }
        config.http.bcrypt_cost = 4;
        config.http.insecure_demo = true;
        if options.log_format.is_none() {
            config.log.filter = "warn".into();
        }
        log::start(&config.log)?;
        let node = Node::start_with(config.clone(), crate::http::noop::routes()).await?;
        let mut random = StdRng::seed_from_u64(7);
        let mut fan = || FanId::random(rand::Rng::random(&mut random));
        let (organizer, fans) = (fan(), (0..FANS).map(|_| fan()).collect::<Vec<_>>());
        let stage = Self { node, config, temporary, organizer, fans, events: Mutex::default() };
        stage.make_accounts().await?;
        Ok(stage)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }
    pub fn node(&self) -> &Node {
        &self.node
    }
    pub fn fans(&self) -> &[FanId] {
        &self.fans
    }

    async fn make_accounts(&self) -> Result<(), Failure> {
        let now = http::now();
        let account = |id: &FanId| accounts::Account {
            id: *id,
            email: format!("{id}@bench.example"),
            name: "bench".into(),
            language: "en".into(),
            // Nobody signs in with it.
            password_hash: String::new(),
            roles: vec![Role::Fan],
            status: accounts::Status::Active,
            session_version: 1,
            created_at: now,
            updated_at: now,
        };
        let database = &self.node.app().database;
        if accounts::by_id(database, self.organizer).await?.is_some() {
            return Ok(());
        }
        let all: Vec<_> = std::iter::once(&self.organizer).chain(&self.fans).map(account).collect();
        for some in all.chunks(5_000) {
            accounts::create_many(database, some).await?;
        }
        Ok(())
    }

    /// A fresh event's inventory alone, without the orders side: what it would publish counts as published at once, but for
    /// the last `unpublished`.
    pub async fn open_inventory(&self, unpublished: u64) -> Result<(EventId, inventory::Handle), Failure> {
        let event = self.make_event().await?;
        let stores = self.node.stores();
        let ownership = self.ownership().await?;
        let epoch = ownership.claim(event).await?;
        let (facts, mut published) = mpsc::unbounded_channel::<Facts>();
        let (admissions, _) = mpsc::unbounded_channel();
        let arguments = inventory::Arguments {
            event,
            epoch,
            folded: recovery::fold(Recovered::default())?,
            clock: Clock::start(EventTime(0)),
            journal: stores.journal.clone(),
            ownership: ownership.clone(),
            config: self.config.actors.clone(),
            halt: None,
            facts,
            admissions,
        };
        let handle = inventory::start(arguments, None).await?;
        let configure = Request { identity: None, command: Command::Configure(Box::new(configuration())) };
        handle.ask(configure).await?;
        let (told, journal) = (handle.clone(), stores.journal.clone());
        tokio::spawn(async move {
            let mut marked = 0;
            while let Some(facts) = published.recv().await {
                let number = facts.newest().map_or(0, |newest| newest.saturating_sub(unpublished));
                told.published(number);
                if number >= marked + MARK_EVERY {
                    marked = number;
                    // One that is lost leaves more unpublished.
                    let _ = journal.mark_published(event, epoch, number).await;
                }
            }
            // The inventory has ended. If this fails, its event is free when the lease ends.
            let _ = ownership.release(event, epoch).await;
        });
        Ok((event, handle))
    }

    /// As another node: this one's steward would take an event that is its own and does not run for one to recover.
    async fn ownership(&self) -> Result<Arc<dyn Ownership>, Failure> {
        let endpoints = &self.config.stores.etcd;
        if endpoints.is_empty() {
            return Ok(self.node.stores().ownership.clone());
        }
        let lease = LeaseKeeper::start(Etcd::new(endpoints).await?);
        Ok(Arc::new(EtcdOwnership::new(Arc::new(Etcd::new(endpoints).await?), lease, "bench-inventory")))
    }

    /// A fresh event with one hot ticket type, on sale; it runs on this stage's node.
    pub async fn open_event(&self) -> Result<(EventId, inventory::Handle), Failure> {
        let id = self.make_event().await?;
        let handles = self.node.directory().activate(id).await?;
        Ok((id, handles.inventory))
    }

    /// Another one, so configured.
    pub async fn open_with(&self, configuration: Configuration) -> Result<(EventId, EventHandles), Failure> {
        let id = self.make_event_with(configuration).await?;
        Ok((id, self.node.directory().activate(id).await?))
    }

    /// A draft of it: nobody runs it yet.
    pub async fn make_event(&self) -> Result<EventId, Failure> {
        self.make_event_with(configuration()).await
    }

    pub async fn make_event_with(&self, configuration: Configuration) -> Result<EventId, Failure> {
        let now = http::now();
        let id = EventId::from_uuid(Uuid::now_v7());
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        let event = events::Event {
            id,
            organizer: self.organizer,
            details: events::Details {
                title: "Bench".into(),
                description: String::new(),
                category: "bench".into(),
                venue: "Hall".into(),
                city: "Town".into(),
                time_zone: "UTC".into(),
                starts_at: now + Millis::minutes(60 * 24),
                ends_at: now + Millis::minutes(60 * 26),
                doors_at: None,
                age_limit: None,
                ticket_rules: Default::default(),
            },
            configuration,
            created_at: now,
            updated_at: now,
        };
        let database = &self.node.app().database;
        let mut write = database.begin().await?;
        events::insert(&mut write, &event).await?;
        write.commit().await?;
        Ok(id)
    }

    /// A fresh event, run by another node.
    pub async fn begin_elsewhere(&self) -> Result<(EventId, EventHandles), Failure> {
        let event = self.make_event().await?;
        let began = Instant::now();
        loop {
            match self.node.app().directory.event(event).await {
                Ok(handles) => return Ok((event, handles)),
                Err(error) if began.elapsed() > BEGIN => return Err(error.into()),
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    /// Admits these fans; fan number n has place number n+1 of the first term.
    pub async fn admit(&self, inventory: &inventory::Handle, fans: &[FanId]) -> Result<(), Failure> {
        let all: Vec<Admittee> = fans
            .iter()
            .zip(1..)
            .map(|(&fan, n)| Admittee { place: place(n), fan, present: true, needs_more_time: false })
            .collect();
        for some in all.chunks(ADMIT_AT_ONCE) {
            let request = Request { identity: None, command: Command::Admit(some.to_vec()) };
            match inventory.ask(request).await? {
                Answer::Admitted(admissions) if admissions.len() == some.len() => {}
                _ => return Err("not all were admitted".into()),
            }
        }
        Ok(())
    }

    /// Reads the event's journal back: holds stored, and how many tickets beyond the capacity they make.
    pub async fn count_holds(&self, event: EventId) -> Result<(u64, u64), Failure> {
        let journal: Arc<dyn InventoryJournal> = stores::open_journal(&self.config.stores).await?;
        let recovered = journal.recover(event).await?;
        let mut inventory = match &recovered.snapshot {
            Some((_, bytes)) => Inventory::from_snapshot(bytes)?,
            None => Inventory::default(),
        };
        // A snapshot counts what it covers: every hold of these events is of one ticket and still held.
        let held = |inventory: &Inventory| {
            inventory.view(http::now()).ticket_types.iter().map(|row| u64::from(row.held)).sum::<u64>()
        };
        let mut holds = held(&inventory);
        for (_, bytes) in &recovered.segments {
            let segment = Segment::from_bytes(bytes)?;
            for entry in &segment.entries {
                holds += u64::from(matches!(entry, Entry::Held { .. }));
                inventory.apply(segment.at, entry)?;
            }
        }
        Ok((holds, held(&inventory).saturating_sub(u64::from(STOCK))))
    }

    /// Waits until this stage's node runs an event that is left behind, and has made the snapshot that is due: it would do so
    /// amid the next measurement.
    pub async fn settle(&self, event: EventId) -> Result<(), Failure> {
        let journal: Arc<dyn InventoryJournal> = stores::open_journal(&self.config.stores).await?;
        let began = Instant::now();
        while began.elapsed() < SETTLING {
            sleep(LONG_LOOK).await;
            // Whoever had it may not have let go of it yet.
            if self.node.directory().activate(event).await.is_err() {
                continue;
            }
            let tail: u64 = journal.recover(event).await?.segments.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            if tail <= self.config.actors.snapshot_tail_bytes {
                return Ok(());
            }
        }
        Err(format!("event {event} is not at rest after {SETTLING:?}").into())
    }

    /// The event as its journal has it.
    pub async fn read_back(&self, event: EventId) -> Result<Inventory, Failure> {
        let journal: Arc<dyn InventoryJournal> = stores::open_journal(&self.config.stores).await?;
        Ok(recovery::fold(journal.recover(event).await?)?.inventory)
    }

    /// Stops the node.
    pub async fn leave(self) -> Left {
        self.node.stop().await;
        let events = self.events.into_inner().unwrap_or_else(PoisonError::into_inner);
        Left { config: self.config, events, _temporary: self.temporary }
    }
}

/// Of fan number n, under an identity of its own.
pub fn hold(fan: FanId, n: u32, want: Want) -> Request {
    let id = Uuid::new_v4().as_u128();
    let order = OrderId::from_u128(id);
    let hold =
        Hold { order, fan, admission: place(n), want, channel: None, seen_version: None, code: None, rates: vec![] };
    Request { identity: Some(Identity { key: id, body: 1 }), command: Command::Hold(hold) }
}

pub fn place(n: u32) -> Place {
    Place::new(1, n)
}

/// One hot ticket type, on sale, with more slots than fans.
pub fn configuration() -> Configuration {
    let now = http::now();
    Configuration {
        version: 1,
        phase: Phase::Published,
        currency: Currency::EUR,
        on_sale_at: now - Millis::minutes(1),
        sale_ends_at: None,
        ticket_types: vec![TicketType {
            code: HOT.parse().expect("a code"),
            name: "Hot".into(),
            price_minor: 5_000,
            stock: Stock::Quantity(STOCK),
            quotas: Vec::new(),
            opens_at: None,
            needs_code: false,
            releases: Vec::new(),
            rates: Vec::new(),
            seat_releases: Vec::new(),
        }],
        quotas: Vec::new(),
        seats: Vec::new(),
        limits: Limits {
            per_order: PER_FAN,
            per_fan: PER_FAN,
            per_instrument: None,
            hold_ttl: Millis::minutes(60),
            hold_extension: Millis::minutes(5),
        },
        orphan_rule: OrphanRule::Off,
        beacon: None,
        notice: None,
        classes: Arc::default(),
        halted: false,
        waitlist: Default::default(),
        charges: Charges::default(),
        queue: QueueSettings {
            mode: Mode::Fifo,
            prequeue: Millis::minutes(30),
            engage_above: 0,
            release_below: 0,
            slots: 1_000_000,
            rate_per_minute: 1_000_000,
            paused: false,
            session: Millis::minutes(120),
            extension: Millis(0),
            claim_window: Millis::minutes(2),
            grace: Millis::minutes(5),
            invite_only: false,
            exclusive: false,
        },
    }
}
