//! From what a fan wants to the very stock: quantities, named seats, or the best there are.

use std::collections::BTreeMap;

use super::super::{
    Inventory,
    best::best,
    configuration::OrphanRule,
    entry::EntryLine,
    orphans::left_single,
    request::{BestAvailable, Hold, Refusal, Want},
    seats::SeatRecord,
    stock::{Portion, TypeStock},
};
use crate::domain::code::{Code, SeatId};

/// What a hold would take.
pub(super) struct Choice {
    pub lines: Vec<EntryLine>,
    /// Seats left single.
    pub orphans: Vec<u32>,
}

impl Inventory {
    /// Free stock for the whole wish, or the reason why not.
    pub(super) fn choose(&self, hold: &Hold, rule: OrphanRule) -> Result<Choice, Refusal> {
        let lines = match &hold.want {
            Want::Quantities(quantities) => self.by_quantity(quantities)?,
            Want::Seats(seats) => self.by_seat(seats, hold.channel.as_ref())?,
            Want::BestAvailable(wish) => self.by_best(wish, rule)?,
        };
        if let Some(short) = self.stock.shortage(&self.portions(&lines)) {
            return Err(self.sold_out(short));
        }
        let orphans = self.orphans_of(&lines, rule)?;
        Ok(Choice { lines, orphans })
    }

    fn sold_out(&self, ticket_type: u16) -> Refusal {
        let left = self.stock.available(ticket_type);
        match self.stock.get(ticket_type) {
            Some(stock) => Refusal::SoldOut { ticket_type: stock.code.clone(), left },
            None => Refusal::NoSuchSeats { quantity: 1 },
        }
    }

    fn by_quantity(&self, quantities: &[(Code, u32)]) -> Result<Vec<EntryLine>, Refusal> {
        let mut lines: Vec<EntryLine> = Vec::with_capacity(quantities.len());
        for (code, quantity) in quantities {
            let offered = self.stock.offered(code);
            let (ticket_type, stock) = offered.ok_or_else(|| Refusal::UnknownTicketType(code.clone()))?;
            if stock.seated {
                return Err(Refusal::SoldBySeat(code.clone()));
            }
            if let Some(same) = lines.iter_mut().find(|line| line.ticket_type == ticket_type) {
                same.quantity = same.quantity.saturating_add(*quantity);
                continue;
            }
            lines.push(line_of(ticket_type, stock, *quantity, Vec::new()));
        }
        Ok(lines)
    }

    fn by_seat(&self, ids: &[SeatId], channel: Option<&Code>) -> Result<Vec<EntryLine>, Refusal> {
        let mut seats = Vec::with_capacity(ids.len());
        for id in ids {
            let seat = self.seats.find(id).ok_or_else(|| Refusal::UnknownSeat(id.clone()))?;
            if seats.contains(&seat) {
                return Err(Refusal::SeatTwice(id.clone()));
            }
            if !self.seats.get(seat).is_some_and(|record| record.is_open_to(channel)) {
                return Err(Refusal::SeatTaken(id.clone()));
            }
            seats.push(seat);
        }
        Ok(self.lines_of(&seats))
    }

    fn by_best(&self, wish: &BestAvailable, rule: OrphanRule) -> Result<Vec<EntryLine>, Refusal> {
        let offered = self.stock.offered(&wish.ticket_type);
        let (ticket_type, stock) = offered.ok_or_else(|| Refusal::UnknownTicketType(wish.ticket_type.clone()))?;
        if wish.accessible > wish.quantity {
            return Err(Refusal::Quantity { max: wish.quantity });
        }
        let none = Refusal::NoSuchSeats { quantity: wish.quantity };
        if !stock.seated {
            return Err(none);
        }
        if self.stock.available(ticket_type) < wish.quantity {
            return Err(self.sold_out(ticket_type));
        }
        let seats = best(&self.seats, ticket_type, wish, rule).ok_or(none)?;
        Ok(self.lines_of(&seats))
    }

    /// A line for each ticket type among the seats.
    fn lines_of(&self, seats: &[u32]) -> Vec<EntryLine> {
        let mut by_type: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
        for &seat in seats {
            let Some(record) = self.seats.get(seat) else { continue };
            by_type.entry(record.ticket_type).or_default().push(seat);
        }
        let line = |(ticket_type, seats): (u16, Vec<u32>)| {
            let stock = self.stock.get(ticket_type)?;
            Some(line_of(ticket_type, stock, seats.len() as u32, seats))
        };
        by_type.into_iter().filter_map(line).collect()
    }

    pub(super) fn portions(&self, lines: &[EntryLine]) -> Vec<Portion> {
        let blocked = |line: &EntryLine| {
            let records = line.seats.iter().filter_map(|&seat| self.seats.get(seat));
            records.filter(|record| !SeatRecord::is_open(record)).count() as u32
        };
        let portion = |line: &EntryLine| Portion {
            ticket_type: line.ticket_type,
            quantity: line.quantity,
            blocked: blocked(line),
        };
        lines.iter().map(portion).collect()
    }

    fn orphans_of(&self, lines: &[EntryLine], rule: OrphanRule) -> Result<Vec<u32>, Refusal> {
        if rule == OrphanRule::Off {
            return Ok(Vec::new());
        }
        let chosen: Vec<u32> = lines.iter().flat_map(|line| &line.seats).copied().collect();
        let orphans = left_single(&self.seats, &chosen);
        let first = orphans.first().and_then(|&seat| self.seats.get(seat));
        match first {
            Some(seat) if rule == OrphanRule::Block => Err(Refusal::Orphan(seat.id.clone())),
            _ => Ok(orphans),
        }
    }
}

/// At the price without a discount.
fn line_of(ticket_type: u16, stock: &TypeStock, quantity: u32, seats: Vec<u32>) -> EntryLine {
    let breakdown = stock.breakdown.clone();
    EntryLine { ticket_type, quantity, unit_price_minor: stock.price_minor, seats, breakdown }
}
