//! What could not be done, and when it is tried again: after longer and longer.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::Outcome;
use crate::domain::id::EventId;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
struct Setback {
    times: u32,
    until: Instant,
}

#[derive(Default)]
pub(super) struct Setbacks(HashMap<EventId, Setback>);

impl Setbacks {
    pub fn note(&mut self, now: Instant, event: EventId, outcome: Outcome) {
        let times = self.times(event).saturating_add(1);
        let pause = match outcome {
            Outcome::Done => {
                self.0.remove(&event);
                return;
            }
            Outcome::Failed => LONGEST.min(FIRST * 2u32.saturating_pow(times.min(10) - 1)),
            Outcome::Hopeless => LONGEST,
        };
        self.0.insert(event, Setback { times, until: now + pause });
    }

    /// How often it has failed on end.
    pub fn times(&self, event: EventId) -> u32 {
        self.0.get(&event).map_or(0, |setback| setback.times)
    }

    /// `at`, or later.
    pub fn until(&self, event: EventId, at: Instant) -> Instant {
        self.0.get(&event).map_or(at, |setback| setback.until.max(at))
    }

    /// What has not failed again for long.
    pub fn forget(&mut self, now: Instant) {
        self.0.retain(|_, setback| setback.until + 2 * LONGEST > now);
    }
}
