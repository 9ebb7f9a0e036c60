//! The inventory's rules, as tables and against a naive model.

mod admission;
mod awaited;
mod best;
mod classes;
mod codes;
mod configure;
mod confirm;
mod draw;
mod hold;
mod invites;
mod journal;
mod model;
mod moved;
mod others;
mod prices;
mod rates;
mod reduce;
mod releases;
mod remembered;
mod seat_releases;
mod seats;
mod waitlist;

use std::sync::Arc;

use super::{
    Inventory, TypeView,
    configuration::{
        Configuration, Kept, Limits, Mode, OrphanRule, QueueSettings, Quota, Seat, SeatKind, Stock, TicketType,
    },
    entry::{Entry, Segment},
    request::{
        Admittee, Answer, BestAvailable, Command, Confirm, ConfirmRefusal, Hold, HoldView, Identity, Line, Refusal,
        Request, Want,
    },
};
use crate::domain::{
    code::Code,
    event::Phase,
    id::{FanId, OrderId, PaymentId},
    money::Currency,
    price::Charges,
    queue::Place,
    time::{EventTime, Millis},
};

pub(super) const TTL: Millis = Millis::minutes(10);
pub(super) const SESSION: Millis = Millis::minutes(15);
pub(super) const EXTENSION: Millis = Millis::minutes(5);
pub(super) const CLAIM_WINDOW: Millis = Millis::minutes(2);

pub(super) fn code(text: &str) -> Code {
    text.parse().expect("a code")
}

pub(super) fn fan(n: u128) -> FanId {
    FanId::from_u128(n)
}

pub(super) fn order(n: u128) -> OrderId {
    OrderId::from_u128(n)
}

pub(super) fn payment(n: u128) -> PaymentId {
    PaymentId::from_u128(n)
}

pub(super) fn identity(key: u128, body: u64) -> Identity {
    Identity { key, body }
}

/// Two types of general admission that share a hall, and one of seats.
pub(super) fn configuration(seats: Vec<Seat>) -> Configuration {
    let ticket_type = |name: &str, price_minor, stock, quotas: &[&str]| TicketType {
        code: code(name),
        name: name.to_lowercase(),
        price_minor,
        stock,
        quotas: quotas.iter().map(|quota| code(quota)).collect(),
        opens_at: None,
        needs_code: false,
        releases: Vec::new(),
        rates: Vec::new(),
        seat_releases: Vec::new(),
    };
    Configuration {
        version: 1,
        phase: Phase::Published,
        currency: Currency::EUR,
        on_sale_at: EventTime(1_000),
        sale_ends_at: Some(EventTime(1_000) + Millis::minutes(60 * 24 * 10)),
        ticket_types: vec![
            ticket_type("GA", 2_500, Stock::Quantity(10), &["hall"]),
            ticket_type("CHEAP", 1_000, Stock::Quantity(10), &["hall", "cheap"]),
            ticket_type("SEAT", 9_000, Stock::Seats, &[]),
        ],
        quotas: vec![Quota { code: code("hall"), capacity: 12 }, Quota { code: code("cheap"), capacity: 8 }],
        seats,
        limits: Limits {
            per_order: 4,
            per_fan: 6,
            per_instrument: None,
            hold_ttl: TTL,
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
            slots: 50,
            rate_per_minute: 600,
            paused: false,
            session: SESSION,
            extension: EXTENSION,
            claim_window: CLAIM_WINDOW,
            grace: Millis::minutes(2),
            invite_only: false,
            exclusive: false,
        },
    }
}

pub(super) fn seat(zone: &str, row: &str, number: u16, kind: SeatKind, kept: Kept) -> Seat {
    let id = code(&format!("{zone}-{row}-{number}"));
    Seat { id, zone: code(zone), row: code(row), number, ticket_type: code("SEAT"), kind, kept }
}

/// Rows of a zone, front first, one letter a seat: `s` standard, `a` accessible, `c` companion, `x` blocked, `p` kept for
/// the press, a blank a gap.
pub(super) fn rows(zone: &str, rows: &[&str]) -> Vec<Seat> {
    let mut seats = Vec::new();
    for (row, letters) in (1..).zip(rows) {
        for (number, letter) in (1..).zip(letters.chars()) {
            let (kind, kept) = match letter {
                's' => (SeatKind::Standard, Kept::Free),
                'a' => (SeatKind::Accessible, Kept::Free),
                'c' => (SeatKind::Companion, Kept::Free),
                'x' => (SeatKind::Standard, Kept::Blocked),
                'p' => (SeatKind::Standard, Kept::For(code("press"))),
                _ => continue,
            };
            seats.push(seat(zone, &row.to_string(), number, kind, kept));
        }
    }
    seats
}

pub(super) type Change = fn(&mut Configuration);

/// An inventory with the entries that made it.
pub(super) struct Sale {
    pub state: Inventory,
    pub now: EventTime,
    pub journal: Vec<(EventTime, Entry)>,
    next_order: u128,
}

impl Sale {
    pub fn empty() -> Self {
        let mut sale =
            Self { state: Inventory::default(), now: EventTime(5_000), journal: Vec::new(), next_order: 1_000 };
        sale.apply(vec![Entry::Activated { term: 1 }]);
        sale
    }

    pub fn of(configuration: Configuration) -> Self {
        let mut sale = Self::empty();
        sale.ask(Command::Configure(Box::new(configuration))).expect("a good configuration");
        sale
    }

    /// With fans 1 to 9 admitted at the places of their numbers.
    pub fn open(configuration: Configuration) -> Self {
        let mut sale = Self::of(configuration);
        for n in 1..10 {
            sale.admit(n);
        }
        sale
    }

    pub fn seated(plan: &[&str]) -> Self {
        Self::open(configuration(rows("A", plan)))
    }

    pub fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.state.apply(self.now, &entry).expect("an entry that was decided");
            self.journal.push((self.now, entry));
        }
    }

    pub fn ask(&mut self, command: Command) -> Result<Answer, Refusal> {
        self.ask_as(None, command)
    }

    pub fn ask_as(&mut self, identity: Option<Identity>, command: Command) -> Result<Answer, Refusal> {
        let decision = self.state.decide(self.now, &Request { identity, command })?;
        self.apply(decision.entries);
        Ok(decision.answer)
    }

    /// Asks for what must be refused, and sees that nothing changes.
    pub fn refused(&mut self, command: Command) -> Refusal {
        let before = self.state.to_snapshot();
        let refusal = self.ask(command).expect_err("a refusal");
        assert_eq!(self.state.to_snapshot(), before);
        refusal
    }

    pub fn admit(&mut self, n: u64) -> Answer {
        let admittee = Admittee { place: Place(n), fan: fan(n.into()), present: true, needs_more_time: false };
        self.ask(Command::Admit(vec![admittee])).expect("admit never refuses")
    }

    pub fn hold_command(&mut self, n: u64, want: Want) -> Command {
        self.next_order += 1;
        Command::Hold(Hold {
            order: order(self.next_order),
            fan: fan(n.into()),
            admission: Place(n),
            want,
            channel: None,
            seen_version: None,
            code: None,
            rates: Vec::new(),
        })
    }

    pub fn try_hold(&mut self, n: u64, want: Want) -> Result<HoldView, Refusal> {
        let command = self.hold_command(n, want);
        match self.ask(command)? {
            Answer::Held(view) => Ok(*view),
            other => unreachable!("{other:?} answers no hold"),
        }
    }

    pub fn hold(&mut self, n: u64, want: Want) -> HoldView {
        self.try_hold(n, want).expect("a hold")
    }

    pub fn hold_refused(&mut self, n: u64, want: Want) -> Refusal {
        let command = self.hold_command(n, want);
        self.refused(command)
    }

    pub fn confirm(&mut self, view: &HoldView, paid_by: u128) -> Answer {
        let confirm =
            Confirm { order: view.order, payment: payment(paid_by), fan: view.fan, lines: view.lines.clone() };
        self.ask(Command::Confirm(confirm)).expect("confirm answers")
    }

    pub fn confirm_or_others(&mut self, view: &HoldView, paid_by: u128) -> Answer {
        let confirm =
            Confirm { order: view.order, payment: payment(paid_by), fan: view.fan, lines: view.lines.clone() };
        self.ask(Command::ConfirmOrOthers(confirm)).expect("confirm answers")
    }

    /// Lets time pass, and everything that it ends end.
    pub fn pass(&mut self, span: Millis) {
        self.now = self.now + span;
        let due = self.state.due(self.now, usize::MAX);
        self.apply(due);
    }

    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Configuration)) -> Result<Answer, Refusal> {
        let mut next = Configuration::clone(self.state.configuration().expect("configured"));
        next.version += 1;
        change(&mut next);
        self.ask(Command::Configure(Box::new(next)))
    }

    pub fn stock(&self, name: &str) -> TypeView {
        let view = self.state.view(self.now);
        view.ticket_types.into_iter().find(|t| t.code == code(name)).expect("a ticket type")
    }

    /// (free, held, sold, blocked)
    pub fn counts(&self, name: &str) -> (u32, u32, u32, u32) {
        let stock = self.stock(name);
        (stock.free, stock.held, stock.sold, stock.blocked)
    }

    /// Replays the journal through bytes, and goes by way of a snapshot: both must give this very state.
    pub fn check_replay(&self) {
        let mut replayed = Inventory::default();
        for (at, entry) in &self.journal {
            let segment = Segment { seq: 1, epoch: 1, at: *at, tag: 0, entries: vec![entry.clone()] };
            let read = Segment::from_bytes(&segment.to_bytes()).expect("its own bytes");
            for entry in &read.entries {
                replayed.apply(read.at, entry).expect("an entry of the journal");
            }
        }
        let bytes = self.state.to_snapshot();
        assert!(replayed.to_snapshot() == bytes, "replay gives another state");
        let restored = Inventory::from_snapshot(&bytes).expect("its own bytes");
        assert!(restored.to_snapshot() == bytes, "a snapshot gives another state");
        assert_eq!(restored.view(self.now), self.state.view(self.now));
        assert_eq!(restored.seats(), self.state.seats());
    }
}

pub(super) fn quantity(name: &str, n: u32) -> Want {
    Want::Quantities(vec![(code(name), n)])
}

pub(super) fn seats(names: &[&str]) -> Want {
    Want::Seats(names.iter().map(|name| code(name)).collect())
}

pub(super) fn best(n: u32) -> BestAvailable {
    BestAvailable { ticket_type: code("SEAT"), quantity: n, zone: None, accessible: 0, together: false }
}

pub(super) fn seat_names(view: &HoldView) -> Vec<String> {
    view.lines.iter().flat_map(|line| &line.seats).map(ToString::to_string).collect()
}
