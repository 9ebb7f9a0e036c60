//! What is taken and what is free: limits, slots, stock.

use std::collections::{BTreeMap, BTreeSet};

use onsale::domain::{
    id::FanId,
    inventory::{configuration::Stock, request::HoldState},
};

use crate::oracle::model::{Checked, Model, Order, require};

impl Model {
    pub fn slots(&self) -> usize {
        self.configuration.as_ref().map_or(0, |configuration| configuration.queue.slots as usize)
    }

    pub fn slots_taken(&self) -> usize {
        let unpaid = self.orders.values().filter(|order| order.state == HoldState::Held).map(|order| order.admission);
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
            let capacity = self.capacity(index);
            require(used <= capacity, || format!("I-1: {used} of {capacity} tickets of type {index} are taken"))?;
        }
        Ok(())
    }

    pub fn used(&self) -> BTreeMap<u16, u64> {
        let mut used = BTreeMap::new();
        for line in self.orders.values().filter(|order| order.takes()).flat_map(|order| &order.lines) {
            *used.entry(line.ticket_type).or_default() += u64::from(line.quantity);
        }
        used
    }

    pub fn capacity(&self, index: u16) -> u64 {
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
