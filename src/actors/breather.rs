//! The sale goes first: while it goes on, what only follows it (order messages, order rows) takes a small share of the machine
//! and of its disk.
//!
//! When nothing more comes in, nothing is held back: what waits is then worked off at full speed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// After a batch, so many times what it took. A disk that synchronises these files makes the journal's commits wait.
const REST: u32 = 31;
const LONGEST: Duration = Duration::from_millis(250);
/// So long after the last news a sale still goes on: longer than a batch and its rest, in which nobody looks for news.
const LULL: Duration = Duration::from_millis(500);

/// Whether a sale goes on, of any event that runs here.
#[derive(Debug, Clone)]
pub(super) struct Sale(Arc<News>);

#[derive(Debug)]
struct News {
    since: Instant,
    /// Milliseconds after `since`; 0 for none yet.
    last: AtomicU64,
}

impl Sale {
    pub fn new() -> Self {
        Self(Arc::new(News { since: Instant::now(), last: AtomicU64::new(0) }))
    }

    /// An order was made or changed just now.
    pub fn goes_on(&self) {
        self.0.last.store(self.now().max(1), Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        let last = self.0.last.load(Ordering::Relaxed);
        last > 0 && self.now().saturating_sub(last) < LULL.as_millis() as u64
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Measures one batch.
    pub fn breather(&self) -> Breather<'_> {
        Breather { sale: self, began: Instant::now() }
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
        if self.sale.is_on() { (self.began.elapsed() * REST).min(LONGEST) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_taken_while_a_sale_goes_on_and_not_otherwise() {
        let after_a_long_batch = |sale| Breather { sale, began: Instant::now() - LONGEST }.length();
        let sale = Sale::new();
        assert_eq!(after_a_long_batch(&sale), Duration::ZERO, "nothing was sold yet");
        sale.goes_on();
        assert_eq!(after_a_long_batch(&sale), LONGEST);
        let over = Sale(Arc::new(News { since: Instant::now() - LULL * 2, last: AtomicU64::new(1) }));
        assert_eq!(after_a_long_batch(&over), Duration::ZERO, "the last news are old");
    }
}
