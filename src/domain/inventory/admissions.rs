//! Who may shop: admissions by their place, the slots they take, and every place that ever was admitted.
//!
//! A slot is taken by a live admission, called or claimed, and by an ended one as long as an unpaid hold of it remains.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Corrupt, request::Admission};
use crate::domain::{id::FanId, queue::Place, time::EventTime};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    fan: FanId,
    claim_by: Option<EventTime>,
    until: EventTime,
    unpaid_holds: u32,
    ended: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Admissions {
    /// Exactly those that take a slot.
    records: BTreeMap<Place, Record>,
    /// Of live ones: when they end if nothing happens.
    deadlines: BTreeSet<(EventTime, Place)>,
    ever: Places,
}

impl Record {
    fn admission(&self, place: Place) -> Admission {
        Admission { place, fan: self.fan, claim_by: self.claim_by, until: self.until }
    }

    fn ends_at(&self) -> EventTime {
        self.claim_by.unwrap_or(self.until)
    }
}

impl Admissions {
    pub fn slots_taken(&self) -> usize {
        self.records.len()
    }

    /// The admission of this place, unless it has ended.
    pub fn live(&self, place: Place) -> Option<Admission> {
        self.records.get(&place).filter(|record| !record.ended).map(|record| record.admission(place))
    }

    pub fn iter_live(&self) -> impl Iterator<Item = Admission> {
        self.records.iter().filter(|(_, record)| !record.ended).map(|(&place, record)| record.admission(place))
    }

    pub fn any_live(&self) -> bool {
        !self.deadlines.is_empty()
    }

    pub fn was_admitted(&self, place: Place) -> bool {
        self.ever.contains(place)
    }

    /// Earliest first.
    pub fn deadlines(&self) -> impl Iterator<Item = (EventTime, Place)> {
        self.deadlines.iter().copied()
    }

    pub fn admit(&mut self, admission: Admission) -> Result<(), Corrupt> {
        let Admission { place, fan, claim_by, until } = admission;
        if !self.ever.insert(place) {
            return Err(Corrupt(format!("place {place} is admitted twice")));
        }
        let record = Record { fan, claim_by, until, unpaid_holds: 0, ended: false };
        self.deadlines.insert((record.ends_at(), place));
        self.records.insert(place, record);
        Ok(())
    }

    pub fn claim(&mut self, place: Place, until: EventTime) -> Result<(), Corrupt> {
        let record = self.live_record(place)?;
        let before = record.ends_at();
        record.claim_by = None;
        record.until = until;
        self.deadlines.remove(&(before, place));
        self.deadlines.insert((until, place));
        Ok(())
    }

    /// Returns whose it was.
    pub fn end(&mut self, place: Place) -> Result<FanId, Corrupt> {
        let record = self.live_record(place)?;
        record.ended = true;
        let (fan, deadline, unused) = (record.fan, record.ends_at(), record.unpaid_holds == 0);
        self.deadlines.remove(&(deadline, place));
        if unused {
            self.records.remove(&place);
        }
        Ok(fan)
    }

    pub fn hold_taken(&mut self, place: Place) -> Result<(), Corrupt> {
        self.live_record(place)?.unpaid_holds += 1;
        Ok(())
    }

    /// A hold of this admission was sold, or has ended.
    pub fn hold_settled(&mut self, place: Place) -> Result<(), Corrupt> {
        let record = self.records.get_mut(&place);
        let record = record.ok_or_else(|| Corrupt(format!("admission {place} has no slot")))?;
        let left = record.unpaid_holds.checked_sub(1);
        record.unpaid_holds = left.ok_or_else(|| Corrupt(format!("admission {place} has no hold")))?;
        if record.ended && record.unpaid_holds == 0 {
            self.records.remove(&place);
        }
        Ok(())
    }

    fn live_record(&mut self, place: Place) -> Result<&mut Record, Corrupt> {
        let record = self.records.get_mut(&place).filter(|record| !record.ended);
        record.ok_or_else(|| Corrupt(format!("admission {place} is not live")))
    }
}

/// A set of places, one bit each, as they are given out nearly without gaps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Places {
    chunks: BTreeMap<u64, Box<[u64]>>,
}

impl Places {
    const WORDS: usize = 32;

    fn position(place: Place) -> (u64, usize, u64) {
        (place.0 >> 11, (place.0 as usize >> 6) % Self::WORDS, 1 << (place.0 & 63))
    }

    fn contains(&self, place: Place) -> bool {
        let (chunk, word, bit) = Self::position(place);
        self.chunks.get(&chunk).and_then(|words| words.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// Whether it was new.
    fn insert(&mut self, place: Place) -> bool {
        let (chunk, word, bit) = Self::position(place);
        let words = self.chunks.entry(chunk).or_insert_with(|| vec![0; Self::WORDS].into());
        let Some(word) = words.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_are_near_or_far_are_told_apart() {
        let mut places = Places::default();
        let some = [0, 1, 63, 64, 2047, 2048, Place::new(1, 0).0, Place::new(1, 1).0, u64::MAX].map(Place);
        for (n, place) in some.into_iter().enumerate() {
            assert!(!places.contains(place));
            assert!(places.insert(place));
            assert!(!places.insert(place));
            assert_eq!(some.iter().filter(|place| places.contains(**place)).count(), n + 1);
        }
    }
}
