//! The simulated database: tables, and transactions whose outcome can stay unknown.

use std::collections::{BTreeMap, BTreeSet};

use onsale::domain::{
    code::{Code, SeatId},
    id::{FanId, OrderId, PaymentId},
    inventory::request::Line,
    ledger::{Books, Entry},
    money::{Currency, Money},
    order::Known,
    refund::GivenBack,
    time::EventTime,
};

#[derive(Debug, Clone)]
pub struct OrderRow {
    pub fan: FanId,
    pub lines: Vec<Line>,
    pub total_minor: i64,
    pub known: Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentState {
    Open,
    Captured,
    Declined,
    Refunding,
    Refunded,
}

#[derive(Debug, Clone, Copy)]
pub struct PaymentRow {
    pub order: OrderId,
    pub amount_minor: i64,
    pub state: PaymentState,
}

/// Money that goes back; and what is to be left of its order, as long as the inventory does not know.
#[derive(Debug, Clone)]
pub struct RefundRow {
    pub key: u128,
    pub payment: PaymentId,
    pub order: OrderId,
    pub amount_minor: i64,
    pub to: Option<Vec<Line>>,
    /// Tickets, by position.
    pub tickets: Vec<u32>,
    /// Their places, if they go back.
    pub given_back: Vec<GivenBack>,
    pub is_back: bool,
}

impl RefundRow {
    /// Of money that bought nothing, or with more said of the tickets.
    pub fn begun(key: u128, (payment, order): (PaymentId, OrderId), amount_minor: i64) -> Self {
        let (to, tickets, given_back) = (None, Vec::new(), Vec::new());
        Self { key, payment, order, amount_minor, to, tickets, given_back, is_back: false }
    }

    /// Payments that bought nothing go back under even keys.
    pub fn by_organizer(&self) -> bool {
        self.key & 1 == 1
    }
}

/// A ticket on its way to another seat.
#[derive(Debug, Clone)]
pub struct SeatMove {
    pub position: u32,
    pub to: SeatId,
    /// When somebody looks what is left over; as it was begun until the ticket has got there, or is given up.
    pub next_at: u64,
    pub begun_until: u64,
    pub is_done: bool,
}

/// Of a ticket whose holder would give it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnState {
    /// Good, until somebody takes it.
    Wanted,
    Taken,
    Withdrawn,
    Void,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailState {
    Waiting,
    Sent,
    Failed,
}

#[derive(Debug, Clone, Copy)]
pub struct MailRow {
    pub state: MailState,
    pub attempts: u32,
    /// Not before; while somebody is at it, when another may.
    pub next_at: EventTime,
    pub give_up_at: EventTime,
}

impl MailRow {
    /// Whether it waits still, and nobody has taken it since.
    pub fn waits_after(&self, attempts: u32) -> bool {
        self.state == MailState::Waiting && self.attempts == attempts
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub order: OrderId,
    pub card: u64,
    pub tickets: u32,
}

/// Kept until what it asks for is done.
#[derive(Debug, Clone, Copy)]
pub struct OutboxRow {
    pub payment: PaymentId,
    pub captured: bool,
    /// When the bus had it last.
    pub sent_at: Option<u64>,
}

#[derive(Default)]
pub struct Database {
    pub orders: BTreeMap<OrderId, OrderRow>,
    pub payments: BTreeMap<PaymentId, PaymentRow>,
    pub refunds: Vec<RefundRow>,
    /// (order, position) to the seat; `None` when it is void.
    pub tickets: BTreeMap<(OrderId, u32), Option<String>>,
    pub voided: BTreeSet<(OrderId, u32)>,
    /// By order and number within it.
    pub moves: BTreeMap<(OrderId, u32), SeatMove>,
    pub returns: BTreeMap<(OrderId, u32), ReturnState>,
    pub mails: BTreeMap<OrderId, MailRow>,
    /// What each payment takes of its card's limit.
    pub claims: BTreeMap<PaymentId, Claim>,
    /// Webhooks seen.
    pub webhooks: BTreeSet<u64>,
    /// By the webhook that it follows from.
    pub outbox: BTreeMap<u64, OutboxRow>,
    pub books: BTreeMap<OrderId, Books>,
    /// The first entry that could not be booked.
    pub misbooked: Option<String>,
}

impl Database {
    /// I-20: whatever is booked is there to be booked.
    pub fn book(&mut self, order: OrderId, entry: Entry, minor: i64) {
        let amount = Money { minor, currency: Currency::EUR };
        if let Err(error) = self.books.entry(order).or_default().book(entry, amount) {
            self.misbooked.get_or_insert_with(|| format!("I-20: {entry:?} of {order}: {error}"));
        }
    }

    pub fn live_tickets(&self, order: OrderId) -> usize {
        self.live(order).count()
    }

    pub fn has_had_tickets(&self, order: OrderId) -> bool {
        self.tickets.range((order, 0)..=(order, u32::MAX)).next().is_some()
    }

    /// Positions of the tickets that are good.
    pub fn live(&self, order: OrderId) -> impl Iterator<Item = u32> {
        let of_order = self.tickets.range((order, 0)..=(order, u32::MAX));
        of_order.filter(|(id, _)| !self.voided.contains(id)).map(|((_, position), _)| *position)
    }

    /// Whether a ticket that is good is for this seat, whosever it is.
    pub fn is_for(&self, seat: &SeatId) -> bool {
        let good = self.tickets.iter().filter(|(id, _)| !self.voided.contains(id));
        good.into_iter().any(|(_, on)| on.as_deref() == Some(seat.as_str()))
    }

    /// On the tickets that are good.
    pub fn seats(&self, order: OrderId) -> BTreeSet<SeatId> {
        let seats = self.live(order).filter_map(|position| self.seat_of((order, position)));
        seats.map(|seat| seat.parse().expect("a seat")).collect()
    }

    pub fn seat_of(&self, ticket: (OrderId, u32)) -> Option<&String> {
        self.tickets.get(&ticket)?.as_ref()
    }

    pub fn type_of(&self, (order, position): (OrderId, u32)) -> Option<Code> {
        self.line_of(order, position).map(|line| line.ticket_type.clone())
    }

    /// Of a ticket that has moved, too: it has the type that it had.
    pub fn line_of(&self, order: OrderId, position: u32) -> Option<&Line> {
        let lines = &self.orders.get(&order)?.lines;
        if self.seat_of((order, position)).is_some() {
            return lines.iter().find(|line| !line.seats.is_empty());
        }
        let mut before = 0;
        lines.iter().find(|line| {
            before += line.quantity;
            position <= before
        })
    }

    /// One for each ticket of the order; those that are there stay.
    pub fn issue_tickets(&mut self, order: OrderId, lines: &[Line], first: u32) {
        let mut position = first;
        for line in lines {
            for index in 0..line.quantity {
                let seat = line.seats.get(index as usize).map(|seat| seat.as_str().to_owned());
                self.tickets.entry((order, position)).or_insert(seat);
                position += 1;
            }
        }
    }

    /// Whether money for the order is here that has not gone back.
    pub fn holds_money(&self, order: OrderId) -> bool {
        let here = |row: &PaymentRow| matches!(row.state, PaymentState::Captured | PaymentState::Refunding);
        self.payments.values().any(|row| row.order == order && here(row))
    }
}
