//! Seats that wait for their release.

use std::{cmp::Ordering, collections::BTreeSet};

use super::{
    super::configuration::{Configuration, Kept, Release},
    Seats, Use,
};
use crate::domain::{code::SeatId, time::EventTime};

/// Of one ticket type; without those that are blocked or kept for a channel anyway.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Withheld {
    pub seats: u32,
    /// When the next of them are released, and how many.
    pub next: Release,
}

impl Seats {
    pub fn withheld(&self, ticket_type: u16) -> Option<Withheld> {
        self.withheld.get(&ticket_type).copied()
    }

    /// Withholds those whose release is after `until`, and no others; the configuration is that of the plan. Says whether any is open,
    /// or closed, since; errs with one of them that is taken. Looks at every seat: for changes and releases, which are rare.
    pub fn withhold(&mut self, configuration: &Configuration, until: EventTime) -> Result<bool, SeatId> {
        let times = configuration.release_times();
        let mut changed = BTreeSet::new();
        self.withheld.clear();
        for (at, seat) in configuration.seats.iter().enumerate() {
            let index = self.plan.get(at).map(|&index| index as usize);
            let Some(record) = index.and_then(|index| self.records.get_mut(index)) else { continue };
            let later = times.of(seat).filter(|at| *at > until);
            if later.is_some() && record.state != Use::Free {
                return Err(record.id.clone());
            }
            let was_open = record.is_open();
            record.withheld = later.is_some();
            let (row, ticket_type, is_open) = (record.row, record.ticket_type, record.is_open());
            if let Some(at) = later.filter(|_| record.kept == Kept::Free) {
                self.count_withheld(ticket_type, at);
            }
            if was_open != is_open {
                self.count_open(row, ticket_type, is_open);
                changed.insert(row);
            }
        }
        changed.iter().for_each(|&row| self.measure(row));
        Ok(!changed.is_empty())
    }

    fn count_withheld(&mut self, ticket_type: u16, at: EventTime) {
        let none = Withheld { seats: 0, next: Release { at, quantity: 0 } };
        let withheld = self.withheld.entry(ticket_type).or_insert(none);
        withheld.seats += 1;
        match at.cmp(&withheld.next.at) {
            Ordering::Less => withheld.next = Release { at, quantity: 1 },
            Ordering::Equal => withheld.next.quantity += 1,
            Ordering::Greater => {}
        }
    }
}
