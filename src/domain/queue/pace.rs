//! How fast fans may go in.

use crate::domain::time::{EventTime, Millis};

/// One admission in units of credit: a rate of one per minute earns one unit per millisecond.
const ADMISSION: u64 = 60_000;
/// Credit never exceeds what this long earns (or one admission): a queue that stood still does not burst.
const BURST: Millis = Millis::seconds(2);

/// Fans are let in as fast as configured while the journal takes them within this.
const HEALTHY: Millis = Millis::seconds(1);
/// Of the configured rate, in 64ths: halved with each proposal that is slow or fails, and won back by an eighth with each other.
const WHOLE: u64 = 64;

/// A token bucket that earns `rate_per_minute`, less while the journal is not well.
#[derive(Debug)]
pub(super) struct Pace {
    /// 1 to [`WHOLE`].
    share: u64,
    credit: u64,
    earned_until: EventTime,
}

impl Pace {
    pub(super) fn new(now: EventTime) -> Self {
        Self { share: WHOLE, credit: ADMISSION, earned_until: now }
    }

    pub(super) fn earn(&mut self, now: EventTime, rate_per_minute: u32) {
        // However slow: one in time is let in, and shows whether it has become better.
        let rate = (u64::from(rate_per_minute) * self.share).div_ceil(WHOLE);
        let earned = now.since(self.earned_until).0.saturating_mul(rate);
        let most = if rate == 0 { 0 } else { ADMISSION.max(rate * BURST.0) };
        self.credit = self.credit.saturating_add(earned).min(most);
        self.earned_until = self.earned_until.max(now);
    }

    /// So long the journal took for a proposal.
    pub(super) fn took(&mut self, time: Millis) {
        if time > HEALTHY {
            return self.failed();
        }
        self.share = (self.share + WHOLE / 8).min(WHOLE);
    }

    pub(super) fn failed(&mut self) {
        self.share = (self.share / 2).max(1);
    }

    /// Of the configured rate.
    pub(super) fn percent(&self) -> u32 {
        (self.share * 100 / WHOLE) as u32
    }

    /// Admissions that the credit pays for.
    pub(super) fn allowed(&self) -> u32 {
        u32::try_from(self.credit / ADMISSION).unwrap_or(u32::MAX)
    }

    pub(super) fn spend(&mut self, admissions: u32) {
        self.credit = self.credit.saturating_sub(u64::from(admissions) * ADMISSION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_grows_with_the_rate_and_not_beyond_two_seconds() {
        let mut pace = Pace::new(EventTime(0));
        pace.earn(EventTime(0), 600);
        assert_eq!(pace.allowed(), 1);
        pace.spend(1);
        for (at, allowed) in [(99, 0), (100, 1), (1_000, 10), (2_000, 20), (60_000, 20)] {
            pace.earn(EventTime(at), 600);
            assert_eq!(pace.allowed(), allowed, "{at}");
        }
        pace.earn(EventTime(60_001), 0);
        assert_eq!(pace.allowed(), 0);
    }

    #[test]
    fn a_slow_rate_still_lets_somebody_in() {
        let mut pace = Pace::new(EventTime(0));
        pace.spend(1);
        pace.earn(EventTime(59_999), 1);
        assert_eq!(pace.allowed(), 0);
        pace.earn(EventTime(60_000), 1);
        assert_eq!(pace.allowed(), 1);
    }

    #[test]
    fn a_slow_or_failing_journal_slows_admission_and_a_healthy_one_wins_it_back() {
        let mut pace = Pace::new(EventTime(0));
        assert_eq!(pace.percent(), 100);
        pace.took(HEALTHY);
        assert_eq!(pace.percent(), 100);
        pace.took(Millis(HEALTHY.0 + 1));
        pace.failed();
        assert_eq!(pace.percent(), 25);
        pace.spend(1);
        pace.earn(EventTime(1_000), 600);
        assert_eq!(pace.allowed(), 2, "a quarter of ten a second");
        (0..9).for_each(|_| pace.failed());
        pace.spend(2);
        pace.earn(EventTime(61_000), 2);
        assert_eq!(pace.allowed(), 1, "never nobody");
        (0..8).for_each(|_| pace.took(Millis(0)));
        assert_eq!(pace.percent(), 100);
        pace.earn(EventTime(61_000), 0);
        assert_eq!(pace.allowed(), 0, "but with a rate of zero");
    }
}
