//! What operators ask of the nodes, and what they are told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    actors::operations::{ClusterStatus, EventStatus, NodeStatus},
    domain::{id::EventId, time::EventTime},
    http::shapes::Timestamp,
    stores::membership::State,
};

/// As far as the node that was asked knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterReport {
    /// By name.
    pub nodes: Vec<NodeReport>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeReport {
    #[schema(example = "n1")]
    pub node: String,
    /// Tells one life of the node from the next.
    pub boot: String,
    /// `starting`, `up` or `draining`.
    #[schema(value_type = String, example = "up")]
    pub state: State,
    /// An operator wants it to run nothing. Stays over its restarts.
    pub drained: bool,
    pub version: String,
    /// `host:port` for links between nodes; empty for a node alone.
    pub link: String,
    /// Of the public and of the admin listener.
    pub public: String,
    pub admin: String,
    /// When this life of it began, by its own clock.
    pub since: Timestamp,
    /// Whether what follows was said by the node itself; otherwise it is empty.
    pub answers: bool,
    /// Names of the nodes that it has links to.
    pub links: Vec<String>,
    /// For how long its events may still answer without asking etcd; at 0 they pause. `null`: nothing there can run out.
    pub lease_ms_left: Option<u64>,
    /// What it runs.
    pub events: Vec<EventReport>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventReport {
    #[schema(value_type = String)]
    pub event: EventId,
    /// Of this activation; grows with each.
    pub epoch: u64,
    /// Fans in the queue.
    pub waiting: u64,
    /// Live holds.
    pub holds: u32,
    /// Order messages not yet with the broker.
    pub outbox: u64,
    /// To the journal, measured over the last seconds.
    pub commits_per_second: f64,
    /// Whether some node must run it although nobody asks.
    pub active: bool,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveBody {
    /// A node's name. Absent or `null`: wherever placement has it.
    #[serde(default)]
    #[schema(example = "n3")]
    pub to: Option<String>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl From<ClusterStatus> for ClusterReport {
    fn from(status: ClusterStatus) -> Self {
        Self { nodes: status.nodes.into_iter().map(NodeReport::from).collect() }
    }
}

impl From<NodeStatus> for NodeReport {
    fn from(status: NodeStatus) -> Self {
        Self {
            node: status.node,
            boot: status.boot.to_string(),
            state: status.state,
            drained: status.drained,
            version: status.version,
            link: status.link,
            public: status.public,
            admin: status.admin,
            since: EventTime(status.since_ms).into(),
            answers: status.answers,
            links: status.links,
            lease_ms_left: status.lease_ms_left,
            events: status.events.into_iter().map(EventReport::from).collect(),
        }
    }
}

impl From<EventStatus> for EventReport {
    fn from(status: EventStatus) -> Self {
        Self {
            event: status.event,
            epoch: status.epoch.0,
            waiting: status.waiting,
            holds: status.holds,
            outbox: status.outbox,
            // A tenth is all that two looks at a number can tell.
            commits_per_second: (status.commits_per_second * 10.0).round() / 10.0,
            active: status.active,
        }
    }
}
