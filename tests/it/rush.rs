//! A crowd of fans on one event of a real process, and what must be true of the stores when it is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use onsale::{
    demo::fans::Client,
    domain::{
        id::{EventId, OrderId, OrderRef},
        inventory::{entry::Entry, request::HoldState},
        order::OrderState,
        queue::Place,
        time::{EventTime, Millis},
    },
    http::{now, shapes::Timestamp},
    stores::database::{Database, checks, orders, outbox, tickets},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    crowd::{Fan, Order},
    harness::until,
    ledger::Ledger,
    node::{Node, Site},
};

const FANS: usize = 24;
/// More than the fans may have together.
const STANDING: u32 = 400;
const ROWS: u32 = 5;
const SEATS_IN_ROW: u32 = 16;
/// The largest that there is.
const PER_FAN: u32 = 20;
/// One look at whether the sale goes on.
const LOOK: Duration = Duration::from_millis(100);

/// Its seed is printed, and taken back.
pub fn random() -> StdRng {
    let seed = std::env::var("ONSALE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("ONSALE_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

pub struct Rush {
    event: EventId,
    fans: Vec<Fan>,
    answers: Arc<AtomicU64>,
}

/// How far a sale is.
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Until fans have got so many more answers.
    pub async fn more(&self, answers: u64) {
        let enough = self.0.load(Ordering::Relaxed) + answers;
        until("the sale goes on", async || self.0.load(Ordering::Relaxed) >= enough).await;
    }
}

impl Rush {
    /// With a node running.
    pub async fn open(site: &Site, random: &mut StdRng) -> Self {
        Self::open_over(std::slice::from_ref(site), random).await
    }

    /// The fans are spread over several nodes, and stay with theirs.
    pub async fn open_over(sites: &[Site], random: &mut StdRng) -> Self {
        let clients = sites.iter().map(Site::client).collect();
        Self::open_by(&sites[0], clients, random).await
    }

    /// The fans go by these ways.
    pub async fn open_by(site: &Site, clients: Vec<Client>, random: &mut StdRng) -> Self {
        let event: EventId = site.event(event_body(), Some(seat_plan())).await.parse().expect("an id");
        let clients: Vec<_> = clients.into_iter().map(Arc::new).collect();
        let fans = clients.iter().cycle().take(FANS);
        let mut fans = join_all(fans.map(|client| Fan::register(Arc::clone(client), event, random.random()))).await;
        let answers = Arc::<AtomicU64>::default();
        fans.iter_mut().for_each(|fan| fan.answers = Arc::clone(&answers));
        Self { event, fans, answers }
    }

    pub fn event(&self) -> EventId {
        self.event
    }

    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.answers))
    }

    /// Fans shop for as long as something else takes. What they are told afterwards is known, what is unanswered stays so.
    pub async fn shop_during<T>(&mut self, what: impl Future<Output = T>) -> T {
        let stop = CancellationToken::new();
        let shopping: Vec<_> = self.fans.drain(..).map(|fan| tokio::spawn(fan.shop(stop.clone()))).collect();
        let done = what.await;
        stop.cancel();
        self.fans = all(shopping).await;
        println!("{:?}", self.summary());
        done
    }

    /// Until fans have been told of more holds and of more tickets than now.
    pub async fn goes_on(&mut self) {
        let count = |fans: &[Fan]| {
            let orders = fans.iter().flat_map(|fan| fan.orders.values());
            let ticketed = orders.clone().filter(|order| matches!(order, Order::Ticketed { .. })).count();
            (orders.count(), ticketed)
        };
        let before = count(&self.fans);
        until("the sale goes on", async || {
            self.shop_during(sleep(LOOK)).await;
            let (orders, ticketed) = count(&self.fans);
            orders > before.0 && ticketed > before.1
        })
        .await;
    }

    /// Every fan gets an answer to what is unanswered, and finds all as it was told.
    pub async fn check(&mut self) {
        self.fans = all(self.fans.drain(..).map(|fan| tokio::spawn(fan.check())).collect()).await;
    }

    /// How many wait now, as the fans are told.
    pub async fn waiting(&self) -> usize {
        self.fans.first().expect("there are fans").waiting().await
    }

    /// The queue was lost: who waited has to join again.
    pub fn lose_places(&mut self) {
        self.fans.iter_mut().for_each(Fan::lose_place);
    }

    /// Every payment comes to its end, the nodes are told to stop, and the stores are read.
    pub async fn end(mut self, site: &Site, nodes: impl IntoIterator<Item = Node>) {
        self.check().await;
        self.fans = all(self.fans.drain(..).map(|fan| tokio::spawn(fan.settle())).collect()).await;
        self.check().await;
        let told = self.fans.iter().flat_map(|fan| fan.orders.clone()).collect();
        until("the database has every message", async || !lags(site, self.event, &told).await).await;
        for node in nodes {
            node.signal("TERM").await;
            let (status, log) = node.ended(Duration::from_secs(30)).await;
            assert!(status.success(), "{status}: {log}");
        }
        audit(site, self.event, &told).await;
    }

    fn summary(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for order in self.fans.iter().flat_map(|fan| fan.orders.values()) {
            let name = match order {
                Order::Held { .. } => "held",
                Order::Released => "released",
                Order::Paying { .. } => "paying",
                Order::Paid => "paid",
                Order::Ticketed { .. } => "ticketed",
                Order::Refunded => "refunded",
            };
            *counts.entry(name).or_default() += 1;
        }
        counts
    }
}

async fn all(tasks: Vec<tokio::task::JoinHandle<Fan>>) -> Vec<Fan> {
    join_all(tasks).await.into_iter().map(|fan| fan.expect("a fan finds all as it was told")).collect()
}

/// Whether the database waits for messages, by what the fans know.
async fn lags(site: &Site, event: EventId, told: &BTreeMap<OrderRef, Order>) -> bool {
    let database = Database::connect(&site.config().stores).await.expect("connect");
    let rows: u64 = checks::orders_by_state(&database, event).await.expect("rows").into_iter().map(|(_, n)| n).sum();
    let mut lags = rows != told.len() as u64 || outbox::count_unsent(&database).await.expect("count") > 0;
    for (reference, order) in told {
        let row = orders::by_reference(&database, *reference).await.expect("an answer");
        let state = row.map(|row| row.state);
        lags |= match order {
            Order::Held { .. } => state != Some(OrderState::Pending),
            Order::Released => state != Some(OrderState::Cancelled),
            _ => false,
        };
    }
    database.close().await;
    lags
}

/// What the stores say, against itself and against what the fans were told.
async fn audit(site: &Site, event: EventId, told: &BTreeMap<OrderRef, Order>) {
    let config = site.config().stores;
    let ledger = Ledger::read(&config, event).await;
    let (mut held, mut admitted): (BTreeSet<OrderId>, Vec<Place>) = Default::default();
    for entry in ledger.entries() {
        match entry {
            Entry::Held { order, .. } => assert!(held.insert(*order), "{order} is held twice"),
            Entry::Admitted { place, .. } => admitted.push(*place),
            _ => {}
        }
    }
    if ledger.has_snapshot {
        assert!(site.config().actors.snapshot_tail_bytes < 1_000_000, "a snapshot was not asked for");
    } else {
        let known: BTreeSet<OrderId> = told.keys().map(|reference| reference.order).collect();
        assert_eq!(held, known, "each hold was answered, each answer is a hold");
        assert!(admitted.is_sorted_by(|a, b| a < b), "nobody is admitted twice or overtaken: {admitted:?}");
    }
    let (Ledger { inventory, segments, published, .. }, facts) = (&ledger, ledger.last_fact());
    assert!(*published >= facts, "{published} of {facts} facts are published");

    let database = Database::connect(&config).await.expect("connect");
    let mut sold = 0;
    for (reference, order) in told {
        let view = inventory.order(reference.order).expect("the journal knows the order");
        let row = orders::by_reference(&database, *reference).await.expect("an answer").expect("the order's row");
        let stored = tickets::of_order(&database, *reference).await.expect("an answer");
        let quantity: u32 = view.lines.iter().map(|line| line.quantity).sum();
        match order {
            Order::Held { .. } => assert_eq!((view.state, row.state), (HoldState::Held, OrderState::Pending)),
            Order::Paying { .. } => assert_eq!((view.state, row.state), (HoldState::Held, OrderState::Paying)),
            Order::Released => assert_eq!((view.state, row.state), (HoldState::Released, OrderState::Cancelled)),
            Order::Ticketed { tickets } => {
                assert_eq!((view.state, row.state), (HoldState::Sold, OrderState::Ticketed));
                assert_eq!((stored.len(), tickets.len()), (quantity as usize, quantity as usize), "{reference}");
                sold += quantity;
            }
            Order::Paid | Order::Refunded => unreachable!("{reference}: no hold lapses here, and all were settled"),
        }
    }
    let view = inventory.view(EventTime(u64::MAX));
    for row in &view.ticket_types {
        assert_eq!(row.capacity, row.free + row.held + row.sold + row.blocked, "{}", row.code);
    }
    assert_eq!(view.ticket_types.iter().map(|row| row.capacity).sum::<u32>(), STANDING + ROWS * SEATS_IN_ROW);
    assert_eq!(view.ticket_types.iter().map(|row| row.sold).sum::<u32>(), sold);
    assert_eq!(tickets::count_live(&database, event).await.expect("count"), u64::from(sold));
    assert_eq!(checks::seats_sold_twice(&database, event).await.expect("check"), []);
    assert_eq!(checks::ticketed_without_sale(&database, event).await.expect("check"), []);
    assert_eq!(checks::miscounted(&database, event).await.expect("check"), []);
    assert_eq!(checks::paid_twice(&database, event).await.expect("check"), []);
    database.close().await;
    println!("{} orders, {sold} tickets, {} segments", told.len(), segments.len());
}

pub fn event_body() -> Value {
    let day = Millis::minutes(24 * 60);
    let price = |minor: u32| json!({"minor": minor, "currency": "EUR"});
    json!({
        "title": "Concert", "category": "concert", "venue": "Hall", "city": "Zagreb", "time_zone": "Europe/Zagreb",
        "starts_at": Timestamp(now() + day), "ends_at": Timestamp(now() + day + day), "on_sale_at": Timestamp(now()),
        "currency": "EUR",
        "limits": {"per_order": 4, "per_fan": PER_FAN, "hold_seconds": 600, "extension_seconds": 60},
        "ticket_types": [
            {"code": "STANDING", "name": "Standing", "price": price(3500), "stock": STANDING},
            {"code": "STALLS", "name": "Stalls", "price": price(6000), "seated": true},
        ],
        // Few slots: some always wait.
        "queue": {"slots": FANS / 3, "rate_per_minute": 60_000, "session_seconds": 600, "claim_seconds": 60, "grace_seconds": 120},
    })
}

pub fn seat_plan() -> Value {
    let seat = |row: u32, number: u32| json!({"id": format!("S-{row}-{number}"), "zone": "S", "row": row.to_string(), "number": number, "ticket_type": "STALLS"});
    let seats = (1..=ROWS).flat_map(|row| (1..=SEATS_IN_ROW).map(move |number| seat(row, number)));
    json!({"seats": seats.collect::<Vec<_>>()})
}
