//! A ticket moves to another seat: its order has both for a while, so that at no moment either could be another's.

use super::super::{
    Decision, Inventory,
    entry::{Entry, EntryLine},
    request::{Answer, HoldState, Refusal},
    seats::SeatRecord,
};
use crate::domain::{
    code::{Code, SeatId},
    id::OrderId,
    price::{Breakdown, Parts},
};

impl Inventory {
    /// Seats that are kept from the public, too: the organizer asks.
    pub(super) fn decide_add_seat(
        &self,
        (order, number): (OrderId, u32),
        ticket_type: &Code,
        seat: &SeatId,
    ) -> Result<Decision, Refusal> {
        let record = self.orders.get(order).ok_or(Refusal::UnknownOrder)?;
        if record.state != HoldState::Sold {
            return Err(Refusal::NotSold { state: record.state });
        }
        let index = self.seats.find(seat).ok_or_else(|| Refusal::UnknownSeat(seat.clone()))?;
        let lines = record.lines.as_slice();
        let last = self.orders.last_move(order);
        if number == last && lines.iter().any(|line| line.seats.contains(&index)) {
            return Ok(Decision::already(Answer::SeatAdded));
        }
        if number <= last {
            return Err(Refusal::OrderMoved);
        }
        let (ticket_type, _) =
            self.stock.offered(ticket_type).ok_or_else(|| Refusal::UnknownTicketType(ticket_type.clone()))?;
        let of_type = self.seats.get(index).filter(|seat| seat.ticket_type == ticket_type);
        let line = lines.iter().find(|line| line.ticket_type == ticket_type);
        let (Some(free), Some(line)) = (of_type, line) else { return Err(Refusal::OtherTicketType(seat.clone())) };
        // Also by the order itself, for another ticket or in another move: it would be freed with that one.
        if !SeatRecord::is_unused(free) {
            return Err(Refusal::SeatTaken(seat.clone()));
        }
        let without_once = |b: &Breakdown| Box::new(Breakdown { once: Parts::default(), ..*b });
        let line = EntryLine {
            ticket_type,
            quantity: 1,
            unit_price_minor: line.unit_price_minor,
            seats: vec![index],
            breakdown: line.breakdown.as_deref().map(without_once),
        };
        if self.stock.shortage(&self.portions(std::slice::from_ref(&line))).is_some() {
            return Err(Refusal::SeatTaken(seat.clone()));
        }
        Ok(Decision::one(Entry::SeatAdded { order, number, line }, Answer::SeatAdded))
    }
}
