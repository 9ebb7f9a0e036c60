//! From outside, when all is over: journal, tables, ledger, the provider's books, the bus.

use std::sync::Arc;

use onsale::{
    actors::orders::{Envelope, PaymentFact},
    domain::{
        id::{EventId, OrderRef},
        inventory::SeatState,
        ledger::Account,
        order::OrderState,
        time::EventTime,
    },
    stores::{
        config::Config,
        database::{Database, checks, dead_letters, ledger, orders, payments, sandbox, tickets},
        order_bus::{
            Message as BusMessage, OrderBus, RetryDelay, Topic,
            embedded::EmbeddedBus,
            rabbitmq::{Options, RabbitBus},
        },
    },
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _};

use super::walk::{Bought, PRICE, Shop};
use crate::{
    harness::{in_time, until},
    ledger::Ledger,
    node::Site,
};

/// As nodes have it.
async fn bus(config: &Config) -> Arc<dyn OrderBus> {
    if config.rabbitmq.is_empty() {
        let file = config.data_dir.join("bus.db");
        return Arc::new(EmbeddedBus::open(&file, RetryDelay::default()).await.expect("open"));
    }
    Arc::new(RabbitBus::open(Options::new(&config.rabbitmq)).expect("open"))
}

async fn tables(config: &Config) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = match config.database.as_str() {
        "" => format!("sqlite://{}", config.data_dir.join("database.db").display()),
        url => url.to_owned(),
    };
    AnyConnection::connect(&url).await.expect("connect")
}

/// With no node running: what a node had taken up, and a request that was cut off, is not waited for as long as it would be.
pub async fn time_passes(site: &Site) {
    let mut tables = tables(&site.config().stores).await;
    for earlier in [
        "UPDATE idempotency_keys SET created_at = created_at - 60000 WHERE status IS NULL",
        "UPDATE refunds SET next_at = next_at - 60000",
        "UPDATE payments SET look_at = look_at - 60000 WHERE look_at IS NOT NULL",
        "UPDATE return_looks SET next_at = next_at - 60000",
        "UPDATE seat_moves SET next_at = next_at - 60000 WHERE done_at IS NULL",
        "UPDATE webhook_deliveries SET next_at = next_at - 60000 WHERE state = 'waiting'",
        "UPDATE mails SET next_at = next_at - 300000 WHERE state = 'waiting'",
    ] {
        tables.execute(AssertSqlSafe(earlier.to_owned())).await.expect("changed");
    }
    tables.close().await.expect("closed");
}

/// Rows that are still to be worked off.
pub async fn waiting(config: &Config) -> i64 {
    let mut tables = tables(config).await;
    let count = "SELECT CAST((SELECT COUNT(*) FROM seat_moves WHERE done_at IS NULL) \
                 + (SELECT COUNT(*) FROM refunds WHERE state <> 'done' OR stock = 'wanted') \
                 + (SELECT COUNT(*) FROM mails WHERE state = 'waiting') \
                 + (SELECT COUNT(*) FROM webhook_deliveries WHERE state = 'waiting') AS BIGINT)";
    let count = tables.fetch_one(count).await.expect("a count").get(0);
    tables.close().await.expect("closed");
    count
}

/// With no node running.
pub async fn dead_letters(site: &Site) -> u64 {
    let config = site.config().stores;
    let database = Database::connect(&config).await.expect("connect");
    let kept = dead_letters::count_waiting(&database).await.expect("a count");
    database.close().await;
    kept + bus(&config).await.depth(Topic::Dead).await.expect("a count")
}

/// With no node running: all that was ever told, once more, facts from the last to the first.
pub async fn publish_again(site: &Site, shop: &Shop) {
    let config = site.config().stores;
    let mut facts: Vec<BusMessage> = Vec::new();
    for (event, _) in &shop.events {
        let told = Ledger::read(&config, *event).await.inventory.outbox(0, usize::MAX);
        facts.extend(told.into_iter().rev().map(|fact| Envelope::new(*event, fact).to_message()));
    }
    assert!(facts.len() > 2 * shop.bought.len(), "{facts:?}");
    let database = Database::connect(&config).await.expect("connect");
    let mut said = Vec::new();
    for bought in &shop.bought {
        for payment in payments::of_order(&database, bought.reference).await.expect("payments") {
            let fact = PaymentFact {
                payment: payment.id,
                reference: bought.reference,
                amount_minor: payment.amount.minor,
                currency: payment.amount.currency,
                captured: true,
            };
            let body = serde_json::to_vec(&fact).expect("JSON");
            let id = uuid::Uuid::now_v7().simple().to_string();
            said.push(BusMessage { routing_key: "order.payment-success".into(), id, body });
        }
    }
    database.close().await;
    let bus = bus(&config).await;
    for _ in 0..2 {
        in_time(bus.publish(Topic::Orders, &facts)).await.expect("published");
        in_time(bus.publish(Topic::Payments, &said)).await.expect("published");
    }
    println!("{} facts and {} payments are published twice more", facts.len(), said.len());
}

pub async fn check(site: &Site, shop: &Shop) {
    let config = site.config().stores;
    if !config.rabbitmq.is_empty() {
        let bus = bus(&config).await;
        let waiting = async |topic| bus.depth(topic).await.expect("a count");
        until("all is taken in", async || waiting(Topic::Orders).await + waiting(Topic::Payments).await == 0).await;
    }
    let database = Database::connect(&config).await.expect("connect");
    for bought in &shop.bought {
        check_order(&database, bought).await;
    }
    for (event, stock) in &shop.events {
        check_event(&database, *event, shop).await;
        check_stock(&config, &database, (*event, *stock), shop).await;
    }
    // I-14: what the provider has of us, session by session.
    let sessions = sandbox::sessions(&database, "", EventTime(i64::MAX.unsigned_abs()), 1_000).await.expect("sessions");
    assert_eq!(sessions.len(), shop.bought.len(), "one session for each order");
    let came: i64 = sessions.iter().map(|session| session.captured_minor).sum();
    let went: i64 = sessions.iter().map(|session| session.refunded_minor).sum();
    let sums = |of: fn(&Bought) -> i64| shop.bought.iter().map(of).sum::<i64>() * PRICE;
    assert_eq!((came, went), (sums(|one| one.tickets + one.refunded), sums(|one| one.refunded)));
    database.close().await;
    let reconcile = site.command("reconcile").args(["--settle", "0"]).output();
    let said = in_time(reconcile).await.expect("it runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    println!("{} orders in {} events: {came} came, {went} went back", shop.bought.len(), shop.events.len());
}

fn sold(shop: &Shop, event: EventId) -> u32 {
    let of_event = shop.bought.iter().filter(|bought| bought.reference.event == event);
    u32::try_from(of_event.map(|bought| bought.tickets).sum::<i64>()).expect("few")
}

async fn check_event(database: &Database, event: EventId, shop: &Shop) {
    assert_eq!(tickets::count_live(database, event).await.expect("count"), u64::from(sold(shop, event)));
    for wrong in [
        checks::ticketed_without_sale(database, event).await,
        checks::miscounted(database, event).await,
        checks::paid_twice(database, event).await,
        checks::unbalanced(database, event).await,
        checks::money_under_way(database, event).await,
    ] {
        assert_eq!(wrong.expect("check"), []);
    }
    assert_eq!(checks::seats_sold_twice(database, event).await.expect("check"), []);
    let ended = [OrderState::Ticketed, OrderState::Refunded, OrderState::Cancelled];
    let states = checks::orders_by_state(database, event).await.expect("states");
    assert!(states.iter().all(|(state, _)| ended.contains(state)), "{states:?}");
}

/// The inventory, against the tickets that there are.
async fn check_stock(config: &Config, database: &Database, (event, stock): (EventId, u32), shop: &Shop) {
    let Ledger { inventory, published, .. } = &Ledger::read(config, event).await;
    let view = inventory.view(EventTime(u64::MAX));
    let (row, sold) = (&view.ticket_types[0], sold(shop, event));
    assert_eq!((row.free, row.held, row.sold), (stock - sold, 0, sold), "{event}");
    let facts = inventory.outbox(0, usize::MAX).last().map_or(0, |fact| fact.number);
    assert_eq!(*published, facts);

    let taken = inventory.seats().into_iter().filter(|(_, state)| *state != SeatState::Free);
    let mut taken: Vec<_> = taken.map(|(seat, _)| seat).collect();
    let mut on_tickets = Vec::new();
    for bought in shop.bought.iter().filter(|bought| bought.reference.event == event) {
        let stored = tickets::of_order(database, bought.reference).await.expect("tickets");
        on_tickets
            .extend(stored.into_iter().filter(|one| one.state == tickets::State::Live).filter_map(|one| one.seat));
    }
    taken.sort();
    on_tickets.sort();
    assert_eq!(taken, on_tickets, "{event}");
}

/// I-13, I-18, I-20.
async fn check_order(database: &Database, bought: &Bought) {
    let Bought { reference, state, tickets, refunded } = *bought;
    let order = orders::by_reference(database, reference).await.expect("an answer").expect("a row");
    assert_eq!(order.state, state, "{reference}");
    let books = books(database, reference).await;
    assert_eq!(books, [(tickets + refunded) * PRICE, 0, tickets * PRICE, 0, refunded * PRICE], "{reference}");
    let stored = tickets::of_order(database, reference).await.expect("tickets");
    let live: Vec<_> = stored.iter().filter(|ticket| ticket.state == tickets::State::Live).collect();
    assert_eq!(live.len(), usize::try_from(tickets).expect("few"), "{reference}");
    // Each that was replaced led to one that is there, and no two to the same.
    let mut heirs: Vec<_> = stored.iter().filter_map(|ticket| ticket.replaced_by).collect();
    assert!(heirs.iter().all(|heir| stored.iter().any(|ticket| ticket.id == *heir)), "{stored:?}");
    heirs.sort();
    heirs.dedup();
    let revoked = if live.is_empty() { 0 } else { usize::try_from(refunded).expect("few") };
    if !stored.is_empty() {
        assert_eq!(stored.len(), live.len() + revoked + heirs.len(), "{stored:?}");
    }
    let mut seats: Vec<_> = live.iter().filter_map(|ticket| ticket.seat.clone()).collect();
    let mut of_lines: Vec<_> = order.lines.into_iter().flat_map(|line| line.seats).collect();
    seats.sort();
    of_lines.sort();
    assert_eq!(seats, of_lines, "{reference}");
}

/// captured, pending, ticketed, refunding, refunded
async fn books(database: &Database, reference: OrderRef) -> [i64; 5] {
    let books = ledger::of_order(database, reference).await.expect("books");
    assert!(books.balance(), "{reference}: {books:?}");
    Account::ALL.map(|account| books.of(account))
}
