//! How fast each event commits, from the number of its last commit at two looks.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::EventStatus;
use crate::{actors::directory::Running, domain::id::EventId, stores::journal::Epoch};

/// Looks that follow each other more closely than this are one: over less, a rate says nothing.
const SPAN: Duration = Duration::from_secs(1);

/// To be looked at regularly: a rate is that between the last two looks.
#[derive(Debug, Default)]
pub struct Rates {
    events: HashMap<EventId, Pace>,
}

#[derive(Debug, Clone, Copy)]
struct Pace {
    epoch: Epoch,
    seq: u64,
    at: Instant,
    per_second: f64,
}

impl Rates {
    /// Takes note of how far each event is; forgets those that do not run here.
    pub fn look(&mut self, running: &[Running], now: Instant) {
        let paces = running.iter().map(|running| {
            let before = self.events.get(&running.event);
            (running.event, Pace::after(before, running, now))
        });
        self.events = paces.collect();
    }

    /// Of an event that was seen twice; otherwise 0.
    pub fn commits_per_second(&self, event: EventId) -> f64 {
        self.events.get(&event).map_or(0.0, |pace| pace.per_second)
    }

    /// What runs here, as operators are told of it.
    pub fn status(&self, running: Vec<Running>) -> Vec<EventStatus> {
        let status = |running: Running| EventStatus {
            event: running.event,
            epoch: running.epoch,
            waiting: u64::try_from(running.waiting).unwrap_or(u64::MAX),
            holds: running.holds,
            outbox: running.outbox,
            commits_per_second: self.commits_per_second(running.event),
            active: running.is_active,
        };
        let mut events: Vec<_> = running.into_iter().map(status).collect();
        events.sort_unstable_by_key(|status| status.event);
        events
    }
}

impl Pace {
    fn after(before: Option<&Self>, running: &Running, now: Instant) -> Self {
        let first = Self { epoch: running.epoch, seq: running.seq, at: now, per_second: 0.0 };
        // Of another activation: what was committed between the two is not known to be this node's.
        let Some(before) = before.filter(|before| before.epoch == running.epoch) else { return first };
        let passed = now.saturating_duration_since(before.at);
        if passed < SPAN {
            return *before;
        }
        #[expect(clippy::cast_precision_loss, reason = "commits between two looks are far below 2^52")]
        let commits = running.seq.saturating_sub(before.seq) as f64;
        Self { per_second: commits / passed.as_secs_f64(), ..first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: EventId = EventId::from_u128(7);

    fn at(epoch: u64, seq: u64) -> Vec<Running> {
        let epoch = Epoch(epoch);
        vec![Running { event: EVENT, epoch, waiting: 3, holds: 2, outbox: 1, is_active: true, seq }]
    }

    #[test]
    fn a_rate_is_what_was_committed_between_two_looks_a_second_apart_or_more() {
        let (began, mut rates) = (Instant::now(), Rates::default());
        let after = |ms: u64| began + Duration::from_millis(ms);
        let steps: [(u64, Vec<Running>, f64, &str); 7] = [
            (0, at(1, 100), 0.0, "seen once"),
            (999, at(1, 200), 0.0, "too soon to say"),
            (2_000, at(1, 300), 100.0, "since the first look, not since the one too soon"),
            (2_500, at(1, 900), 100.0, "as before: too soon to say anew"),
            (4_000, at(1, 300), 0.0, "nothing since the last look that counted"),
            (5_000, at(2, 400), 0.0, "another activation begins anew"),
            (7_000, at(2, 401), 0.5, "less than one a second"),
        ];
        for (ms, running, expected, why) in steps {
            rates.look(&running, after(ms));
            let told = rates.commits_per_second(EVENT);
            assert!((told - expected).abs() < 1e-9, "{why}: {told}");
        }
        rates.look(&[], after(8_000));
        rates.look(&at(2, 500), after(9_000));
        assert!(rates.commits_per_second(EVENT).abs() < 1e-9, "it has run elsewhere meanwhile");
    }

    #[test]
    fn operators_are_told_all_of_it_in_the_order_of_ids() {
        let running = [9, 7].map(|id| Running { event: EventId::from_u128(id), ..at(5, 1).remove(0) });
        let told = Rates::default().status(running.to_vec());
        let expected = [7, 9].map(|id| EventStatus {
            event: EventId::from_u128(id),
            epoch: Epoch(5),
            waiting: 3,
            holds: 2,
            outbox: 1,
            commits_per_second: 0.0,
            active: true,
        });
        assert_eq!(told, expected);
    }
}
