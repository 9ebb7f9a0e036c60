//! What the cluster counts: names, units and meanings in one place.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const NODES: &str = "onsale_cluster_nodes";
const LINKS: &str = "onsale_cluster_links";
const CARRIED_AGAIN_TOTAL: &str = "onsale_cluster_carried_again_total";
const OWNED: &str = "onsale_cluster_events_owned";
const UNOWNED: &str = "onsale_cluster_events_unowned";
const CLAIMS_TOTAL: &str = "onsale_cluster_claims_total";
const MOVES_TOTAL: &str = "onsale_cluster_moves_total";
const MOVE_SECONDS: &str = "onsale_cluster_move_seconds";
const UNREADABLE_TOTAL: &str = "onsale_cluster_unreadable_total";

/// Says what each means; once, when the recorder is installed.
pub fn describe() {
    describe_gauge!(NODES, Unit::Count, "Nodes registered, this one included");
    describe_gauge!(LINKS, Unit::Count, "Other nodes to which the link is up");
    describe_counter!(
        CARRIED_AGAIN_TOTAL,
        Unit::Count,
        "Attempts to reach the node of an event that were followed by another one or given up"
    );
    describe_gauge!(OWNED, Unit::Count, "Events that this node owns, as etcd says");
    describe_gauge!(UNOWNED, Unit::Count, "Events that somebody must run and nobody owns, as etcd says");
    describe_counter!(CLAIMS_TOTAL, Unit::Count, "Attempts to run an event that nobody ran, by outcome");
    describe_counter!(MOVES_TOTAL, Unit::Count, "Events given to another node, by outcome");
    describe_histogram!(
        MOVE_SECONDS,
        Unit::Seconds,
        "From giving an event up until the other node ran it; those that it did not take are left out"
    );
    describe_counter!(UNREADABLE_TOTAL, Unit::Count, "Messages of other nodes that could not be read");
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub(super) fn nodes(count: usize) {
    gauge!(NODES).set(count as f64);
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub(super) fn links(count: usize) {
    gauge!(LINKS).set(count as f64);
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub(super) fn owned(count: usize) {
    gauge!(OWNED).set(count as f64);
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub(super) fn unowned(count: usize) {
    gauge!(UNOWNED).set(count as f64);
}

pub(super) fn claimed(done: bool) {
    counter!(CLAIMS_TOTAL, "outcome" => outcome(done)).increment(1);
}

pub(super) fn moved(done: bool, took: Duration) {
    counter!(MOVES_TOTAL, "outcome" => outcome(done)).increment(1);
    if done {
        histogram!(MOVE_SECONDS).record(took.as_secs_f64());
    }
}

fn outcome(done: bool) -> &'static str {
    if done { "done" } else { "failed" }
}

pub(super) fn unreadable() {
    counter!(UNREADABLE_TOTAL).increment(1);
}

pub(super) fn carried_again() {
    counter!(CARRIED_AGAIN_TOTAL).increment(1);
}
