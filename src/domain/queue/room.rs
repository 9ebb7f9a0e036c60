//! The waiting room's decisions: who has a place, who is proposed next, who is told what.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use super::{
    Effect, Input, News, Outcome, Place, Queue, Room, Standing, Tickets, joins::Joins, line::Line, pace::Pace,
    presence::Presence,
};
use crate::domain::{
    id::FanId,
    inventory::{
        configuration::QueueSettings,
        request::{Admission, Admittee},
    },
    time::{EventTime, Millis},
};

/// No more waiting fans than this in one event.
const MAX_WAITING: usize = 10_000_000;
/// No more places than this in one proposal: it has to fit into a batch of the inventory.
const MAX_PROPOSED: usize = 512;
/// No more places than this are dropped at one tick for their fans' absence; the rest follows at the next ones.
const MAX_DROPPED: usize = 10_000;
/// A fan who shops is told so long before the end.
const ENDS_SOON: Millis = Millis::seconds(60);
/// No more places than this in one `Forget`.
const MAX_FORGOTTEN: usize = 4_096;

pub struct WaitingRoom<Reply> {
    line: Line,
    presence: Presence,
    joins: Joins<Reply>,
    /// The last place that was stored.
    newest: Place,
    /// Live admissions, by fan: a fan has one, or a place, or neither.
    admissions: BTreeMap<FanId, Admission>,
    /// When claimed admissions end of which nothing was said yet. Those that have changed since are passed over.
    ending: BTreeSet<(EventTime, FanId)>,
    /// As of the last tick, less what was admitted since.
    room: Room,
    /// As the last tick said; before the first one nobody knows.
    tickets: Option<Tickets>,
    pace: Pace,
    /// Admissions that an admin asked for and that are not proposed yet.
    extra: u32,
    proposal: Option<Proposal<Reply>>,
    /// Places used up, to be forgotten at the end of the step.
    used_up: Vec<Place>,
}

/// Places that the inventory was asked to admit. While it may do so, they are not given up.
struct Proposal<Reply> {
    /// Front first.
    places: Vec<Place>,
    sent: EventTime,
    under_way: bool,
    /// So many of them an admin asked for: the rate does not pay for these.
    by_admin: u32,
    /// Those who want to leave: told when it is known whether they were admitted.
    leaving: BTreeMap<Place, Vec<Reply>>,
}

impl<Reply> WaitingRoom<Reply> {
    /// Begins a term with the places that the store gave back (any order, minus those ever admitted) and the live
    /// admissions of the journal. Everybody counts as just gone, and has the grace time to come back.
    pub fn new(
        now: EventTime,
        term: u32,
        mut places: Vec<(Place, FanId)>,
        admissions: Vec<Admission>,
        settings: QueueSettings,
    ) -> Self {
        let admissions: BTreeMap<_, _> = admissions.into_iter().map(|admission| (admission.fan, admission)).collect();
        places.sort_unstable();
        let last = places.last().filter(|(place, _)| place.term() == term).map_or(0, |(place, _)| place.0 as u32);
        // A copy that lost a `Forget` can hold several places of a fan; only the last one can have been told last.
        let mut latest: BTreeMap<FanId, Place> = BTreeMap::new();
        latest.extend(places.iter().map(|&(place, fan)| (fan, place)));
        let mut used_up = Vec::new();
        places.retain(|(place, fan)| {
            let lives = latest.get(fan) == Some(place) && !admissions.contains_key(fan);
            if !lives {
                used_up.push(*place);
            }
            lives
        });
        let mut line = Line::default();
        for &(place, fan) in &places {
            line.insert(place, fan);
        }
        Self {
            line,
            presence: Presence::restored(now, &places),
            joins: Joins::new(term, last),
            newest: Place::new(term, last),
            ending: admissions.values().filter(|admission| admission.claim_by.is_none()).map(end_of).collect(),
            admissions,
            room: Room { settings, slots_free: 0, tickets: Tickets::default(), holds: 0, selling: false },
            tickets: None,
            pace: Pace::new(now),
            extra: 0,
            proposal: None,
            used_up,
        }
    }

    pub fn step(&mut self, now: EventTime, input: Input<Reply>, effects: &mut Vec<Effect<Reply>>) {
        match input {
            Input::Join { fan, reply } => self.join(now, fan, reply, effects),
            Input::Stored => self.stored(now, effects),
            Input::StoreFailed => self.store_failed(effects),
            Input::Leave { fan, reply } => self.leave(now, fan, reply, effects),
            Input::Present { fan } => self.presence.arrive(now, fan),
            Input::Absent { fan } => self.presence.depart(now, fan),
            Input::Tick { room } => self.tick(now, room, effects),
            Input::Admitted { admissions } => self.admitted(now, admissions, effects),
            Input::AdmitFailed => {
                if let Some(proposal) = &mut self.proposal {
                    proposal.under_way = false;
                    self.pace.failed();
                }
            }
            Input::Changed { admission } => self.changed(admission, effects),
            Input::Ended { fan, place } => self.ended(now, fan, place, effects),
            Input::AdmitNow { count } => {
                self.extra = self.extra.saturating_add(count);
                self.propose(now, effects);
            }
            Input::Remove { fans, reply } => {
                let places = fans.iter().filter_map(|&fan| self.presence.place(fan)).collect();
                self.remove(now, places, reply, effects);
            }
            Input::RemoveFirst { count, reply } => {
                let places = self.line.iter(None).map(|(place, _)| place).take(count as usize).collect();
                self.remove(now, places, reply, effects);
            }
            Input::Clear { reply } => {
                let places = self.line.iter(None).map(|(place, _)| place).collect();
                self.remove(now, places, reply, effects);
            }
        }
        if let Some(joins) = self.joins.next_batch() {
            effects.push(Effect::Store { joins });
        }
        for places in std::mem::take(&mut self.used_up).chunks(MAX_FORGOTTEN) {
            effects.push(Effect::Forget { places: places.to_vec() });
        }
    }

    pub fn standing(&self, fan: FanId) -> Standing {
        if let Some(&admission) = self.admissions.get(&fan) {
            return Standing::Admitted(admission);
        }
        self.presence.place(fan).map_or(Standing::NotHere, Standing::Waiting)
    }

    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Waiting fans in order, `limit` of them from `after` on.
    pub fn members(&self, after: Option<Place>, limit: usize) -> Vec<(Place, FanId)> {
        self.line.iter(after).take(limit).collect()
    }

    /// Costs a pointer for each thousand waiting.
    pub fn publish(&mut self, now: EventTime) -> Queue {
        Queue {
            at: now,
            ranks: Arc::new(self.line.ranks()),
            newest: self.newest,
            outflow_per_minute: self.pace.outflow_per_minute(now),
            paused: self.room.settings.paused,
            present: self.presence.here(),
            admissions: self.admissions.len(),
            tickets: self.tickets,
            pace_percent: self.pace.percent(),
        }
    }

    fn join(&mut self, now: EventTime, fan: FanId, reply: Reply, effects: &mut Vec<Effect<Reply>>) {
        let outcome = match self.standing(fan) {
            Standing::Admitted(admission) => Outcome::Admitted(admission),
            Standing::Waiting(place) => {
                self.presence.heard(now, fan);
                Outcome::Waiting { place }
            }
            Standing::NotHere if self.line.len() + self.joins.len() >= MAX_WAITING => Outcome::Full,
            Standing::NotHere => {
                if let Err(reply) = self.joins.add(fan, reply) {
                    effects.push(Effect::Reply { reply, outcome: Outcome::Full });
                }
                return;
            }
        };
        effects.push(Effect::Reply { reply, outcome });
    }

    fn stored(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        for (place, joining) in self.joins.take_batch() {
            self.newest = place;
            if joining.left {
                self.used_up.push(place);
                continue;
            }
            self.line.insert(place, joining.fan);
            self.presence.set_place(now, joining.fan, Some(place));
            self.presence.heard(now, joining.fan);
            let outcome = Outcome::Waiting { place };
            effects.extend(joining.replies.into_iter().map(|reply| Effect::Reply { reply, outcome: outcome.clone() }));
        }
    }

    /// The places may be stored all the same, so they are forgotten, and they are burnt: nobody ever gets them.
    fn store_failed(&mut self, effects: &mut Vec<Effect<Reply>>) {
        for (place, joining) in self.joins.take_batch() {
            self.used_up.push(place);
            let outcome = Outcome::TryAgain;
            effects.extend(joining.replies.into_iter().map(|reply| Effect::Reply { reply, outcome: outcome.clone() }));
        }
    }

    fn leave(&mut self, now: EventTime, fan: FanId, reply: Reply, effects: &mut Vec<Effect<Reply>>) {
        if let Some(askers) = self.joins.cancel(fan) {
            let replies = askers.into_iter().chain([reply]);
            effects.extend(replies.map(|reply| Effect::Reply { reply, outcome: Outcome::Left }));
            return;
        }
        let outcome = match self.standing(fan) {
            Standing::Admitted(admission) => Outcome::Admitted(admission),
            Standing::NotHere => Outcome::NotHere,
            Standing::Waiting(place) => {
                if let Some(proposal) = self.proposal.as_mut().filter(|proposal| proposal.has(place)) {
                    proposal.leaving.entry(place).or_default().push(reply);
                    return;
                }
                self.give_up(now, place);
                Outcome::Left
            }
        };
        effects.push(Effect::Reply { reply, outcome });
    }

    fn tick(&mut self, now: EventTime, room: Room, effects: &mut Vec<Effect<Reply>>) {
        self.room = room;
        self.tickets = Some(room.tickets);
        self.pace.earn(now, room.settings.rate_per_minute);
        let overdue: Vec<_> = self
            .presence
            .overdue(now, room.settings.grace)
            .filter(|&place| !self.is_proposed(place))
            .take(MAX_DROPPED)
            .collect();
        for place in overdue {
            self.give_up(now, place);
        }
        self.warn(now, effects);
        self.repeat_proposal(now, effects);
        self.propose(now, effects);
    }

    fn warn(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        while let Some(&(until, fan)) = self.ending.first().filter(|(until, _)| *until <= now + ENDS_SOON) {
            self.ending.pop_first();
            if let Some(&admission) = self.admissions.get(&fan).filter(|admission| admission.until == until) {
                effects.push(Effect::Tell { fan, news: News::AdmissionEndsSoon(admission) });
            }
        }
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
        self.send(&proposal.places, effects);
        self.proposal = Some(Proposal { under_way: true, sent: now, ..proposal });
    }

    /// Asks for as many as rate, slots and stock allow, if nothing is being asked.
    fn propose(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        if self.proposal.is_some() {
            return;
        }
        let by_rate = if self.room.settings.paused { 0 } else { self.pace.allowed() };
        let by_rate = u64::from(by_rate).min(self.room.served(self.admissions.len() as u64));
        let wanted = if self.room.selling { by_rate + u64::from(self.extra) } else { 0 };
        let room = u64::from(self.room.slots_free).min(self.room.tickets.free).min(MAX_PROPOSED as u64);
        let count = wanted.min(room) as usize;
        let places: Vec<_> = self.line.iter(None).map(|(place, _)| place).take(count).collect();
        if places.is_empty() {
            // An admin's wish is for now; it does not lie in wait for the next slot.
            self.extra = 0;
            return;
        }
        self.send(&places, effects);
        let by_admin = self.extra.min(places.len() as u32);
        self.extra -= by_admin;
        self.proposal = Some(Proposal { places, sent: now, under_way: true, by_admin, leaving: BTreeMap::new() });
    }

    fn send(&self, places: &[Place], effects: &mut Vec<Effect<Reply>>) {
        let admittee = |&place: &Place| {
            self.line.get(place).map(|fan| Admittee { place, fan, present: self.presence.is_here(fan) })
        };
        effects.push(Effect::Admit { admittees: places.iter().filter_map(admittee).collect() });
    }

    fn admitted(&mut self, now: EventTime, admissions: Vec<Admission>, effects: &mut Vec<Effect<Reply>>) {
        let Some(Proposal { places, sent, by_admin, mut leaving, .. }) = self.proposal.take() else {
            return;
        };
        self.pace.took(now.since(sent));
        let count = admissions.len() as u32;
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
            self.give_up(now, place);
            effects.extend(leavers.into_iter().map(|reply| Effect::Reply { reply, outcome: Outcome::Left }));
        }
        self.pace.spend(count.saturating_sub(by_admin));
        self.pace.count(now, count);
        // Fewer than asked for: the slots are taken, whatever the last tick said.
        let all = count as usize >= places.len();
        self.room.slots_free = if all { self.room.slots_free.saturating_sub(count) } else { 0 };
        self.room.tickets.free = self.room.tickets.free.saturating_sub(u64::from(count));
        if self.extra > 0 {
            self.propose(now, effects);
        }
    }

    fn changed(&mut self, admission: Admission, effects: &mut Vec<Effect<Reply>>) {
        let Some(known) = self.admissions.get_mut(&admission.fan).filter(|known| known.place == admission.place) else {
            return;
        };
        // It is heard of twice, by the answer to whoever asked and from the journal, and in any order.
        let age = |admission: &Admission| (admission.claim_by.is_none(), admission.extended);
        if age(&admission) > age(known) {
            *known = admission;
            self.ending.insert(end_of(&admission));
            effects.push(Effect::Tell { fan: admission.fan, news: News::Admitted(admission) });
        }
    }

    fn ended(&mut self, now: EventTime, fan: FanId, place: Place, effects: &mut Vec<Effect<Reply>>) {
        // It may end before its own proposal is answered: then the place is used up all the same.
        let waited = self.line.get(place).is_some();
        if waited {
            self.give_up(now, place);
            let leavers = self.proposal.as_mut().and_then(|proposal| proposal.leaving.remove(&place));
            let leavers = leavers.into_iter().flatten();
            effects.extend(leavers.map(|reply| Effect::Reply { reply, outcome: Outcome::Left }));
        }
        let admitted = match self.admissions.entry(fan) {
            Entry::Occupied(entry) if entry.get().place == place => Some(entry.remove()),
            _ => None,
        };
        if waited || admitted.is_some() {
            effects.push(Effect::Tell { fan, news: News::AdmissionEnded });
        }
    }

    fn remove(&mut self, now: EventTime, places: Vec<Place>, reply: Reply, effects: &mut Vec<Effect<Reply>>) {
        let mut count = 0;
        for place in places.into_iter().filter(|&place| !self.is_proposed(place)).collect::<Vec<_>>() {
            let Some(fan) = self.give_up(now, place) else {
                continue;
            };
            count += 1;
            if self.presence.is_here(fan) {
                effects.push(Effect::Tell { fan, news: News::Removed });
            }
        }
        effects.push(Effect::Reply { reply, outcome: Outcome::Removed { count } });
    }

    fn is_proposed(&self, place: Place) -> bool {
        self.proposal.as_ref().is_some_and(|proposal| proposal.has(place))
    }

    /// The place is used up; whose it was.
    fn give_up(&mut self, now: EventTime, place: Place) -> Option<FanId> {
        let fan = self.line.remove(place)?;
        self.presence.set_place(now, fan, None);
        self.used_up.push(place);
        Some(fan)
    }
}

fn end_of(admission: &Admission) -> (EventTime, FanId) {
    (admission.until, admission.fan)
}

impl<Reply> Proposal<Reply> {
    fn has(&self, place: Place) -> bool {
        self.places.binary_search(&place).is_ok()
    }
}
