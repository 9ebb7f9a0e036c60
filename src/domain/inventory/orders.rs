//! The orders of an event: held, sold, or lapsed and still remembered; and every confirmation that was refused.
//!
//! Owns the records and their deadlines. Does not touch stock, limits or admissions.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    blocks::Blocks,
    entry::EntryLine,
    request::{ConfirmRefusal, HoldState, REMEMBERED},
    slab::{Keyed, Slab},
};
use crate::domain::{
    code::Code,
    id::{FanId, OrderId, PaymentId},
    price::{Breakdown, Parts},
    queue::Place,
    time::EventTime,
};

/// About a hundred bytes, as there are millions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub id: OrderId,
    pub fan: FanId,
    pub admission: Place,
    /// Meaningful once sold.
    payment: PaymentId,
    pub expires_at: EventTime,
    pub lines: Lines,
    /// Of the configuration that priced it.
    pub version: u32,
    pub state: HoldState,
    pub extended: bool,
    /// Prolonged once for a payment under way.
    pub awaited: bool,
}

impl Keyed for Order {
    fn key(&self) -> u128 {
        self.id.as_u128()
    }
}

/// Nearly every order is of one ticket type, and needs no allocation then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Lines {
    One(CompactLine),
    Many(Box<[CompactLine]>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CompactLine {
    pub ticket_type: u16,
    pub quantity: u32,
    pub unit_price_minor: i64,
    pub seats: Box<[u32]>,
    pub breakdown: Option<Box<Breakdown>>,
}

impl CompactLine {
    pub fn rate(&self) -> Option<&Code> {
        self.breakdown.as_ref().and_then(|breakdown| breakdown.rate.as_ref())
    }
}

impl From<&EntryLine> for CompactLine {
    fn from(line: &EntryLine) -> Self {
        Self {
            ticket_type: line.ticket_type,
            quantity: line.quantity,
            unit_price_minor: line.unit_price_minor,
            seats: line.seats.as_slice().into(),
            breakdown: line.breakdown.clone(),
        }
    }
}

impl From<&CompactLine> for EntryLine {
    fn from(line: &CompactLine) -> Self {
        Self {
            ticket_type: line.ticket_type,
            quantity: line.quantity,
            unit_price_minor: line.unit_price_minor,
            seats: line.seats.to_vec(),
            breakdown: line.breakdown.clone(),
        }
    }
}

impl Lines {
    pub fn of(lines: &[EntryLine]) -> Self {
        match lines {
            [line] => Self::One(line.into()),
            lines => Self::Many(lines.iter().map(CompactLine::from).collect()),
        }
    }

    pub fn as_slice(&self) -> &[CompactLine] {
        match self {
            Self::One(line) => std::slice::from_ref(line),
            Self::Many(lines) => lines,
        }
    }

    pub fn to_entry(&self) -> Vec<EntryLine> {
        self.as_slice().iter().map(EntryLine::from).collect()
    }

    /// `None` if not all of it is there, or nothing would be left.
    pub fn without(&self, back: &[EntryLine]) -> Option<Self> {
        let mut left = self.to_entry();
        for line in back {
            let same = |from: &&mut EntryLine| from.ticket_type == line.ticket_type && from.rate() == line.rate();
            let from = left.iter_mut().find(same)?;
            from.quantity = from.quantity.checked_sub(line.quantity)?;
            let seats = from.seats.len();
            from.seats.retain(|seat| !line.seats.contains(seat));
            if line.quantity == 0 || seats - from.seats.len() != line.seats.len() {
                return None;
            }
        }
        // What the order costs as a whole stays with it.
        let (mut left, gone): (Vec<_>, Vec<_>) = left.into_iter().partition(|line| line.quantity > 0);
        let once = gone.iter().filter_map(|line| line.breakdown.as_ref()).map(|breakdown| breakdown.once);
        left.first_mut()?.carry(once.fold(Parts::default(), Parts::plus));
        Some(Self::of(&left))
    }

    /// More of a ticket type that is there already, at the same rate.
    pub fn with(&self, more: &EntryLine) -> Option<Self> {
        let mut lines = self.to_entry();
        let same = |line: &&mut EntryLine| line.ticket_type == more.ticket_type && line.rate() == more.rate();
        let line = lines.iter_mut().find(same)?;
        line.quantity = line.quantity.checked_add(more.quantity)?;
        line.seats.extend(&more.seats);
        Some(Self::of(&lines))
    }

    pub fn quantity(&self) -> u32 {
        self.as_slice().iter().map(|line| line.quantity).sum()
    }
}

impl Order {
    pub fn held(
        id: OrderId,
        fan: FanId,
        admission: Place,
        lines: &[EntryLine],
        expires_at: EventTime,
        version: u32,
    ) -> Self {
        Self {
            id,
            fan,
            admission,
            payment: PaymentId::from_u128(0),
            expires_at,
            lines: Lines::of(lines),
            version,
            state: HoldState::Held,
            extended: false,
            awaited: false,
        }
    }

    pub fn with(self, lines: &[EntryLine]) -> Self {
        Self { lines: Lines::of(lines), ..self }
    }

    /// The payment that bought it, also if it was voided since.
    pub fn payment(&self) -> Option<PaymentId> {
        matches!(self.state, HoldState::Sold | HoldState::Voided).then_some(self.payment)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Orders {
    records: Slab<Order>,
    /// Slots of held orders only, so its length is their number. Worked out anew from a snapshot.
    #[serde(skip)]
    deadlines: BTreeSet<(EventTime, u32)>,
    /// When each lapsed order ended, oldest first: forgotten when no outcome can refer to it any more.
    lapsed: Blocks<(EventTime, OrderId)>,
    /// Seats that a hold left single; rare.
    orphans: BTreeMap<OrderId, Box<[u32]>>,
    /// The last move of tickets to other seats; rare.
    moves: BTreeMap<OrderId, u32>,
    /// Kept for ever: the same payment must get the same answer.
    refused: BTreeMap<(OrderId, PaymentId), ConfirmRefusal>,
}

/// Records forgotten with each entry at most, so that no entry pays for a long rest.
const FORGOTTEN_AT_ONCE: usize = 8;

impl Orders {
    pub fn get(&self, order: OrderId) -> Option<&Order> {
        self.records.by_key(order.as_u128())
    }

    /// By the slot that [`Self::hold`] gave, as long as the order is remembered.
    pub fn at(&self, slot: u32) -> Option<&Order> {
        self.records.get(slot)
    }

    fn find_mut(&mut self, order: OrderId) -> Option<(u32, &mut Order)> {
        let slot = self.records.find(order.as_u128())?;
        Some((slot, self.records.get_mut(slot)?))
    }

    pub fn held(&self) -> usize {
        self.deadlines.len()
    }

    pub fn orphans(&self, order: OrderId) -> &[u32] {
        self.orphans.get(&order).map_or(&[], |seats| seats)
    }

    /// Number of the order's last move of a ticket to another seat.
    pub fn last_move(&self, order: OrderId) -> u32 {
        self.moves.get(&order).copied().unwrap_or(0)
    }

    pub fn moved(&mut self, order: OrderId, number: u32) {
        self.moves.insert(order, number);
    }

    /// Earliest first.
    pub fn deadlines(&self) -> impl Iterator<Item = (EventTime, OrderId)> {
        self.deadlines.iter().filter_map(|&(at, slot)| Some((at, self.records.get(slot)?.id)))
    }

    /// What a snapshot needs.
    pub fn frozen(&self) -> Self {
        Self {
            records: self.records.frozen(),
            deadlines: BTreeSet::new(),
            lapsed: self.lapsed.clone(),
            orphans: self.orphans.clone(),
            moves: self.moves.clone(),
            refused: self.refused.clone(),
        }
    }

    /// After a snapshot.
    pub fn work_out_deadlines(&mut self) {
        let held = self.records.iter().filter(|(_, order)| order.state == HoldState::Held);
        self.deadlines = held.map(|(slot, order)| (order.expires_at, slot)).collect();
    }

    /// What was decided about this payment, if it was a refusal.
    pub fn refusal(&self, order: OrderId, payment: PaymentId) -> Option<ConfirmRefusal> {
        self.refused.get(&(order, payment)).copied()
    }

    /// Why the order was refused to some payment.
    pub fn any_refusal(&self, order: OrderId) -> Option<ConfirmRefusal> {
        let range = (order, PaymentId::from_u128(0))..=(order, PaymentId::from_u128(u128::MAX));
        self.refused.range(range).next().map(|(_, why)| *why)
    }

    /// The order must not be here yet. Returns its slot.
    pub fn hold(&mut self, order: Order, orphans: &[u32]) -> u32 {
        if !orphans.is_empty() {
            self.orphans.insert(order.id, orphans.into());
        }
        let expires_at = order.expires_at;
        let slot = self.records.insert(order);
        self.deadlines.insert((expires_at, slot));
        slot
    }

    /// Notes in the record what for. Returns its slot.
    pub fn prolong(&mut self, order: OrderId, expires_at: EventTime, note: fn(&mut Order)) -> Option<u32> {
        let (slot, record) = self.find_mut(order)?;
        let before = record.expires_at;
        record.expires_at = expires_at;
        note(record);
        self.deadlines.remove(&(before, slot));
        self.deadlines.insert((expires_at, slot));
        Some(slot)
    }

    /// Ends a hold unsold, or a lapsed one for good.
    pub fn end(&mut self, order: OrderId, state: HoldState, at: EventTime) {
        let Some((slot, record)) = self.find_mut(order) else { return };
        let was_held = record.state == HoldState::Held;
        record.state = state;
        let deadline = (record.expires_at, slot);
        if was_held {
            self.deadlines.remove(&deadline);
            self.lapsed.push((at, order));
        }
    }

    pub fn sell(&mut self, order: OrderId, payment: PaymentId) {
        let Some((slot, record)) = self.find_mut(order) else { return };
        record.state = HoldState::Sold;
        record.payment = payment;
        let deadline = (record.expires_at, slot);
        self.deadlines.remove(&deadline);
    }

    /// An order forgotten or never seen, bought after all.
    pub fn insert_sold(&mut self, order: Order, payment: PaymentId) {
        self.records.insert(Order { state: HoldState::Sold, payment, ..order });
    }

    pub fn void(&mut self, order: OrderId) {
        if let Some((_, record)) = self.find_mut(order) {
            record.state = HoldState::Voided;
        }
    }

    /// Of an order, this instead of what it had.
    pub fn keep(&mut self, order: OrderId, lines: Lines) {
        if let Some((_, record)) = self.find_mut(order) {
            record.lines = lines;
        }
    }

    pub fn refuse(&mut self, order: OrderId, payment: PaymentId, why: ConfirmRefusal) {
        self.refused.insert((order, payment), why);
    }

    /// Forgets what lapsed so long ago that no remembered outcome can refer to it.
    pub fn forget(&mut self, now: EventTime) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some(&(at, order)) = self.lapsed.front() else { return };
            if now.since(at) < REMEMBERED {
                return;
            }
            self.lapsed.drop_front();
            let lapsed =
                |order: &Order| matches!(order.state, HoldState::Released | HoldState::Expired | HoldState::Refused);
            let Some(slot) = self.records.find(order.as_u128()) else { continue };
            if self.records.get(slot).is_some_and(lapsed) {
                self.records.remove(slot);
                self.orphans.remove(&order);
            }
        }
    }
}
