//! A place in a queue: `class · 2^49 + term · 2^32 + n`. No clock decides the order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Below it are term and number, above it the class.
const CLASS_BITS: u32 = 49;

/// `term` counts the activations of the event and stands in its journal. Of `n`, those above [`Place::ARRIVALS`] count the
/// joins within a term; those below are given out by a draw, so that they stand before everybody who joins later in the
/// same term. Used once: an admission goes by its place, and what tells places apart is `term` and `n`: [`Place::arrival`].
///
/// Places of one class follow one another in the order in which the class is called; which class is next is another matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(pub u64);

impl Place {
    /// In the default class.
    pub const fn new(term: u32, n: u32) -> Self {
        Self((term as u64) << 32 | n as u64)
    }

    /// The last term whose places can be told from those of a class. All places stay exact as a double.
    pub const MAX_TERM: u32 = (1 << (CLASS_BITS - 32)) - 1;

    pub const fn class(self) -> Class {
        Class((self.0 >> CLASS_BITS) as u8)
    }

    pub const fn in_class(self, class: Class) -> Self {
        Self(self.arrival().0 | (class.0 as u64) << CLASS_BITS)
    }

    /// When it was given out, whatever its class: the place that it would be in the default class.
    pub const fn arrival(self) -> Self {
        Self(self.0 & ((1 << CLASS_BITS) - 1))
    }

    /// Joins count from here.
    pub const ARRIVALS: u32 = 1 << 31;

    /// Whether a draw has given it out.
    pub const fn is_drawn(self) -> bool {
        (self.0 as u32) < Self::ARRIVALS
    }

    pub const fn term(self) -> u32 {
        (self.arrival().0 >> 32) as u32
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of an event's lines a place is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Class(pub u8);

impl Class {
    /// Everybody's, unless they are in another.
    pub const DEFAULT: Self = Self(0);
    /// Those whom an admin has put before all others: a line of its own, so that nobody's number rises by it.
    pub const FRONT: Self = Self(9);
    /// That one event may configure, with the numbers from 1 on.
    pub const MAX_CONFIGURED: usize = 8;
    /// All that there can be.
    pub const COUNT: usize = 10;

    pub fn all() -> impl Iterator<Item = Self> + Clone {
        (0..Self::COUNT as u8).map(Self)
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// No place of this class or a later one is less.
    pub(super) const fn start(self) -> Place {
        Place(0).in_class(self)
    }

    /// No place of this class is as much.
    pub(super) const fn end(self) -> Place {
        Place((self.0 as u64 + 1) << CLASS_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_class_and_keeps_its_arrival() {
        let last = Place::new(Place::MAX_TERM, u32::MAX);
        for class in Class::all() {
            for place in [Place::new(1, 7), Place::new(3, Place::ARRIVALS + 1), last] {
                let there = place.in_class(class);
                assert_eq!((there.class(), there.arrival(), there.term()), (class, place, place.term()));
                assert_eq!(there.is_drawn(), place.is_drawn());
                assert!(class.start() <= there && there < class.end());
                assert!(there.0 < 1 << 53, "exact as a double");
                assert_eq!(there.in_class(Class::DEFAULT), place);
            }
        }
    }
}
