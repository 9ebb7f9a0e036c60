//! Port: in which of an organizer's queues a fan waits, where a fan may wait in one of them only.
//!
//! A note, not a place: whether the fan really waits there, that queue knows. Whoever reads a note that is not true any more puts
//! another one in its stead.

pub mod embedded;
pub mod redis;

use std::fmt;

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{
    id::{EventId, FanId},
    time::EventTime,
};

/// Notes are kept for so long after they were made, in seconds.
const KEPT_S: u64 = 7 * 24 * 3_600;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    pub event: EventId,
    /// When the fan came, while nobody has heard yet whether there is a place; zero from then on.
    pub coming: EventTime,
}

#[async_trait]
pub trait Waits: Send + Sync + 'static {
    /// Notes `wait`, unless another event is noted than that of `wait`, otherwise than in `instead_of`. Gives what is noted now.
    async fn note(
        &self,
        organizer: FanId,
        fan: FanId,
        wait: Wait,
        instead_of: Option<Wait>,
    ) -> Result<Wait, StoreError>;
}

/// As it is stored: the event's 32 digits, then a space and the time.
impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.event, self.coming.0)
    }
}

fn parsed(text: &str) -> Result<Wait, StoreError> {
    let wait = text
        .split_once(' ')
        .and_then(|(event, coming)| Some(Wait { event: event.parse().ok()?, coming: EventTime(coming.parse().ok()?) }));
    wait.ok_or_else(|| StoreError::Corrupt(format!("where a fan waits: {text:?}")))
}
