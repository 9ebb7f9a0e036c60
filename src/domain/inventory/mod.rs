//! The stock of one event, and everything decided about it: a deterministic state machine.
//!
//! Owns: what is free, held and sold; who may shop; limits; outcomes by request id; facts not yet published.
//! Knows nothing of stores, actors or clocks: `decide` looks, `apply` changes, and recovery, production, simulation and
//! fuzzing run the same two functions.

pub mod batch;
pub mod configuration;
pub mod entry;
pub mod fact;
pub mod request;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::{
    configuration::Configuration,
    entry::Entry,
    fact::OrderFact,
    request::{Admission, Answer, HoldView, Refusal, Request},
};
use super::{
    code::{Code, SeatId},
    event::Status,
    id::{FanId, OrderId},
    queue::Place,
    time::EventTime,
};

/// Everything the journal says about one event.
#[derive(Debug, Clone, Default)]
pub struct Inventory {}

/// A journal that contradicts itself: the event must not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("journal contradicts itself: {0}")]
pub struct Corrupt(pub String);

/// What `decide` found: the entries that make it true, and the answer once they are durable.
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeView {
    pub code: Code,
    pub name: String,
    pub price_minor: i64,
    pub seated: bool,
    pub capacity: u32,
    /// capacity = free + held + sold + blocked, always.
    pub free: u32,
    pub held: u32,
    pub sold: u32,
    pub blocked: u32,
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
    /// Blocked, or kept for a channel.
    Blocked,
}

impl Inventory {
    /// Decides without changing anything.
    pub fn decide(&self, _now: EventTime, _request: &Request) -> Result<Decision, Refusal> {
        todo!("inventory helper")
    }

    /// Applies an entry; recovery and live decisions go through here alike. The order fact it makes, if any, joins the
    /// outbox.
    pub fn apply(&mut self, _at: EventTime, _entry: &Entry) -> Result<(), Corrupt> {
        todo!("inventory helper")
    }

    /// Entries that time makes due: holds and admissions that end. At most `limit`, earliest first.
    pub fn due(&self, _now: EventTime, _limit: usize) -> Vec<Entry> {
        todo!("inventory helper")
    }

    /// Event time of the last entry applied: a new activation's clock must not start before it.
    pub fn last_at(&self) -> EventTime {
        todo!("inventory helper")
    }

    /// When `due` will next have something.
    pub fn next_due(&self) -> Option<EventTime> {
        todo!("inventory helper")
    }

    /// Facts after `number`, oldest first, not yet marked as published.
    pub fn outbox(&self, _after: u64, _limit: usize) -> Vec<OrderFact> {
        todo!("inventory helper")
    }

    /// Facts up to and including `number` need not be kept any more. Recovery says so before it applies segments, and then
    /// those facts are never kept.
    pub fn published(&mut self, _number: u64) {
        todo!("inventory helper")
    }

    pub fn view(&self, _now: EventTime) -> View {
        todo!("inventory helper")
    }

    /// Every seat and its state, in the configuration's order.
    pub fn seats(&self) -> Vec<(SeatId, SeatState)> {
        todo!("inventory helper")
    }

    /// The order as the inventory knows it: held, or how it ended, while remembered.
    pub fn order(&self, _order: OrderId) -> Option<HoldView> {
        todo!("inventory helper")
    }

    /// The fan's live admission, if any.
    pub fn admission_of(&self, _fan: FanId) -> Option<Admission> {
        todo!("inventory helper")
    }

    pub fn admissions(&self) -> Vec<Admission> {
        todo!("inventory helper")
    }

    /// Whether the place was ever admitted: a queue that came back from an older copy drops such places.
    pub fn was_admitted(&self, _place: Place) -> bool {
        todo!("inventory helper")
    }

    pub fn configuration(&self) -> Option<&Arc<Configuration>> {
        todo!("inventory helper")
    }

    /// Activations so far: the term of the current one.
    pub fn term(&self) -> u32 {
        todo!("inventory helper")
    }

    /// Whether somebody must run this event although nobody asks: live holds or admissions, unpublished facts, a
    /// scheduled opening.
    pub fn is_active(&self) -> bool {
        todo!("inventory helper")
    }

    /// The whole state as bytes (versioned, with checksum), for a snapshot.
    pub fn to_snapshot(&self) -> Vec<u8> {
        todo!("inventory helper")
    }

    pub fn from_snapshot(_bytes: &[u8]) -> Result<Self, entry::Unreadable> {
        todo!("inventory helper")
    }
}
