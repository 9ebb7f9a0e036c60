//! From the published queue to what one fan is told about it.

use crate::domain::{
    inventory::configuration::Mode,
    queue::{Place, Queue, Standing, Wait},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub spot: Spot,
    /// In all classes.
    pub total: usize,
}

/// Where one fan stands among those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    Behind {
        /// In the same class: whoever is in another does not change it.
        ahead: usize,
        /// `None` while nobody has moved for a minute, or nobody may.
        wait: Option<Wait>,
    },
    /// Anybody may be picked next: nobody stands before anybody.
    Anywhere,
    /// Entered for the draw, which has not been made yet.
    Entered,
    /// Others are still coming back to places before: no number yet.
    Unsettled,
}

impl Position {
    /// Of who waits.
    pub fn of_standing(standing: Standing, queue: &Queue) -> Option<Self> {
        match standing {
            Standing::Waiting(place) => Some(Self::of(place, queue)),
            Standing::Admitted(_) | Standing::NotHere => None,
        }
    }

    /// `place` need not be in the queue yet: it may have been published before the fan joined, and others before them.
    pub fn of(place: Place, queue: &Queue) -> Self {
        let since = usize::try_from(place.arrival().0.saturating_sub(queue.newest.0)).unwrap_or(usize::MAX);
        let ahead = queue.ranks.ahead_in_class(place).saturating_add(since.saturating_sub(1));
        let total = queue.ranks.total().max(ahead + 1);
        let conditions = &queue.conditions;
        if conditions.rebuilding {
            return Self { spot: Spot::Unsettled, total: queue.ranks.total().max(1) };
        }
        if conditions.entries.has(place) {
            return Self { spot: Spot::Entered, total: queue.ranks.total().max(1) };
        }
        if conditions.mode == Mode::Random {
            return Self { spot: Spot::Anywhere, total };
        }
        let wait = queue
            .outflow
            .filter(|_| !conditions.paused && !conditions.halted)
            .map(|outflow| outflow.wait(before(place, ahead, queue)));
        Self { spot: Spot::Behind { ahead, wait }, total }
    }

    /// How many stand before the fan, where that can be said.
    pub fn ahead(&self) -> Option<usize> {
        match self.spot {
            Spot::Behind { ahead, .. } => Some(ahead),
            Spot::Anywhere | Spot::Entered | Spot::Unsettled => None,
        }
    }
}

/// About how many go in before this one, of all classes.
fn before(place: Place, ahead: usize, queue: &Queue) -> usize {
    let class = place.class();
    let is_one_line = queue.classes.list.is_empty() && queue.manual_moves == 0;
    if is_one_line || queue.ranks.total_of(class) == queue.ranks.total() {
        return ahead;
    }
    queue.classes.shares().before(class, ahead, |other| queue.ranks.total_of(other))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{
        inventory::classes::{Classes, QueueClass},
        queue::{Class, Conditions, Outflow, Ranks},
    };

    fn queue(per_minute: Option<u32>, conditions: Conditions) -> Queue {
        let ranks = Arc::new(Ranks::new(vec![Place(3), Place(5), Place(8)]));
        let outflow = per_minute.map(|per_minute| Outflow { per_minute, slowest: per_minute });
        Queue { ranks, newest: Place(8), outflow, conditions, ..Queue::default() }
    }

    fn behind(ahead: usize, wait: Option<Wait>) -> Spot {
        Spot::Behind { ahead, wait }
    }

    #[test]
    fn the_position_counts_those_before_and_includes_oneself() {
        for (place, ahead, total) in [(3, 0, 3), (8, 2, 3), (9, 3, 4), (12, 6, 7)] {
            let position = Position::of(Place(place), &queue(None, Conditions::default()));
            assert_eq!((position.spot, position.total), (behind(ahead, None), total), "{place}");
        }
    }

    #[test]
    fn the_wait_is_known_only_while_the_queue_moves() {
        let wait = Some(Wait { p50: 90, p90: 129 });
        for (outflow, paused, wait) in [(Some(2), false, wait), (None, false, None), (Some(2), true, None)] {
            let position = Position::of(Place(8), &queue(outflow, Conditions { paused, ..Conditions::default() }));
            assert_eq!(position.spot, behind(2, wait), "{outflow:?} {paused}");
        }
    }

    #[test]
    fn a_position_counts_the_own_class_and_the_wait_all_of_them() {
        let vip = |n| Place(n).in_class(Class(1));
        let places = vec![Place(3), Place(5), Place(8), vip(4), vip(6)];
        let list = vec![QueueClass { code: "VIP".parse().expect("a code"), name: "VIP".into(), weight: 1 }];
        let classes = Arc::new(Classes { list, ..Classes::default() });
        let queue = Queue { ranks: Arc::new(Ranks::new(places)), classes, ..queue(Some(60), Conditions::default()) };
        for (place, ahead, p50) in [(Place(3), 0, 1), (Place(8), 2, 5), (vip(4), 0, 1), (vip(6), 1, 3), (vip(9), 2, 5)]
        {
            let position = Position::of(place, &queue);
            assert_eq!((position.ahead(), position.total), (Some(ahead), 5), "{place}");
            assert!(matches!(position.spot, Spot::Behind { wait: Some(wait), .. } if wait.p50 == p50), "{position:?}");
        }
    }

    #[test]
    fn where_anybody_may_be_picked_nobody_has_a_number() {
        let random = Conditions { mode: Mode::Random, ..Conditions::default() };
        let position = Position::of(Place(8), &queue(Some(2), random));
        assert_eq!(position, Position { spot: Spot::Anywhere, total: 3 });
    }
}
