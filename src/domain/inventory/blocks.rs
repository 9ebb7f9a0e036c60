//! A list that may become very long, in blocks: it grows without moving what it has, so no addition is slow, and it has room
//! for one block more than it needs instead of for as much again.
//!
//! A clone shares the blocks; whichever of the two changes one copies that one first. So a clone costs a pointer for each
//! thousand, at once, and then as much as changes while it is kept.

use std::{collections::VecDeque, fmt, marker::PhantomData, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const BLOCK: usize = 1_024;

#[derive(Debug, Clone)]
pub(super) struct Blocks<T> {
    /// All full but the last; never an empty one.
    blocks: VecDeque<Arc<Vec<T>>>,
    /// Of the first block, taken from the front.
    taken: usize,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { blocks: VecDeque::new(), taken: 0 }
    }
}

impl<T: Clone> Blocks<T> {
    pub fn len(&self) -> usize {
        self.blocks.back().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.len() - self.taken)
    }

    pub fn get(&self, at: usize) -> Option<&T> {
        let at = at + self.taken;
        self.blocks.get(at / BLOCK)?.get(at % BLOCK)
    }

    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let at = at + self.taken;
        Arc::make_mut(self.blocks.get_mut(at / BLOCK)?).get_mut(at % BLOCK)
    }

    pub fn front(&self) -> Option<&T> {
        self.get(0)
    }

    pub fn push(&mut self, item: T) {
        match self.blocks.back_mut().filter(|last| last.len() < BLOCK) {
            Some(last) => Arc::make_mut(last).push(item),
            None => {
                // A list that stays short takes no more than it needs.
                let mut block = Vec::with_capacity(if self.blocks.is_empty() { 1 } else { BLOCK });
                block.push(item);
                self.blocks.push_back(Arc::new(block));
            }
        }
    }

    /// Its memory is given back with that of its block.
    pub fn drop_front(&mut self) {
        let Some(first) = self.blocks.front() else { return };
        self.taken += 1;
        if self.taken == first.len() {
            self.blocks.pop_front();
            self.taken = 0;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter()).skip(self.taken)
    }
}

impl<T: Clone + Serialize> Serialize for Blocks<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        self.iter().try_for_each(|item| list.serialize_element(item))?;
        list.end()
    }
}

impl<'de, T: Clone + Deserialize<'de>> Deserialize<'de> for Blocks<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BlocksVisitor(PhantomData))
    }
}

struct BlocksVisitor<T>(PhantomData<T>);

impl<'de, T: Clone + Deserialize<'de>> de::Visitor<'de> for BlocksVisitor<T> {
    type Value = Blocks<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Blocks<T>, A::Error> {
        let mut found = Blocks::default();
        while let Some(next) = list.next_element()? {
            found.push(next);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_are_the_list_that_they_stand_for(runs in prop::collection::vec((0usize..2_500, 0usize..2_500), 0..6)) {
            let (mut blocks, mut list) = (Blocks::default(), VecDeque::new());
            let mut kept = Vec::new();
            for (pushed, dropped) in runs {
                kept.push((blocks.clone(), list.clone()));
                for item in 0..pushed {
                    blocks.push(item);
                    list.push_back(item);
                }
                for _ in 0..dropped {
                    prop_assert_eq!(blocks.front(), list.front());
                    blocks.drop_front();
                    list.pop_front();
                }
                if let (Some(mine), Some(other)) = (blocks.get_mut(list.len() / 2), list.get_mut(list.len() / 2)) {
                    (*mine, *other) = (7, 7);
                }
                prop_assert!(blocks.iter().eq(&list));
                prop_assert_eq!(blocks.len(), list.len());
                prop_assert!((0..=list.len()).all(|at| blocks.get(at) == list.get(at)));
                prop_assert!(blocks.blocks.iter().rev().skip(1).all(|block| block.len() == BLOCK));
                let bytes = postcard::to_stdvec(&blocks).expect("bytes");
                prop_assert_eq!(&bytes, &postcard::to_stdvec(&list).expect("bytes"));
                if pushed % 2 == 0 {
                    blocks = postcard::from_bytes(&bytes).expect("its own bytes");
                }
            }
            // Whatever has become of the one that they were cloned from.
            prop_assert!(kept.iter().all(|(blocks, list)| blocks.iter().eq(list)));
        }
    }
}
