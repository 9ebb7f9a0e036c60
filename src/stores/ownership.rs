//! Port: which node runs an event now, and the epoch that proves it.

pub mod embedded;
pub mod etcd;

use std::collections::HashMap;

use async_trait::async_trait;

use super::{error::StoreError, journal::Epoch};
use crate::domain::id::EventId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub node: String,
    pub epoch: Epoch,
}

#[async_trait]
pub trait Ownership: Send + Sync + 'static {
    /// Takes the event for this node with a new epoch. `Conflict` while another live node owns it; taking it again from
    /// oneself always works and gives a new epoch.
    async fn claim(&self, event: EventId) -> Result<Epoch, StoreError>;

    /// Gives it up, if the epoch is still the current one.
    async fn release(&self, event: EventId, epoch: Epoch) -> Result<(), StoreError>;

    async fn owner(&self, event: EventId) -> Result<Option<Owner>, StoreError>;

    /// Of every event that has one, each as it was at some moment of the call.
    async fn owners(&self) -> Result<HashMap<EventId, Owner>, StoreError>;

    /// Whether an owner of this epoch may answer without a commit now: false once the node's lease may have run out, and
    /// for ever for what was claimed under a lease since lost. Costs nothing; to be asked when replying.
    fn is_sure(&self, epoch: Epoch) -> bool;

    /// Whether an owner of this epoch can never be sure again, because the lease that it hung on is lost: it has to claim
    /// anew. Costs nothing.
    fn is_lost(&self, epoch: Epoch) -> bool;
}
