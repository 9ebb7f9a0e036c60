//! How the actors behave. Times in milliseconds.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Requests in flight to one event's inventory; more are refused with 503.
    pub inventory_in_flight: usize,
    /// How long a request may wait for its batch.
    pub ask_deadline_ms: u64,
    /// Joins in flight to one event's waiting room.
    pub waiting_room_in_flight: usize,
    /// Facts not yet published before new holds are refused with `orders_lagging`.
    pub outbox_limit: u64,
    /// A snapshot is made when the segments after the last one exceed this, or its own size if that is larger.
    pub snapshot_tail_bytes: u64,
    /// Restarts of one event's actors within a minute before its keeper gives up for a while.
    pub restart_budget: u32,
    /// How often the queue is published to sockets.
    pub queue_publish_ms: u64,
    /// Fans up to here from the front are told their position with each publication; further back less often, in proportion.
    pub queue_front: usize,
    /// After the queue's store has lost places together with the event's node: how long nobody is called, so that fans can show
    /// their tickets.
    pub queue_rebuild_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            inventory_in_flight: 8_192,
            ask_deadline_ms: 4_000,
            waiting_room_in_flight: 16_384,
            outbox_limit: 200_000,
            snapshot_tail_bytes: 8 * 1024 * 1024,
            restart_budget: 5,
            queue_publish_ms: 1_000,
            queue_front: 20_000,
            queue_rebuild_ms: 15_000,
        }
    }
}
