//! Used tickets where there is one process: in its memory. The next process knows nothing of them: whoever steals a ticket
//! must use it within its seconds and after a restart.

use async_trait::async_trait;
use moka::sync::Cache;

use super::{KEPT, UsedTickets};
use crate::stores::error::StoreError;

/// Beyond so many in [`KEPT`] the oldest are forgotten.
const MOST: u64 = 1_000_000;

pub struct EmbeddedTickets(Cache<String, ()>);

impl Default for EmbeddedTickets {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(KEPT).build())
    }
}

#[async_trait]
impl UsedTickets for EmbeddedTickets {
    async fn use_once(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.0.entry_by_ref(id).or_insert(()).is_fresh())
    }
}
