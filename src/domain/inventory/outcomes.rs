//! What was done under which request identity, for [`REMEMBERED`]: a repeat gets the first answer.
//!
//! Owns the memory. What an answer looks like is rebuilt from the order, which is kept at least as long.

use hashbrown::HashTable;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    blocks::Blocks,
    request::{Identity, REMEMBERED},
    slab::hash,
};
use crate::domain::time::EventTime;

/// What a request did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Done {
    Configured {
        version: u32,
    },
    /// Orders stand as their slots.
    Held {
        order: u32,
        expires_at: EventTime,
    },
    Extended {
        order: u32,
        expires_at: EventTime,
    },
    Released,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Outcome {
    /// As bytes, which need no alignment.
    key: [u8; 16],
    body: u64,
    at: EventTime,
    done: Done,
}

/// In the order in which they were done, so the oldest is forgotten first.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcomes {
    /// Number of the oldest one.
    first: u32,
    list: Blocks<Outcome>,
    /// By key, as numbers. Never walked.
    index: HashTable<u32>,
}

/// Outcomes forgotten with each entry at most, so that no entry pays for a long rest.
const FORGOTTEN_AT_ONCE: usize = 8;

impl Outcome {
    fn hash(&self) -> u64 {
        hash(u128::from_le_bytes(self.key))
    }
}

/// Numbers wrap; there are never four billion at a time.
fn at(list: &Blocks<Outcome>, first: u32, number: u32) -> Option<&Outcome> {
    list.get(number.wrapping_sub(first) as usize)
}

impl Outcomes {
    /// What was done under the key, and the hash of the body then.
    pub fn get(&self, key: u128, now: EventTime) -> Option<(u64, Done)> {
        let outcome = at(&self.list, self.first, self.number(key)?)?;
        (now.since(outcome.at) < REMEMBERED).then_some((outcome.body, outcome.done))
    }

    fn number(&self, key: u128) -> Option<u32> {
        let bytes = key.to_le_bytes();
        let same = |&number: &u32| at(&self.list, self.first, number).is_some_and(|outcome| outcome.key == bytes);
        self.index.find(hash(key), same).copied()
    }

    pub fn remember(&mut self, identity: Identity, at_time: EventTime, done: Done) {
        // An older outcome of the same key has had its time, or it would have been the answer.
        if let Some(old) = self.number(identity.key) {
            self.unlink(old);
        }
        let outcome = Outcome { key: identity.key.to_le_bytes(), body: identity.body, at: at_time, done };
        let number = self.first.wrapping_add(self.list.len() as u32);
        self.list.push(outcome);
        let (list, first) = (&self.list, self.first);
        self.index.insert_unique(hash(identity.key), number, |&other| at(list, first, other).map_or(0, Outcome::hash));
    }

    /// What a snapshot needs.
    pub fn frozen(&self) -> Self {
        Self { first: self.first, list: self.list.clone(), index: HashTable::new() }
    }

    fn unlink(&mut self, number: u32) {
        let Some(outcome) = at(&self.list, self.first, number) else { return };
        if let Ok(entry) = self.index.find_entry(outcome.hash(), |&other| other == number) {
            entry.remove();
        }
    }

    pub fn forget(&mut self, now: EventTime) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            if self.list.front().is_none_or(|oldest| now.since(oldest.at) < REMEMBERED) {
                return;
            }
            self.unlink(self.first);
            self.list.drop_front();
            self.first = self.first.wrapping_add(1);
        }
    }
}

impl Serialize for Outcomes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.first, &self.list).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Outcomes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (first, list) = <(u32, Blocks<Outcome>)>::deserialize(deserializer)?;
        let mut index = HashTable::with_capacity(list.len());
        for (place, outcome) in (0..).zip(list.iter()) {
            let number = first.wrapping_add(place);
            // The later of two with one key counts, as when they were remembered.
            let same = |&other: &u32| at(&list, first, other).is_some_and(|other| other.key == outcome.key);
            if let Ok(old) = index.find_entry(outcome.hash(), same) {
                old.remove();
            }
            index.insert_unique(outcome.hash(), number, |&other| at(&list, first, other).map_or(0, Outcome::hash));
        }
        Ok(Self { first, list, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Millis;

    #[test]
    fn what_is_forgotten_takes_no_room_and_a_key_can_come_again() {
        let mut outcomes = Outcomes::default();
        let mut now = EventTime(1);
        let done = |version| Done::Configured { version };
        for n in 0..1_000 {
            now = now + Millis::minutes(60);
            outcomes.forget(now);
            // Each key comes again after a day and a bit.
            let key = u128::from(n % 25);
            outcomes.remember(Identity { key, body: 1 }, now, done(n));
            assert_eq!(outcomes.get(key, now), Some((1, done(n))));
            assert_eq!((outcomes.list.len(), outcomes.index.len()), (24.min(n as usize + 1), 24.min(n as usize + 1)));
        }
        let bytes = postcard::to_stdvec(&outcomes).expect("bytes");
        let back: Outcomes = postcard::from_bytes(&bytes).expect("its own bytes");
        for key in 0..25 {
            assert_eq!(back.get(key, now), outcomes.get(key, now));
        }
        assert_eq!(back.index.len(), outcomes.index.len());
    }
}
