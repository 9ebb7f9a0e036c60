//! What is sold.

use onsale::domain::{
    code::{Code, SeatId},
    event::Phase,
    inventory::configuration::{
        Configuration, Kept, Limits, OrphanRule, QueueSettings, Quota, Seat, SeatKind, Stock, TicketType,
    },
    money::Currency,
    price::{Charges, Fee, Per, Tax},
    time::{EventTime, Millis},
};

use crate::{swarm::Swarm, world::World};

pub const STANDING: &str = "STANDING";
pub const GALLERY: &str = "GALLERY";
pub const SEATED: &str = "SEAT";
/// What standing and gallery share, and the seats too where the seed says so.
pub const HALL: &str = "HALL";
/// The channel that some seats are kept for.
pub const PRESS: &str = "PRESS";

pub fn code(text: &str) -> Code {
    text.parse().expect("a code")
}

/// The seat's name, by its number in the plan from 0.
pub fn seat_id(number: u32) -> SeatId {
    code(&format!("A-{}-{}", number / 5 + 1, number % 5 + 1))
}

impl World {
    /// As the event begins.
    pub fn first_configuration(&self, now: EventTime) -> Configuration {
        let mut first = configuration(&self.swarm, now);
        self.extras.add_to(&mut first, now);
        first
    }
}

/// Whose parts are seldom whole: the books must agree all the same.
fn charges() -> Charges {
    let fee = |per, minor, basis_points| Fee { name: "a fee".to_owned(), per, minor, basis_points };
    let tax = |basis_points, included| Tax { name: "a tax".to_owned(), basis_points, included };
    Charges {
        fees: vec![fee(Per::Ticket, 133, 333), fee(Per::Order, 99, 77)],
        taxes: vec![tax(700, false), tax(1_900, true)],
    }
}

/// Two ticket types by quantity and one by seat; they may share a hall, and some seats are kept for the press.
fn configuration(swarm: &Swarm, now: EventTime) -> Configuration {
    let in_hall = |drawn: bool| if drawn && swarm.hall.is_some() { vec![code(HALL)] } else { Vec::new() };
    let ticket_type = |name: &str, price_minor, stock, in_quotas| TicketType {
        code: code(name),
        name: "0".to_owned(),
        price_minor,
        stock,
        quotas: in_quotas,
        opens_at: None,
        needs_code: false,
        releases: Vec::new(),
        seat_releases: Vec::new(),
        rates: Vec::new(),
    };
    let seat = |number: u32| Seat {
        id: seat_id(number),
        zone: code("A"),
        row: code(&(number / 5 + 1).to_string()),
        number: (number % 5 + 1) as u16,
        ticket_type: code(SEATED),
        kind: SeatKind::Standard,
        kept: if number < swarm.press { Kept::For(code(PRESS)) } else { Kept::Free },
    };
    Configuration {
        version: 1,
        phase: Phase::Published,
        on_sale_at: now + Millis(swarm.opens_ms),
        ticket_types: vec![
            ticket_type(STANDING, 3_000, Stock::Quantity(swarm.standing), in_hall(true)),
            ticket_type(GALLERY, 2_000, Stock::Quantity(swarm.gallery), in_hall(true)),
            ticket_type(SEATED, 5_000, Stock::Seats, in_hall(swarm.hall_holds_seats)),
        ],
        quotas: swarm.hall.map(|capacity| Quota { code: code(HALL), capacity }).into_iter().collect(),
        seats: (0..swarm.seats).map(seat).collect(),
        limits: Limits {
            per_order: 3,
            per_fan: swarm.per_fan,
            per_instrument: None,
            hold_ttl: Millis(swarm.hold_ttl_ms),
            hold_extension: Millis(5_000),
        },
        beacon: swarm.beacon.then(|| "the lottery of the day".to_owned()),
        notice: None,
        classes: swarm.classes(),
        halted: false,
        waitlist: swarm.waitlist(),
        charges: charges(),
        queue: QueueSettings {
            mode: swarm.mode,
            prequeue: Millis::minutes(30),
            engage_above: 0,
            release_below: 0,
            slots: swarm.slots,
            rate_per_minute: swarm.rate_per_minute,
            paused: false,
            session: Millis(swarm.session_ms),
            extension: Millis(swarm.session_ms / 2),
            claim_window: Millis(swarm.claim_window_ms),
            grace: Millis(swarm.grace_ms),
            invite_only: false,
            exclusive: false,
        },
        currency: Currency::EUR,
        sale_ends_at: None,
        orphan_rule: OrphanRule::Off,
    }
}
