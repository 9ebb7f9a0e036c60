//! How far the writing again of all places has come, after the store has lost some.

use std::{
    mem,
    time::{Duration, Instant},
};

use crate::domain::queue::Place;

/// Between two countings: Redis's data may be gone for so long before anybody knows.
const LOOK: Duration = Duration::from_secs(2);
/// While nobody waits there is nothing to lose but the store's word that it has lost nothing.
const LOOK_AT_NOTHING: Duration = Duration::from_secs(30);

pub(super) struct Refill {
    looked: Instant,
    /// Under way; everything up to the place is written.
    written: Option<Option<Place>>,
    is_writing: bool,
    /// Places so far.
    given_up: usize,
    /// Given up since the part that is being written was put together, and perhaps in it.
    late: Vec<Place>,
}

impl Refill {
    pub fn new() -> Self {
        Self { looked: Instant::now(), written: None, is_writing: false, given_up: 0, late: Vec::new() }
    }

    /// Whether the store is to be counted now.
    pub fn may_look(&mut self, waits: bool) -> bool {
        let every = if waits { LOOK } else { LOOK_AT_NOTHING };
        let due = self.written.is_none() && self.looked.elapsed() >= every;
        if due {
            self.looked = Instant::now();
        }
        due
    }

    pub fn begin(&mut self) {
        self.written.get_or_insert(None);
    }

    /// Behind which place the next part begins, if one is to be written.
    pub fn next(&self) -> Option<Option<Place>> {
        self.written
    }

    pub fn writes(&mut self) {
        self.is_writing = true;
    }

    /// The part that was being written is, or is not: what the store is to forget now.
    pub fn has_written(&mut self) -> Vec<Place> {
        self.is_writing = false;
        mem::take(&mut self.late)
    }

    /// What the store is to forget at once. What it may be about to be given again has to wait.
    pub fn give_up(&mut self, places: Vec<Place>) -> Vec<Place> {
        self.given_up += places.len();
        match self.is_writing {
            true => {
                self.late.extend(places);
                Vec::new()
            }
            false => places,
        }
    }

    /// With those who wait: how many there would be if nobody had gone. Tells a loss from who went while the store was counted.
    pub fn ever(&self, waiting: usize) -> usize {
        waiting + self.given_up
    }

    /// How many of so many the store has at least, wherever it was counted since.
    pub fn left_of(&self, ever: usize) -> usize {
        ever.saturating_sub(self.given_up)
    }

    pub fn done(&mut self, last: Place) {
        if self.written.is_some() {
            self.written = Some(Some(last));
        }
    }

    pub fn end(&mut self) {
        self.written = None;
        self.looked = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_while_the_store_is_counted_is_no_loss() {
        let mut refill = Refill::new();
        let asked = refill.ever(100);
        assert_eq!(refill.give_up(vec![Place(1), Place(2)]), [Place(1), Place(2)]);
        assert_eq!(refill.left_of(asked), 98);
        assert_eq!(refill.left_of(refill.ever(98)), 98);
    }

    #[test]
    fn what_a_part_may_write_again_is_forgotten_after_it() {
        let mut refill = Refill::new();
        refill.writes();
        assert_eq!(refill.give_up(vec![Place(1)]), []);
        assert_eq!(refill.has_written(), [Place(1)]);
        assert_eq!(refill.give_up(vec![Place(2)]), [Place(2)]);
        assert_eq!(refill.has_written(), []);
    }
}
