//! Port: whether operators have halted all events.

pub mod embedded;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{error::StoreError, wishes::WishStore};

/// All events are halted. Fields that a later version adds are let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted {
    /// Since when, milliseconds since 1970.
    pub at_ms: u64,
    /// For the operators who come later.
    pub reason: String,
}

#[async_trait]
pub trait HaltStore: Send + Sync + 'static {
    async fn read(&self) -> Result<Option<Halted>, StoreError>;

    /// Holds over every restart, until the next one.
    async fn write(&self, halted: Option<&Halted>) -> Result<(), StoreError>;
}

/// In etcd, beside what else operators want.
#[async_trait]
impl HaltStore for WishStore {
    async fn read(&self) -> Result<Option<Halted>, StoreError> {
        self.halted().await?.map(|value| parsed(&value)).transpose()
    }

    async fn write(&self, halted: Option<&Halted>) -> Result<(), StoreError> {
        self.set_halted(halted.map(written).as_deref()).await
    }
}

fn parsed(text: &[u8]) -> Result<Halted, StoreError> {
    serde_json::from_slice(text).map_err(|error| StoreError::Corrupt(format!("halt of all events: {error}")))
}

fn written(halted: &Halted) -> String {
    serde_json::to_string(halted).expect("a number and a text always serialise")
}
