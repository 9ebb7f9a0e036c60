//! The stock of one event, and everything decided about it: a deterministic state machine.
//!
//! Owns: what is free, held and sold; who may shop; limits; outcomes by request id; facts not yet published.
//! Knows nothing of stores, actors or clocks: `decide` looks, `apply` changes, and recovery, production, simulation and
//! fuzzing run the same two functions.

mod admissions;
mod apply;
pub mod batch;
mod best;
mod blocks;
pub mod classes;
pub mod codes;
pub mod configuration;
mod decide;
pub mod draw;
pub mod entry;
pub mod fact;
mod fans;
mod invites;
pub mod notice;
mod offers;
mod orders;
mod orphans;
mod outbox;
mod outcomes;
mod refusal;
pub mod request;
mod sealed;
mod seats;
mod slab;
pub mod snapshot;
mod stock;
#[cfg(test)]
mod tests;
mod view;
pub mod waitlist;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::admissions::Places as AdmittedPlaces;
use self::{
    admissions::Admissions,
    classes::ClassMembers,
    codes::Codes,
    configuration::{Configuration, Release, Seat},
    draw::{Draw, Entrants},
    entry::Entry,
    fact::{Facts, OrderFact},
    fans::Fans,
    invites::Invites,
    orders::Orders,
    outbox::Outbox,
    outcomes::Outcomes,
    request::{Admission, AdmissionEnd, Answer, HoldView},
    seats::Seats,
    stock::Stock,
    waitlist::{Tally, Waitlist},
};
use super::{
    code::{Code, SeatId},
    event::{Phase, Status},
    id::{FanId, OrderId},
    price::Parts,
    queue::Place,
    time::EventTime,
};

/// Everything the journal says about one event.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    term: u32,
    last_at: EventTime,
    configuration: Option<Arc<Configuration>>,
    /// The version that last changed what a buyer sees: types, prices, seats.
    terms_version: u32,
    /// Seats of the configuration that comes next.
    staged: Vec<Seat>,
    stock: Stock,
    seats: Seats,
    seats_revision: u64,
    orders: Orders,
    fans: Fans,
    admissions: Admissions,
    outcomes: Outcomes,
    outbox: Outbox,
    draw: Option<Draw>,
    entrants: Entrants,
    class_members: ClassMembers,
    manual_moves: u64,
    invites: Invites,
    waitlist: Waitlist,
    codes: Codes,
    /// When the next part of the stock is released.
    next_release: Option<EventTime>,
    /// Whoever runs the installation has halted all events. Not of the journal.
    all_halted: bool,
}

/// A journal that contradicts itself: the event must not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("journal contradicts itself: {0}")]
pub struct Corrupt(pub String);

/// What [`Inventory::decide`] found: the entries that make it true, and the answer once they are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Empty for a repeat, which gets its first answer.
    pub entries: Vec<Entry>,
    pub answer: Answer,
}

/// What anybody may see of the stock, as of the last commit. Cheap to share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub seq: u64,
    pub at: EventTime,
    pub status: Status,
    pub version: u32,
    /// The last version that changed what is sold, at which price, or where: an order of an older one was made on other terms.
    pub terms_version: u32,
    /// Tickets that somebody can still have, of all types together: what is free, as far as quotas have room.
    pub available: u64,
    pub ticket_types: Vec<TypeView>,
    pub quotas: Vec<QuotaView>,
    /// Live admissions and ended ones with an unpaid hold.
    pub slots_taken: u32,
    pub slots: u32,
    /// Facts not yet published.
    pub outbox: u64,
    pub holds: u32,
    /// Changes whenever any seat does; the seats themselves are asked for apart.
    pub seats_revision: u64,
    pub draw: Option<Draw>,
    /// How many fans were moved in the queue by hand, ever.
    pub manual_moves: u64,
    /// Only where the event runs.
    #[serde(skip)]
    pub class_members: ClassMembers,
    pub waitlist: Tally,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeView {
    pub code: Code,
    pub name: String,
    /// Of one ticket, before any discount.
    pub parts: Parts,
    /// Before then it needs a code that opens it.
    pub opens_at: Option<EventTime>,
    /// It always does.
    pub needs_code: bool,
    pub seated: bool,
    pub capacity: u32,
    /// capacity = free + held + sold + blocked, always: what is to be released later counts as blocked.
    pub free: u32,
    /// The free ones that every quota has room for; none while they are kept for who waits.
    pub available: u32,
    pub held: u32,
    pub sold: u32,
    pub blocked: u32,
    pub next_release: Option<Release>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaView {
    pub code: Code,
    pub capacity: u32,
    pub taken: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeatState {
    Free,
    Held,
    Sold,
    /// Blocked, or kept for a channel or for who waits.
    Blocked,
}

impl Inventory {
    /// Whether all events of the installation are halted, as far as is known here.
    pub fn halt_all(&mut self, halted: bool) {
        if self.all_halted != halted {
            self.waitlist.stir();
        }
        self.all_halted = halted;
    }

    /// The kill switch is on: of this event, or of all.
    fn is_halted(&self) -> bool {
        self.all_halted || self.configuration.as_ref().is_some_and(|configuration| configuration.halted)
    }

    /// Entries that time makes due: stock that is released, holds and admissions that end. At most `limit`, earliest first.
    pub fn due(&self, now: EventTime, limit: usize) -> Vec<Entry> {
        let mut holds = self.orders.deadlines().take_while(|(at, _)| *at <= now).peekable();
        let mut admissions = self.admissions.deadlines().take_while(|(at, _)| *at <= now).peekable();
        let next = || {
            let hold_first = match (holds.peek(), admissions.peek()) {
                (Some((hold, _)), Some((admission, _))) => hold <= admission,
                (hold, _) => hold.is_some(),
            };
            if hold_first {
                return holds.next().map(|(_, order)| Entry::Expired { order });
            }
            let (_, place) = admissions.next()?;
            let unclaimed = self.admissions.live(place).is_some_and(|live| live.claim_by.is_some());
            let why = if unclaimed { AdmissionEnd::Unclaimed } else { AdmissionEnd::Expired };
            Some(Entry::AdmissionEnded { place, why })
        };
        let released = self.next_release.filter(|at| *at <= now).map(|_| Entry::StockReleased { until: now });
        released.into_iter().chain(std::iter::from_fn(next)).take(limit).collect()
    }

    /// Event time of the last entry applied: a new activation's clock must not start before it.
    pub fn last_at(&self) -> EventTime {
        self.last_at
    }

    /// When [`Self::due`], or [`Self::next_offer`] by time alone, will next have something.
    pub fn next_due(&self) -> Option<EventTime> {
        let hold = self.orders.deadlines().next().map(|(at, _)| at);
        let admission = self.admissions.deadlines().next().map(|(at, _)| at);
        hold.into_iter().chain(admission).chain(self.next_release).chain(self.waitlist.wakes_at()).min()
    }

    /// Facts after `number`, oldest first, not yet marked as published.
    pub fn outbox(&self, after: u64, limit: usize) -> Vec<OrderFact> {
        self.outbox.after(after, limit)
    }

    /// All of them after `number`.
    pub fn outbox_after(&self, number: u64) -> Facts {
        self.outbox.rest(number)
    }

    /// How many facts are not yet marked as published.
    pub fn unpublished(&self) -> u64 {
        self.outbox.len() as u64
    }

    /// Facts up to and including `number` need not be kept any more. Recovery says so before it applies segments, and then
    /// those facts are never kept.
    pub fn published(&mut self, number: u64) {
        self.outbox.published(number);
    }

    /// Every seat and its state, in the configuration's order.
    pub fn seats(&self) -> Vec<(SeatId, SeatState)> {
        self.seats.states(|ticket_type| self.is_kept(ticket_type))
    }

    /// Of each seat, in the configuration's order: whether anybody can have it.
    pub fn free_seats(&self) -> Vec<bool> {
        self.seats.offered().map(|seat| seat.is_open() && !self.is_kept(seat.ticket_type)).collect()
    }

    /// Of each ticket type without seats, in the configuration's order: how many anybody can have.
    pub fn free_counts(&self) -> Vec<(Code, u32)> {
        let ticket_types = self.configuration.iter().flat_map(|configuration| &configuration.ticket_types);
        let offered = ticket_types.filter_map(|ticket_type| self.stock.offered(&ticket_type.code));
        let unseated = offered.filter(|(_, stock)| !stock.seated);
        unseated.map(|(index, stock)| (stock.code.clone(), self.for_sale(index))).collect()
    }

    /// The order as the inventory knows it: held, or how it ended, while remembered.
    pub fn order(&self, order: OrderId) -> Option<HoldView> {
        self.orders.get(order).map(|record| self.hold_view(record, self.orders.orphans(order)))
    }

    /// The fan's live admission, if any.
    pub fn admission_of(&self, fan: FanId) -> Option<Admission> {
        self.admissions.live(self.fans.admission(fan)?)
    }

    pub fn admissions(&self) -> Vec<Admission> {
        self.admissions.all_live()
    }

    /// Who has a live admission, and by which place, in no order.
    pub fn admitted_fans(&self) -> impl Iterator<Item = (Place, FanId)> {
        self.admissions.fans()
    }

    /// Whether the place was ever admitted: a queue that came back from an older copy drops such places.
    pub fn was_admitted(&self, place: Place) -> bool {
        self.admissions.was_admitted(place)
    }

    pub fn ever_admitted(&self) -> &AdmittedPlaces {
        self.admissions.ever()
    }

    pub fn configuration(&self) -> Option<&Arc<Configuration>> {
        self.configuration.as_ref()
    }

    /// Activations so far: the term of the current one.
    pub fn term(&self) -> u32 {
        self.term
    }

    /// Whether somebody must run this event although nobody asks: live holds or admissions, unpublished facts, a
    /// scheduled opening or release, a draw that is not over, fans on the waiting list.
    pub fn is_active(&self) -> bool {
        let opens_later = self
            .configuration
            .as_ref()
            .filter(|c| matches!(c.phase, Phase::Published | Phase::Paused))
            .is_some_and(|c| c.on_sale_at > self.last_at || self.next_release.is_some());
        self.orders.held() > 0
            || self.admissions.any_live()
            || self.outbox.len() > 0
            || opens_later
            || !self.waitlist.is_empty()
            || self.is_drawing()
    }
}
