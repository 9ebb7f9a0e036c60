//! The simulated copy of the queue: it can lose the last writes that it acknowledged.

use std::collections::BTreeMap;

use onsale::domain::{
    id::FanId,
    queue::{Place, Tie},
};

#[derive(Default)]
pub struct QueueStore {
    term: u32,
    places: BTreeMap<Place, FanId>,
    /// How to undo each write, oldest first.
    undo: Vec<(Place, Option<FanId>)>,
    /// It has lost something since it was opened last.
    pub lost: bool,
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

    /// As the real ones: whoever is tied has one place, and a place is one fan's. Gives the places that the accounts had.
    pub fn tie(&mut self, term: u32, ties: &[Tie]) -> Option<Vec<Place>> {
        if term < self.term {
            return None;
        }
        let mut merged = Vec::new();
        for &Tie { place, device, account } in ties {
            let others =
                self.places.iter().filter(|&(&other, &fan)| other != place && (fan == device || fan == account));
            let others: Vec<(Place, FanId)> = others.map(|(&other, &fan)| (other, fan)).collect();
            for (other, fan) in others {
                self.undo.push((other, self.places.remove(&other)));
                if fan == account {
                    merged.push(other);
                }
            }
            self.undo.push((place, self.places.insert(place, account)));
        }
        Some(merged)
    }

    pub fn forget(&mut self, term: u32, places: &[Place]) {
        if term < self.term {
            return;
        }
        for &place in places {
            self.undo.push((place, self.places.remove(&place)));
        }
    }

    pub fn lose_last(&mut self, writes: usize) {
        for (place, before) in self.undo.split_off(self.undo.len().saturating_sub(writes)).into_iter().rev() {
            self.lost = true;
            match before {
                Some(fan) => self.places.insert(place, fan),
                None => self.places.remove(&place),
            };
        }
    }
}
