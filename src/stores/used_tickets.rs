//! Port: which tickets that open a socket have been used, so that each opens one.

pub mod embedded;
pub mod redis;

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreError;

/// Longer than any of these tickets is good, with all that clocks may differ by.
const KEPT: Duration = Duration::from_secs(120);

#[async_trait]
pub trait UsedTickets: Send + Sync + 'static {
    /// Whether this is the first use of the ticket of this id, on any node. After an error it counts as used or not.
    async fn use_once(&self, id: &str) -> Result<bool, StoreError>;
}
