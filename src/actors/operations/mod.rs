//! What operators ask of the nodes: how they stand, and where events shall run.
//!
//! Owns the words for it. A node alone answers by [`Alone`]; a cluster has an implementation of its own, beside what it knows
//! of the other nodes.

mod alone;
mod rates;

pub use self::{alone::Alone, rates::Rates};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    domain::id::EventId,
    stores::{
        error::StoreError,
        journal::Epoch,
        membership::{Boot, Record, State},
    },
};

/// As far as the node that is asked knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// By name.
    pub nodes: Vec<NodeStatus>,
}

/// A node as its record tells, and, where `answers`, as it says itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    pub node: String,
    /// Of this life of it.
    pub boot: Boot,
    pub state: State,
    /// An operator wants it to run nothing. Stays over its restarts, until an operator says otherwise.
    pub drained: bool,
    pub version: String,
    /// `host:port` for links between nodes; empty for a node alone.
    pub link: String,
    /// Of the public and of the admin listener.
    pub public: String,
    pub admin: String,
    /// Milliseconds since 1970, by the node's own clock.
    pub since_ms: u64,
    /// Whether what follows was said by the node itself just now; otherwise it is empty.
    pub answers: bool,
    /// Names of the nodes that it has links to.
    pub links: Vec<String>,
    /// What it runs.
    pub events: Vec<EventStatus>,
    /// For how long its events may still answer without asking etcd; at 0 they pause. `None`: nothing there can run out.
    pub lease_ms_left: Option<u64>,
}

/// An event where it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventStatus {
    pub event: EventId,
    pub epoch: Epoch,
    /// Fans in the queue.
    pub waiting: u64,
    pub holds: u32,
    /// Facts not yet with the broker.
    pub outbox: u64,
    pub commits_per_second: f64,
    /// Whether somebody must run it although nobody asks.
    pub active: bool,
}

impl NodeStatus {
    /// Of a node that has not answered.
    pub fn of_record(node: &str, record: &Record, drained: bool) -> Self {
        Self {
            node: node.to_owned(),
            boot: record.boot,
            state: record.state,
            drained,
            version: record.version.clone(),
            link: record.link.clone(),
            public: record.public.clone(),
            admin: record.admin.clone(),
            since_ms: record.since_ms,
            answers: false,
            links: Vec::new(),
            events: Vec::new(),
            lease_ms_left: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// Neither registered nor, to be undrained, remembered as drained.
    #[error("there is no such node")]
    UnknownNode,
    #[error("there is no such event")]
    UnknownEvent,
    /// It could not take an event now.
    #[error("the node is not up, or is drained")]
    NotUp,
    /// There is no other node.
    #[error("this node is alone: there is no cluster to be operated")]
    Alone,
    /// Asking again does no harm, whatever became of this.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Each of these notes what is wanted and returns; how far it has come, [`Operations::status`] tells.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// What the node that is asked says of itself.
    fn state(&self) -> watch::Receiver<State>;

    /// Never fails: what does not answer is shown so.
    async fn status(&self) -> ClusterStatus;

    /// The node shall give its events to the others and take none.
    async fn drain(&self, node: &str) -> Result<(), OperationError>;

    /// The node may run events again. Also for one that is down, or never comes back.
    async fn undrain(&self, node: &str) -> Result<(), OperationError>;

    /// The event shall run on that node; on `None`, wherever placement has it.
    async fn move_event(&self, event: EventId, to: Option<&str>) -> Result<(), OperationError>;
}
