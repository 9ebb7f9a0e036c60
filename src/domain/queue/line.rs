//! The line itself: who stands at which place.
//!
//! An ordered map made for one pattern: places are added at the end, taken from the front, and given up anywhere. It costs
//! the fan's id and a bit, and its order can be published without copying it.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Class, Place, Ranks,
    rank::{Bits, SPAN},
};
use crate::domain::id::FanId;

#[derive(Debug, Default)]
pub(super) struct Line {
    /// Ascending, none of them empty.
    chunks: Vec<Chunk>,
    len: usize,
    by_class: [usize; Class::COUNT],
    /// Of them.
    devices: usize,
    /// Places that came after others had been told how many stand before them: these are not told of one more.
    uncounted: BTreeSet<Place>,
}

#[derive(Debug)]
struct Chunk {
    number: u64,
    live: Arc<Bits>,
    /// Of the live places, in their order.
    fans: Vec<FanId>,
}

impl Chunk {
    fn entries(&self) -> impl Iterator<Item = (Place, FanId)> + '_ {
        self.live.offsets().zip(&self.fans).map(|(offset, &fan)| (Place(self.number * SPAN + offset), fan))
    }
}

impl Line {
    /// A place is given once: adding a live one again changes nothing.
    pub(super) fn insert(&mut self, place: Place, fan: FanId) {
        let (number, offset) = (place.0 / SPAN, place.0 % SPAN);
        let index = self.chunks.partition_point(|chunk| chunk.number < number);
        if self.chunks.get(index).is_none_or(|chunk| chunk.number != number) {
            self.chunks.insert(index, Chunk { number, live: Arc::default(), fans: Vec::new() });
        }
        let Some(chunk) = self.chunks.get_mut(index).filter(|chunk| !chunk.live.contains(offset)) else {
            return;
        };
        chunk.fans.insert(chunk.live.before(offset), fan);
        Arc::make_mut(&mut chunk.live).insert(offset);
        self.len += 1;
        self.count(place, |count| count + 1);
        self.devices += usize::from(fan.is_device());
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<FanId> {
        let (number, offset) = (place.0 / SPAN, place.0 % SPAN);
        let index = self.chunks.binary_search_by_key(&number, |chunk| chunk.number).ok()?;
        let chunk = self.chunks.get_mut(index).filter(|chunk| chunk.live.contains(offset))?;
        let fan = chunk.fans.remove(chunk.live.before(offset));
        Arc::make_mut(&mut chunk.live).remove(offset);
        if chunk.fans.is_empty() {
            self.chunks.remove(index);
        }
        self.len -= 1;
        self.count(place, |count| count - 1);
        self.devices -= usize::from(fan.is_device());
        self.uncounted.remove(&place);
        Some(fan)
    }

    fn count(&mut self, place: Place, how: impl FnOnce(usize) -> usize) {
        if let Some(count) = self.by_class.get_mut(place.class().index()) {
            *count = how(*count);
        }
    }

    /// Until it is removed. So nobody's number rises by it.
    pub(super) fn leave_uncounted(&mut self, place: Place) {
        self.uncounted.insert(place);
    }

    pub(super) fn get(&self, place: Place) -> Option<FanId> {
        let (number, offset) = (place.0 / SPAN, place.0 % SPAN);
        let index = self.chunks.binary_search_by_key(&number, |chunk| chunk.number).ok()?;
        let chunk = self.chunks.get(index).filter(|chunk| chunk.live.contains(offset))?;
        chunk.fans.get(chunk.live.before(offset)).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn len_of(&self, class: Class) -> usize {
        self.by_class.get(class.index()).copied().unwrap_or_default()
    }

    /// How many stand in all classes before this one.
    pub(super) fn len_before(&self, class: Class) -> usize {
        self.by_class.iter().take(class.index()).sum()
    }

    /// How many have one.
    pub(super) fn accounts(&self) -> usize {
        self.len - self.devices
    }

    /// The places at these indices, which ascend from 0.
    pub(super) fn at(&self, indices: impl Iterator<Item = usize>) -> Vec<Place> {
        let (mut chunks, mut before) = (self.chunks.iter().peekable(), 0);
        let at = |index: usize| {
            while let Some(chunk) = chunks.next_if(|chunk| index >= before + chunk.fans.len()) {
                before += chunk.fans.len();
            }
            let chunk = chunks.peek()?;
            let offset = chunk.live.offsets().nth(index - before)?;
            Some(Place(chunk.number * SPAN + offset))
        };
        indices.map_while(at).collect()
    }

    /// In order, those behind `after`.
    pub(super) fn iter(&self, after: Option<Place>) -> impl Iterator<Item = (Place, FanId)> + '_ {
        let from = after.map_or(0, |place| place.0.saturating_add(1));
        let index = self.chunks.partition_point(|chunk| chunk.number < from / SPAN);
        self.chunks.iter().skip(index).flat_map(Chunk::entries).skip_while(move |(place, _)| place.0 < from)
    }

    /// In order.
    pub(super) fn iter_class(&self, class: Class) -> impl Iterator<Item = (Place, FanId)> + '_ {
        let after = class.start().0.checked_sub(1).map(Place);
        let count = self.len_of(class);
        self.iter(after).take(count)
    }

    /// Of those that are counted.
    pub(super) fn ranks(&self) -> Ranks {
        Ranks::of(self.chunks.iter().map(|chunk| {
            let (first, mut live, mut len) = (chunk.number * SPAN, Arc::clone(&chunk.live), chunk.fans.len());
            for place in self.uncounted.range(Place(first)..Place(first + SPAN)) {
                Arc::make_mut(&mut live).remove(place.0 - first);
                len -= 1;
            }
            (chunk.number, live, len)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_is_an_ordered_map(steps in prop::collection::vec((any::<bool>(), 0u64..3 * SPAN, 0u8..4), 0..400)) {
            let mut line = Line::default();
            let mut model = BTreeMap::new();
            for (add, place, class) in steps {
                let place = Place(place).in_class(Class(class));
                let fan = FanId::from_u128(u128::from(place.0));
                if add {
                    line.insert(place, fan);
                    model.insert(place, fan);
                } else {
                    prop_assert_eq!(line.remove(place), model.remove(&place));
                }
                prop_assert_eq!(line.len(), model.len());
                prop_assert_eq!(line.get(place), model.get(&place).copied());
                let class = place.class();
                let of_class: Vec<_> = model.range(class.start()..class.end()).map(|(&place, &fan)| (place, fan)).collect();
                prop_assert_eq!(line.len_of(class), of_class.len());
                prop_assert_eq!(line.len_before(class), model.range(..class.start()).count());
                prop_assert_eq!(line.iter_class(class).collect::<Vec<_>>(), of_class);
            }
            let all: Vec<_> = model.iter().map(|(&place, &fan)| (place, fan)).collect();
            prop_assert_eq!(line.iter(None).collect::<Vec<_>>(), all.clone());
            prop_assert_eq!(line.ranks(), Ranks::new(model.keys().copied().collect()));
            let some = (0..all.len() + 3).step_by(3);
            let expected: Vec<_> = all.iter().step_by(3).map(|(place, _)| *place).collect();
            prop_assert_eq!(line.at(some), expected);
            if let Some(&(place, _)) = all.get(all.len() / 2) {
                prop_assert_eq!(line.iter(Some(place)).next(), all.get(all.len() / 2 + 1).copied());
            }
        }
    }

    #[test]
    fn a_published_order_stays_as_it_was() {
        let mut line = Line::default();
        for place in 1..=10 {
            line.insert(Place(place), FanId::from_u128(place.into()));
        }
        let before = line.ranks();
        line.remove(Place(1));
        assert_eq!((before.total(), before.ahead(Place(5))), (10, 4));
        assert_eq!((line.ranks().total(), line.ranks().ahead(Place(5))), (9, 3));
    }
}
