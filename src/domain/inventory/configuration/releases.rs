//! Parts of the stock that nobody can have before their time.
//!
//! Owns their shapes, what is wrong with them, and which part a seat is of. That a time has come the journal says.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Configuration, Invalid, MAX_QUANTITY, Seat, Stock, TicketType, at_most, in_range, once};
use crate::domain::{
    code::{Code, SeatId},
    event::Phase,
    time::EventTime,
};

/// Of one ticket type.
pub const MAX_RELEASES: usize = 20;
/// Seats that an event's releases name one by one: each change of the configuration repeats them in the journal.
pub const MAX_SEATS_NAMED: usize = 2_000;

/// Of stock by quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub at: EventTime,
    pub quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatRelease {
    pub at: EventTime,
    pub part: Part,
}

/// Seats of one ticket type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Those in this zone that no release names one by one.
    Zone(Code),
    Seats(Vec<SeatId>),
}

/// When seats are released: of those that a release is about.
#[derive(Default)]
pub struct ReleaseTimes<'a> {
    /// By ticket type and zone.
    zones: HashMap<(&'a Code, &'a Code), EventTime>,
    seats: HashMap<&'a SeatId, EventTime>,
}

impl ReleaseTimes<'_> {
    pub fn of(&self, seat: &Seat) -> Option<EventTime> {
        let by_zone = || self.zones.get(&(&seat.ticket_type, &seat.zone));
        self.seats.get(&seat.id).or_else(by_zone).copied()
    }
}

impl TicketType {
    /// How many nobody can have yet, of stock by quantity.
    pub fn withheld(&self, now: EventTime) -> u32 {
        let later = self.releases.iter().filter(|release| release.at > now);
        later.map(|release| release.quantity).fold(0, u32::saturating_add)
    }

    pub(super) fn validate_releases(&self) -> Result<(), Invalid> {
        at_most("releases", self.releases.len() + self.seat_releases.len(), MAX_RELEASES)?;
        let in_order = self.releases.is_sorted_by(|a, b| a.at < b.at) && self.seat_releases.is_sorted_by_key(|r| r.at);
        let fits = match self.stock {
            Stock::Quantity(_) => self.seat_releases.is_empty(),
            Stock::Seats => self.releases.is_empty(),
        };
        if !in_order || !fits {
            return Err(Invalid::Releases(self.code.clone()));
        }
        self.releases.iter().try_for_each(|release| in_range("release", release.quantity, 1, MAX_QUANTITY))
    }
}

impl Configuration {
    /// The first release of any ticket type after this time.
    pub fn next_release(&self, now: EventTime) -> Option<EventTime> {
        let of_type = |ticket_type: &TicketType| {
            let quantities = ticket_type.releases.iter().map(|release| release.at);
            let seats = ticket_type.seat_releases.iter().map(|release| release.at);
            quantities.chain(seats).filter(|at| *at > now).min()
        };
        self.ticket_types.iter().filter_map(of_type).min()
    }

    /// Each with the code of its ticket type.
    pub(in crate::domain::inventory) fn seat_releases(&self) -> impl Iterator<Item = (&Code, &SeatRelease)> {
        let types = self.ticket_types.iter();
        types.flat_map(|ticket_type| ticket_type.seat_releases.iter().map(|release| (&ticket_type.code, release)))
    }

    pub fn release_times(&self) -> ReleaseTimes<'_> {
        let mut times = ReleaseTimes::default();
        for (ticket_type, SeatRelease { at, part }) in self.seat_releases() {
            match part {
                Part::Zone(zone) => drop(times.zones.insert((ticket_type, zone), *at)),
                Part::Seats(seats) => times.seats.extend(seats.iter().map(|seat| (seat, *at))),
            }
        }
        times
    }

    /// Each seat and each zone of a type in one release, and all of them in the plan; but for drafts, as the plan comes after the
    /// types.
    pub(super) fn validate_releases(&self) -> Result<(), Invalid> {
        let mut zones = HashSet::new();
        let mut seats = HashMap::new();
        for (ticket_type, SeatRelease { part, .. }) in self.seat_releases() {
            match part {
                Part::Zone(zone) => once(&mut zones, (ticket_type, zone), zone)?,
                Part::Seats(named) if named.is_empty() => return Err(Invalid::Releases(ticket_type.clone())),
                Part::Seats(named) => {
                    at_most("seats named by releases", seats.len() + named.len(), MAX_SEATS_NAMED)?;
                    let twice = named.iter().find(|seat| seats.insert(*seat, ticket_type).is_some());
                    twice.map_or(Ok(()), |seat| Err(Invalid::Duplicate(seat.clone())))?;
                }
            }
        }
        if self.phase == Phase::Draft || (zones.is_empty() && seats.is_empty()) {
            return Ok(());
        }
        for seat in &self.seats {
            zones.remove(&(&seat.ticket_type, &seat.zone));
            if seats.get(&seat.id) == Some(&&seat.ticket_type) {
                seats.remove(&seat.id);
            }
        }
        match zones.into_iter().map(|(_, zone)| zone).chain(seats.into_keys()).min() {
            Some(unknown) => Err(Invalid::Unknown(unknown.clone())),
            None => Ok(()),
        }
    }
}
