//! A ticket moves to another seat: its order has both for a while, so that at no moment either could be another's.

use super::super::{
    Decision, Inventory,
    entry::{Entry, EntryLine},
    orders::CompactLine,
    request::{Answer, HoldState, Refusal},
    seats::SeatRecord,
};
use crate::domain::{
    code::{Code, SeatId},
    id::OrderId,
    price::Breakdown,
};

impl Inventory {
    /// Seats that are kept from the public, too: the organizer asks.
    pub(super) fn decide_add_seat(
        &self,
        (order, number): (OrderId, u32),
        (ticket_type, rate): (&Code, Option<&Code>),
        seat: &SeatId,
    ) -> Result<Decision, Refusal> {
        let record = self.orders.get(order).ok_or(Refusal::UnknownOrder)?;
        if record.state != HoldState::Sold {
            return Err(Refusal::NotSold { state: record.state });
        }
        let index = self.seats.find(seat).ok_or_else(|| Refusal::UnknownSeat(seat.clone()))?;
        let lines = record.lines.as_slice();
        let is_late = number <= self.orders.last_move(order);
        if let Some(line) = lines.iter().find(|line| line.seats.contains(&index)) {
            if is_late {
                return Ok(Decision::already(Answer::SeatAdded));
            }
            // Of a move that nobody went on with. Whoever ends that one knows nothing of this one, and would free the seat.
            return Ok(Decision::one(Entry::SeatAdded { order, number, line: nothing_of(line) }, Answer::SeatAdded));
        }
        if is_late {
            return Err(Refusal::OrderMoved);
        }
        let (ticket_type, _) =
            self.stock.offered(ticket_type).ok_or_else(|| Refusal::UnknownTicketType(ticket_type.clone()))?;
        let of_type = self.seats.get(index).filter(|seat| seat.ticket_type == ticket_type);
        let line = lines.iter().find(|line| line.ticket_type == ticket_type && line.rate() == rate);
        let (Some(free), Some(line)) = (of_type, line) else { return Err(Refusal::OtherTicketType(seat.clone())) };
        if !SeatRecord::is_unused(free) {
            return Err(Refusal::SeatTaken(seat.clone()));
        }
        let line = EntryLine {
            ticket_type,
            quantity: 1,
            unit_price_minor: line.unit_price_minor,
            seats: vec![index],
            breakdown: line.breakdown.as_deref().map(Breakdown::without_once),
        };
        if self.stock.shortage(&self.portions(std::slice::from_ref(&line))).is_some() {
            return Err(Refusal::SeatTaken(seat.clone()));
        }
        Ok(Decision::one(Entry::SeatAdded { order, number, line }, Answer::SeatAdded))
    }
}

/// No more of it than there is.
fn nothing_of(line: &CompactLine) -> EntryLine {
    let CompactLine { ticket_type, unit_price_minor, .. } = *line;
    let breakdown = line.breakdown.as_deref().map(Breakdown::without_once);
    EntryLine { ticket_type, quantity: 0, unit_price_minor, seats: Vec::new(), breakdown }
}
