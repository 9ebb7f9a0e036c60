//! Nodes of one cluster find each other, and lose each other: processes of their own on loopback.

mod bundles;
mod clan;
mod fleet;
mod halts;
mod haproxy;
mod links;
mod moves;
mod names;
mod operating;
mod partitions;
mod quiet;
mod quorum;
mod sale;
mod steward;
mod versions;
