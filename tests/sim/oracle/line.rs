//! What fans were told about their places, and whether anybody was overtaken.

use std::collections::BTreeSet;

use onsale::domain::{id::FanId, inventory::configuration::Mode, queue::Place};

use crate::{node::Node, swarm::Fault, world::World};

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
        if place.is_drawn() {
            // The place of the entry stays the one that is followed.
            let drawn = self.model.draw.place(fan);
            return self.require(drawn == Some(place), || format!("S-31: {fan} is told {place}, drawn is {drawn:?}"));
        }
        let owner = self.given.get(&place).copied();
        let is_own = owner == Some(fan) || self.tied.get(&place) == Some(&fan);
        self.require(is_own, || format!("I-21: {fan} is told place {place} of {owner:?}"));
        let at = self.now;
        self.trace.note(at, "told", &[place.0, fan.as_u128() as u64]);
        let told = self.told.entry(place).or_insert(Told { fan, at });
        if told.fan != fan {
            // A device's until now, and called past.
            *told = Told { fan, at };
        }
    }

    pub fn place_gone(&mut self, place: Place) {
        self.trace.note(self.now, "gone", &[place.0]);
        self.gone.insert(place);
    }

    /// By the place itself, or by the one that the draw made of it.
    pub fn was_admitted(&self, place: Place) -> bool {
        let admissions = &self.model.admissions;
        admissions.contains_key(&place) || admissions.contains_key(&self.stands_at(place))
    }

    /// Where whoever was told this place stands now.
    fn stands_at(&self, place: Place) -> Place {
        let draw = &self.model.draw;
        let Some((_, last, _)) = draw.closed.filter(|(_, last, _)| place <= *last) else { return place };
        debug_assert!(place <= last);
        self.given.get(&place).and_then(|&fan| draw.place(fan)).unwrap_or(place)
    }

    /// Whoever has a place when the entries close is one of them.
    pub fn check_entries(&mut self) {
        let draw = &self.model.draw;
        let Some((_, last, _)) = draw.closed.filter(|_| draw.order.is_none()) else { return };
        let left_out = self.told.range(..=last).find(|(place, told)| {
            let is_device = told.fan.is_device();
            !is_device
                && !self.gone.contains(place)
                && !self.was_admitted(**place)
                && !draw.entrants.contains(&told.fan)
        });
        let left_out = left_out.map(|(place, told)| (*place, told.fan));
        self.require(left_out.is_none(), || format!("S-31: {left_out:?} waits and takes no part in the draw"));
    }

    /// The journal has admitted these: nobody who heard of an earlier place before the other one even asked may still wait.
    pub fn check_overtaking(&mut self) {
        let admitted = std::mem::take(&mut self.model.admitted_last);
        for &place in &admitted {
            let fan = self.model.admissions.get(&place).map(|admission| admission.fan);
            let is_device = fan.is_some_and(|fan| fan.is_device());
            self.require(!is_device, || format!("I-23: {place} is admitted, and is a device's"));
            let asked_at = match self.given.get(&place).copied() {
                Some(fan) => self.fan(fan).and_then(|fan| fan.asked_at.get(&place)).copied().unwrap_or(0),
                // Whose it is the model has checked; who asked when says nothing about their order.
                None if place.is_drawn() => u64::MAX,
                None => return self.require(false, || format!("I-24: place {place} is admitted, never given")),
            };
            if self.model.modes_changed || self.swarm.mode == Mode::Random {
                continue;
            }
            let overtaken = self.told.iter().find(|(other, told)| {
                self.stands_at(**other) < place
                    && !self.gone.contains(other)
                    && !told.fan.is_device()
                    && told.at < asked_at
                    && !self.was_admitted(**other)
            });
            let overtaken = overtaken.map(|(other, told)| (*other, told.fan));
            self.require(overtaken.is_none(), || format!("I-21: {place} is admitted before {overtaken:?}"));
        }
    }

    /// I-23: a fan has one place, and a device whose person is known has none.
    pub fn check_one_place_each(&mut self, node: &Node, members: &[(Place, FanId)]) {
        let mut seen = BTreeSet::new();
        for &(place, fan) in members {
            self.require(seen.insert(fan), || format!("I-23: {fan} has {place} and another place"));
            let account = node.account_of(fan);
            self.require(account.is_none(), || format!("I-23: {fan} has {place}, and is tied to {account:?}"));
        }
    }

    /// I-23: of the device's place and the account's the earlier stays, unless the account's was being called.
    pub fn check_tied(&mut self, node: &mut Node, attempt: usize, place: Place) {
        let Some(attempt) = self.attempts.get(attempt) else { return };
        let (Some((device, before)), Some(fan)) = (attempt.tie, self.fans.get(attempt.fan)) else { return };
        if let [Some(devices), own] = before {
            node.tied(device, fan.id);
            self.saw("a device's place becomes its account's");
            match own {
                Some(own) if own < devices => self.saw("of two places the account's is the earlier"),
                Some(_) => self.saw("of two places the device's is the earlier"),
                None => {}
            }
        }
        let [devices, own] = before;
        let earlier = [devices, own].into_iter().flatten().min();
        let is_later = own.is_some() && earlier.is_some_and(|earlier| earlier < place);
        self.require(!is_later, || format!("I-23: {before:?} are tied, and {place} stays"));
    }

    /// A new owner opens the queue: what was told and not given up must be there, unless the store has lost writes.
    pub fn check_restored(&mut self, places: &[(Place, FanId)]) {
        // Of a tie that is lost the device's place is left.
        let is_kept = |place: Place, fan: FanId| {
            places.iter().any(|&(other, whose)| other == place && (fan.is_device() || !whose.is_device()))
        };
        let missing = self.told.iter().map(|(place, told)| (*place, told.fan));
        let missing = missing.filter(|(place, _)| !self.gone.contains(place) && !self.was_admitted(*place));
        let missing: Vec<Place> =
            missing.filter(|&(place, fan)| !is_kept(place, fan)).map(|(place, _)| place).collect();
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
        let lost = last.filter(|place| !self.gone.contains(place) && !self.was_admitted(*place));
        self.require(lost.is_none(), || format!("I-21: {fan} waits at {lost:?} and is told that there is no place"));
    }
}
