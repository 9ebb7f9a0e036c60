//! Stock that comes in parts: what nobody can have yet, and what must have been let go by now.

use onsale::domain::{code::Code, inventory::configuration::Release, time::EventTime};

use crate::oracle::model::{Checked, Model, require};

impl Model {
    fn releases(&self) -> impl Iterator<Item = &Release> {
        self.configuration.iter().flat_map(|configuration| &configuration.ticket_types).flat_map(|one| &one.releases)
    }

    fn of_later(&self, index: u16, than: EventTime) -> u64 {
        let releases = self.ticket_type(index).map_or(&[][..], |ticket_type| &ticket_type.releases);
        releases.iter().filter(|release| release.at > than).map(|release| u64::from(release.quantity)).sum()
    }

    /// What the journal has not let go.
    pub fn withheld(&self, index: u16) -> u64 {
        self.of_later(index, self.released_until)
    }

    pub fn is_withheld(&self, ticket_type: &Code) -> bool {
        let types = self.configuration.iter().flat_map(|configuration| &configuration.ticket_types);
        let index = types.zip(0..).find(|(one, _)| one.code == *ticket_type).map(|(_, index)| index);
        index.is_some_and(|index| self.withheld(index) > 0)
    }

    /// What it must not have let go, whatever it says.
    pub fn still_to_come(&self, index: u16) -> u64 {
        self.of_later(index, self.at)
    }

    pub fn stock_released(&mut self, at: EventTime, until: EventTime) -> Checked {
        require(until <= at, || format!("stock of {until} is released at {at}"))?;
        let due = |release: &&Release| self.released_until < release.at && release.at <= until;
        let first = self.releases().filter(due).map(|release| release.at).min();
        let first = first.ok_or_else(|| format!("nothing is to be released by {until}"))?;
        self.released_until = until;
        self.met.push("a part of the stock is released");
        if first <= self.activated_at && self.term > 1 {
            self.met.push("a new owner releases what came due before its time");
        }
        Ok(())
    }

    /// When the first part comes that is not released, although it may be its time.
    pub fn next_release(&self) -> Option<EventTime> {
        self.releases().map(|release| release.at).filter(|at| *at > self.released_until).min()
    }

    /// Nobody is told what is left before that.
    pub fn check_released(&self, at: EventTime) -> Checked {
        let next = self.next_release();
        require(next.is_none_or(|next| next > at), || format!("stock of {next:?} is not released at {at}"))
    }
}
