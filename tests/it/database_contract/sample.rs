//! Things to keep.

use std::sync::Arc;

use onsale::{
    domain::{
        account::Role,
        event::Phase,
        id::{EventId, FanId, OrderId, OrderRef, PaymentId, TicketId},
        inventory::{
            configuration::{Configuration, Limits, Mode, OrphanRule, QueueSettings, Stock, TicketType},
            fact::{FactKind, OrderFact},
            request::Line,
        },
        money::{Currency, Money},
        price::Charges,
        time::{EventTime, Millis},
    },
    stores::database::{
        Database,
        accounts::{self, Account},
        events::{self, Details, Event},
        orders,
        payments::{self, Payment},
        tickets::{self, Ticket},
    },
};

/// A moment of the tests, `n` milliseconds after their start.
pub fn at(n: u64) -> EventTime {
    EventTime(1_800_000_000_000 + n)
}

pub fn fan(n: u128) -> FanId {
    FanId::from_u128(0xFA00_0000 + n)
}

pub fn reference(event: EventId, n: u128) -> OrderRef {
    OrderRef { event, order: OrderId::from_u128(0x0DE0_0000 + n) }
}

pub fn payment_id(n: u128) -> PaymentId {
    PaymentId::from_u128(0xBA1D_0000 + n)
}

pub fn eur(minor: i64) -> Money {
    Money { minor, currency: Currency::EUR }
}

pub fn account(n: u128) -> Account {
    Account {
        id: fan(n),
        email: format!("fan{n}@example.org"),
        name: format!("Fan {n}"),
        language: "en".into(),
        password_hash: "$hash$".into(),
        roles: vec![Role::Fan],
        status: accounts::Status::Active,
        session_version: 1,
        created_at: at(n as u64),
        updated_at: at(n as u64),
    }
}

pub async fn add_account(database: &Database, n: u128) -> FanId {
    accounts::create_many(database, &[account(n)]).await.expect("create");
    fan(n)
}

pub fn configuration(version: u32, phase: Phase) -> Configuration {
    Configuration {
        version,
        phase,
        currency: Currency::EUR,
        on_sale_at: at(1_000),
        sale_ends_at: Some(at(2_000)),
        ticket_types: vec![TicketType {
            code: "GA".parse().expect("code"),
            name: "General admission".into(),
            price_minor: 2_500,
            stock: Stock::Quantity(100),
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
            slots: 10,
            rate_per_minute: 60,
            paused: false,
            session: Millis::minutes(10),
            extension: Millis::minutes(5),
            claim_window: Millis::minutes(1),
            grace: Millis::minutes(1),
            invite_only: false,
            exclusive: false,
        },
    }
}

pub fn details(title: &str) -> Details {
    Details {
        title: title.into(),
        description: "An evening.".into(),
        category: "concert".into(),
        venue: "Große Halle".into(),
        city: "Köln".into(),
        time_zone: "Europe/Berlin".into(),
        starts_at: at(100_000),
        ends_at: at(200_000),
        doors_at: Some(at(90_000)),
        age_limit: Some(16),
        ticket_rules: Default::default(),
    }
}

pub fn event(id: EventId, organizer: FanId, title: &str) -> Event {
    Event {
        id,
        organizer,
        details: details(title),
        configuration: configuration(1, Phase::Published),
        created_at: at(0),
        updated_at: at(0),
    }
}

pub async fn add_event(database: &Database, event: &Event) {
    let mut write = database.begin().await.expect("begin");
    events::insert(&mut write, event).await.expect("insert");
    write.commit().await.expect("commit");
}

/// Two tickets of general admission.
pub fn two() -> Vec<Line> {
    vec![Line {
        ticket_type: "GA".parse().expect("code"),
        quantity: 2,
        unit_price_minor: 2_500,
        breakdown: None,
        seats: Vec::new(),
    }]
}

pub fn seats(names: &[&str]) -> Vec<Line> {
    let seats: Vec<_> = names.iter().map(|name| name.parse().expect("seat")).collect();
    vec![Line {
        ticket_type: "VIP".parse().expect("code"),
        quantity: names.len() as u32,
        unit_price_minor: 9_000,
        breakdown: None,
        seats,
    }]
}

/// The fact with this number about an order of fan 1.
pub fn fact(reference: OrderRef, number: u64, what: FactKind) -> OrderFact {
    OrderFact {
        number,
        order: reference.order,
        fan: fan(1),
        at: at(number),
        what,
        lines: two(),
        total_minor: 5_000,
        currency: Currency::EUR,
        expires_at: at(600_000 + number),
        version: 1,
    }
}

/// An order of fan 1, held.
pub async fn add_order(database: &Database, reference: OrderRef, lines: Vec<Line>) {
    let fact = OrderFact { lines, ..fact(reference, 1, FactKind::Created) };
    orders::apply_fact(database, reference.event, &fact).await.expect("apply");
}

pub fn payment(n: u128, reference: OrderRef) -> Payment {
    Payment {
        id: payment_id(n),
        reference,
        provider: "sandbox".into(),
        provider_session: format!("session-{n}-{reference}"),
        amount: eur(5_000),
        state: payments::State::Open,
        url: "https://pay.example.org/".into(),
        created_at: at(n as u64),
        updated_at: at(n as u64),
    }
}

/// At the price of these lines.
pub fn payment_for(n: u128, reference: OrderRef, lines: &[Line]) -> Payment {
    Payment { amount: eur(lines.iter().map(Line::total_minor).sum()), ..payment(n, reference) }
}

pub async fn open_payment(database: &Database, payment: &Payment) -> Payment {
    let mut write = database.begin().await.expect("begin");
    let open = payments::open(&mut write, payment).await.expect("open");
    write.commit().await.expect("commit");
    open
}

/// The tickets for these lines; each call makes other ones.
pub fn tickets(reference: OrderRef, lines: &[Line]) -> Vec<Ticket> {
    let places = lines.iter().flat_map(|line| (0..line.quantity as usize).map(move |n| (line, line.seats.get(n))));
    places
        .zip(1..)
        .map(|((line, seat), position)| {
            let id = TicketId::from_u128(rand::random());
            Ticket {
                rate: None,
                id,
                reference,
                fan: fan(1),
                position,
                ticket_type: line.ticket_type.clone(),
                seat: seat.cloned(),
                price: eur(line.unit_price_minor),
                state: tickets::State::Live,
                code: format!("code-{id}"),
                issued_at: at(u64::from(position)),
                holder: String::new(),
                replaced_by: None,
            }
        })
        .collect()
}
