//! Exact positions among places of which some have been given up.
//!
//! Live places are bits, in chunks that share memory with the line they were taken from: a million waiting fans are about a
//! thousand chunks, and publishing them copies pointers, not places.

use std::{iter, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Class, Place};

/// Places that one chunk spans.
pub(super) const SPAN: u64 = 1024;
const WORD: u64 = u64::BITS as u64;

/// Which places of one chunk are live.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Bits([u64; (SPAN / WORD) as usize]);

impl Bits {
    pub(super) fn contains(&self, offset: u64) -> bool {
        self.0.get((offset / WORD) as usize).is_some_and(|word| word & 1 << (offset % WORD) != 0)
    }

    pub(super) fn insert(&mut self, offset: u64) {
        if let Some(word) = self.0.get_mut((offset / WORD) as usize) {
            *word |= 1 << (offset % WORD);
        }
    }

    pub(super) fn remove(&mut self, offset: u64) {
        if let Some(word) = self.0.get_mut((offset / WORD) as usize) {
            *word &= !(1 << (offset % WORD));
        }
    }

    /// How many are live before `offset`.
    pub(super) fn before(&self, offset: u64) -> usize {
        let whole = self.0.iter().take((offset / WORD) as usize).map(|word| word.count_ones() as usize).sum::<usize>();
        let part = self.0.get((offset / WORD) as usize).map_or(0, |word| word & ((1 << (offset % WORD)) - 1));
        whole + part.count_ones() as usize
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Live offsets, ascending.
    pub(super) fn offsets(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().zip(0u64..).flat_map(|(&word, index)| {
            let rest = |word: u64| (word != 0).then_some(word);
            iter::successors(rest(word), move |word| rest(word & (word - 1)))
                .map(move |word| index * WORD + u64::from(word.trailing_zeros()))
        })
    }
}

/// Live places in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranks {
    chunks: Vec<Chunk>,
    total: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Its places are `number · SPAN` and the next `SPAN - 1`.
    pub(super) number: u64,
    /// Live places of all chunks before.
    before: usize,
    pub(super) live: Arc<Bits>,
}

impl Ranks {
    /// `places` must be in ascending order.
    pub fn new(places: Vec<Place>) -> Self {
        debug_assert!(places.is_sorted());
        let chunks = places.chunk_by(|a, b| a.0 / SPAN == b.0 / SPAN).filter_map(|chunk| {
            let number = chunk.first()?.0 / SPAN;
            let mut live = Bits::default();
            for place in chunk {
                live.insert(place.0 % SPAN);
            }
            Some((number, Arc::new(live), chunk.len()))
        });
        Self::of(chunks)
    }

    /// From (number, live places, how many) of each chunk, ascending.
    pub(super) fn of(chunks: impl Iterator<Item = (u64, Arc<Bits>, usize)>) -> Self {
        let mut total = 0;
        let chunks = chunks
            .map(|(number, live, len)| {
                let before = total;
                total += len;
                Chunk { number, before, live }
            })
            .collect();
        Self { chunks, total }
    }

    /// Ascending.
    pub(super) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// How many stand before `place`, which need not be here itself.
    pub fn ahead(&self, place: Place) -> usize {
        let number = place.0 / SPAN;
        let index = self.chunks.partition_point(|chunk| chunk.number < number);
        match self.chunks.get(index) {
            None => self.total,
            Some(chunk) if chunk.number == number => chunk.before + chunk.live.before(place.0 % SPAN),
            Some(chunk) => chunk.before,
        }
    }

    /// How many of the same class stand before `place`, which need not be here itself.
    pub fn ahead_in_class(&self, place: Place) -> usize {
        match place.class() {
            Class::DEFAULT => self.ahead(place),
            class => self.ahead(place) - self.ahead(class.start()),
        }
    }

    pub fn total_of(&self, class: Class) -> usize {
        self.ahead(class.end()) - self.ahead(class.start())
    }

    pub fn contains(&self, place: Place) -> bool {
        self.chunks
            .binary_search_by_key(&(place.0 / SPAN), |chunk| chunk.number)
            .ok()
            .and_then(|index| self.chunks.get(index))
            .is_some_and(|chunk| chunk.live.contains(place.0 % SPAN))
    }

    pub fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rank_is_the_number_of_live_places_before(
            live in prop::collection::btree_set(0u64..6 * SPAN, 0..300),
            asked in prop::collection::vec(0u64..7 * SPAN, 50),
        ) {
            let live: BTreeSet<Place> = live.into_iter().map(Place).collect();
            let ranks = Ranks::new(live.iter().copied().collect());
            prop_assert_eq!(ranks.total(), live.len());
            for place in asked.into_iter().map(Place).chain(live.iter().copied()) {
                prop_assert_eq!(ranks.ahead(place), live.range(..place).count());
                prop_assert_eq!(ranks.contains(place), live.contains(&place));
            }
        }
    }
}
