//! What is taken and what is free: limits, slots, stock.

use std::collections::{BTreeMap, BTreeSet};

use onsale::domain::{
    code::Code,
    event::Phase,
    id::FanId,
    inventory::{
        configuration::{Kept, Quota, Seat, Stock, TicketType},
        request::HoldState,
    },
    queue::Place,
};

use crate::oracle::model::{Checked, Left, Model, Order, require};

impl Model {
    pub fn slots(&self) -> usize {
        self.configuration.as_ref().map_or(0, |configuration| configuration.queue.slots as usize)
    }

    pub fn slots_taken(&self) -> usize {
        let unpaid = self.orders.values().filter(|order| order.state == HoldState::Held).map(|order| order.admission);
        // Offers have none.
        let unpaid = unpaid.filter(|admission| *admission != Place(0));
        let live = self.admissions.iter().filter(|(_, admission)| admission.live).map(|(place, _)| *place);
        unpaid.chain(live).collect::<BTreeSet<_>>().len()
    }

    pub fn check_limits(&self, fan: FanId, quantity: u32) -> Checked {
        let limits = self.configuration.as_ref().map(|configuration| configuration.limits);
        let (per_order, per_fan) = limits.map_or((0, 0), |limits| (limits.per_order.into(), limits.per_fan.into()));
        let orders = self.orders.values().filter(|order| order.fan == fan && order.takes());
        let taken: u32 = orders.map(Order::quantity).sum();
        require(quantity <= per_order, || format!("I-11: {quantity} tickets in one order"))?;
        require(taken <= per_fan, || format!("I-11: {fan} has {taken} tickets of {per_fan}"))
    }

    /// I-1 and I-2.
    pub fn check_stock(&self) -> Checked {
        let mut taken = BTreeMap::new();
        for (id, order) in self.orders.iter().filter(|(_, order)| order.takes()) {
            for seat in order.lines.iter().flat_map(|line| &line.seats) {
                let other = taken.insert(*seat, *id);
                require(other.is_none(), || format!("I-2: seat {seat} is taken by {id} and {other:?}"))?;
            }
        }
        for (index, used) in self.used() {
            let (capacity, later) = (self.capacity(index), self.still_to_come(index));
            require(used + later <= capacity, || {
                format!("I-1: {used} of {capacity} tickets of type {index} are taken, {later} come later")
            })?;
        }
        for quota in self.configuration.iter().flat_map(|configuration| &configuration.quotas) {
            let drawn = self.drawn(&quota.code);
            require(drawn <= quota.capacity.into(), || {
                format!("I-1: {drawn} of {} are in {}", quota.capacity, quota.code)
            })?;
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

    pub fn ticket_type(&self, index: u16) -> Option<&TicketType> {
        self.configuration.as_ref()?.ticket_types.get(usize::from(index))
    }

    pub fn kept(&self, seat: u32) -> Option<&Kept> {
        self.configuration.as_ref()?.seats.get(seat as usize).map(|seat| &seat.kept)
    }

    fn capacity(&self, index: u16) -> u64 {
        match self.ticket_type(index).map(|ticket_type| ticket_type.stock) {
            None => 0,
            Some(Stock::Quantity(quantity)) => quantity.into(),
            Some(Stock::Seats) => self.seats_of(index).count() as u64,
        }
    }

    /// (number, seat)
    fn seats_of(&self, index: u16) -> impl Iterator<Item = (u32, &Seat)> {
        let code = self.ticket_type(index).map(|ticket_type| &ticket_type.code);
        let seats = self.configuration.iter().flat_map(|configuration| &configuration.seats);
        (0..).zip(seats).filter(move |(_, seat)| Some(&seat.ticket_type) == code)
    }

    fn drawn(&self, quota: &Code) -> u64 {
        let draws =
            |index: &u16| self.ticket_type(*index).is_some_and(|ticket_type| ticket_type.quotas.contains(quota));
        self.used().iter().filter(|(index, _)| draws(index)).map(|(_, used)| used).sum()
    }

    /// Of each ticket type, for everybody: without seats that are withdrawn or kept, whatever the quotas have room for.
    pub fn free(&self) -> BTreeMap<u16, u64> {
        let types = self.configuration.as_ref().map_or(0, |configuration| configuration.ticket_types.len() as u16);
        let used = self.used();
        let takers = self.orders.values().filter(|order| order.takes());
        let taken: BTreeSet<u32> =
            takers.flat_map(|order| &order.lines).flat_map(|line| &line.seats).copied().collect();
        let free = |index| {
            let kept = |(number, seat): &(u32, &Seat)| seat.kept != Kept::Free && !taken.contains(number);
            let kept = self.seats_of(index).filter(kept).count() as u64;
            let used = used.get(&index).copied().unwrap_or_default();
            self.capacity(index).saturating_sub(used + kept + self.withheld(index))
        };
        (0..types).map(|index| (index, free(index))).collect()
    }

    pub fn left(&self) -> Left {
        let quotas = self.configuration.iter().flat_map(|configuration| &configuration.quotas);
        Left { free: self.free().values().sum(), drawn: quotas.map(|quota| self.drawn(&quota.code)).sum() }
    }

    /// Whether anybody can buy anything.
    pub fn sells_something(&self) -> bool {
        let room = |quota: &Quota| u64::from(quota.capacity) > self.drawn(&quota.code);
        let quotas = self.configuration.as_ref().map_or(&[][..], |configuration| &configuration.quotas);
        let full: Vec<&Code> = quotas.iter().filter(|quota| !room(quota)).map(|quota| &quota.code).collect();
        let open =
            |index| self.ticket_type(index).is_some_and(|one| !one.quotas.iter().any(|code| full.contains(&code)));
        let any = |(index, free)| free > 0 && open(index) && !self.keeps(index);
        self.phase() == Phase::Published && self.free().into_iter().any(any)
    }

    pub fn is_seated(&self, index: u16) -> bool {
        self.ticket_type(index).is_some_and(|ticket_type| ticket_type.stock == Stock::Seats)
    }

    /// What can be had of one type, as far as every quota has room.
    pub fn room(&self, index: u16, free: &BTreeMap<u16, u64>) -> u64 {
        let quotas = self.configuration.as_ref().map_or(&[][..], |configuration| &configuration.quotas);
        let draws = |quota: &&Quota| self.ticket_type(index).is_some_and(|one| one.quotas.contains(&quota.code));
        let rooms =
            quotas.iter().filter(draws).map(|quota| u64::from(quota.capacity).saturating_sub(self.drawn(&quota.code)));
        rooms.fold(free.get(&index).copied().unwrap_or_default(), u64::min)
    }
}
