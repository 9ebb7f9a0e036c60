//! What is sold.

use onsale::domain::{
    code::Code,
    event::Phase,
    inventory::configuration::{
        Configuration, Kept, Limits, OrphanRule, QueueSettings, Seat, SeatKind, Stock, TicketType,
    },
    money::Currency,
    time::{EventTime, Millis},
};

use crate::swarm::Swarm;

fn code(text: &str) -> Code {
    text.parse().expect("a code")
}

/// Two ticket types, one of them by seat.
pub fn configuration(swarm: &Swarm) -> Configuration {
    let ticket_type = |name: &str, price_minor, stock| TicketType {
        code: code(name),
        name: name.to_owned(),
        price_minor,
        stock,
        quotas: Vec::new(),
    };
    let seat = |number: u32| Seat {
        id: code(&format!("A-{}-{}", number / 5 + 1, number % 5 + 1)),
        zone: code("A"),
        row: code(&(number / 5 + 1).to_string()),
        number: (number % 5 + 1) as u16,
        ticket_type: code("SEAT"),
        kind: SeatKind::Standard,
        kept: Kept::Free,
    };
    Configuration {
        version: 1,
        phase: Phase::Published,
        on_sale_at: EventTime(1),
        ticket_types: vec![
            ticket_type("STANDING", 3_000, Stock::Quantity(swarm.standing)),
            ticket_type("SEAT", 5_000, Stock::Seats),
        ],
        seats: (0..swarm.seats).map(seat).collect(),
        limits: Limits {
            per_order: 3,
            per_fan: swarm.per_fan,
            hold_ttl: Millis(swarm.hold_ttl_ms),
            hold_extension: Millis(5_000),
        },
        queue: QueueSettings {
            slots: swarm.slots,
            rate_per_minute: swarm.rate_per_minute,
            paused: false,
            session: Millis(swarm.session_ms),
            claim_window: Millis(swarm.claim_window_ms),
            grace: Millis(swarm.grace_ms),
        },
        ..empty_configuration()
    }
}

pub fn empty_configuration() -> Configuration {
    Configuration {
        version: 0,
        phase: Phase::Draft,
        currency: Currency::EUR,
        on_sale_at: EventTime(1),
        sale_ends_at: None,
        ticket_types: Vec::new(),
        quotas: Vec::new(),
        seats: Vec::new(),
        limits: Limits { per_order: 1, per_fan: 1, hold_ttl: Millis(1_000), hold_extension: Millis(0) },
        orphan_rule: OrphanRule::Off,
        queue: QueueSettings {
            slots: 0,
            rate_per_minute: 0,
            paused: true,
            session: Millis(1_000),
            claim_window: Millis(1_000),
            grace: Millis(1_000),
        },
    }
}
