//! Port: which generations of keys there are, and which of them each node has in force.

pub mod embedded;
pub mod etcd;
pub mod ring;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::domain::keys::{Generation, Schedule};

const CHANGED: &str = "the generations have changed since they were read";

/// What one node goes by. Fields that a later version adds are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The newest generation that it believes.
    pub believes: Generation,
    pub signs: Generation,
}

/// Tells a list from those written before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub schedule: Schedule,
    pub version: Version,
    /// Of each node that runs, as it said last, by name.
    pub nodes: Vec<(String, InForce)>,
}

#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The first generation alone where nothing was ever written.
    async fn read(&self) -> Result<Stored, StoreError>;

    /// Writes a list in place of the one read. `Conflict` when another has been written since; which may have been this very
    /// one, by a copy of the call whose reply was lost.
    async fn replace(&self, read: Version, schedule: &Schedule) -> Result<(), StoreError>;

    /// Says what this node goes by, for as long as it runs.
    async fn report(&self, in_force: InForce) -> Result<(), StoreError>;

    /// This node's name.
    fn node(&self) -> &str;
}

fn parsed(text: &[u8]) -> Result<Schedule, StoreError> {
    serde_json::from_slice(text).map_err(|error| StoreError::Corrupt(format!("generations of keys: {error}")))
}

fn written(schedule: &Schedule) -> Vec<u8> {
    serde_json::to_vec(schedule).expect("numbers always serialise")
}
