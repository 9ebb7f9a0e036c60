//! What the journal says, folded a second time and as simply as possible; every segment is checked as it is committed.
//!
//! Knows entries only, nothing of the inventory's own code, so that the two cannot be wrong together.

use std::collections::{BTreeMap, BTreeSet};

use onsale::domain::{
    id::{FanId, OrderId, PaymentId},
    inventory::{
        configuration::{Configuration, Stock},
        entry::{Entry, EntryLine, SeatPlan, Segment},
        fact::FactKind,
        request::{AdmissionEnd, ConfirmRefusal, HoldState},
    },
    queue::Place,
    time::{EventTime, Millis},
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
}

impl Order {
    pub fn quantity(&self) -> u32 {
        self.lines.iter().map(|line| line.quantity).sum()
    }

    pub fn total_minor(&self) -> i64 {
        self.lines.iter().map(|line| i64::from(line.quantity) * line.unit_price_minor).sum()
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
    pub live: bool,
}

#[derive(Default)]
pub struct Model {
    pub seq: u64,
    epoch: u64,
    pub at: EventTime,
    pub configuration: Option<Configuration>,
    pub orders: BTreeMap<OrderId, Order>,
    pub admissions: BTreeMap<Place, Admission>,
    /// Request key to the one order held under it.
    pub keys: BTreeMap<u128, OrderId>,
    pub facts: u64,
    /// Free tickets after each segment, from segment 0.
    pub free_after: Vec<u64>,
    /// Places admitted by the last segment, in its order.
    pub admitted_last: Vec<Place>,
    /// Situations met since they were taken last.
    pub met: Vec<&'static str>,
}

type Checked = Result<(), String>;

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

impl Model {
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
        for entry in &segment.entries {
            self.apply(segment.at, entry)?;
        }
        self.check_stock()?;
        let free = self.free().values().sum();
        if self.free_after.is_empty() {
            self.free_after.push(0);
        }
        self.free_after.push(free);
        Ok(())
    }

    fn apply(&mut self, at: EventTime, entry: &Entry) -> Checked {
        match entry {
            Entry::Activated { .. } | Entry::SeatsStaged { .. } => {
                if let Entry::SeatsStaged { seats, .. } = entry {
                    self.staged(seats.clone());
                }
                Ok(())
            }
            Entry::Configured { configuration, seats, .. } => {
                let plan = self.configuration.take().map(|configuration| configuration.seats).unwrap_or_default();
                debug_assert!(matches!(seats, SeatPlan::Staged | SeatPlan::Unchanged));
                self.configuration = Some(Configuration { seats: plan, ..(**configuration).clone() });
                Ok(())
            }
            Entry::Admitted { place, fan, claim_by, until } => {
                let again = self.admissions.contains_key(place);
                require(!again, || format!("I-23: place {place} is admitted twice"))?;
                let other = self.admissions.values().any(|admission| admission.live && admission.fan == *fan);
                require(!other, || format!("I-23: fan {fan} has two admissions"))?;
                let admission = Admission { fan: *fan, claim_by: *claim_by, until: *until, live: true };
                self.admissions.insert(*place, admission);
                self.admitted_last.push(*place);
                let (taken, slots) = (self.slots_taken(), self.slots());
                require(taken <= slots, || format!("I-22: {taken} of {slots} slots are taken"))
            }
            Entry::Claimed { place, until } => {
                let admission = self.live(*place)?;
                admission.claim_by = None;
                admission.until = *until;
                Ok(())
            }
            Entry::AdmissionEnded { place, why } => {
                let admission = self.live(*place)?;
                admission.live = false;
                let due = match why {
                    AdmissionEnd::Expired => admission.until,
                    AdmissionEnd::Unclaimed => admission.claim_by.unwrap_or(admission.until),
                    AdmissionEnd::Finished | AdmissionEnd::Revoked => at,
                };
                require(at >= due, || format!("I-8: admission {place} ends at {at}, before {due}"))
            }
            Entry::Held { order, fan, admission, lines, expires_at, identity, .. } => {
                let live = self.live(*admission)?;
                let may = live.fan == *fan && live.claim_by.is_none() && at < live.until;
                require(may, || format!("I-24: {fan} holds by admission {admission}"))?;
                if let Some(identity) = identity {
                    let before = self.keys.insert(identity.key, *order);
                    require(before.is_none(), || format!("I-7: key {:x} holds {before:?} and {order}", identity.key))?;
                }
                self.fact(*order, FactKind::Created);
                let record = Order {
                    fan: *fan,
                    admission: *admission,
                    lines: lines.clone(),
                    expires_at: *expires_at,
                    state: HoldState::Held,
                    payment: None,
                    refused: BTreeMap::new(),
                    facts: vec![(self.facts, FactKind::Created)],
                    lapsed: false,
                };
                let quantity = record.quantity();
                let before = self.orders.insert(*order, record);
                require(before.is_none(), || format!("order {order} is held twice"))?;
                self.check_limits(*fan, quantity)
            }
            Entry::Extended { order, expires_at, .. } => {
                self.fact(*order, FactKind::Extended);
                let record = self.in_state(*order, &[HoldState::Held])?;
                record.expires_at = *expires_at;
                Ok(())
            }
            Entry::Released { order, .. } => {
                self.fact(*order, FactKind::Released);
                let record = self.in_state(*order, &[HoldState::Held])?;
                (record.state, record.lapsed) = (HoldState::Released, true);
                Ok(())
            }
            Entry::Expired { order } => {
                self.fact(*order, FactKind::Expired);
                let record = self.in_state(*order, &[HoldState::Held])?;
                (record.state, record.lapsed) = (HoldState::Expired, true);
                let due = record.expires_at;
                require(at >= due, || format!("I-8: hold {order} ends at {at}, before {due}"))
            }
            Entry::Confirmed { order, payment, fan, taken_again } => {
                self.fact(*order, FactKind::Confirmed { payment: *payment });
                let allowed = [HoldState::Held, HoldState::Released, HoldState::Expired];
                let record = self.in_state(*order, &allowed)?;
                let again = taken_again.as_ref();
                require(record.lapsed == again.is_some(), || format!("I-10: {order} is taken again, or is not"))?;
                require(again.is_none_or(|lines| *lines == record.lines), || {
                    format!("I-16: {order} comes back as something else")
                })?;
                require(record.fan == *fan, || format!("{order} is sold to {fan}"))?;
                let met = match (again.is_some(), at + Millis(1_500) >= record.expires_at) {
                    (true, _) => "the end of a hold wins against its payment, which takes the stock again",
                    (false, true) => "a payment wins against the end of its hold, which was near",
                    (false, false) => "a payment comes in time",
                };
                (record.state, record.payment) = (HoldState::Sold, Some(*payment));
                self.met.push(met);
                self.check_limits(*fan, 0)
            }
            Entry::ConfirmRefused { order, payment, why, .. } => {
                self.fact(*order, FactKind::ConfirmRefused { payment: *payment, why: *why });
                let record = self.orders.get_mut(order).ok_or_else(|| format!("{order} is refused, never held"))?;
                let before = record.refused.insert(*payment, *why);
                require(before.is_none(), || format!("I-16: payment {payment} is refused twice"))?;
                if !matches!(record.state, HoldState::Sold | HoldState::Voided) {
                    record.state = HoldState::Refused;
                }
                Ok(())
            }
            Entry::Voided { order } => {
                self.fact(*order, FactKind::Voided);
                self.in_state(*order, &[HoldState::Sold])?.state = HoldState::Voided;
                Ok(())
            }
        }
    }

    fn staged(&mut self, seats: Vec<onsale::domain::inventory::configuration::Seat>) {
        // The plan arrives before the configuration that it belongs to: keep it where that one takes it from.
        let configuration = self.configuration.get_or_insert_with(super::world::empty_configuration);
        configuration.seats.extend(seats);
    }

    fn fact(&mut self, order: OrderId, what: FactKind) {
        self.facts += 1;
        if let Some(record) = self.orders.get_mut(&order) {
            record.facts.push((self.facts, what));
        }
    }

    fn live(&mut self, place: Place) -> Result<&mut Admission, String> {
        let admission = self.admissions.get_mut(&place).filter(|admission| admission.live);
        admission.ok_or_else(|| format!("I-24: admission {place} is not live"))
    }

    fn in_state(&mut self, order: OrderId, states: &[HoldState]) -> Result<&mut Order, String> {
        let record = self.orders.get_mut(&order).ok_or_else(|| format!("I-10: {order} was never held"))?;
        if !states.contains(&record.state) {
            return Err(format!("I-10: {order} is {:?} already", record.state));
        }
        Ok(record)
    }

    pub fn slots(&self) -> usize {
        self.configuration.as_ref().map_or(0, |configuration| configuration.queue.slots as usize)
    }

    pub fn slots_taken(&self) -> usize {
        let unpaid = self.orders.values().filter(|order| order.state == HoldState::Held).map(|order| order.admission);
        let live = self.admissions.iter().filter(|(_, admission)| admission.live).map(|(place, _)| *place);
        unpaid.chain(live).collect::<BTreeSet<_>>().len()
    }

    fn check_limits(&self, fan: FanId, quantity: u32) -> Checked {
        let limits = self.configuration.as_ref().map(|configuration| configuration.limits);
        let (per_order, per_fan) = limits.map_or((0, 0), |limits| (limits.per_order.into(), limits.per_fan.into()));
        let orders = self.orders.values().filter(|order| order.fan == fan && order.takes());
        let taken: u32 = orders.map(Order::quantity).sum();
        require(quantity <= per_order, || format!("I-11: {quantity} tickets in one order"))?;
        require(taken <= per_fan, || format!("I-11: {fan} has {taken} tickets of {per_fan}"))
    }

    /// I-1 and I-2.
    fn check_stock(&self) -> Checked {
        let mut taken = BTreeMap::new();
        for (id, order) in self.orders.iter().filter(|(_, order)| order.takes()) {
            for seat in order.lines.iter().flat_map(|line| &line.seats) {
                let other = taken.insert(*seat, *id);
                require(other.is_none(), || format!("I-2: seat {seat} is taken by {id} and {other:?}"))?;
            }
        }
        for (index, used) in self.used() {
            let capacity = self.capacity(index);
            require(used <= capacity, || format!("I-1: {used} of {capacity} tickets of type {index} are taken"))?;
        }
        Ok(())
    }

    fn used(&self) -> BTreeMap<u16, u64> {
        let mut used = BTreeMap::new();
        for line in self.orders.values().filter(|order| order.takes()).flat_map(|order| &order.lines) {
            *used.entry(line.ticket_type).or_default() += u64::from(line.quantity);
        }
        used
    }

    fn capacity(&self, index: u16) -> u64 {
        let Some(configuration) = &self.configuration else { return 0 };
        let Some(ticket_type) = configuration.ticket_types.get(usize::from(index)) else { return 0 };
        match ticket_type.stock {
            Stock::Quantity(quantity) => quantity.into(),
            Stock::Seats => {
                configuration.seats.iter().filter(|seat| seat.ticket_type == ticket_type.code).count() as u64
            }
        }
    }

    pub fn free(&self) -> BTreeMap<u16, u64> {
        let types = self.configuration.as_ref().map_or(0, |configuration| configuration.ticket_types.len() as u16);
        let used = self.used();
        let free = |index| self.capacity(index).saturating_sub(used.get(&index).copied().unwrap_or_default());
        (0..types).map(|index| (index, free(index))).collect()
    }
}
