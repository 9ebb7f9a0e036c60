//! A place in a queue: `term · 2^32 + n`. No clock decides the order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `term` counts the activations of the event and stands in its journal, `n` the joins within one from 1. Used once:
/// an admission goes by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(pub u64);

impl Place {
    pub const fn new(term: u32, n: u32) -> Self {
        Self((term as u64) << 32 | n as u64)
    }

    pub const fn term(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
