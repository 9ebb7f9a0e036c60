//! Who did what: each admin and money act leaves a row. Rows are added, never changed.

use super::{
    Database, Write,
    page::{Cursor, Page},
};
use crate::{
    domain::{id::FanId, time::EventTime},
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub at: EventTime,
    /// `None`: the command line, or the shop itself.
    pub account: Option<FanId>,
    /// As which it was allowed.
    pub role: String,
    pub address: String,
    /// Such as `account.roles`, `queue.clear`, `order.refund`.
    pub action: String,
    pub object: String,
    pub reason: String,
    pub request_id: String,
}

/// Counts when the transaction does.
pub async fn append(_write: &mut Write, _act: &Act) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Newest first.
pub async fn list(_database: &Database, _cursor: Option<&Cursor>, _limit: u32) -> Result<Page<Act>, StoreError> {
    todo!("database helper")
}
