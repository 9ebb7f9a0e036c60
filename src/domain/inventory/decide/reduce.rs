//! Tickets of a sold order were given back: their places become free.
//!
//! The command says what is left, not what goes. So it can be repeated, and of several that come in any order the smallest
//! counts. Whoever says it must know of every move of the order's tickets to other seats, for these make it larger meanwhile.

use super::super::{
    Decision, Inventory,
    entry::{Entry, EntryLine},
    orders::CompactLine,
    request::{Answer, HoldState, Line, Refusal},
};
use crate::domain::{id::OrderId, price::Breakdown};

impl Inventory {
    pub(super) fn decide_reduce(&self, order: OrderId, number: u32, to: &[Line]) -> Result<Decision, Refusal> {
        let record = self.orders.get(order).ok_or(Refusal::UnknownOrder)?;
        match record.state {
            HoldState::Sold => {}
            HoldState::Voided => return Ok(Decision::already(Answer::Reduced)),
            state => return Err(Refusal::NotSold { state }),
        }
        // It would free the seat that a ticket has moved to.
        if number < self.orders.last_move(order) {
            return Err(Refusal::OrderMoved);
        }
        let lines = record.lines.as_slice();
        let back: Vec<EntryLine> = lines.iter().map(|line| self.surplus(line, to)).filter(|l| l.quantity > 0).collect();
        if back.is_empty() {
            return Ok(Decision::already(Answer::Reduced));
        }
        let is_all = back.iter().map(|line| line.quantity).sum::<u32>() == record.lines.quantity();
        let entry = if is_all { Entry::Voided { order } } else { Entry::Reduced { order, back } };
        Ok(Decision::one(entry, Answer::Reduced))
    }

    /// What the line has beyond what is to be left.
    fn surplus(&self, line: &CompactLine, to: &[Line]) -> EntryLine {
        let code = self.stock.get(line.ticket_type).map(|stock| &stock.code);
        let same = |left: &&Line| Some(&left.ticket_type) == code && left.rate() == line.rate();
        let left: Vec<&Line> = to.iter().filter(same).collect();
        let stays = |seat: u32| {
            let id = self.seats.get(seat).map(|record| &record.id);
            left.iter().flat_map(|line| &line.seats).any(|seat| Some(seat) == id)
        };
        let seats: Vec<u32> = line.seats.iter().copied().filter(|&seat| !stays(seat)).collect();
        let quantity = if line.seats.is_empty() {
            line.quantity.saturating_sub(left.iter().map(|line| line.quantity).fold(0, u32::saturating_add))
        } else {
            u32::try_from(seats.len()).unwrap_or(line.quantity)
        };
        let CompactLine { ticket_type, unit_price_minor, .. } = *line;
        let breakdown = line.breakdown.as_deref().map(Breakdown::without_once);
        EntryLine { ticket_type, quantity, unit_price_minor, seats, breakdown }
    }
}
