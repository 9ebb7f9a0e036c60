//! What the cluster counts: names, units and meanings in one place.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const NODES: &str = "onsale_cluster_nodes";
const LINKS: &str = "onsale_cluster_links";
const CARRIED_AGAIN_TOTAL: &str = "onsale_cluster_carried_again_total";
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

pub(super) fn unreadable() {
    counter!(UNREADABLE_TOTAL).increment(1);
}

pub(super) fn carried_again() {
    counter!(CARRIED_AGAIN_TOTAL).increment(1);
}
