//! Event time for one activation: the wall clock is read once, after that only the monotonic one.
//!
//! Owns the mapping. A step of the wall clock neither frees nor prolongs a hold.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::domain::time::EventTime;

#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: EventTime,
    started: Instant,
}

impl Clock {
    /// Starts at the wall clock's time, or at `not_before` if that is later: the journal's last time.
    pub fn start(not_before: EventTime) -> Self {
        Self { base: wall().max(not_before), started: Instant::now() }
    }

    /// Of an event that runs elsewhere, where it is this time now.
    pub fn at(now: EventTime) -> Self {
        Self { base: now, started: Instant::now() }
    }

    pub fn now(&self) -> EventTime {
        let passed_ms = self.started.elapsed().as_millis();
        EventTime(self.base.0.saturating_add(u64::try_from(passed_ms).unwrap_or(u64::MAX)))
    }

    /// How long from now until `at`; zero if that has passed.
    pub fn until(&self, at: EventTime) -> Duration {
        Duration::from_millis(at.since(self.now()).0)
    }
}

/// The wall clock, for what has no event to belong to.
pub fn wall() -> EventTime {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activation_never_starts_before_the_journals_last_time() {
        let ahead = EventTime(wall().0 + 7_200_000);
        assert!(Clock::start(ahead).now() >= ahead);
        assert!(Clock::start(EventTime(0)).now() >= EventTime(1_600_000_000_000));
    }
}
