//! Holds: taken, read, extended and released by their fan.

pub mod body;
