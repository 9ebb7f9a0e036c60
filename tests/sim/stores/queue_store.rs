//! The simulated copy of the queue: it can lose the last writes that it acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use onsale::domain::{id::FanId, queue::Place};

#[derive(Default)]
pub struct QueueStore {
    term: u32,
    places: BTreeMap<Place, FanId>,
    /// How to undo each write, oldest first.
    undo: Vec<(Place, Option<FanId>)>,
    /// It has lost something since it was opened last.
    pub lost: bool,
    /// It has lost nothing since its owner last found it to be so.
    pub is_whole: bool,
    pub lost_before: u32,
    pub spent: BTreeSet<Place>,
}

impl QueueStore {
    /// Begins a term, if it is not an older one.
    pub fn open(&mut self, term: u32) -> Option<Vec<(Place, FanId)>> {
        if term < self.term {
            return None;
        }
        self.term = term;
        Some(self.places.iter().map(|(&place, &fan)| (place, fan)).collect())
    }

    /// Whether it was done.
    pub fn join(&mut self, term: u32, joins: &[(Place, FanId)]) -> bool {
        if term < self.term {
            return false;
        }
        for &(place, fan) in joins {
            self.undo.push((place, self.places.insert(place, fan)));
        }
        true
    }

    pub fn forget(&mut self, term: u32, places: &[Place]) {
        if term < self.term {
            return;
        }
        for &place in places {
            self.undo.push((place, self.places.remove(&place)));
            if place.term() < self.lost_before {
                self.spent.insert(place);
            }
        }
    }

    /// As the owner of this term finds it.
    pub fn mark(&mut self, term: u32, lost_before: u32, is_whole: bool) {
        if term >= self.term {
            self.lost_before = self.lost_before.max(lost_before);
            self.is_whole |= is_whole;
        }
    }

    pub fn lose_all(&mut self) {
        *self = Self { lost: true, ..Self::default() };
    }

    pub fn lose_last(&mut self, writes: usize) {
        self.is_whole = false;
        for (place, before) in self.undo.split_off(self.undo.len().saturating_sub(writes)).into_iter().rev() {
            self.lost = true;
            match before {
                Some(fan) => self.places.insert(place, fan),
                None => self.places.remove(&place),
            };
        }
    }
}
