//! How fast fans went in, and what that says about how long others will wait.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::time::{EventTime, Millis};

/// Half of the pace is that of the last minute,
const MINUTE: Millis = Millis::minutes(1);
/// and half of it that of so many.
const MINUTES: u64 = 5;
const MEASURED: Millis = Millis::minutes(MINUTES);
/// A shorter measurement says nothing.
const MEASURED_AT_LEAST: Millis = Millis::seconds(10);
/// Nor does a count of fewer, within the first minute.
const COUNTED_AT_LEAST: u64 = 5;
/// Admissions are counted in steps of this length.
const STEP: Millis = Millis::seconds(1);

/// Measured, in admissions per minute; none is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outflow {
    pub per_minute: u32,
    /// Of the last five minutes the slowest.
    pub slowest: u32,
}

/// Seconds that somebody waits with so many ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// As likely less as more.
    pub p50: u64,
    /// Nine in ten wait less: at the slowest pace there was, and as many more to go in as chance may have it.
    pub p90: u64,
}

impl Outflow {
    pub fn wait(self, ahead: usize) -> Wait {
        let (turns, per_minute, slowest) = (ahead as u64 + 1, u64::from(self.per_minute), u64::from(self.slowest));
        let p50 = (turns * 60).div_ceil(per_minute);
        // Of so many that come by chance, 1.28 standard deviations more.
        let unlucky = turns * 100 + turns.isqrt() * 128;
        Wait { p50, p90: (unlucky * 60).div_ceil(slowest * 100).max(p50) }
    }
}

#[derive(Debug)]
pub(super) struct Meter {
    began: EventTime,
    /// (end of the step, admissions in it), oldest first.
    admitted: VecDeque<(EventTime, u32)>,
}

impl Meter {
    pub fn new(now: EventTime) -> Self {
        Self { began: now, admitted: VecDeque::new() }
    }

    pub fn count(&mut self, now: EventTime, admissions: u32) {
        if admissions == 0 {
            return;
        }
        match self.admitted.back_mut() {
            Some((end, count)) if now < *end => *count += admissions,
            _ => self.admitted.push_back((now + STEP, admissions)),
        }
        self.forget_old(now);
    }

    /// `None` while nothing can be said: too early, too few, or nobody went in for a minute.
    pub fn outflow(&mut self, now: EventTime) -> Option<Outflow> {
        self.forget_old(now);
        let span = now.since(self.began).min(MEASURED);
        let last = self.between(now, Millis(0), MINUTE);
        let is_scarce = span < MINUTE && last < COUNTED_AT_LEAST;
        if span < MEASURED_AT_LEAST || last == 0 || is_scarce {
            return None;
        }
        let pace = |admitted: u64, span: Millis| (admitted * MINUTE.0).div_ceil(span.0);
        let per_minute = pace(last, span.min(MINUTE)).midpoint(pace(self.between(now, Millis(0), MEASURED), span));
        // Only whole minutes count; one without anybody says nothing of the pace.
        let minutes =
            (0..span.0 / MINUTE.0).map(|k| self.between(now, Millis(k * MINUTE.0), Millis((k + 1) * MINUTE.0)));
        let slowest = minutes.filter(|&admitted| admitted > 0).min().unwrap_or(per_minute).min(per_minute);
        let narrow = |pace| u32::try_from(pace).unwrap_or(u32::MAX);
        Some(Outflow { per_minute: narrow(per_minute), slowest: narrow(slowest) })
    }

    /// Admissions whose age is from `young` to below `old`.
    fn between(&self, now: EventTime, young: Millis, old: Millis) -> u64 {
        let is_in = |end: EventTime| end + young <= now + STEP && end + old > now;
        self.admitted.iter().filter(|(end, _)| is_in(*end)).map(|&(_, count)| u64::from(count)).sum()
    }

    fn forget_old(&mut self, now: EventTime) {
        while self.admitted.front().is_some_and(|&(end, _)| end + MEASURED <= now) {
            self.admitted.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outflow(per_minute: u32, slowest: u32) -> Option<Outflow> {
        Some(Outflow { per_minute, slowest })
    }

    #[test]
    fn the_pace_is_half_the_last_minutes_and_half_the_last_fives() {
        let mut meter = Meter::new(EventTime(0));
        meter.count(EventTime(1_000), 30);
        assert_eq!(meter.outflow(EventTime(9_999)), None, "too early");
        assert_eq!(meter.outflow(EventTime(30_000)), outflow(60, 60));
        let mut slow = Meter::new(EventTime(0));
        slow.count(EventTime(1_000), 4);
        assert_eq!(slow.outflow(EventTime(59_999)), None, "four are too few to say");
        assert_eq!(slow.outflow(EventTime(60_000)), outflow(4, 4), "in a whole minute they are its pace");
        assert_eq!(meter.outflow(EventTime(60_000)), outflow(30, 30));
        meter.count(EventTime(119_000), 6);
        // The last minute 6, two minutes 18 a minute.
        assert_eq!(meter.outflow(EventTime(120_000)), outflow(12, 6));
        assert_eq!(meter.outflow(EventTime(200_000)), None, "nobody went in for a minute");
        meter.count(EventTime(360_000), 50);
        assert_eq!(
            meter.outflow(EventTime(360_000)).map(|outflow| outflow.slowest),
            Some(6),
            "the first are forgotten"
        );
    }

    #[test]
    fn nine_in_ten_wait_a_little_longer_than_half_of_them() {
        let steady = Outflow { per_minute: 60, slowest: 60 };
        assert_eq!(steady.wait(0), Wait { p50: 1, p90: 3 });
        assert_eq!(steady.wait(99), Wait { p50: 100, p90: 113 });
        assert_eq!(Outflow { per_minute: 60, slowest: 20 }.wait(99), Wait { p50: 100, p90: 339 });
    }

    proptest! {
        #[test]
        fn whoever_stands_further_back_never_waits_less_and_the_long_wait_is_never_the_shorter(
            admissions in prop::collection::vec((0_u64..400_000, 1_u32..1_000), 1..40),
            ahead in 0_usize..2_000_000,
        ) {
            let mut meter = Meter::new(EventTime(0));
            let mut admissions = admissions;
            admissions.sort_unstable();
            for &(at, count) in &admissions {
                meter.count(EventTime(at), count);
            }
            let last = admissions.last().map_or(0, |&(at, _)| at);
            if let Some(outflow) = meter.outflow(EventTime(last)) {
                prop_assert!(outflow.slowest > 0 && outflow.slowest <= outflow.per_minute);
                let (wait, behind) = (outflow.wait(ahead), outflow.wait(ahead + 1));
                prop_assert!(wait.p50 > 0 && wait.p50 <= wait.p90);
                prop_assert!(wait.p50 <= behind.p50 && wait.p90 <= behind.p90);
            }
        }
    }
}
