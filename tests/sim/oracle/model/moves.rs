//! Tickets on their way to other seats: their order has both for a while.

use std::collections::BTreeSet;

use onsale::domain::{
    code::SeatId,
    id::{FanId, OrderId},
    inventory::{entry::EntryLine, request::HoldState},
};

use crate::oracle::model::{Checked, Model, require};

impl Model {
    /// That nobody else has the seat is seen with every segment.
    pub fn seat_added(&mut self, order: OrderId, number: u32, more: &EntryLine) -> Checked {
        let record = self.in_state(order, &[HoldState::Sold])?;
        require(number > record.last_move, || format!("{order} moves by {number} after {}", record.last_move))?;
        record.last_move = number;
        let line = record.lines.iter_mut().find(|line| line.ticket_type == more.ticket_type);
        let line = line.ok_or_else(|| format!("{order} has no ticket that could move to {more:?}"))?;
        // None: the order has the seat, by a move that nobody went on with or for another ticket.
        let is_one = more.quantity <= 1 && more.seats.len() == more.quantity as usize;
        let is_priced = more.unit_price_minor == line.unit_price_minor;
        require(is_one && is_priced, || format!("{order} moves to {more:?}"))?;
        line.quantity += more.quantity;
        line.seats.extend(&more.seats);
        Ok(())
    }

    /// By name.
    pub fn seats_of_order(&self, order: OrderId) -> BTreeSet<SeatId> {
        let seats = self.orders.get(&order).into_iter().flat_map(|order| &order.lines).flat_map(|line| &line.seats);
        seats.filter_map(|seat| self.seat_name(*seat)).collect()
    }

    pub fn seat_name(&self, seat: u32) -> Option<SeatId> {
        self.configuration.as_ref()?.seats.get(seat as usize).map(|seat| seat.id.clone())
    }

    pub fn has_moved_by(&self, order: OrderId, number: u32) -> bool {
        self.orders.get(&order).is_some_and(|order| order.last_move >= number)
    }

    pub fn has_moved(&self, fan: FanId) -> bool {
        self.orders.values().any(|order| order.fan == fan && order.last_move > 0)
    }
}
