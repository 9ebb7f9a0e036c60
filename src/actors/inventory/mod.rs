//! EventInventory: the one actor that decides about an event's stock.

use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::{
    code::SeatId,
    id::OrderId,
    inventory::{
        SeatState, View,
        configuration::Configuration,
        request::{Answer, HoldView, Refusal, Request},
    },
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many requests in flight: nothing was done.
    #[error("too many requests in flight")]
    Overloaded,
    /// Its turn came after its deadline: nothing was done.
    #[error("too late, nothing was done")]
    TooLate,
    /// May have happened: ask again with the same identity.
    #[error("outcome unknown, retry with the same key")]
    Unknown,
    /// The actor is gone: nothing was done; ask the directory again.
    #[error("the event is not available now")]
    Unavailable,
}

/// Cheap to clone; carries the bound that the mailbox lacks, and the deadline.
#[derive(Clone)]
pub struct Handle {}

impl Handle {
    /// Answers only what is durable.
    pub async fn ask(&self, _request: Request) -> Result<Answer, AskError> {
        todo!("actors helper")
    }

    /// As of the last commit; no message.
    pub fn view(&self) -> Arc<View> {
        todo!("actors helper")
    }

    pub fn watch(&self) -> watch::Receiver<Arc<View>> {
        todo!("actors helper")
    }

    pub fn configuration(&self) -> Arc<Configuration> {
        todo!("actors helper")
    }

    /// Every seat, as of a commit not older than a second.
    pub async fn seats(&self) -> Result<Arc<Vec<(SeatId, SeatState)>>, AskError> {
        todo!("actors helper")
    }

    /// A strong read.
    pub async fn order(&self, _order: OrderId) -> Result<Option<HoldView>, AskError> {
        todo!("actors helper")
    }
}
