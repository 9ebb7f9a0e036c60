//! What fans were told about their places, and whether anybody was overtaken.

use onsale::domain::{id::FanId, queue::Place};

use crate::{swarm::Fault, world::World};

pub struct Told {
    pub fan: FanId,
    /// When the fan heard of it.
    pub at: u64,
}

impl World {
    /// A place leaves the waiting room for the store: it must never have been anybody's.
    pub fn place_given(&mut self, place: Place, fan: FanId) {
        self.trace.note(self.now, "given", &[place.0, fan.as_u128() as u64]);
        let before = self.given.insert(place, fan);
        self.require(before.is_none(), || format!("I-23: place {place} is given to {fan}, was {before:?}'s"));
    }

    pub fn place_told(&mut self, place: Place, fan: FanId) {
        let owner = self.given.get(&place).copied();
        self.require(owner == Some(fan), || format!("I-21: {fan} is told place {place} of {owner:?}"));
        let at = self.now;
        self.trace.note(at, "told", &[place.0, fan.as_u128() as u64]);
        self.told.entry(place).or_insert(Told { fan, at });
    }

    pub fn place_gone(&mut self, place: Place) {
        self.trace.note(self.now, "gone", &[place.0]);
        self.gone.insert(place);
    }

    /// The journal has admitted these: nobody who heard of an earlier place before the other one even asked may still wait.
    pub fn check_overtaking(&mut self) {
        let admitted = std::mem::take(&mut self.model.admitted_last);
        for &place in &admitted {
            let Some(fan) = self.given.get(&place).copied() else {
                self.require(false, || format!("I-24: place {place} is admitted, never given"));
                return;
            };
            let asked_at = self.fan(fan).and_then(|fan| fan.asked_at.get(&place)).copied().unwrap_or(0);
            let overtaken = self.told.range(..place).find(|(other, told)| {
                !self.gone.contains(other) && told.at < asked_at && !self.model.admissions.contains_key(other)
            });
            let overtaken = overtaken.map(|(other, told)| (*other, told.fan));
            self.require(overtaken.is_none(), || format!("I-21: {place} is admitted before {overtaken:?}"));
        }
    }

    /// A new owner opens the queue: what was told and not given up must be there, unless the store has lost writes.
    pub fn check_restored(&mut self, places: &[(Place, FanId)]) {
        let admissions = &self.model.admissions;
        let missing: Vec<Place> = self
            .told
            .keys()
            .copied()
            .filter(|place| !self.gone.contains(place) && !admissions.contains_key(place))
            .filter(|place| places.iter().all(|(other, _)| other != place))
            .collect();
        if !missing.is_empty() && self.store.lost {
            self.saw("the queue's store comes back without acknowledged places");
        }
        let excused = self.store.lost || self.swarm.faults.contains_key(&Fault::StoreLosesWrites);
        self.require(missing.is_empty() || excused, || format!("I-21: acknowledged places are lost: {missing:?}"));
        missing.into_iter().for_each(|place| self.place_gone(place));
        self.store.lost = false;
    }

    /// I-34: who was removed, and who was told that the join failed, has no place with this owner any more.
    pub fn check_in(&mut self, node: u32, place: Place) {
        let out = self.out.get(&place).filter(|(by, _)| *by == node).map(|(_, why)| *why);
        self.require(out.is_none(), || format!("I-34: place {place} was {}, and is used", out.unwrap_or_default()));
    }

    /// I-21: a fan who waits and hears of no place has given it up, or was admitted, or the store has lost it.
    pub fn check_not_here(&mut self, fan: FanId) {
        let last = self.told.iter().rev().find(|(_, told)| told.fan == fan).map(|(place, _)| *place);
        let lost = last.filter(|place| !self.gone.contains(place) && !self.model.admissions.contains_key(place));
        self.require(lost.is_none(), || format!("I-21: {fan} waits at {lost:?} and is told that there is no place"));
    }
}
