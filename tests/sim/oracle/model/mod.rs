//! What the journal says, folded a second time and as simply as possible; every segment is checked as it is committed.
//!
//! Knows entries only, nothing of the inventory's own code, so that the two cannot be wrong together.

mod codes;
pub mod draw;
mod entries;
mod moves;
mod releases;
mod stock;
pub mod waitlist;

use std::collections::BTreeMap;

use onsale::domain::{
    code::Code,
    event::Phase,
    id::{FanId, OrderId, PaymentId},
    inventory::{
        configuration::{Configuration, Seat},
        entry::{EntryLine, Segment},
        fact::FactKind,
        request::{ConfirmRefusal, HoldState, HoldView},
    },
    queue::Place,
    time::EventTime,
};

pub struct Order {
    pub fan: FanId,
    admission: Place,
    pub lines: Vec<EntryLine>,
    pub expires_at: EventTime,
    pub state: HoldState,
    pub payment: Option<PaymentId>,
    pub refused: BTreeMap<PaymentId, ConfirmRefusal>,
    pub facts: Vec<(u64, FactKind)>,
    lapsed: bool,
    /// Some of it was given back after it was sold.
    pub is_reduced: bool,
    is_awaited: bool,
    /// Tickets, when it was sold.
    pub bought: u32,
    /// Number of the last move of one of them to another seat.
    last_move: u32,
}

impl Order {
    pub fn quantity(&self) -> u32 {
        self.lines.iter().map(|line| line.quantity).sum()
    }

    pub fn total_minor(&self) -> i64 {
        let once = |line: &EntryLine| line.breakdown.as_ref().map_or(0, |breakdown| breakdown.once.total_minor());
        self.lines.iter().map(|line| i64::from(line.quantity) * line.unit_price_minor + once(line)).sum()
    }

    /// What is held is told as it is held; what became of a part since it was sold shows later.
    pub fn is_as_told(&self, view: &HoldView) -> bool {
        let told = view.lines.iter().map(|line| (line.quantity, line.unit_price_minor, &line.breakdown));
        let held = self.lines.iter().map(|line| (line.quantity, line.unit_price_minor, &line.breakdown));
        self.fan == view.fan && (self.state != HoldState::Held || told.eq(held))
    }

    /// It takes stock.
    fn takes(&self) -> bool {
        matches!(self.state, HoldState::Held | HoldState::Sold)
    }
}

pub struct Admission {
    pub fan: FanId,
    claim_by: Option<EventTime>,
    until: EventTime,
    extended: bool,
    pub live: bool,
}

#[derive(Default)]
pub struct Model {
    pub seq: u64,
    epoch: u64,
    pub at: EventTime,
    pub configuration: Option<Configuration>,
    /// Seats of the configuration that comes next.
    staged: Vec<Seat>,
    pub orders: BTreeMap<OrderId, Order>,
    pub admissions: BTreeMap<Place, Admission>,
    /// Request key to the one order held under it.
    pub keys: BTreeMap<u128, OrderId>,
    pub facts: u64,
    /// What is left after each segment, from segment 0.
    pub left_after: Vec<Left>,
    /// Places admitted by the last segment, in its order.
    pub admitted_last: Vec<Place>,
    /// Holds of the last segment on seats that are kept for a channel,
    pub kept_last: Vec<(OrderId, Code)>,
    /// and all of them, with the number of the code by which each was held.
    pub held_last: Vec<(OrderId, Option<u32>)>,
    codes: Vec<codes::Made>,
    /// Stock that comes later is let go up to here.
    pub released_until: EventTime,
    /// When the present owner began.
    activated_at: EventTime,
    pub draw: draw::Draw,
    pub waitlist: waitlist::Waitlist,
    pub term: u32,
    /// The way in which fans are let in was changed: who was overtaken cannot be said any more.
    pub modes_changed: bool,
    /// Situations met since they were taken last.
    pub met: Vec<&'static str>,
}

/// In sums, as a read gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    pub free: u64,
    /// What all quotas together have given out.
    pub drawn: u64,
}

type Checked = Result<(), String>;

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

impl Model {
    pub fn is_extended(&self, place: Place) -> bool {
        self.admissions.get(&place).is_some_and(|admission| admission.extended)
    }

    /// `epoch` is the owner's at the moment of the commit, `clock` the event time of whoever wrote it.
    pub fn commit(&mut self, bytes: &[u8], epoch: u64, clock: Option<EventTime>) -> Checked {
        let segment = Segment::from_bytes(bytes).map_err(|error| format!("I-29: unreadable segment: {error}"))?;
        require(segment.seq == self.seq + 1, || format!("I-5: segment {} after {}", segment.seq, self.seq))?;
        require(segment.epoch >= self.epoch && segment.epoch == epoch, || {
            format!("I-5: epoch {} writes after {}, the owner's is {epoch}", segment.epoch, self.epoch)
        })?;
        require(segment.at >= self.at, || format!("event time runs back from {} to {}", self.at, segment.at))?;
        require(clock.is_none_or(|clock| segment.at <= clock), || {
            format!("I-8: segment of {} is written at {clock:?}", segment.at)
        })?;
        (self.seq, self.epoch, self.at) = (segment.seq, segment.epoch, segment.at);
        self.admitted_last.clear();
        self.kept_last.clear();
        self.held_last.clear();
        for entry in &segment.entries {
            let spared = self.spared();
            self.apply(segment.at, entry)?;
            self.freed_since(&spared);
        }
        self.check_stock()?;
        if self.left_after.is_empty() {
            self.left_after.push(Left::default());
        }
        self.left_after.push(self.left());
        Ok(())
    }

    pub fn phase(&self) -> Phase {
        self.configuration.as_ref().map_or(Phase::Draft, |configuration| configuration.phase)
    }

    pub fn fact(&mut self, order: OrderId, what: FactKind) {
        self.facts += 1;
        if let Some(record) = self.orders.get_mut(&order) {
            record.facts.push((self.facts, what));
        }
    }

    pub fn live(&mut self, place: Place) -> Result<&mut Admission, String> {
        let admission = self.admissions.get_mut(&place).filter(|admission| admission.live);
        admission.ok_or_else(|| format!("I-24: admission {place} is not live"))
    }

    pub fn in_state(&mut self, order: OrderId, states: &[HoldState]) -> Result<&mut Order, String> {
        let record = self.orders.get_mut(&order).ok_or_else(|| format!("I-10: {order} was never held"))?;
        if !states.contains(&record.state) {
            return Err(format!("I-10: {order} is {:?} already", record.state));
        }
        Ok(record)
    }
}
