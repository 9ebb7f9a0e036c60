//! What the queue's store has lost before this term, and what is known of it all the same.
//!
//! A place that is missing may be proved by a signed ticket. Owns which places may come back: those of former terms that were
//! not used up for all that anybody knows. Whose ticket it is the edge has seen to.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;
use crate::domain::{
    id::FanId,
    inventory::AdmittedPlaces,
    time::{EventTime, Millis},
};

/// What a term begins with, if anything was lost.
#[derive(Debug, Clone, Default)]
pub struct Loss {
    /// Places of terms before this one may be missing.
    pub before_term: u32,
    /// Nobody is called for so long, that fans can show their tickets. 0: that was done in a former term.
    pub grace: Millis,
    /// Used up since, as far as the store knows: the arrivals.
    pub spent: BTreeSet<Place>,
    /// By the journal.
    pub admitted: AdmittedPlaces,
}

#[derive(Debug)]
pub(super) struct Lost {
    before_term: u32,
    until: EventTime,
    spent: BTreeSet<Place>,
    admitted: AdmittedPlaces,
    /// Fans who have a drawn place by the journal and were not here when it was worked out.
    drawn: BTreeMap<FanId, Place>,
}

impl Lost {
    pub fn new(now: EventTime, loss: Loss) -> Self {
        let Loss { before_term, grace, spent, admitted } = loss;
        Self { before_term, until: now + grace, spent, admitted, drawn: BTreeMap::new() }
    }

    pub fn is_rebuilt(&self, now: EventTime) -> bool {
        now >= self.until
    }

    /// Whether places up to this one may be missing.
    pub fn concerns(&self, place: Place) -> bool {
        place.term() < self.before_term
    }

    /// Whether the place may come back, if nobody has it.
    pub fn has(&self, place: Place) -> bool {
        // It is used up in all classes.
        let arrival = place.arrival();
        self.concerns(place) && !self.spent.contains(&arrival) && !self.admitted.contains(arrival)
    }

    pub fn spend(&mut self, places: &[Place]) {
        let before_term = self.before_term;
        self.spent.extend(places.iter().filter(|place| place.term() < before_term).map(|place| place.arrival()));
    }

    pub fn drawn_for(&self, fan: FanId) -> Option<Place> {
        self.drawn.get(&fan).copied()
    }

    pub fn add_drawn(&mut self, place: Place, fan: FanId) {
        if self.has(place) {
            self.drawn.insert(fan, place);
        }
    }

    pub fn came_back(&mut self, fan: FanId) {
        self.drawn.remove(&fan);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::queue::Class;

    #[test]
    fn what_was_used_up_in_one_class_comes_back_in_none() {
        let (admitted, spent, missing) = (Place::new(1, 7), Place::new(1, 8), Place::new(1, 9));
        let mut places = AdmittedPlaces::default();
        places.insert(admitted);
        let loss = Loss { before_term: 2, admitted: places, ..Loss::default() };
        let mut lost = Lost::new(EventTime(0), loss);
        lost.spend(&[spent.in_class(Class(3))]);
        for class in Class::all() {
            let has = [admitted, spent, missing].map(|place| lost.has(place.in_class(class)));
            assert_eq!(has, [false, false, true], "{class:?}");
        }
    }
}
