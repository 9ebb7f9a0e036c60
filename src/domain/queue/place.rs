//! A place in a queue: `term · 2^32 + n`. No clock decides the order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `term` counts the activations of the event and stands in its journal. Of `n`, those above [`Place::ARRIVALS`] count the
/// joins within a term; those below are given out by a draw, so that they stand before everybody who joins later in the
/// same term. Used once: an admission goes by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(pub u64);

impl Place {
    pub const fn new(term: u32, n: u32) -> Self {
        Self((term as u64) << 32 | n as u64)
    }

    /// Joins count from here.
    pub const ARRIVALS: u32 = 1 << 31;

    /// Whether a draw has given it out.
    pub const fn is_drawn(self) -> bool {
        (self.0 as u32) < Self::ARRIVALS
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
