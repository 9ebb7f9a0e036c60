//! Ownership where there is one process: it owns what it claims. Epochs lie in the journal's file.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;

use super::{Owner, Ownership};
use crate::{
    domain::id::EventId,
    stores::{
        error::StoreError,
        journal::{Epoch, embedded::EmbeddedJournal},
    },
};

pub struct EmbeddedOwnership {
    journal: Arc<EmbeddedJournal>,
    node: String,
}

impl EmbeddedOwnership {
    pub fn new(journal: Arc<EmbeddedJournal>, node: impl Into<String>) -> Self {
        Self { journal, node: node.into() }
    }
}

#[async_trait]
impl Ownership for EmbeddedOwnership {
    async fn claim(&self, event: EventId) -> Result<Epoch, StoreError> {
        self.journal.claim(event, &self.node).await
    }

    async fn release(&self, event: EventId, epoch: Epoch) -> Result<(), StoreError> {
        self.journal.release(event, epoch).await
    }

    async fn owner(&self, event: EventId) -> Result<Option<Owner>, StoreError> {
        self.journal.owner(event).await
    }

    async fn owners(&self) -> Result<HashMap<EventId, Owner>, StoreError> {
        self.journal.owners().await
    }

    /// There is no lease to lose; but a journal that takes nothing more backs no answer.
    fn is_sure(&self, _epoch: Epoch) -> bool {
        !self.journal.is_poisoned()
    }

    fn is_lost(&self, _epoch: Epoch) -> bool {
        false
    }
}
