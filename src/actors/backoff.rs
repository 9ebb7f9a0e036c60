//! How long to wait before trying again.

use std::time::Duration;

/// Doubles from 50 ms to `most`, with up to half of it taken off at random so that many do not come back at once.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);

    pub fn up_to(most: Duration) -> Self {
        Self { next: Self::FIRST.min(most), most }
    }

    pub fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.most);
        wait - wait.mul_f64(rand::random_range(0.0..0.5))
    }

    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_never_vanish() {
        let mut backoff = Backoff::up_to(Duration::from_millis(300));
        for full_ms in [50, 100, 200, 300, 300] {
            let (wait, full) = (backoff.next(), Duration::from_millis(full_ms));
            assert!(wait <= full && wait * 2 >= full, "{wait:?} of {full:?}");
        }
    }
}
