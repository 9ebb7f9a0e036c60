//! Exact positions among places of which some have been given up.

use super::Place;

/// Live places in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranks {
    places: Vec<Place>,
}

impl Ranks {
    /// `places` must be in ascending order.
    pub fn new(places: Vec<Place>) -> Self {
        debug_assert!(places.is_sorted());
        Self { places }
    }

    /// How many stand before `place`, which need not be here itself.
    pub fn ahead(&self, place: Place) -> usize {
        self.places.partition_point(|&other| other < place)
    }

    pub fn contains(&self, place: Place) -> bool {
        self.places.binary_search(&place).is_ok()
    }

    pub fn total(&self) -> usize {
        self.places.len()
    }
}
