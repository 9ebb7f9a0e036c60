//! Tickets and the seats that they are for: at every moment, not only when all has come to rest.

use std::collections::BTreeMap;

use onsale::domain::inventory::entry::Entry;

use crate::world::World;

impl World {
    /// I-2, of the tickets that are good.
    pub fn check_one_ticket_a_seat(&mut self) {
        let mut seats = BTreeMap::new();
        let tickets = self.database.tickets.iter().filter(|(id, _)| !self.database.voided.contains(id));
        let twice = tickets.filter_map(|(id, seat)| Some((id, seat.as_ref()?))).find_map(|(id, seat)| {
            let other = seats.insert(seat, id)?;
            Some(format!("I-2: seat {seat} is on the tickets {id:?} and {other:?}"))
        });
        self.require(twice.is_none(), || twice.unwrap_or_default());
    }

    /// A seat becomes free when no good ticket is for it any more.
    pub fn check_freed(&mut self, entries: &[Entry]) {
        for entry in entries {
            let (order, wrong) = match entry {
                Entry::Reduced { order, back } => {
                    let seats = self.database.seats(*order);
                    let freed = back.iter().flat_map(|line| &line.seats).filter_map(|seat| self.model.seat_name(*seat));
                    (order, freed.into_iter().find(|seat| seats.contains(seat)).map(|seat| seat.to_string()))
                }
                Entry::Voided { order } => {
                    let left = self.database.live_tickets(*order);
                    (order, (left > 0).then(|| format!("all, with {left} tickets")))
                }
                _ => continue,
            };
            self.require(wrong.is_none(), || format!("I-2: {order} gives back what it has tickets for: {wrong:?}"));
        }
    }
}
