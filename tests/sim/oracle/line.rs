//! What fans were told about their places, and whether anybody was overtaken.

use onsale::domain::{
    id::FanId,
    inventory::configuration::Mode,
    queue::{Class, Place},
};

use crate::{node::room::REBUILD_MS, swarm::Fault, world::World};

pub struct Told {
    pub fan: FanId,
    /// When the fan heard of it.
    pub at: u64,
}

impl World {
    /// A place leaves the waiting room for the store: it must never have been anybody's.
    pub fn place_given(&mut self, place: Place, fan: FanId, term: u32) {
        self.trace.note(self.now, "given", &[place.0, fan.as_u128() as u64]);
        // In no class: an arrival is given once.
        let before = Class::all().find_map(|class| self.given.get(&place.in_class(class)).copied());
        self.given.insert(place, fan);
        let comes_back = place.term() < term && before == Some(fan);
        self.require(before.is_none() || comes_back, || {
            format!("I-23: place {place} is given to {fan}, was {before:?}'s")
        });
    }

    pub fn place_told(&mut self, place: Place, fan: FanId) {
        if place.is_drawn() {
            // The place of the entry stays the one that is followed.
            let drawn = self.model.draw.place(fan);
            return self.require(drawn == Some(place.arrival()), || {
                format!("S-31: {fan} is told {place}, drawn is {drawn:?}")
            });
        }
        let owner = self.given.get(&place).copied();
        self.require(owner == Some(fan), || format!("I-21: {fan} is told place {place} of {owner:?}"));
        let at = self.now;
        self.trace.note(at, "told", &[place.0, fan.as_u128() as u64]);
        let first = self.told.entry(place).or_insert(Told { fan, at }).at;
        if self.lost.remove(&place) {
            self.saw("a fan comes back by the ticket of a place that was lost");
            // Who is late may be too late for a proposal that is under way.
            if self.now <= self.rebuilt_at {
                self.gone.remove(&place);
                self.check_rebuilt(place, first);
            }
        }
    }

    pub fn place_gone(&mut self, place: Place) {
        self.trace.note(self.now, "gone", &[place.0]);
        self.gone.insert(place);
        self.lost.remove(&place);
    }

    /// A new owner finds that the store was lost.
    pub fn rebuild_begins(&mut self) {
        self.admitted_since_loss.clear();
        self.rebuilt_at = self.now + REBUILD_MS;
    }

    /// I-21 after a loss: whoever shows the ticket in time is not overtaken by who came later.
    fn check_rebuilt(&mut self, place: Place, told_at: u64) {
        if self.model.modes_changed || self.swarm.mode == Mode::Random {
            return;
        }
        let stands = self.stands_at(place);
        let asked = |other: &Place| {
            let fan = self.given.get(other).and_then(|&fan| self.fan(fan))?;
            fan.asked_at.get(other).copied()
        };
        let by = self
            .admitted_since_loss
            .iter()
            .find(|&&other| other > stands && asked(&other).is_some_and(|asked| told_at < asked));
        let by = by.copied();
        self.require(by.is_none(), || format!("I-21: {place} comes back in time, and was overtaken by {by:?}"));
    }

    /// By the place itself, or by the one that the draw made of it.
    pub fn was_admitted(&self, place: Place) -> bool {
        let admissions = &self.model.admissions;
        admissions.contains_key(&place) || admissions.contains_key(&self.stands_at(place))
    }

    /// Where whoever was told this place stands now.
    fn stands_at(&self, place: Place) -> Place {
        let draw = &self.model.draw;
        let Some((_, last, _)) = draw.closed.filter(|(_, last, _)| place.arrival() <= *last) else { return place };
        debug_assert!(place.arrival() <= last);
        let drawn = self.given.get(&place).and_then(|&fan| draw.place(fan));
        drawn.map_or(place, |drawn| drawn.in_class(place.class()))
    }

    /// Whoever has a place when the entries close is one of them.
    pub fn check_entries(&mut self) {
        let draw = &self.model.draw;
        let Some((_, last, _)) = draw.closed.filter(|_| draw.order.is_none()) else { return };
        let left_out = self.told.iter().find(|(place, told)| {
            place.arrival() <= last
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
        self.admitted_since_loss.extend(&admitted);
        for &place in &admitted {
            self.called(place);
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
                other.class() == place.class()
                    && self.stands_at(**other) < place
                    && !self.gone.contains(other)
                    && told.at < asked_at
                    && !self.was_admitted(**other)
            });
            let overtaken = overtaken.map(|(other, told)| (*other, told.fan));
            self.require(overtaken.is_none(), || format!("I-21: {place} is admitted before {overtaken:?}"));
        }
    }

    /// A new owner opens the queue: what was told and not given up must be there, unless the store has lost writes.
    pub fn check_restored(&mut self, places: &[(Place, FanId)]) {
        let missing: Vec<Place> = self
            .told
            .keys()
            .copied()
            .filter(|place| !self.gone.contains(place) && !self.was_admitted(*place))
            .filter(|place| places.iter().all(|(other, _)| other != place))
            .collect();
        if !missing.is_empty() && self.store.lost {
            self.saw("the queue's store comes back without acknowledged places");
        }
        let faults = &self.swarm.faults;
        let loses = faults.contains_key(&Fault::StoreLosesWrites) || faults.contains_key(&Fault::StoreLost);
        let excused = self.store.lost || loses;
        self.require(missing.is_empty() || excused, || format!("I-21: acknowledged places are lost: {missing:?}"));
        self.lost.extend(&missing);
        self.gone.extend(missing);
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
