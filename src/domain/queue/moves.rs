//! Places that an admin moves to another class, or to the front.
//!
//! A fan is moved only when the journal has counted it and the store has the new place. At most one batch is under way. Moves and
//! joins are decided in the order of their places: so nobody comes before whoever has been told a number.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Place;
use crate::domain::id::FanId;

/// A batch ends at this many.
const MAX_MOVES: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub fan: FanId,
    pub from: Place,
    /// Behind everybody else of its class.
    pub to: Place,
}

#[derive(Debug)]
pub(super) struct Moves<Reply> {
    /// To be stored, in the order in which they were asked for.
    next: Vec<(Move, Reply)>,
    under_way: Vec<(Move, Reply)>,
    /// Of both: their fans, and the places that they have until then.
    fans: BTreeSet<FanId>,
    from: BTreeSet<Place>,
    /// The last place given so, by its arrival.
    last: Place,
}

impl<Reply> Default for Moves<Reply> {
    fn default() -> Self {
        let (fans, from, last) = (BTreeSet::new(), BTreeSet::new(), Place::default());
        Self { next: Vec::new(), under_way: Vec::new(), fans, from, last }
    }
}

impl<Reply> Moves<Reply> {
    pub(super) fn is_empty(&self) -> bool {
        self.fans.is_empty()
    }

    pub(super) fn last(&self) -> Place {
        self.last
    }

    /// Whether the place is about to be given up for another, and so has to stay.
    pub(super) fn has(&self, place: Place) -> bool {
        self.from.contains(&place)
    }

    pub(super) fn wait_for(&self, fan: FanId) -> bool {
        self.fans.contains(&fan)
    }

    pub(super) fn add(&mut self, one: Move, reply: Reply) {
        self.fans.insert(one.fan);
        self.from.insert(one.from);
        self.last = one.to.arrival();
        self.next.push((one, reply));
    }

    /// The first new place that is not decided yet, by its arrival.
    pub(super) fn first(&self) -> Option<Place> {
        self.under_way.first().or(self.next.first()).map(|(one, _)| one.to.arrival())
    }

    /// What to store now, if nothing is under way: of those before this place, as whoever joined before stands before.
    pub(super) fn next_batch(&mut self, before: Option<Place>) -> Option<Vec<Move>> {
        let due = self.next.partition_point(|(one, _)| before.is_none_or(|before| one.to.arrival() < before));
        if !self.under_way.is_empty() || due == 0 {
            return None;
        }
        let later = self.next.split_off(due.min(MAX_MOVES));
        self.under_way = std::mem::replace(&mut self.next, later);
        Some(self.under_way.iter().map(|(one, _)| *one).collect())
    }

    /// The batch under way is decided: takes it out.
    pub(super) fn take_batch(&mut self) -> BTreeMap<Place, (Move, Reply)> {
        let batch = std::mem::take(&mut self.under_way);
        for (one, _) in &batch {
            self.fans.remove(&one.fan);
            self.from.remove(&one.from);
        }
        batch.into_iter().map(|(one, reply)| (one.to, (one, reply))).collect()
    }
}
