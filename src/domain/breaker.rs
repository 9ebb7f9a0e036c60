//! A circuit breaker: whether somebody who fails often is to be asked now.
//!
//! | state | a call is | becomes |
//! |---|---|---|
//! | closed | let through | open, when of the calls of the last `window` at least `calls` have ended and `percent` of them failed |
//! | open | refused | half open, after `rest` |
//! | half open | let through, one at a time: a probe | closed when the probe succeeds, open when it fails |
//!
//! A probe whose outcome is never told counts as lost after `rest`, so that another one may try.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::time::{EventTime, Millis};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Outcomes older than this do not count.
    pub window: Millis,
    /// Fewer outcomes than this say nothing.
    pub calls: u32,
    /// Of them, failed: opens.
    pub percent: u32,
    /// Open for so long.
    pub rest: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Closed,
    HalfOpen,
    Open,
}

/// Not to be asked before so long has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has failed too often: not asked for {} ms", .0.0)]
pub struct Refused(pub Millis);

#[derive(Debug)]
pub struct Breaker {
    settings: Settings,
    /// When each call ended, and whether it failed; the oldest first.
    outcomes: VecDeque<(EventTime, bool)>,
    opened: Option<EventTime>,
    probe: Option<EventTime>,
}

/// More outcomes than this are not remembered: enough to tell a share.
const MOST_OUTCOMES: usize = 256;

impl Breaker {
    pub fn new(settings: Settings) -> Self {
        Self { settings, outcomes: VecDeque::new(), opened: None, probe: None }
    }

    pub fn state(&self, now: EventTime) -> State {
        match self.opened {
            None => State::Closed,
            Some(opened) if now.since(opened) < self.settings.rest => State::Open,
            Some(_) => State::HalfOpen,
        }
    }

    /// Whoever is let through tells the outcome by [`Self::ended`].
    pub fn enter(&mut self, now: EventTime) -> Result<(), Refused> {
        match self.state(now) {
            State::Closed => return Ok(()),
            State::Open => return Err(Refused(self.rests(now))),
            State::HalfOpen => {}
        }
        let left = self.probe.map_or(0, |probe| self.settings.rest.0.saturating_sub(now.since(probe).0));
        if left > 0 {
            return Err(Refused(Millis(left)));
        }
        self.probe = Some(now);
        Ok(())
    }

    pub fn ended(&mut self, now: EventTime, failed: bool) {
        match self.state(now) {
            State::Closed => {
                self.outcomes.push_back((now, failed));
                if self.outcomes.len() > MOST_OUTCOMES {
                    self.outcomes.pop_front();
                }
                let (calls, failures) = self.counts(now);
                let is_too_often = u64::from(failures) * 100 >= u64::from(self.settings.percent) * u64::from(calls);
                if failed && calls >= self.settings.calls && is_too_often {
                    self.open(now);
                }
            }
            // Of a call that began before it opened.
            State::Open => {}
            State::HalfOpen if failed => self.open(now),
            State::HalfOpen => *self = Self::new(self.settings),
        }
    }

    /// Until a call is let through; zero if one is, or may be soon.
    pub fn rests(&self, now: EventTime) -> Millis {
        self.opened.map_or(Millis(0), |opened| Millis(self.settings.rest.0.saturating_sub(now.since(opened).0)))
    }

    /// Calls that ended within the window, and how many of them failed.
    pub fn counts(&self, now: EventTime) -> (u32, u32) {
        let counted = self.outcomes.iter().filter(|(at, _)| now.since(*at) < self.settings.window);
        counted.fold((0, 0), |(calls, failures), (_, failed)| (calls + 1, failures + u32::from(*failed)))
    }

    fn open(&mut self, now: EventTime) {
        self.opened = Some(now);
        self.probe = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { window: Millis(1_000), calls: 4, percent: 50, rest: Millis(300) };

    fn at(ms: u64) -> EventTime {
        EventTime(ms)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(SETTINGS);
        for _ in 0..4 {
            breaker.ended(at(100), true);
        }
        assert_eq!(breaker.state(at(100)), State::Open);
        breaker
    }

    #[test]
    fn it_opens_when_enough_calls_have_ended_and_half_of_them_failed() {
        let mut breaker = Breaker::new(SETTINGS);
        for failed in [true, true, true] {
            breaker.ended(at(10), failed);
        }
        assert_eq!(breaker.state(at(10)), State::Closed, "three say nothing");
        breaker.ended(at(10), false);
        assert_eq!(breaker.state(at(10)), State::Closed, "a success opens nothing");
        breaker.ended(at(10), true);
        assert_eq!((breaker.state(at(10)), breaker.counts(at(10))), (State::Open, (5, 4)));
    }

    #[test]
    fn few_failures_among_many_calls_and_old_ones_do_not_open_it() {
        let mut breaker = Breaker::new(SETTINGS);
        for n in 0..100 {
            breaker.ended(at(n), n % 4 == 3);
        }
        assert_eq!(breaker.state(at(100)), State::Closed);
        let mut breaker = Breaker::new(SETTINGS);
        for n in 0..10 {
            // Each is alone in its window.
            breaker.ended(at(n * 1_000), true);
        }
        assert_eq!((breaker.state(at(9_000)), breaker.counts(at(9_000))), (State::Closed, (1, 1)));
    }

    #[test]
    fn open_it_refuses_and_says_for_how_long() {
        let mut breaker = opened();
        assert_eq!(breaker.enter(at(100)), Err(Refused(Millis(300))));
        assert_eq!(breaker.enter(at(399)), Err(Refused(Millis(1))));
        // A straggler's success does not close it.
        breaker.ended(at(200), false);
        assert_eq!(breaker.state(at(200)), State::Open);
    }

    #[test]
    fn half_open_it_lets_one_probe_through_whose_outcome_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.state(at(400)), State::HalfOpen);
        assert_eq!(breaker.enter(at(400)), Ok(()));
        assert_eq!(breaker.enter(at(401)), Err(Refused(Millis(299))), "one at a time");
        breaker.ended(at(450), true);
        assert_eq!((breaker.state(at(450)), breaker.enter(at(450))), (State::Open, Err(Refused(Millis(300)))));
        assert_eq!(breaker.enter(at(750)), Ok(()));
        breaker.ended(at(760), false);
        assert_eq!((breaker.state(at(760)), breaker.counts(at(760))), (State::Closed, (0, 0)));
    }

    #[test]
    fn a_probe_that_is_never_heard_of_again_does_not_keep_it_open() {
        let mut breaker = opened();
        assert_eq!(breaker.enter(at(400)), Ok(()));
        assert!(breaker.enter(at(699)).is_err());
        assert_eq!(breaker.enter(at(700)), Ok(()));
    }

    #[test]
    fn it_remembers_no_more_than_it_needs() {
        let mut breaker = Breaker::new(Settings { percent: 101, ..SETTINGS });
        for _ in 0..10_000 {
            breaker.ended(at(1), true);
        }
        assert_eq!((breaker.outcomes.len(), breaker.state(at(1))), (MOST_OUTCOMES, State::Closed));
    }
}
