//! The sandbox payment provider: for trials, as foreign to the shop as any other.

pub mod page;
