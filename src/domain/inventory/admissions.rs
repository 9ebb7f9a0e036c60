//! Who may shop: admissions by their place, the slots they take, and every place that ever was admitted.
//!
//! A slot is taken by a live admission, called or claimed, and by an ended one as long as an unpaid hold of it remains.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Corrupt,
    request::Admission,
    slab::{Keyed, Slab},
};
use crate::domain::{id::FanId, queue::Place, time::EventTime};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    place: Place,
    fan: FanId,
    /// When it ends if nothing happens: its session's end once claimed, before that the claim window's.
    ends_at: EventTime,
    unpaid_holds: u32,
    claimed: bool,
    extended: bool,
    ended: bool,
}

impl Keyed for Record {
    fn key(&self) -> u128 {
        self.place.0.into()
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Admissions {
    /// Exactly those that take a slot.
    records: Slab<Record>,
    slots_taken: u32,
    /// Of live ones. Worked out anew from a snapshot.
    #[serde(skip)]
    deadlines: BTreeSet<(EventTime, Place)>,
    ever: Places,
}

impl Record {
    fn admission(&self) -> Admission {
        let claim_by = (!self.claimed).then_some(self.ends_at);
        Admission { place: self.place, fan: self.fan, claim_by, until: self.ends_at, extended: self.extended }
    }
}

impl Admissions {
    pub fn slots_taken(&self) -> u32 {
        self.slots_taken
    }

    /// The admission of this place, unless it has ended.
    pub fn live(&self, place: Place) -> Option<Admission> {
        self.records.by_key(place.0.into()).filter(|record| !record.ended).map(Record::admission)
    }

    /// By place.
    pub fn all_live(&self) -> Vec<Admission> {
        let live = self.records.iter().filter(|(_, record)| !record.ended);
        let mut live: Vec<Admission> = live.map(|(_, record)| record.admission()).collect();
        live.sort_unstable_by_key(|admission| admission.place);
        live
    }

    /// Of live ones, in no order.
    pub fn fans(&self) -> impl Iterator<Item = (Place, FanId)> {
        self.records.iter().filter(|(_, record)| !record.ended).map(|(_, record)| (record.place, record.fan))
    }

    pub fn any_live(&self) -> bool {
        !self.deadlines.is_empty()
    }

    /// All that ever were.
    pub fn ever(&self) -> &Places {
        &self.ever
    }

    pub fn was_admitted(&self, place: Place) -> bool {
        // Whoever was moved to another class has another arrival; whoever was drawn within one has the same.
        self.ever.contains(place.arrival())
    }

    /// Earliest first.
    pub fn deadlines(&self) -> impl Iterator<Item = (EventTime, Place)> {
        self.deadlines.iter().copied()
    }

    /// What a snapshot needs.
    pub fn frozen(&self) -> Self {
        let Self { records, slots_taken, deadlines: _, ever } = self;
        Self { records: records.frozen(), slots_taken: *slots_taken, deadlines: BTreeSet::new(), ever: ever.clone() }
    }

    /// After a snapshot.
    pub fn work_out_deadlines(&mut self) {
        let live = self.records.iter().filter(|(_, record)| !record.ended);
        self.deadlines = live.map(|(_, record)| (record.ends_at, record.place)).collect();
    }

    pub fn admit(&mut self, admission: Admission) -> Result<(), Corrupt> {
        let Admission { place, fan, claim_by, until, extended } = admission;
        if place == Place(0) || !self.ever.insert(place.arrival()) {
            return Err(Corrupt(format!("place {place} is admitted twice")));
        }
        let ends_at = claim_by.unwrap_or(until);
        self.deadlines.insert((ends_at, place));
        self.slots_taken += 1;
        let claimed = claim_by.is_none();
        self.records.insert(Record { place, fan, ends_at, unpaid_holds: 0, claimed, extended, ended: false });
        Ok(())
    }

    pub fn claim(&mut self, place: Place, until: EventTime) -> Result<(), Corrupt> {
        self.move_end(place, until)?.claimed = true;
        Ok(())
    }

    pub fn extend(&mut self, place: Place, until: EventTime) -> Result<(), Corrupt> {
        self.move_end(place, until)?.extended = true;
        Ok(())
    }

    fn move_end(&mut self, place: Place, until: EventTime) -> Result<&mut Record, Corrupt> {
        let (slot, record) = self.live_record(place)?;
        let before = std::mem::replace(&mut record.ends_at, until);
        self.deadlines.remove(&(before, place));
        self.deadlines.insert((until, place));
        self.records.get_mut(slot).ok_or_else(|| Corrupt(format!("admission {place} has no record")))
    }

    /// Returns whose it was.
    pub fn end(&mut self, place: Place) -> Result<FanId, Corrupt> {
        let (slot, record) = self.live_record(place)?;
        record.ended = true;
        let (fan, ends_at, unused) = (record.fan, record.ends_at, record.unpaid_holds == 0);
        self.deadlines.remove(&(ends_at, place));
        if unused {
            self.free(slot);
        }
        Ok(fan)
    }

    pub fn hold_taken(&mut self, place: Place) -> Result<(), Corrupt> {
        self.live_record(place)?.1.unpaid_holds += 1;
        Ok(())
    }

    /// A hold of this admission was sold, or has ended. An offer has none.
    pub fn hold_settled(&mut self, place: Place) -> Result<(), Corrupt> {
        if place == Place(0) {
            return Ok(());
        }
        let (slot, record) = self.record(place).ok_or_else(|| Corrupt(format!("admission {place} has no slot")))?;
        let left = record.unpaid_holds.checked_sub(1);
        record.unpaid_holds = left.ok_or_else(|| Corrupt(format!("admission {place} has no hold")))?;
        if record.ended && record.unpaid_holds == 0 {
            self.free(slot);
        }
        Ok(())
    }

    fn free(&mut self, slot: u32) {
        self.records.remove(slot);
        self.slots_taken -= 1;
    }

    fn record(&mut self, place: Place) -> Option<(u32, &mut Record)> {
        let slot = self.records.find(place.0.into())?;
        Some((slot, self.records.get_mut(slot)?))
    }

    fn live_record(&mut self, place: Place) -> Result<(u32, &mut Record), Corrupt> {
        let live = self.record(place).filter(|(_, record)| !record.ended);
        live.ok_or_else(|| Corrupt(format!("admission {place} is not live")))
    }
}

/// A set of places, one bit each, as they are given out nearly without gaps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Places {
    chunks: BTreeMap<u64, Box<[u64]>>,
}

impl Places {
    const WORDS: usize = 32;

    fn position(place: Place) -> (u64, usize, u64) {
        (place.0 >> 11, (place.0 as usize >> 6) % Self::WORDS, 1 << (place.0 & 63))
    }

    pub fn contains(&self, place: Place) -> bool {
        let (chunk, word, bit) = Self::position(place);
        self.chunks.get(&chunk).and_then(|words| words.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// Whether it was new.
    pub fn insert(&mut self, place: Place) -> bool {
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
