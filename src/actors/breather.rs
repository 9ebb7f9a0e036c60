//! The sale goes first: what only follows it (order messages, order rows) takes a share of the machine while much is waiting.
//!
//! Nothing is held back when little is: a batch that took all there was is followed by the next one at once.

use std::time::{Duration, Instant};

/// After a full batch, so many times what it took.
const REST: u32 = 7;
const LONGEST: Duration = Duration::from_millis(250);

/// Measures one batch.
pub(super) struct Breather(Instant);

impl Breather {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// `more`: the batch was full, so others wait behind it.
    pub async fn rest_if(self, more: bool) {
        if more {
            tokio::time::sleep((self.0.elapsed() * REST).min(LONGEST)).await;
        }
    }
}
