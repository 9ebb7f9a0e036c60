//! Who is called next, at which pace, and what became of it.

use std::collections::BTreeMap;

use super::{super::pick::Dice, Effect, Place, Room, WaitingRoom, end_of};
use crate::domain::{
    id::FanId,
    inventory::{
        configuration::{Mode, QueueSettings},
        request::{Admission, Admittee},
    },
    queue::{News, Outcome},
    time::{EventTime, Millis},
};

/// No more places than this in one proposal: it has to fit into a batch of the inventory.
const MAX_PROPOSED: usize = 512;
/// No more places than this are dropped at one tick for their fans' absence; the rest follows at the next ones.
const MAX_DROPPED: usize = 10_000;
/// Who was here so short a time ago counts as being here where nobody has to wait.
const JUST_NOW: Millis = Millis::seconds(10);

/// Places that the inventory was asked to admit. While it may do so, they are not given up.
pub(super) struct Proposal<Reply> {
    /// Front first.
    pub(super) places: Vec<Place>,
    pub(super) sent: EventTime,
    pub(super) under_way: bool,
    /// So many of them an admin asked for: the rate does not pay for these.
    pub(super) by_admin: u32,
    /// Those who want to leave: told when it is known whether they were admitted.
    pub(super) leaving: BTreeMap<Place, Vec<Reply>>,
}

impl<Reply> WaitingRoom<Reply> {
    pub(super) fn tick(&mut self, now: EventTime, room: Room, effects: &mut Vec<Effect<Reply>>) {
        self.room = room;
        self.tickets = Some(room.tickets);
        self.pace.earn(now, room.settings.rate_per_minute);
        self.dice = Dice::new(room.dice);
        self.engage();
        let overdue: Vec<_> = self
            .presence
            .overdue(now, room.settings.grace)
            .filter(|&place| !self.is_fixed(place))
            .take(MAX_DROPPED)
            .collect();
        for place in overdue {
            self.give_up(now, place);
        }
        self.draw(now, effects);
        self.tell_drawn(effects);
        self.warn(now, effects);
        self.repeat_proposal(now, effects);
        self.propose(now, effects);
    }

    /// What became of a failed proposal has to be known: it is repeated even if nobody would be proposed now.
    fn repeat_proposal(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        let Some(mut proposal) = self.proposal.take_if(|proposal| !proposal.under_way) else {
            return;
        };
        proposal.places.retain(|&place| self.line.get(place).is_some());
        if proposal.places.is_empty() {
            return;
        }
        self.send(now, &proposal.places, effects);
        self.proposal = Some(Proposal { under_way: true, sent: now, ..proposal });
    }

    /// Asks for as many as rate, slots and stock allow, if nothing is being asked.
    pub(super) fn propose(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        if self.proposal.is_some() {
            return;
        }
        let by_rate = if self.room.settings.paused { 0 } else { self.allowed() };
        let by_rate = u64::from(by_rate).min(self.served(now));
        let by_hand = u64::from(self.extra);
        let wanted = if self.room.selling && !self.awaits_draw() { by_rate + by_hand } else { 0 };
        let room = u64::from(self.room.slots_free).min(self.room.tickets.free).min(MAX_PROPOSED as u64);
        let count = wanted.min(room) as usize;
        let places = self.next(count);
        if places.is_empty() {
            // An admin's wish is for now; it does not lie in wait for the next slot.
            self.extra = 0;
            return;
        }
        self.send(now, &places, effects);
        let by_admin = self.extra.min(places.len() as u32);
        self.extra -= by_admin;
        self.proposal = Some(Proposal { places, sent: now, under_way: true, by_admin, leaving: BTreeMap::new() });
    }

    /// How many more will find something beside those who shop. Whoever has taken nothing within a claim window is not waited
    /// for: who only looks around does not hold everybody up.
    fn served(&mut self, now: EventTime) -> u64 {
        let window = self.room.settings.claim_window;
        while self.fresh.pop_front_if(|(at, _)| *at + window <= now).is_some() {}
        let fresh: u64 = self.fresh.iter().map(|&(_, count)| u64::from(count)).sum();
        let shoppers = (self.admissions.len() as u64).min(fresh + u64::from(self.room.holds));
        self.room.served(shoppers)
    }

    /// How many may go in now, slots and stock apart.
    fn allowed(&self) -> u32 {
        let settings = &self.room.settings;
        match settings.mode {
            Mode::Passthrough => u32::MAX,
            _ if self.engaged => self.pace.allowed(),
            // Below the threshold nobody waits for the rate, and nobody is let through above it.
            _ => settings.engage_above.saturating_sub(self.room.slots_taken),
        }
    }

    /// The safety net: see [`QueueSettings::engage_above`].
    ///
    /// [`QueueSettings::engage_above`]: crate::domain::inventory::configuration::QueueSettings::engage_above
    fn engage(&mut self) {
        let QueueSettings { engage_above, release_below, .. } = self.room.settings;
        let taken = self.room.slots_taken;
        self.engaged = if self.engaged {
            engage_above == 0 || taken >= release_below || self.line.len() > 0
        } else {
            taken >= engage_above
        };
    }

    /// Who is to be let in next, front first; in `Random` mode, anybody. Devices are passed over, and keep their places: whose
    /// they are has to be known before.
    fn next(&mut self, count: usize) -> Vec<Place> {
        if self.room.settings.mode == Mode::Random {
            let picked = self.dice.pick(count, self.line.len());
            let mut places = self.line.at(picked.into_iter());
            places.retain(|&place| self.line.get(place).is_some_and(|fan| self.is_callable(fan)));
            return places;
        }
        let callable = self.line.iter(None).filter(|&(_, fan)| self.is_callable(fan));
        callable.map(|(place, _)| place).take(count).collect()
    }

    /// Nor is who is just getting another place.
    fn is_callable(&self, fan: FanId) -> bool {
        !fan.is_device() && !self.ties.wait_for(fan)
    }

    fn send(&self, now: EventTime, places: &[Place], effects: &mut Vec<Effect<Reply>>) {
        // Who has just come and is let through is not called: that would be one more step for nothing.
        let near = if self.room.settings.mode == Mode::Passthrough || !self.engaged { JUST_NOW } else { Millis(0) };
        let admittee = |&place: &Place| {
            let fan = self.line.get(place)?;
            // The shell knows who needs more time.
            let present = self.presence.is_near(now, fan, near);
            Some(Admittee { place, fan, present, needs_more_time: false })
        };
        effects.push(Effect::Admit { admittees: places.iter().filter_map(admittee).collect() });
    }

    pub(super) fn admitted(&mut self, now: EventTime, admissions: Vec<Admission>, effects: &mut Vec<Effect<Reply>>) {
        let Some(Proposal { places, sent, by_admin, mut leaving, .. }) = self.proposal.take() else {
            return;
        };
        self.pace.took(now.since(sent));
        let count = admissions.len() as u32;
        self.fresh.push_back((now, count));
        for admission in admissions {
            if self.give_up(now, admission.place).is_none() {
                // Over already, before this answer came.
                continue;
            }
            self.admissions.insert(admission.fan, admission);
            if admission.claim_by.is_none() {
                self.ending.insert(end_of(&admission));
            }
            let news = if admission.claim_by.is_some() { News::Turn(admission) } else { News::Admitted(admission) };
            effects.push(Effect::Tell { fan: admission.fan, news });
            let outcome = Outcome::Admitted(admission);
            let leavers = leaving.remove(&admission.place).into_iter().flatten();
            effects.extend(leavers.map(|reply| Effect::Reply { reply, outcome: outcome.clone() }));
        }
        for (place, leavers) in leaving {
            self.left(now, place, effects);
            effects.extend(leavers.into_iter().map(|reply| Effect::Reply { reply, outcome: Outcome::Left }));
        }
        self.pace.spend(count.saturating_sub(by_admin));
        self.meter.count(now, count);
        // Fewer than asked for: the slots are taken, whatever the last tick said.
        let all = count as usize >= places.len();
        self.room.slots_free = if all { self.room.slots_free.saturating_sub(count) } else { 0 };
        self.room.slots_taken = self.room.slots_taken.saturating_add(count);
        self.room.tickets.free = self.room.tickets.free.saturating_sub(u64::from(count));
        // What rate, slots and stock still allow need not wait for the next tick.
        self.propose(now, effects);
    }
}

impl<Reply> Proposal<Reply> {
    pub(super) fn has(&self, place: Place) -> bool {
        self.places.binary_search(&place).is_ok()
    }
}
