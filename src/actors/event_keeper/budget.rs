//! How often an event's actors may restart, and how long to wait before the next time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

pub(super) struct Budget {
    /// Restarts within the window before pauses are long.
    limit: usize,
    restarts: VecDeque<Instant>,
}

impl Budget {
    pub fn new(limit: u32) -> Self {
        Self { limit: limit as usize, restarts: VecDeque::new() }
    }

    /// Counts a restart, and says how long to wait before it. Never gives up: what hinders an event may pass.
    pub fn spend(&mut self, now: Instant) -> Duration {
        while self.restarts.front().is_some_and(|&at| now.duration_since(at) > WINDOW) {
            self.restarts.pop_front();
        }
        let recent = self.restarts.len();
        if recent >= self.limit {
            return LONGEST_PAUSE;
        }
        self.restarts.push_back(now);
        // 20 ms, 40 ms, … while restarts follow one another.
        LONGEST_PAUSE.min(FIRST_PAUSE * 2u32.saturating_pow(u32::try_from(recent).unwrap_or(u32::MAX).min(10)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_means_long_pauses_until_the_minute_has_passed() {
        let (mut budget, start) = (Budget::new(3), Instant::now());
        for (second, pause_ms) in [(0, 20), (1, 40), (2, 80), (3, 15_000), (50, 15_000), (61, 80)] {
            let pause = budget.spend(start + Duration::from_secs(second));
            assert_eq!(pause, Duration::from_millis(pause_ms), "second {second}");
        }
    }
}
