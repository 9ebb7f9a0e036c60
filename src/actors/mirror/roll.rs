//! What the stand-in has been told of who is here.
//!
//! Owns the numbers: which attendance said it, and which of them the stand-in has heard. What is not known to be heard in
//! time is said again, all of it.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::PULSE;
use crate::{
    actors::{courier::Attendance, waiting_room::Sockets},
    domain::id::FanId,
};

/// In one attendance: 16 bytes each.
const FANS: usize = 8_192;
/// Until everything is said again, while the mirror is not live: for as long an event that has moved is away here at the most.
const REPEAT: Duration = PULSE;
/// Until everything is said again because the stand-in has not said that it heard.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long who was cut off may take to attach again. Without this a fan who is called meanwhile would have to claim.
const RETURN: Duration = Duration::from_secs(2);

pub(super) struct Roll {
    mirror: u64,
    /// Of the last attendance.
    number: u64,
    heard: u64,
    /// Number of the attendance that ended the last saying of everything.
    whole_at: u64,
    /// Who was said to be here, and in which attendance.
    told: HashMap<FanId, u64>,
    /// Who came or went since, or both.
    changed: HashSet<FanId>,
    /// Cut off just now, and expected back: still said to be here, until then.
    expected: HashSet<FanId>,
    expected_until: Instant,
    needs_all: bool,
    spoke: Option<Instant>,
}

impl Roll {
    pub fn new(mirror: u64) -> Self {
        Self {
            mirror,
            number: 0,
            heard: 0,
            whole_at: 0,
            told: HashMap::new(),
            changed: HashSet::new(),
            expected: HashSet::new(),
            expected_until: Instant::now(),
            needs_all: true,
            spoke: None,
        }
    }

    /// Nobody knows any more what the stand-in knows. `cut_off`: who had a socket until now.
    pub fn restart(&mut self, now: Instant, cut_off: impl Iterator<Item = FanId>) {
        self.expected.extend(cut_off);
        self.expected_until = now + RETURN;
        self.told.clear();
        self.changed.clear();
        self.heard = 0;
        self.needs_all = true;
        self.spoke = None;
    }

    pub fn came(&mut self, fan: FanId) {
        self.expected.remove(&fan);
        self.changed.insert(fan);
    }

    pub fn went(&mut self, fan: FanId) {
        self.changed.insert(fan);
    }

    /// Who has not come back in time is gone.
    pub fn expect_no_longer(&mut self, now: Instant) {
        if now >= self.expected_until {
            self.changed.extend(self.expected.drain());
        }
    }

    /// Whether the owner counts the fan as present.
    pub fn is_heard(&self, fan: FanId) -> bool {
        self.told.get(&fan).is_some_and(|&number| number <= self.heard)
    }

    pub fn heard(&mut self, number: u64, missed: bool) {
        if !missed {
            self.heard = self.heard.max(number);
        } else if number >= self.whole_at {
            self.needs_all = true;
        }
    }

    /// Whether something is to be said now.
    pub fn is_due(&self, now: Instant, live: bool) -> bool {
        let Some(spoke) = self.spoke else { return true };
        let since = now.duration_since(spoke);
        let unheard = self.number > self.heard && since >= PATIENCE;
        let new = (self.needs_all || !self.changed.is_empty()) && since >= PULSE;
        new || unheard || (!live && since >= REPEAT)
    }

    /// What is to be said, for `is_due`.
    pub fn say(&mut self, now: Instant, sockets: &Sockets, live: bool) -> Vec<Attendance> {
        let is_late = self.spoke.is_some_and(|spoke| now.duration_since(spoke) >= PATIENCE);
        let all = self.needs_all || !live || (self.number > self.heard && is_late);
        self.spoke = Some(now);
        self.needs_all = false;
        if all { self.say_all(sockets, !live) } else { self.say_changes(sockets) }
    }

    /// Nothing follows.
    pub fn over(&mut self) -> Attendance {
        Attendance { over: true, ..self.next() }
    }

    fn say_all(&mut self, sockets: &Sockets, wants_all: bool) -> Vec<Attendance> {
        self.changed.clear();
        let expected = self.expected.iter().copied().filter(|&fan| !sockets.is_here(fan));
        let fans: Vec<FanId> = sockets.fans().chain(expected).collect();
        // Of nobody, it is one all the same.
        let count = fans.len().div_ceil(FANS).max(1);
        let mut pieces = fans.chunks(FANS);
        let mut said = Vec::with_capacity(count);
        for n in 1..=count {
            let came = pieces.next().map(<[FanId]>::to_vec).unwrap_or_default();
            said.push(Attendance { whole: n == 1, more: n < count, came, wants_all, ..self.next() });
        }
        self.whole_at = self.number;
        let number = self.number;
        self.told = fans.into_iter().map(|fan| (fan, number)).collect();
        said
    }

    fn say_changes(&mut self, sockets: &Sockets) -> Vec<Attendance> {
        let changed: Vec<FanId> = self.changed.drain().collect();
        let mut said = Vec::new();
        for some in changed.chunks(FANS) {
            let number = self.number + 1;
            let (here, gone): (Vec<FanId>, Vec<FanId>) =
                some.iter().partition(|&fan| sockets.is_here(*fan) || self.expected.contains(fan));
            let mut came = here;
            came.retain(|&fan| {
                let is_new = !self.told.contains_key(&fan);
                self.told.entry(fan).or_insert(number);
                is_new
            });
            let mut went = gone;
            went.retain(|fan| self.told.remove(fan).is_some());
            if !came.is_empty() || !went.is_empty() {
                said.push(Attendance { came, went, ..self.next() });
            }
        }
        said
    }

    fn next(&mut self) -> Attendance {
        self.number += 1;
        Attendance {
            mirror: self.mirror,
            number: self.number,
            whole: false,
            more: false,
            came: Vec::new(),
            went: Vec::new(),
            wants_all: false,
            over: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::*;
    use crate::{
        actors::waiting_room::{Ear, Lanes},
        domain::queue::{News, Queue},
    };

    struct Deaf;

    impl Ear for Deaf {
        fn hear(&self, _: News) {}
    }

    fn lanes() -> Arc<Lanes> {
        let (_publish, queue) = watch::channel(Arc::new(Queue::default()));
        Arc::new(Lanes::new(queue, 1))
    }

    fn fan(number: u128) -> FanId {
        FanId::from_u128(number)
    }

    #[test]
    fn a_change_is_said_once_and_all_of_it_again_when_nobody_has_heard() {
        let mut sockets = Sockets::new(Arc::new(|_, _| {}));
        let lanes = lanes();
        let (mut roll, start) = (Roll::new(3), Instant::now());
        let said = roll.say(start, &sockets, false);
        assert!(said.len() == 1 && said[0].whole && said[0].wants_all && said[0].came.is_empty());
        roll.heard(1, false);

        let _first = sockets.attach(fan(1), Box::new(Deaf), &lanes);
        roll.came(fan(1));
        let later = start + PULSE;
        assert!(roll.is_due(later, true));
        let said = roll.say(later, &sockets, true);
        assert_eq!((said.len(), said[0].number, said[0].came.clone()), (1, 2, vec![fan(1)]));
        assert!(!roll.is_heard(fan(1)));
        roll.heard(2, false);
        assert!(roll.is_heard(fan(1)));

        // Another socket of the same fan is nothing new.
        let _second = sockets.attach(fan(1), Box::new(Deaf), &lanes);
        roll.came(fan(1));
        assert_eq!(roll.say(later + PULSE, &sockets, true), []);
        sockets.cut_off();
        roll.went(fan(1));
        let said = roll.say(later + PULSE, &sockets, true);
        assert_eq!((said.len(), said[0].went.clone()), (1, vec![fan(1)]));
        assert!(!roll.is_due(later + PULSE * 3, true));
        assert!(roll.is_due(later + PULSE * 2 + PATIENCE, true), "nobody has heard it");
        assert!(roll.say(later + PULSE * 2 + PATIENCE, &sockets, true)[0].whole);
    }

    #[test]
    fn who_missed_something_is_told_everything_once() {
        let sockets = Sockets::new(Arc::new(|_, _| {}));
        let (mut roll, start) = (Roll::new(3), Instant::now());
        roll.say(start, &sockets, true);
        roll.heard(0, true);
        assert!(!roll.is_due(start + PULSE, true), "it is on its way");
        roll.heard(1, true);
        assert!(roll.is_due(start + PULSE, true));
    }

    #[test]
    fn who_is_cut_off_counts_as_here_until_there_was_time_to_come_back() {
        let mut sockets = Sockets::new(Arc::new(|_, _| {}));
        let lanes = lanes();
        let (mut roll, start) = (Roll::new(3), Instant::now());
        let _old = [sockets.attach(fan(1), Box::new(Deaf), &lanes), sockets.attach(fan(2), Box::new(Deaf), &lanes)];
        roll.restart(start, sockets.fans());
        sockets.cut_off();
        let mut came = roll.say(start, &sockets, false)[0].came.clone();
        came.sort();
        assert_eq!(came, [fan(1), fan(2)]);
        roll.heard(1, false);
        let back = sockets.attach(fan(1), Box::new(Deaf), &lanes);
        roll.came(fan(1));
        assert_eq!(roll.say(start + PULSE, &sockets, true), []);
        roll.expect_no_longer(start + PULSE);
        assert_eq!(roll.say(start + PULSE * 2, &sockets, true), []);
        roll.expect_no_longer(start + RETURN);
        let said = roll.say(start + RETURN, &sockets, true);
        assert_eq!((said.len(), said[0].went.clone()), (1, vec![fan(2)]));
        drop(back);
    }
}
