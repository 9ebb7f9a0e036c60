//! Group commit of joins: what waits to be stored, what is being stored.
//!
//! A fan has a place only when the store has it. At most one batch is under way; whoever joins meanwhile goes into the
//! next. Places are given in the order of arrival and never again, whatever becomes of them.

use std::collections::BTreeMap;

use super::{Class, Place};
use crate::domain::id::FanId;

/// A batch ends at this many joins.
pub(super) const MAX_JOINS: usize = 4_096;

#[derive(Debug)]
pub(super) struct Joins<Reply> {
    term: u32,
    /// Last place given within the term.
    last: u32,
    /// In the order of arrival, whatever their class; those up to `sent` are being stored.
    joining: BTreeMap<Place, Joining<Reply>>,
    sent: Option<Place>,
    /// Without those who have left meanwhile.
    by_fan: BTreeMap<FanId, Place>,
}

#[derive(Debug)]
pub(super) struct Joining<Reply> {
    pub(super) fan: FanId,
    pub(super) class: Class,
    /// One for each time that the fan has asked.
    pub(super) replies: Vec<Reply>,
    /// The fan gave up before the store answered: the place is to be forgotten.
    pub(super) left: bool,
}

impl<Reply> Joins<Reply> {
    /// `last` is the number of the last place known to be used in this term, [`Place::ARRIVALS`] if none is.
    pub(super) fn new(term: u32, last: u32) -> Self {
        Self { term, last, joining: BTreeMap::new(), sent: None, by_fan: BTreeMap::new() }
    }

    /// Those who have asked and not left; they count towards the limit.
    pub(super) fn len(&self) -> usize {
        self.by_fan.len()
    }

    /// Whether the fan's place is being stored, or waits for that.
    pub(super) fn has(&self, fan: FanId) -> bool {
        self.by_fan.contains_key(&fan)
    }

    /// The last place given, stored or not.
    pub(super) fn last(&self) -> Place {
        Place::new(self.term, self.last)
    }

    /// Whether a place up to this one is not decided yet.
    pub(super) fn waits_for(&self, place: Place) -> bool {
        self.joining.first_key_value().is_some_and(|(&first, _)| first <= place)
    }

    /// Gives the reply back when the term has no places left.
    pub(super) fn add(&mut self, fan: FanId, class: Class, reply: Reply) -> Result<(), Reply> {
        if let Some(joining) = self.by_fan.get(&fan).and_then(|place| self.joining.get_mut(place)) {
            joining.replies.push(reply);
            return Ok(());
        }
        let Some(place) = self.reserve() else {
            return Err(reply);
        };
        self.joining.insert(place, Joining { fan, class, replies: vec![reply], left: false });
        self.by_fan.insert(fan, place);
        Ok(())
    }

    /// A place for somebody else than who joins, not to be given to anybody else.
    pub(super) fn reserve(&mut self) -> Option<Place> {
        self.last = self.last.checked_add(1)?;
        Some(self.last())
    }

    /// The fan gives up: its askers, if there were any.
    pub(super) fn cancel(&mut self, fan: FanId) -> Option<Vec<Reply>> {
        let place = self.by_fan.remove(&fan)?;
        if self.sent.is_some_and(|sent| place <= sent) {
            let joining = self.joining.get_mut(&place)?;
            joining.left = true;
            return Some(std::mem::take(&mut joining.replies));
        }
        self.joining.remove(&place).map(|joining| joining.replies)
    }

    /// The first that is not decided yet.
    pub(super) fn first(&self) -> Option<Place> {
        self.joining.first_key_value().map(|(&place, _)| place)
    }

    /// What to store now, if nothing is under way: of those before this place.
    pub(super) fn next_batch(&mut self, before: Option<Place>) -> Option<Vec<(Place, FanId)>> {
        if self.sent.is_some() {
            return None;
        }
        let waiting = self.joining.iter().take_while(|(place, _)| before.is_none_or(|before| **place < before));
        let batch = waiting.take(MAX_JOINS).map(|(&place, joining)| (place.in_class(joining.class), joining.fan));
        let batch: Vec<_> = batch.collect();
        self.sent = Some(batch.last()?.0.arrival());
        Some(batch)
    }

    /// The batch under way is decided: takes it out.
    pub(super) fn take_batch(&mut self) -> BTreeMap<Place, Joining<Reply>> {
        let Some(sent) = self.sent.take() else {
            return BTreeMap::new();
        };
        let later = self.joining.split_off(&Place(sent.0.saturating_add(1)));
        let batch = std::mem::replace(&mut self.joining, later);
        for joining in batch.values().filter(|joining| !joining.left) {
            self.by_fan.remove(&joining.fan);
        }
        batch
    }
}
