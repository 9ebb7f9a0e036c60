//! The waiting room's decisions: who has a place, who is told what. Who is proposed next: [`calling`]; what becomes of the
//! entries of a draw: [`drawing`]; whose a device's place becomes: [`tying`]; who changes the line: [`moving`]; what comes back
//! after a loss: [`restoring`].

mod calling;
mod drawing;
mod moving;
mod picking;
mod restoring;
mod tying;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    sync::Arc,
};

use self::{calling::Proposal, drawing::Drawing};
use super::{
    Class, Conditions, Effect, Entries, Input, News, Outcome, Place, Queue, Room, Standing, Tickets, joins::Joins,
    line::Line, loss::Lost, moves::Moves, outflow::Meter, pace::Pace, pick::Dice, presence::Presence,
    schedule::Schedule, ties::Ties,
};
use crate::domain::{
    id::FanId,
    inventory::{configuration::Mode, request::Admission},
    time::{EventTime, Millis},
};

/// No more waiting fans than this in one event.
const MAX_WAITING: usize = 10_000_000;
/// A fan who shops is told so long before the end.
const ENDS_SOON: Millis = Millis::seconds(60);
/// No more places than this in one `Forget`.
const MAX_FORGOTTEN: usize = 4_096;

pub struct WaitingRoom<Reply> {
    line: Line,
    presence: Presence,
    joins: Joins<Reply>,
    ties: Ties<Reply>,
    moves: Moves<Reply>,
    /// Which class is next.
    schedule: Schedule,
    /// The last place that was stored, or burnt.
    newest: Place,
    /// Live admissions, by fan: a fan has one, or a place, or neither.
    admissions: BTreeMap<FanId, Admission>,
    /// When claimed admissions end of which nothing was said yet. Those that have changed since are passed over.
    ending: BTreeSet<(EventTime, FanId)>,
    /// When how many were admitted, or claimed, within the last claim window: these may be about to take something.
    fresh: VecDeque<(EventTime, u32)>,
    /// As of the last tick, less what was admitted since.
    room: Room,
    /// As the last tick said; before the first one nobody knows.
    tickets: Option<Tickets>,
    pace: Pace,
    meter: Meter,
    /// Whether there is a queue, or everybody is let through: see [`QueueSettings::engage_above`].
    ///
    /// [`QueueSettings::engage_above`]: crate::domain::inventory::configuration::QueueSettings::engage_above
    engaged: bool,
    /// Admissions that an admin asked for and that are not proposed yet.
    extra: u32,
    proposal: Option<Proposal<Reply>>,
    dice: Dice,
    drawing: Drawing,
    /// `None`: what is here is all.
    lost: Option<Lost>,
    /// Nobody's grace began before: the kill switch was on until then.
    grace_from: EventTime,
    /// Places used up, to be forgotten at the end of the step.
    used_up: Vec<Place>,
}

impl<Reply> WaitingRoom<Reply> {
    /// Begins a term with the places that the store gave back (any order, minus those ever admitted) and the live
    /// admissions of the journal. Everybody counts as just gone, and has the grace time to come back. `room` is looked at for
    /// who may join; nobody is called before the first tick.
    pub fn new(
        now: EventTime,
        term: u32,
        mut places: Vec<(Place, FanId)>,
        admissions: Vec<Admission>,
        room: Room,
    ) -> Self {
        let admissions: BTreeMap<_, _> = admissions.into_iter().map(|admission| (admission.fan, admission)).collect();
        // What was lost of a tie can leave a place with two: then it is the account's.
        places.sort_unstable_by_key(|&(place, fan)| (place.arrival(), place, fan.is_device(), fan));
        places.dedup_by_key(|(place, _)| *place);
        let last = places.last().filter(|(place, _)| place.term() == term).map_or(0, |(place, _)| place.0 as u32);
        let last = last.max(Place::ARRIVALS);
        // A copy that lost a `Forget` can hold several places of a fan; only the last one given can have been told last.
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
        places.sort_unstable();
        let mut line = Line::default();
        for &(place, fan) in &places {
            line.insert(place, fan);
        }
        Self {
            line,
            presence: Presence::restored(now, &places),
            joins: Joins::new(term, last),
            ties: Ties::default(),
            moves: Moves::default(),
            schedule: Schedule::new(room.shares),
            newest: Place::new(term, last),
            ending: admissions.values().filter(|admission| admission.claim_by.is_none()).map(end_of).collect(),
            fresh: VecDeque::new(),
            admissions,
            room: Room { slots_free: 0, tickets: Tickets::default(), selling: false, ..room },
            tickets: None,
            pace: Pace::new(now),
            meter: Meter::new(now),
            engaged: room.slots_taken >= room.settings.engage_above,
            extra: 0,
            proposal: None,
            dice: Dice::new(room.dice),
            drawing: Drawing::default(),
            lost: None,
            grace_from: now,
            used_up,
        }
    }

    pub fn step(&mut self, now: EventTime, input: Input<Reply>, effects: &mut Vec<Effect<Reply>>) {
        match input {
            Input::Join { fan, reply } => self.join(now, fan, Class::DEFAULT, reply, effects),
            Input::JoinIn { fan, class, reply } => self.join(now, fan, class, reply, effects),
            Input::Restore { fan, place, class, reply } => self.restore(now, fan, (place, class), reply, effects),
            Input::Stored => self.stored(now, effects),
            Input::StoreFailed => self.store_failed(effects),
            Input::Tie { device, account, reply } => self.tie(now, device, account, reply, effects),
            Input::Tied => self.tied(now, effects),
            Input::TieFailed => self.tie_failed(effects),
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
            Input::Changed { admission } => self.changed(now, admission, effects),
            Input::Ended { fan, place } => self.ended(now, fan, place, effects),
            Input::DrawStepped => self.drawing.stepped(),
            Input::Drawn { places } => self.drawn(now, places),
            Input::AdmitNow { count } => {
                self.extra = self.extra.saturating_add(count);
                self.propose(now, effects);
            }
            Input::Remove { fans, reply } => {
                let places = fans.iter().filter_map(|&fan| self.presence.place(fan)).collect();
                self.remove(now, places, reply, effects);
            }
            Input::RemoveFirst { count, reply } => {
                let places = self.front(count as usize);
                self.remove(now, places, reply, effects);
            }
            Input::Clear { reply } => {
                let places = self.line.iter(None).map(|(place, _)| place).collect();
                self.remove(now, places, reply, effects);
            }
            Input::Move { fan, class, reply } => self.ask_for_move(fan, class, reply, effects),
            Input::Moved => self.moved(now, effects),
            Input::MoveFailed => self.move_failed(effects),
        }
        if let Some(joins) = self.joins.next_batch(self.moves.first()) {
            effects.push(Effect::Store { joins });
        }
        if let Some(ties) = self.ties.next_batch() {
            effects.push(Effect::Tie { ties });
        }
        if let Some(moves) = self.moves.next_batch(self.joins.first()) {
            effects.push(Effect::Move { moves });
        }
        let used_up = std::mem::take(&mut self.used_up);
        if let Some(lost) = &mut self.lost {
            lost.spend(&used_up);
        }
        let used_up: Vec<Place> = used_up.into_iter().flat_map(|place| self.forgotten_as(place)).collect();
        for places in used_up.chunks(MAX_FORGOTTEN) {
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

    /// The first, in the order in which all would be called.
    pub fn front(&self, count: usize) -> Vec<Place> {
        self.in_order(count, |_| true).into_iter().map(|(place, _)| place).collect()
    }

    /// The place by which the queue's store knows this one: a drawn place is worked out from the journal, never stored.
    pub fn stored_as(&self, place: Place) -> Place {
        self.drawing.stored(place)
    }

    /// By which places the store is to forget it. After a loss also by the drawn one, by which it may come back.
    fn forgotten_as(&self, place: Place) -> impl Iterator<Item = Place> + use<Reply> {
        let stored = self.stored_as(place);
        [stored].into_iter().chain((self.lost.is_some() && stored != place).then_some(place))
    }

    /// Costs a pointer for each thousand waiting.
    pub fn publish(&mut self, now: EventTime) -> Queue {
        Queue {
            at: now,
            ranks: Arc::new(self.line.ranks()),
            newest: self.newest,
            // A pace that nobody goes in at says nothing.
            outflow: self.meter.outflow(now).filter(|_| !self.room.settings.paused && !self.is_rebuilding(now)),
            conditions: Conditions {
                mode: self.room.settings.mode,
                paused: self.room.settings.paused,
                engaged: self.engaged,
                hours: self.room.hours,
                entries: self.entries(),
                tickets: self.tickets,
                notice: 0,
                rebuilding: self.is_rebuilding(now),
                halted: self.room.halted,
            },
            notice: None,
            classes: Arc::default(),
            manual_moves: 0,
            present: self.presence.here(),
            admissions: self.admissions.len(),
            pace_percent: self.pace.percent(),
        }
    }

    fn join(&mut self, now: EventTime, fan: FanId, class: Class, reply: Reply, effects: &mut Vec<Effect<Reply>>) {
        let outcome = match self.standing(fan) {
            Standing::Admitted(admission) => Outcome::Admitted(admission),
            Standing::Waiting(place) => {
                self.presence.heard(now, fan);
                Outcome::Waiting { place }
            }
            Standing::NotHere => {
                if let Some(outcome) = self.refusal(now, fan) {
                    return effects.push(Effect::Reply { reply, outcome });
                }
                if let Some(place) = self.drawn_and_lost(fan) {
                    return self.restore(now, fan, (place.in_class(class), class), reply, effects);
                }
                if let Err(reply) = self.joins.add(fan, class, reply) {
                    effects.push(Effect::Reply { reply, outcome: Outcome::Full });
                }
                return;
            }
        };
        effects.push(Effect::Reply { reply, outcome });
    }

    /// Why nobody gets a place now; not for who is just getting one.
    fn refusal(&self, now: EventTime, fan: FanId) -> Option<Outcome> {
        let from = self.room.hours.join_from;
        match self.room.settings.mode {
            _ if self.joins.has(fan) => None,
            _ if self.ties.wait_for(fan) || self.moves.wait_for(fan) => Some(Outcome::TryAgain),
            _ if self.ties.account_of(fan).is_some() => Some(Outcome::DeviceTied),
            _ if self.room.halted => Some(Outcome::Halted),
            Mode::Reject => Some(Outcome::Closed),
            _ if now < from => Some(Outcome::NotOpen { from }),
            Mode::Draw if fan.is_device() && (now < self.room.hours.on_sale_at || self.entries() == Entries::All) => {
                Some(Outcome::AccountNeeded)
            }
            // Nobody enters before the seed is fixed; that is a moment.
            _ if self.lacks_commitment(now) => Some(Outcome::TryAgain),
            _ if self.is_full() => Some(Outcome::Full),
            _ => None,
        }
    }

    fn is_full(&self) -> bool {
        self.line.len() + self.joins.len() >= MAX_WAITING
    }

    fn stored(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        for (place, joining) in self.joins.take_batch() {
            if joining.restored {
                self.restored(now, place, joining, effects);
                continue;
            }
            self.newest = place;
            let place = place.in_class(joining.class);
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

    /// The places may be stored all the same, so they are forgotten, and they are burnt: nobody ever gets them. Those that come
    /// back may come once more.
    fn store_failed(&mut self, effects: &mut Vec<Effect<Reply>>) {
        for (place, joining) in self.joins.take_batch() {
            if !joining.restored {
                self.newest = place;
                self.used_up.push(place.in_class(joining.class));
            }
            let outcome = Outcome::TryAgain;
            effects.extend(joining.replies.into_iter().map(|reply| Effect::Reply { reply, outcome: outcome.clone() }));
        }
    }

    fn leave(&mut self, now: EventTime, fan: FanId, reply: Reply, effects: &mut Vec<Effect<Reply>>) {
        if let Some(askers) = self.joins.cancel(fan) {
            effects.extend(askers.into_iter().map(|reply| Effect::Reply { reply, outcome: Outcome::Left }));
            // Who was just getting an older place back may have one.
            if self.presence.place(fan).is_none() {
                return effects.push(Effect::Reply { reply, outcome: Outcome::Left });
            }
        }
        let outcome = match self.standing(fan) {
            Standing::Admitted(admission) => Outcome::Admitted(admission),
            _ if self.is_moving(fan) => Outcome::TryAgain,
            Standing::NotHere => Outcome::NotHere,
            Standing::Waiting(place) => {
                if let Some(proposal) = self.proposal.as_mut().filter(|proposal| proposal.has(place)) {
                    proposal.leaving.entry(place).or_default().push(reply);
                    return;
                }
                self.left(now, place, effects);
                Outcome::Left
            }
        };
        effects.push(Effect::Reply { reply, outcome });
    }

    /// By the fan's wish, who may have more sockets than the one that it was said on.
    fn left(&mut self, now: EventTime, place: Place, effects: &mut Vec<Effect<Reply>>) {
        if let Some(fan) = self.give_up(now, place).filter(|&fan| self.presence.is_here(fan)) {
            effects.push(Effect::Tell { fan, news: News::Left });
        }
    }

    fn warn(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) {
        while let Some(&(until, fan)) = self.ending.first().filter(|(until, _)| *until <= now + ENDS_SOON) {
            self.ending.pop_first();
            if let Some(&admission) = self.admissions.get(&fan).filter(|admission| admission.until == until) {
                effects.push(Effect::Tell { fan, news: News::AdmissionEndsSoon(admission) });
            }
        }
    }

    fn changed(&mut self, now: EventTime, admission: Admission, effects: &mut Vec<Effect<Reply>>) {
        let Some(known) = self.admissions.get_mut(&admission.fan).filter(|known| known.place == admission.place) else {
            return;
        };
        // It is heard of twice, by the answer to whoever asked and from the journal, and in any order.
        let age = |admission: &Admission| (admission.claim_by.is_none(), admission.extended);
        if age(&admission) > age(known) {
            let claims = known.claim_by.is_some();
            *known = admission;
            self.fresh.extend(claims.then_some((now, 1)));
            self.ending.insert(end_of(&admission));
            effects.push(Effect::Tell { fan: admission.fan, news: News::Admitted(admission) });
        }
    }

    fn ended(&mut self, now: EventTime, fan: FanId, place: Place, effects: &mut Vec<Effect<Reply>>) {
        // It may end before its own proposal is answered: then the place is used up all the same.
        let waited = self.line.get(place).is_some();
        if waited {
            self.give_up(now, place);
            let proposed =
                self.proposal.iter().flat_map(|proposal| &proposal.places).find(|(other, _)| *other == place);
            if let Some(&(_, waited)) = proposed {
                self.went(place, waited);
            }
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
        for place in places.into_iter().filter(|&place| !self.is_fixed(place)).collect::<Vec<_>>() {
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

    /// It is being called, or is passing on, or becomes another: it cannot be given up now.
    fn is_fixed(&self, place: Place) -> bool {
        self.is_proposed(place) || self.ties.has(place) || self.moves.has(place)
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
