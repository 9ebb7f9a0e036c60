//! One node's actors, on embedded stores if nothing else is said, with an event to sell and fans who buy as the edge would have them do.

use std::{path::Path, sync::Arc, time::Duration};

use onsale::{
    actors::{
        config::Config,
        directory::{Directory, EventHandles, LocalDirectory},
        inventory::AskError,
        orders::PaymentFact,
        waiting_room::WaitError,
    },
    domain::{
        event::Phase,
        id::{EventId, FanId, OrderId, OrderRef, PaymentId},
        inventory::{
            configuration::{Configuration, Limits, Mode, OrphanRule, QueueSettings, Stock, TicketType},
            request::{Admission, Answer, Command, Hold, HoldView, Identity, Refusal, Request, Want},
        },
        money::{Currency, Money},
        price::Charges,
        queue::{Outcome, Standing},
        time::{EventTime, Millis},
    },
    stores::{
        self, Stores,
        database::{
            accounts,
            events::{self, Details},
            orders, outbox, payments,
        },
        keys::ring::KeyRing,
        provider::Providers,
        secret::RootSecret,
    },
};

use uuid::Uuid;

use crate::harness::{Opened, eventually, open_etcd};

pub struct Shop<D = LocalDirectory> {
    pub stores: Stores,
    pub directory: Arc<D>,
}

impl Shop {
    /// What a process does when it starts.
    pub async fn open(folder: &Path) -> Self {
        Self::open_with(folder, Config::default()).await
    }

    pub async fn open_with(folder: &Path, config: Config) -> Self {
        let stores_config = stores::config::Config { data_dir: folder.to_owned(), ..Default::default() };
        let stores = stores::open(&stores_config, "node-1").await.expect("embedded stores open");
        Self::start(stores, folder, config).await
    }

    /// The same with payment providers that a test has put something before.
    pub async fn open_asking(folder: &Path, wrap: impl FnOnce(Providers) -> Providers) -> Self {
        let stores_config = stores::config::Config { data_dir: folder.to_owned(), ..Default::default() };
        let stores = stores::open(&stores_config, "node-1").await.expect("embedded stores open");
        let providers = wrap(stores.providers.clone());
        Self::start(Stores { providers, ..stores }, folder, Config::default()).await
    }

    /// The same with journal and ownership in etcd.
    pub async fn open_on_etcd(folder: &Path, endpoints: &[String]) -> Self {
        let stores_config = stores::config::Config { data_dir: folder.to_owned(), ..Default::default() };
        let stores = stores::open(&stores_config, "node-1").await.expect("embedded stores open");
        // No two nodes on one etcd may have the same name.
        let Opened { journal, ownership } = open_etcd(endpoints, &format!("test-{:08x}", rand::random::<u32>())).await;
        Self::start(Stores { journal, ownership, ..stores }, folder, Config::default()).await
    }

    async fn start(stores: Stores, folder: &Path, config: Config) -> Self {
        stores.database.migrate().await.expect("tables");
        let secret = RootSecret::open(None, folder).expect("a root secret");
        let keys = KeyRing::open(secret, Arc::clone(&stores.keys)).await.expect("keys");
        let directory = LocalDirectory::start(&stores, keys, config).await.expect("actors start");
        Self { stores, directory }
    }

    /// What a process does when it is told to end.
    pub async fn close(self) {
        self.directory.shutdown(Duration::from_secs(10)).await;
        self.stores.database.close().await;
    }
}

impl<D: Directory> Shop<D> {
    pub async fn new_event(&self, configuration: Configuration) -> EventId {
        let (event, organizer) = (EventId::from_u128(rand::random()), new_fan());
        let now = EventTime(1);
        let account = accounts::Account {
            id: organizer,
            email: format!("{organizer}@example.com"),
            name: "Organizer".into(),
            language: "en".into(),
            password_hash: "none".into(),
            roles: Vec::new(),
            status: accounts::Status::Active,
            session_version: 1,
            created_at: now,
            updated_at: now,
        };
        let details = Details {
            title: "Concert".into(),
            description: String::new(),
            category: "music".into(),
            venue: "Hall".into(),
            city: "Berlin".into(),
            time_zone: "Europe/Berlin".into(),
            starts_at: EventTime(2),
            ends_at: EventTime(3),
            doors_at: None,
            age_limit: None,
            ticket_rules: Default::default(),
        };
        let row = events::Event { id: event, organizer, details, configuration, created_at: now, updated_at: now };
        accounts::create_many(&self.stores.database, &[account]).await.expect("an organizer");
        let mut write = self.stores.database.begin().await.expect("a transaction");
        events::insert(&mut write, &row).await.expect("an event");
        write.commit().await.expect("committed");
        event
    }

    pub async fn event(&self, event: EventId) -> EventHandles {
        eventually("the event runs", async || self.directory.event(event).await.ok()).await
    }

    pub async fn pay(&self, event: EventId, hold: &HoldView) {
        let fact = self.check_out(event, hold).await;
        self.money_comes(&fact).await;
    }

    /// As the edge does at checkout: the order's row and an open payment. Gives what the provider will say.
    pub async fn check_out(&self, event: EventId, hold: &HoldView) -> PaymentFact {
        let payment = PaymentId::from_u128(rand::random());
        let reference = OrderRef { event, order: hold.order };
        let amount = Money { minor: hold.total_minor, currency: hold.currency };
        let (database, now) = (&self.stores.database, EventTime(5));
        orders::ensure(database, event, hold, now).await.expect("the order's row");
        let row = payments::Payment {
            id: payment,
            reference,
            provider: "sandbox".into(),
            provider_session: payment.to_string(),
            amount,
            state: payments::State::Open,
            url: "https://example.com".into(),
            created_at: now,
            updated_at: now,
        };
        let mut write = database.begin().await.expect("a transaction");
        orders::open_checkout(&mut write, reference, now).await.expect("a checkout");
        payments::open(&mut write, &row).await.expect("a payment");
        write.commit().await.expect("committed");
        PaymentFact { payment, reference, amount_minor: amount.minor, currency: amount.currency, captured: true }
    }

    /// As the edge does with the provider's webhook: an outbox row, before it is answered.
    pub async fn money_comes(&self, fact: &PaymentFact) -> Uuid {
        let body = serde_json::to_string(fact).expect("JSON");
        let mut write = self.stores.database.begin().await.expect("a transaction");
        let id = outbox::push(&mut write, "order.payment-success", &body, EventTime(6)).await.expect("an outbox row");
        write.commit().await.expect("committed");
        id
    }

    pub async fn order(&self, event: EventId, order: OrderId) -> Option<orders::Order> {
        orders::by_reference(&self.stores.database, OrderRef { event, order }).await.expect("the database answers")
    }

    /// Joins, and polls until it is admitted, however often the actors restart meanwhile.
    pub async fn admitted(&self, event: EventId, fan: FanId) -> Admission {
        eventually("the fan is admitted", async || {
            let room = self.directory.event(event).await.ok()?.waiting_room;
            match room.join(fan).await {
                Ok(Outcome::Admitted(admission)) if admission.claim_by.is_none() => Some(admission),
                Ok(Outcome::Admitted(_)) => match room.claim(fan).await.ok()? {
                    Outcome::Admitted(admission) => Some(admission),
                    _ => None,
                },
                Ok(_) | Err(WaitError::TryAgain | WaitError::Unavailable | WaitError::Overloaded) => None,
            }
        })
        .await
    }

    /// Asks with one identity until there is an answer that is certain.
    pub async fn hold(&self, event: EventId, admission: Admission, quantity: u32) -> Result<HoldView, Refusal> {
        let identity = Some(Identity { key: rand::random(), body: u64::from(quantity) });
        eventually("the hold is answered", async || {
            let inventory = self.directory.event(event).await.ok()?.inventory;
            match inventory.ask(Request { identity, ..hold_of(admission, quantity) }).await {
                Ok(Answer::Held(hold)) => Some(Ok(*hold)),
                Ok(other) => unreachable!("a hold was answered with {other:?}"),
                Err(AskError::Refused(refusal)) => Some(Err(refusal)),
                Err(_) => None,
            }
        })
        .await
    }

    pub async fn standing(&self, event: EventId, fan: FanId) -> Standing {
        eventually("the standing is told", async || {
            self.directory.event(event).await.ok()?.waiting_room.standing(fan).await.ok()
        })
        .await
    }
}

/// A hold under a new order id, without an identity.
pub fn hold_of(admission: Admission, quantity: u32) -> Request {
    let command = Command::Hold(Hold {
        order: OrderId::from_u128(rand::random()),
        fan: admission.fan,
        admission: admission.place,
        want: Want::Quantities(vec![("GA".parse().expect("code"), quantity)]),
        channel: None,
        seen_version: None,
        code: None,
        rates: Vec::new(),
    });
    Request { identity: None, command }
}

pub fn new_fan() -> FanId {
    FanId::random(rand::random())
}

/// On sale, one ticket type by quantity, everybody admitted at once.
pub fn configuration(stock: u32) -> Configuration {
    Configuration {
        version: 1,
        phase: Phase::Published,
        currency: Currency::EUR,
        on_sale_at: EventTime(1),
        sale_ends_at: None,
        ticket_types: vec![TicketType {
            code: "GA".parse().expect("code"),
            name: "Standing".into(),
            price_minor: 1_250,
            stock: Stock::Quantity(stock),
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
            per_order: 4,
            per_fan: 4,
            per_instrument: None,
            hold_ttl: Millis::minutes(10),
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
            slots: 1_000,
            rate_per_minute: 1_000_000,
            paused: false,
            session: Millis::minutes(10),
            extension: Millis::minutes(5),
            claim_window: Millis::minutes(5),
            grace: Millis::minutes(5),
            invite_only: false,
            exclusive: false,
        },
    }
}
