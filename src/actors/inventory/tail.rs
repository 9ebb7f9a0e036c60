//! How much of the journal no snapshot covers, and when one is due.

use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;

/// Without a commit for so long, a sale pauses. A snapshot costs the store several times what a second's holds do.
const LULL: Duration = Duration::from_millis(500);
/// How much longer than in a lull a tail may grow, in times the least that makes a snapshot due.
const PATIENCE: u64 = 3;

pub(super) struct Tail {
    bytes: u64,
    least_bytes: u64,
    make_at_bytes: u64,
    /// Beyond that, a sale that does not pause has to bear one.
    make_anyway_bytes: u64,
    grown: Instant,
    making: Option<Making>,
}

/// A snapshot under way, and how much it covers at least.
struct Making {
    covers_bytes: u64,
    _work: AbortOnDropHandle<()>,
}

impl Tail {
    pub fn new(bytes: u64, snapshot_bytes: u64, least_bytes: u64) -> Self {
        let grown = Instant::now();
        let mut tail = Self { bytes, least_bytes, make_at_bytes: 0, make_anyway_bytes: 0, grown, making: None };
        tail.follows(snapshot_bytes);
        tail
    }

    pub fn grow(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.grown = Instant::now();
    }

    pub fn is_due(&self, now: Instant) -> bool {
        let pauses = now.duration_since(self.grown) >= LULL;
        let is_long = self.bytes > self.make_anyway_bytes || self.bytes > self.make_at_bytes && pauses;
        is_long && self.making.is_none()
    }

    /// A snapshot of the state as it is now.
    pub fn is_made_by(&mut self, work: AbortOnDropHandle<()>) {
        self.making = Some(Making { covers_bytes: self.bytes, _work: work });
    }

    /// A larger state may have a longer tail.
    pub fn was_made(&mut self, size_bytes: u64) {
        let covered = self.making.take().map_or(0, |making| making.covers_bytes);
        self.bytes = self.bytes.saturating_sub(covered);
        self.follows(size_bytes);
    }

    /// Not at once again.
    pub fn was_not_made(&mut self) {
        self.making = None;
        self.make_at_bytes = self.bytes + self.least_bytes / 4;
        self.make_anyway_bytes = self.make_at_bytes;
    }

    fn follows(&mut self, snapshot_bytes: u64) {
        self.make_at_bytes = snapshot_bytes.max(self.least_bytes);
        self.make_anyway_bytes = self.make_at_bytes.saturating_add(self.least_bytes.saturating_mul(PATIENCE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_snapshot_waits_for_a_lull_but_not_for_ever() {
        let mut tail = Tail::new(0, 0, 100);
        tail.grow(101);
        assert!(!tail.is_due(tail.grown), "the sale goes on");
        assert!(tail.is_due(tail.grown + LULL));
        tail.grow(300);
        assert!(tail.is_due(tail.grown), "it has waited long enough");

        tail.is_made_by(AbortOnDropHandle::new(tokio::spawn(async {})));
        tail.grow(10);
        assert!(!tail.is_due(tail.grown + LULL), "one is under way");
        tail.was_made(1_000);
        assert_eq!(tail.bytes, 10, "what came meanwhile is not covered");
        tail.grow(990);
        assert!(!tail.is_due(tail.grown + LULL), "no longer than the snapshot");
        tail.grow(1);
        assert!(tail.is_due(tail.grown + LULL));
        tail.was_not_made();
        assert!(!tail.is_due(tail.grown + LULL));
        tail.grow(26);
        assert!(tail.is_due(tail.grown), "a failed one is tried again when a quarter more has come");
    }
}
