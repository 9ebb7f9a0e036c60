//! Records in numbered slots, found by a 128-bit key: a million of them must cost little more than themselves.
//!
//! The index keeps four bytes a record and is never walked, so its order decides nothing. Slots are given out the same way
//! for the same history, and a snapshot keeps them.

use hashbrown::HashTable;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::blocks::Blocks;

pub(super) trait Keyed {
    fn key(&self) -> u128;
}

#[derive(Debug, Clone)]
pub(super) struct Slab<T> {
    slots: Blocks<Option<T>>,
    vacant: Vec<u32>,
    index: HashTable<u32>,
}

/// Mixes both halves. Keys are random already or made by ourselves, so nobody outside can choose collisions cheaply.
pub(super) fn hash(key: u128) -> u64 {
    let low = key as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let high = (key >> 64) as u64 ^ 0xd1b5_4a32_d192_ed03;
    let product = u128::from(low) * u128::from(high | 1);
    (product as u64 ^ (product >> 64) as u64).wrapping_mul(0x2545_f491_4f6c_dd1d)
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Blocks::default(), vacant: Vec::new(), index: HashTable::new() }
    }
}

impl<T: Clone + Keyed> Slab<T> {
    pub fn find(&self, key: u128) -> Option<u32> {
        self.index.find(hash(key), |&slot| self.get(slot).is_some_and(|record| record.key() == key)).copied()
    }

    pub fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub fn by_key(&self, key: u128) -> Option<&T> {
        self.get(self.find(key)?)
    }

    /// The key must not be here yet.
    pub fn insert(&mut self, record: T) -> u32 {
        let key = record.key();
        let slot = match self.vacant.pop() {
            Some(slot) => {
                *self.slots.get_mut(slot as usize).expect("a slot that was given out") = Some(record);
                slot
            }
            None => {
                self.slots.push(Some(record));
                u32::try_from(self.slots.len() - 1).expect("four billion records do not fit in memory")
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash(key), slot, |&other| {
            slots.get(other as usize).and_then(Option::as_ref).map_or(0, |record| hash(record.key()))
        });
        slot
    }

    pub fn remove(&mut self, slot: u32) -> Option<T> {
        let key = self.get(slot)?.key();
        if let Ok(entry) = self.index.find_entry(hash(key), |&other| other == slot) {
            entry.remove();
        }
        self.vacant.push(slot);
        self.slots.get_mut(slot as usize)?.take()
    }

    /// In the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(self.slots.iter()).filter_map(|(slot, record)| Some((slot, record.as_ref()?)))
    }

    /// The records without the index, in shared memory: to be written down, not searched.
    pub fn frozen(&self) -> Self {
        Self { slots: self.slots.clone(), vacant: self.vacant.clone(), index: HashTable::new() }
    }

    fn from_parts(slots: Blocks<Option<T>>, vacant: Vec<u32>) -> Option<Self> {
        let empty = slots.iter().filter(|slot| slot.is_none()).count();
        let vacant_fit = vacant.iter().all(|&slot| slots.get(slot as usize).is_some_and(Option::is_none));
        if empty != vacant.len() || !vacant_fit {
            return None;
        }
        let mut index = HashTable::with_capacity(slots.len());
        let hash_of = |slot: u32| slots.get(slot as usize).and_then(Option::as_ref).map_or(0, |r| hash(r.key()));
        for (slot, record) in (0..).zip(slots.iter()) {
            let Some(record) = record else { continue };
            index.insert_unique(hash(record.key()), slot, |&other| hash_of(other));
        }
        Some(Self { slots, vacant, index })
    }
}

impl<T: Clone + Serialize> Serialize for Slab<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.slots, &self.vacant).serialize(serializer)
    }
}

impl<'de, T: Clone + Keyed + Deserialize<'de>> Deserialize<'de> for Slab<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (slots, vacant) = Deserialize::deserialize(deserializer)?;
        Self::from_parts(slots, vacant).ok_or_else(|| de::Error::custom("slots contradict each other"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Record(u128, u32);

    impl Keyed for Record {
        fn key(&self) -> u128 {
            self.0
        }
    }

    proptest! {
        #[test]
        fn a_slab_finds_what_a_map_finds(steps in prop::collection::vec((0u128..40, any::<bool>()), 0..400)) {
            let mut slab = Slab::default();
            let mut map = BTreeMap::new();
            for (n, (key, insert)) in (0u32..).zip(steps) {
                match slab.find(key) {
                    Some(slot) if !insert => {
                        slab.remove(slot);
                        map.remove(&key);
                    }
                    None if insert => {
                        slab.insert(Record(key, n));
                        map.insert(key, n);
                    }
                    _ => {}
                }
                for key in 0..40 {
                    prop_assert_eq!(slab.by_key(key).map(|record| record.1), map.get(&key).copied());
                }
            }
            let bytes = postcard::to_stdvec(&slab).expect("bytes");
            let back: Slab<Record> = postcard::from_bytes(&bytes).expect("its own bytes");
            prop_assert_eq!(postcard::to_stdvec(&back).expect("bytes"), bytes);
            for key in 0..40 {
                prop_assert_eq!(back.by_key(key), slab.by_key(key));
            }
        }
    }
}
