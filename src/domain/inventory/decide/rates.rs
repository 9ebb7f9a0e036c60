//! What some pay instead of the price of all, such as children: which tickets of a hold, and how much.

use super::super::{
    Inventory,
    configuration::Configuration,
    entry::EntryLine,
    request::{AtRate, Refusal, Which},
};
use crate::domain::{code::Code, price::Breakdown};

impl Inventory {
    /// Splits lines, so that each is of one rate.
    pub(super) fn at_rates(
        &self,
        wanted: &[AtRate],
        lines: &mut Vec<EntryLine>,
        configuration: &Configuration,
    ) -> Result<(), Refusal> {
        for AtRate { rate, which } in wanted {
            let (ticket_type, code) = self.type_of(which)?;
            let whole = lines.iter_mut().find(|line| line.ticket_type == ticket_type && line.rate().is_none());
            let taken = take(whole, which, |id| self.seats.find(id))?;
            match lines.iter_mut().find(|line| line.ticket_type == ticket_type && line.rate() == Some(rate)) {
                Some(line) => {
                    line.quantity += taken.quantity;
                    line.seats.extend(taken.seats);
                }
                None => lines.push(priced(taken, code, rate, configuration)?),
            }
        }
        lines.retain(|line| line.quantity > 0);
        Ok(())
    }

    fn type_of(&self, which: &Which) -> Result<(u16, &Code), Refusal> {
        match which {
            Which::Some { ticket_type, .. } => {
                let offered = self.stock.offered(ticket_type).map(|(index, stock)| (index, &stock.code));
                offered.ok_or_else(|| Refusal::UnknownTicketType(ticket_type.clone()))
            }
            Which::Seat(id) => {
                let seat = self.seats.find(id).and_then(|seat| self.seats.get(seat));
                let found = seat.and_then(|seat| Some((seat.ticket_type, &self.stock.get(seat.ticket_type)?.code)));
                found.ok_or_else(|| Refusal::UnknownSeat(id.clone()))
            }
        }
    }
}

/// Out of the line at the price of all.
fn take(
    from: Option<&mut EntryLine>,
    which: &Which,
    find: impl Fn(&Code) -> Option<u32>,
) -> Result<EntryLine, Refusal> {
    match which {
        Which::Some { quantity, .. } => {
            let there = from.as_ref().map_or(0, |line| line.quantity);
            let from = from.filter(|_| (1..=there).contains(quantity)).ok_or(Refusal::Quantity { max: there })?;
            from.quantity -= quantity;
            let stay = from.seats.len().saturating_sub(*quantity as usize);
            Ok(EntryLine { quantity: *quantity, seats: from.seats.split_off(stay), ..from.clone() })
        }
        Which::Seat(id) => {
            let at = |line: &EntryLine| line.seats.iter().position(|&seat| Some(seat) == find(id));
            let found = from.and_then(|line| at(line).map(|at| (at, line)));
            // It is held, or nothing would be: at another rate, then.
            let (at, from) = found.ok_or_else(|| Refusal::SeatTwice(id.clone()))?;
            from.quantity -= 1;
            Ok(EntryLine { quantity: 1, seats: vec![from.seats.remove(at)], ..from.clone() })
        }
    }
}

fn priced(line: EntryLine, code: &Code, rate: &Code, configuration: &Configuration) -> Result<EntryLine, Refusal> {
    let ticket_type = configuration.ticket_types.iter().find(|ticket_type| ticket_type.code == *code);
    let found = ticket_type.and_then(|ticket_type| ticket_type.rate(rate));
    let unknown = || Refusal::UnknownRate { ticket_type: code.clone(), rate: rate.clone() };
    let each = configuration.charges.of_ticket(found.ok_or_else(unknown)?.price_minor, None);
    let breakdown = Breakdown { each, rate: Some(rate.clone()), ..Breakdown::default() };
    Ok(EntryLine { unit_price_minor: each.total_minor(), breakdown: Some(Box::new(breakdown)), ..line })
}
