//! Random play: whatever happens in whatever order, some things hold.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    play::{ASKED, MOVING, Play, SHARED, SHARES, class, fan, play},
    *,
};
use crate::domain::queue::{Move, place::Class};

/// Which class was called, and which ones waited then.
type Call = (Class, BTreeSet<Class>);

/// I-27, over all admissions in a row during which the class waits.
fn check_shares(calls: &[Call]) {
    let total: usize = SHARES.weights.iter().map(|&weight| usize::from(weight)).sum();
    for class in (0..3).map(Class) {
        for from in 0..calls.len() {
            let waits = calls[from..].iter().take_while(|(_, waiting)| waiting.contains(&class));
            let (mut n, mut got) = (0, 0);
            for (called, _) in waits {
                n += 1;
                got += usize::from(*called == class);
                let owed = usize::from(SHARES.weights[class.index()]) * n / total;
                assert!(got + 1 >= owed, "{class:?} got {got} of {n}, owed {owed}");
            }
        }
    }
}

/// The world around the room, which knows what it did.
struct World {
    bench: Bench,
    term: u32,
    stored: BTreeMap<Place, FanId>,
    storing: Option<Vec<(Place, FanId)>>,
    tying: Option<Vec<Tie>>,
    /// Ties that each account has asked for, and that are not answered.
    asked: BTreeMap<FanId, u32>,
    moving: Option<Vec<Move>>,
    /// Moves that were asked for each fan, and that are not answered.
    asked_moves: BTreeMap<FanId, u32>,
    proposed: Option<Vec<(Place, FanId)>>,
    /// Which classes waited at each of them; nothing where the dice decide.
    waited: Vec<BTreeSet<Class>>,
    calls: Vec<Call>,
    /// The same places must be proposed next.
    must_repeat: Option<Vec<(Place, FanId)>>,
    live: BTreeMap<FanId, Admission>,
    ever_admitted: BTreeSet<Place>,
    ever_given: BTreeSet<Place>,
    /// Places that a fan was told, and not yet out of the line.
    told: BTreeMap<FanId, Place>,
    room: Room,
    by_admin: u32,
}

impl World {
    fn new() -> Self {
        Self {
            bench: Bench::restored_in(1, Vec::new(), Vec::new(), SHARED),
            term: 1,
            stored: BTreeMap::new(),
            storing: None,
            tying: None,
            asked: BTreeMap::new(),
            moving: None,
            asked_moves: BTreeMap::new(),
            proposed: None,
            waited: Vec::new(),
            calls: Vec::new(),
            must_repeat: None,
            live: BTreeMap::new(),
            ever_admitted: BTreeSet::new(),
            ever_given: BTreeSet::new(),
            told: BTreeMap::new(),
            room: SHARED,
            by_admin: 0,
        }
    }

    fn play(&mut self, play: Play) {
        let input = match play {
            Play::Join(number) => Input::JoinIn { fan: fan(number), class: class(number), reply: number },
            Play::Leave(number) => Input::Leave { fan: fan(number), reply: number },
            Play::Tie(device, account) => {
                *self.asked.entry(fan(account)).or_default() += 1;
                Input::Tie { device: fan(device), account: fan(account), reply: ASKED + account }
            }
            Play::Tied | Play::TieFailed if self.tying.is_none() => return,
            Play::Tied => {
                for tie in self.tying.take().into_iter().flatten() {
                    self.store_tie(tie);
                }
                Input::Tied
            }
            // Whatever got through, the store is made to say the same as the room again.
            Play::TieFailed => {
                self.tying = None;
                Input::TieFailed
            }
            Play::Move(number, class) => {
                *self.asked_moves.entry(fan(number)).or_default() += 1;
                Input::Move { fan: fan(number), class: Class(class), reply: MOVING + number }
            }
            Play::Moved | Play::MoveFailed if self.moving.is_none() => return,
            Play::Moved => {
                for one in self.moving.take().into_iter().flatten() {
                    self.stored.remove(&one.from);
                    self.stored.insert(one.to, one.fan);
                }
                Input::Moved
            }
            // Whatever got through, the store is made to say the same as the room again.
            Play::MoveFailed => {
                self.moving = None;
                Input::MoveFailed
            }
            Play::Present(number) => Input::Present { fan: fan(number) },
            Play::Absent(number) => Input::Absent { fan: fan(number) },
            Play::Stored | Play::StoreFailed if self.storing.is_none() => return,
            Play::Stored => {
                self.stored.extend(self.storing.take().into_iter().flatten());
                Input::Stored
            }
            Play::StoreFailed => {
                // Half of it got through.
                self.stored.extend(self.storing.take().into_iter().flatten().step_by(2));
                Input::StoreFailed
            }
            Play::Tick { slots_free, stock_free, selling, paused, mode, engage_above, dice } => {
                let release_below = engage_above / 2;
                self.room = Room {
                    settings: QueueSettings { paused, mode, engage_above, release_below, ..SETTINGS },
                    slots_free,
                    slots_taken: 4_u32.saturating_sub(slots_free),
                    dice,
                    tickets: Tickets { free: stock_free, held: 0 },
                    holds: 0,
                    selling,
                    ..SHARED
                };
                Input::Tick { room: self.room }
            }
            Play::Admitted(share) => {
                let Some(proposed) = self.proposed.take() else { return };
                self.must_repeat = None;
                let count = proposed.len() * usize::from(share) / 100;
                let waited = std::mem::take(&mut self.waited);
                if waited.is_empty() {
                    check_shares(&std::mem::take(&mut self.calls));
                }
                let called = proposed.iter().take(count).map(|(place, _)| place.class()).zip(waited);
                self.calls.extend(called.filter(|(class, _)| *class != Class::FRONT));
                Input::Admitted { admissions: proposed.into_iter().take(count).map(|at| self.admit(at)).collect() }
            }
            Play::AdmitFailed => {
                if self.proposed.is_none() {
                    return;
                }
                self.must_repeat = self.proposed.take();
                Input::AdmitFailed
            }
            Play::End(number) => {
                let Some(admission) = self.live.remove(&fan(number)) else { return };
                Input::Ended { fan: fan(number), place: admission.place }
            }
            Play::AdmitNow(count) => {
                self.by_admin += count;
                Input::AdmitNow { count }
            }
            Play::RemoveFirst(count) => Input::RemoveFirst { count, reply: 0 },
            Play::Wait(span) => {
                self.bench.now = self.bench.now + Millis(span);
                return;
            }
            Play::Restart => return self.restart(),
        };
        let effects = self.bench.run(input);
        for effect in effects {
            self.take(effect);
        }
        self.check();
    }

    /// A fan has one place there.
    fn store_tie(&mut self, tie: Tie) {
        self.stored.retain(|_, fan| *fan != tie.account);
        self.stored.insert(tie.place, tie.account);
    }

    fn admit(&mut self, (place, fan): (Place, FanId)) -> Admission {
        let admission = Admission { place, fan, claim_by: None, until: EventTime(u64::MAX), extended: false };
        assert!(self.ever_admitted.insert(place), "{place} is admitted twice");
        assert!(self.live.insert(fan, admission).is_none(), "{fan} has two admissions");
        admission
    }

    fn take(&mut self, effect: Effect<u32>) {
        let effect = match effect {
            Effect::Reply { reply: asked @ ASKED..MOVING, outcome } => {
                let reply = asked - ASKED;
                self.asked.entry(fan(reply)).and_modify(|count| *count -= 1);
                self.asked.retain(|_, count| *count > 0);
                Effect::Reply { reply, outcome }
            }
            other => other,
        };
        match effect {
            Effect::Reply { reply: asked @ MOVING.., outcome } => {
                self.asked_moves.entry(fan(asked - MOVING)).and_modify(|count| *count -= 1);
                self.asked_moves.retain(|_, count| *count > 0);
                assert!(!matches!(outcome, Outcome::Left | Outcome::Removed { .. }), "{outcome:?}");
            }
            Effect::Move { moves } => {
                assert!(self.moving.is_none(), "two writes at once");
                for one in &moves {
                    assert!(self.ever_given.insert(one.to.arrival()), "{} is given twice", one.to);
                }
                self.moving = Some(moves);
            }
            Effect::Store { joins } => {
                assert!(self.storing.is_none(), "two writes at once");
                for (place, _) in &joins {
                    assert!(self.ever_given.insert(place.arrival()), "{place} is given twice");
                    assert_eq!(place.term(), self.term);
                }
                self.storing = Some(joins);
            }
            Effect::Tie { ties } => {
                assert!(self.tying.is_none(), "two writes at once");
                self.tying = Some(ties);
            }
            Effect::Forget { places } => {
                for place in places {
                    let fan = self.stored.remove(&place);
                    self.told.retain(|other, told| Some(*other) != fan || *told != place);
                }
            }
            Effect::Admit { admittees } => {
                assert!(self.proposed.is_none(), "two proposals at once");
                let admittees: Vec<_> = admittees.into_iter().map(|one| (one.place, one.fan)).collect();
                match self.must_repeat.take() {
                    Some(before) => assert_eq!(admittees, before, "the same places again"),
                    None => {
                        assert!(self.room.selling, "nothing is on sale");
                        assert!(!self.room.settings.paused || self.by_admin > 0, "admission is paused");
                        assert!(admittees.len() <= self.room.slots_free as usize, "more than there are slots");
                        assert!(admittees.len() as u64 <= self.room.tickets.free, "more than there is stock");
                        self.check_order(&admittees);
                    }
                }
                assert!(admittees.iter().all(|(_, fan)| !fan.is_device()), "nobody knows whose it is");
                self.proposed = Some(admittees);
            }
            Effect::Reply { reply, outcome: Outcome::Waiting { place } } => {
                assert_eq!(self.stored.get(&place), Some(&fan(reply)), "told before it is stored");
                self.told.insert(fan(reply), place);
            }
            Effect::Reply { reply, outcome: Outcome::Closed } => {
                assert_eq!(self.room.settings.mode, Mode::Reject, "refused for nothing");
                assert!(!self.told.contains_key(&fan(reply)), "refused, and has a place");
            }
            Effect::Reply { .. } => {}
            Effect::Draw(step) => unreachable!("nobody draws here: {step:?}"),
            Effect::Tell { fan, news: News::Admitted(admission) } => {
                assert_eq!(self.live.get(&fan), Some(&admission), "told before it is journalled");
            }
            Effect::Tell { fan, news: News::Tied } => {
                self.told.remove(&fan);
            }
            Effect::Tell { fan, news: News::Placed(place) } => {
                let before = self.told.insert(fan, place);
                let is_better = before.is_none_or(|before| before.class() != place.class() || place < before);
                assert!(is_better, "a tie made it worse");
            }
            Effect::Tell { .. } => {}
        }
    }

    /// Nobody is overtaken within a class, nobody who is put first by anybody, and what each class gets is looked at later.
    fn check_order(&mut self, admittees: &[(Place, FanId)]) {
        self.waited.clear();
        if self.room.settings.mode == Mode::Random {
            return;
        }
        let mut lines: BTreeMap<Class, Vec<Place>> = BTreeMap::new();
        for (place, fan) in self.bench.room.members(None, usize::MAX).into_iter().rev() {
            if !fan.is_device() && !self.asked.contains_key(&fan) && !self.asked_moves.contains_key(&fan) {
                lines.entry(place.class()).or_default().push(place);
            }
        }
        for (place, _) in admittees {
            let waiting: BTreeSet<Class> = lines.keys().copied().collect();
            assert!(!waiting.contains(&Class::FRONT) || place.class() == Class::FRONT, "not the first");
            let line = lines.get_mut(&place.class()).expect("somebody of the class waits");
            assert_eq!(line.pop(), Some(*place), "somebody is overtaken");
            lines.retain(|_, line| !line.is_empty());
            self.waited.push(waiting);
        }
    }

    fn restart(&mut self) {
        check_shares(&std::mem::take(&mut self.calls));
        self.term += 1;
        self.asked.clear();
        self.asked_moves.clear();
        // The journal may have admitted what was proposed, and nobody heard of it.
        for at in self.proposed.take().into_iter().chain(self.must_repeat.take()).flatten().step_by(2) {
            self.admit(at);
        }
        self.stored.extend(self.storing.take().into_iter().flatten());
        for tie in self.tying.take().into_iter().flatten().step_by(2) {
            self.store_tie(tie);
            self.told.remove(&tie.device);
            self.told.remove(&tie.account);
        }
        for one in self.moving.take().into_iter().flatten().step_by(2) {
            self.stored.remove(&one.from);
            self.stored.insert(one.to, one.fan);
            self.told.remove(&one.fan);
        }
        let places = self.stored.iter().filter(|(place, _)| !self.ever_admitted.contains(place));
        let places = places.map(|(&place, &fan)| (place, fan)).collect();
        let live = self.live.values().copied().collect();
        self.told.retain(|fan, _| !self.live.contains_key(fan));
        let now = self.bench.now;
        self.bench = Bench { room: WaitingRoom::new(now, self.term, places, live, SHARED), now };
        self.by_admin = 0;
        self.check();
    }

    fn check(&mut self) {
        let members = self.bench.room.members(None, usize::MAX);
        assert!(members.is_sorted_by_key(|(place, _)| *place), "the line is out of order");
        let fans: BTreeSet<_> = members.iter().map(|(_, fan)| *fan).collect();
        assert_eq!(fans.len(), members.len(), "a fan has two places");
        for (fan, admission) in &self.live {
            assert!(!fans.contains(fan) || self.proposed.is_some(), "{fan} waits beside {admission:?}");
        }
        for (place, fan) in &members {
            assert!(!self.ever_admitted.contains(place), "{fan} still waits at an admitted place");
        }
        // Whoever was told a place still has it: nothing else may take it away than what forgets it.
        for (fan, place) in &self.told {
            assert_eq!(self.bench.room.standing(*fan), Standing::Waiting(*place));
        }
        let ranks = self.bench.room.publish(self.bench.now).ranks;
        assert_eq!(ranks.total(), members.len());
        for (index, (place, _)) in members.iter().enumerate() {
            let of_class = members.iter().take(index).filter(|(other, _)| other.class() == place.class());
            assert_eq!((ranks.ahead(*place), ranks.ahead_in_class(*place)), (index, of_class.count()));
        }
        if self.proposed.is_none() && self.must_repeat.is_none() {
            self.by_admin = 0;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nobody_is_overtaken_or_admitted_twice_or_waits_twice(plays in prop::collection::vec(play(), 1..250)) {
        let mut world = World::new();
        for play in plays {
            world.play(play);
        }
        check_shares(&world.calls);
    }

    /// I-26: whoever keeps the place only ever moves forward.
    #[test]
    fn a_position_never_gets_worse(plays in prop::collection::vec(play(), 1..250)) {
        let mut world = World::new();
        let mut before: BTreeMap<Place, usize> = BTreeMap::new();
        for play in plays {
            world.play(play);
            let ranks = world.bench.room.publish(world.bench.now).ranks;
            let members = world.bench.room.members(None, usize::MAX);
            let now: BTreeMap<_, _> =
                members.iter().map(|(place, _)| (*place, ranks.ahead_in_class(*place))).collect();
            for (place, index) in &now {
                prop_assert!(before.get(place).is_none_or(|earlier| index <= earlier));
            }
            before = now;
        }
    }
}
