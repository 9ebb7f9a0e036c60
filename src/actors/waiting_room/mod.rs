//! WaitingRoom: the one actor that decides about an event's queue.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::domain::{
    id::FanId,
    queue::{News, Outcome, Place, Queue, Standing},
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    #[error("too many requests in flight")]
    Overloaded,
    /// The queue's store or journal does not answer; try again.
    #[error("outcome unknown, try again")]
    TryAgain,
    #[error("the event is not available now")]
    Unavailable,
}

#[derive(Clone)]
pub struct Handle {}

/// A socket's tie to the room: while it lives the fan counts as present.
pub struct Attachment {
    /// Turns, admissions and removals of this fan; closed when the actor stops: attach again through the directory.
    pub news: mpsc::Receiver<News>,
    /// The queue about once a second.
    pub queue: watch::Receiver<Arc<Queue>>,
}

impl Handle {
    /// Idempotent: a fan has one place. `Waiting` only when it is stored.
    pub async fn join(&self, _fan: FanId) -> Result<Outcome, WaitError> {
        todo!("actors helper")
    }

    /// Ends waiting or the admission.
    pub async fn leave(&self, _fan: FanId) -> Result<Outcome, WaitError> {
        todo!("actors helper")
    }

    /// Takes up a called admission.
    pub async fn claim(&self, _fan: FanId) -> Result<Outcome, WaitError> {
        todo!("actors helper")
    }

    pub async fn standing(&self, _fan: FanId) -> Result<Standing, WaitError> {
        todo!("actors helper")
    }

    /// A poll: tells the standing, and counts as presence.
    pub async fn poll(&self, _fan: FanId) -> Result<Standing, WaitError> {
        todo!("actors helper")
    }

    pub async fn attach(&self, _fan: FanId) -> Result<Attachment, WaitError> {
        todo!("actors helper")
    }

    pub fn queue(&self) -> watch::Receiver<Arc<Queue>> {
        todo!("actors helper")
    }

    pub async fn members(&self, _after: Option<Place>, _limit: usize) -> Result<Vec<(Place, FanId)>, WaitError> {
        todo!("actors helper")
    }

    /// Admits the first `count` now, within free slots; how many were proposed.
    pub async fn admit_now(&self, _count: u32) -> Result<(), WaitError> {
        todo!("actors helper")
    }

    pub async fn remove(&self, _fans: Vec<FanId>) -> Result<u32, WaitError> {
        todo!("actors helper")
    }

    pub async fn remove_first(&self, _count: u32) -> Result<u32, WaitError> {
        todo!("actors helper")
    }

    pub async fn clear(&self) -> Result<u32, WaitError> {
        todo!("actors helper")
    }
}
