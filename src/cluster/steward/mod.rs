//! Steward: sees to it that every event that must run does, on the node that placement gives it. Here is what it decides.

pub mod plan;
