//! The sale goes first: while it goes on, what only follows it (order messages, order rows) takes a small share of the machine
//! and of its disk; in a rush, a little at a time.
//!
//! When nothing more comes in, nothing is held back: what waits is then worked off at full speed.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// After a batch, so many times what it took. A disk that synchronises these files makes the journal's commits wait.
const REST: u32 = 31;
const LONGEST: Duration = Duration::from_millis(250);
/// So long after the last news a sale still goes on: longer than a batch and its rest, in which nobody looks for news.
const LULL: Duration = Duration::from_millis(500);
/// Facts a second that make a rush: well above the 2,400 that whole batches, with the rests between them, were seen to keep up with.
const RUSH: u128 = 4_000;
/// For so long they are counted at least.
const COUNTED: Duration = Duration::from_millis(250);
/// So many at once in a rush: while a batch is worked off the machine is not the sale's, and what is asked for then takes longest.
const SHORT: usize = 32;

/// Whether a sale goes on, of any event that runs here, and whether it is a rush.
#[derive(Debug, Clone)]
pub(super) struct Sale(Arc<Mutex<News>>);

#[derive(Debug)]
struct News {
    last: Option<Instant>,
    is_rush: bool,
    counted_since: Instant,
    count: usize,
}

impl Sale {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(News { last: None, is_rush: false, counted_since: Instant::now(), count: 0 })))
    }

    /// So many facts about orders have come in.
    pub fn goes_on(&self, facts: usize) {
        self.lock().come(facts, Instant::now());
    }

    /// How many to take at once, where it is `most` without a rush.
    pub fn at_once(&self, most: usize) -> usize {
        let news = self.lock();
        if news.is_rush && news.is_on(Instant::now()) { most.min(SHORT) } else { most }
    }

    /// Measures one batch.
    pub fn breather(&self) -> Breather<'_> {
        Breather { sale: self, began: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News {
    fn come(&mut self, facts: usize, now: Instant) {
        self.last = Some(now);
        self.count += facts;
        let counted = now.saturating_duration_since(self.counted_since);
        if counted >= COUNTED {
            self.is_rush = self.count as u128 * 1_000 > RUSH * counted.as_millis();
            (self.counted_since, self.count) = (now, 0);
        }
    }

    fn is_on(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_duration_since(last) < LULL)
    }
}

pub(super) struct Breather<'a> {
    sale: &'a Sale,
    began: Instant,
}

impl Breather<'_> {
    pub async fn rest(self) {
        let length = self.length();
        if !length.is_zero() {
            tokio::time::sleep(length).await;
        }
    }

    fn length(&self) -> Duration {
        let now = Instant::now();
        if self.sale.lock().is_on(now) { ((now - self.began) * REST).min(LONGEST) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_taken_while_a_sale_goes_on_and_not_otherwise() {
        let after_a_long_batch = |sale: &Sale| Breather { sale, began: Instant::now() - LONGEST }.length();
        let sale = Sale::new();
        assert_eq!(after_a_long_batch(&sale), Duration::ZERO, "nothing was sold yet");
        sale.goes_on(1);
        assert_eq!(after_a_long_batch(&sale), LONGEST);
        sale.lock().last = Some(Instant::now() - LULL * 2);
        assert_eq!(after_a_long_batch(&sale), Duration::ZERO, "the last news are old");
    }

    #[test]
    fn batches_are_short_in_a_rush_only() {
        let sale = Sale::new();
        let at = |times: u32| sale.lock().counted_since + COUNTED * times;
        let (second, third, much_later) = (at(1), at(2), at(1_000));
        sale.lock().come(1_000, second);
        assert_eq!(sale.at_once(512), 512, "4,000 a second");
        sale.lock().come(1_000, second + COUNTED / 2);
        assert_eq!(sale.at_once(512), 512, "not yet counted");
        sale.lock().come(1, third);
        assert_eq!((sale.at_once(512), sale.at_once(10)), (SHORT, 10), "4,004 a second");
        sale.lock().come(5_000, much_later);
        assert_eq!(sale.at_once(512), 512, "in four minutes");
        sale.lock().come(5_000, much_later + COUNTED);
        assert_eq!(sale.at_once(512), SHORT);
        sale.lock().last = Some(Instant::now() - LULL * 2);
        assert_eq!(sale.at_once(512), 512, "over");
    }
}
