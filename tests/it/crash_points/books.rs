//! From outside, when all is over: journal, tables, ledger, the provider's books, the bus.

use std::{collections::HashMap, sync::Arc};

use onsale::{
    actors::orders::{Envelope, PaymentFact},
    domain::{
        id::{EventId, OrderRef},
        ledger::Account,
        message::Kind,
        order::OrderState,
        time::EventTime,
    },
    stores::{
        config::Config,
        database::{
            Database, checks, dead_letters, events, ledger,
            messages::{self, Message},
            orders, payments, sandbox, tickets, webhook_deliveries as deliveries,
            webhook_endpoints::{self as endpoints, Endpoint, State, TOPICS},
        },
        order_bus::{
            Message as BusMessage, OrderBus, RetryDelay, Topic,
            embedded::EmbeddedBus,
            rabbitmq::{Options, RabbitBus},
        },
    },
};

use serde_json::Value;
use uuid::Uuid;

use super::walk::{Bought, PRICE, STOCK, Shop};
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
    let facts = Ledger::read(&config, shop.event).await.inventory.outbox(0, usize::MAX);
    assert!(facts.len() > shop.bought.len(), "{facts:?}");
    let facts: Vec<BusMessage> =
        facts.into_iter().rev().map(|fact| Envelope::new(shop.event, fact).to_message()).collect();
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

/// The event's organizer has an endpoint for webhooks, at which nobody answers.
pub async fn listen(site: &Site, event: EventId) -> Uuid {
    let database = Database::connect(&site.config().stores).await.expect("connect");
    let event = events::by_id(&database, event).await.expect("an answer").expect("an event");
    let endpoint = Endpoint {
        id: Uuid::now_v7(),
        organizer: event.organizer,
        url: "https://hooks.invalid/".into(),
        description: String::new(),
        topics: TOPICS.map(str::to_owned).to_vec(),
        state: State::Active,
        secret_version: 1,
        previous_until: EventTime(0),
        created_at: event.created_at,
        updated_at: event.created_at,
    };
    let mut write = database.begin().await.expect("begin");
    assert!(endpoints::add(&mut write, &endpoint, 1).await.expect("added"));
    write.commit().await.expect("commit");
    database.close().await;
    endpoint.id
}

/// With no node running: fans and the organizer were told of everything, and of nothing twice.
pub async fn check_told(site: &Site, shop: &Shop, endpoint: Uuid) {
    let database = Database::connect(&site.config().stores).await.expect("connect");
    let mut noted: HashMap<(String, String), u32> = HashMap::new();
    let mut cursor = None;
    loop {
        let page = deliveries::list(&database, endpoint, None, cursor.as_ref(), 200).await.expect("deliveries");
        for delivery in page.items {
            let body: Value = serde_json::from_str(&delivery.body).expect("JSON");
            let order = body["reference"].as_str().or(body["fact"]["order"].as_str()).expect("an order");
            let order = order.rsplit('-').next().expect("its id").to_owned();
            *noted.entry((delivery.topic, order)).or_default() += 1;
        }
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    for Bought { reference, tickets, refunded, .. } in &shop.bought {
        let of = |topic: &str| noted.get(&(topic.to_owned(), reference.order.to_string())).copied().unwrap_or_default();
        assert_eq!(of("order.created"), 1, "{reference}");
        assert!(of("ticket.issued") <= 1 && (*tickets == 0 || of("ticket.issued") == 1), "{reference}");
        assert!(*tickets + *refunded == 0 || of("order.payment-success") >= 1, "{reference}");
        assert!((*refunded > 0) == (of("refund.done") > 0), "{reference}");

        let fan = orders::by_reference(&database, *reference).await.expect("an answer").expect("a row").fan;
        let told = messages::list(&database, fan, false, None, 200).await.expect("messages").items;
        let told = |kind| {
            let of_this = |message: &&Message| message.details.get("order") == Some(&reference.to_string());
            told.iter().filter(of_this).filter(|message| message.kind == kind).count()
        };
        assert_eq!(told(Kind::Tickets), usize::try_from(of("ticket.issued")).expect("few"), "{reference}");
        assert_eq!(told(Kind::RefundDone), usize::try_from(of("refund.done")).expect("few"), "{reference}");
    }
    println!("{} webhooks noted", noted.values().sum::<u32>());
    database.close().await;
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
    let sold: i64 = shop.bought.iter().map(|bought| bought.tickets).sum();
    let event = shop.event;
    assert_eq!(tickets::count_live(&database, event).await.expect("count"), sold.unsigned_abs());
    for wrong in [
        checks::ticketed_without_sale(&database, event).await,
        checks::miscounted(&database, event).await,
        checks::paid_twice(&database, event).await,
        checks::unbalanced(&database, event).await,
    ] {
        assert_eq!(wrong.expect("check"), []);
    }
    let ended = [OrderState::Ticketed, OrderState::Refunded, OrderState::Cancelled];
    let states = checks::orders_by_state(&database, event).await.expect("states");
    assert!(states.iter().all(|(state, _)| ended.contains(state)), "{states:?}");

    // I-14: what the provider has of us, session by session.
    let sessions = sandbox::sessions(&database, "", EventTime(i64::MAX.unsigned_abs()), 1_000).await.expect("sessions");
    assert_eq!(sessions.len(), shop.bought.len(), "one session for each order");
    let came: i64 = sessions.iter().map(|session| session.captured_minor).sum();
    let went: i64 = sessions.iter().map(|session| session.refunded_minor).sum();
    let sums = |of: fn(&Bought) -> i64| shop.bought.iter().map(of).sum::<i64>() * PRICE;
    assert_eq!((came, went), (sums(|one| one.tickets + one.refunded), sums(|one| one.refunded)));
    database.close().await;

    let Ledger { inventory, published, .. } = &Ledger::read(&config, event).await;
    let view = inventory.view(EventTime(u64::MAX));
    let row = &view.ticket_types[0];
    let sold = u32::try_from(sold).expect("few");
    assert_eq!((row.free, row.held, row.sold), (STOCK - sold, 0, sold));
    let facts = inventory.outbox(0, usize::MAX).last().map_or(0, |fact| fact.number);
    assert_eq!(*published, facts);
    let reconcile = site.command("reconcile").args(["--settle", "0"]).output();
    let said = in_time(reconcile).await.expect("it runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    println!("{} orders: {came} came, {went} went back", shop.bought.len());
}

/// I-13, I-18, I-20.
async fn check_order(database: &Database, bought: &Bought) {
    let Bought { reference, state, tickets, refunded } = *bought;
    let order = orders::by_reference(database, reference).await.expect("an answer").expect("a row");
    assert_eq!(order.state, state, "{reference}");
    let books = books(database, reference).await;
    assert_eq!(books, [(tickets + refunded) * PRICE, 0, tickets * PRICE, 0, refunded * PRICE], "{reference}");
    let stored = tickets::of_order(database, reference).await.expect("tickets");
    let live = stored.iter().filter(|ticket| ticket.state == tickets::State::Live).count();
    assert_eq!(live, usize::try_from(tickets).expect("few"), "{reference}");
}

/// captured, pending, ticketed, refunding, refunded
async fn books(database: &Database, reference: OrderRef) -> [i64; 5] {
    let books = ledger::of_order(database, reference).await.expect("books");
    assert!(books.balance(), "{reference}: {books:?}");
    Account::ALL.map(|account| books.of(account))
}
