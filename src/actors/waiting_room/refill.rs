//! How far the writing again of all places has come, after the store has lost some.

use std::time::{Duration, Instant};

use crate::domain::queue::Place;

/// Between two countings: Redis's data may be gone for so long before anybody knows.
const LOOK: Duration = Duration::from_secs(2);
/// While nobody waits there is nothing to lose but the store's word that it has lost nothing.
const LOOK_AT_NOTHING: Duration = Duration::from_secs(30);

pub(super) struct Refill {
    looked: Instant,
    /// Under way; everything up to the place is written.
    written: Option<Option<Place>>,
}

impl Refill {
    pub fn new() -> Self {
        Self { looked: Instant::now(), written: None }
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
