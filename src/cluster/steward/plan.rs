//! What this node is to claim and to give away, decided from what it knows. Does nothing itself.
//!
//! Owns the limits: how many at once, how soon, how often. Nothing here has to be right for the sale to be: who owns an event
//! is what etcd says, and a decision from an old list ends in a refusal there. What must be avoided is an event that nobody
//! runs, and one that goes to and fro; so a node gives away only what placement, seen alike by all, gives to another.

mod setbacks;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use self::setbacks::Setbacks;
use crate::domain::id::EventId;

const CLAIMS: usize = 16;
/// Off a node that is to run nothing, and where an operator wants them.
const MOVES: usize = 8;
/// Each node further down the order waits so much longer before it claims: one that is registered but cannot claim holds
/// nobody up.
const STEP: Duration = Duration::from_secs(3);
/// Between two events that go to their homes without anybody's asking.
const PAUSE: Duration = Duration::from_millis(100);
/// An event that has just come stays: nodes do not all see at the same moment who is up.
const SETTLED: Duration = Duration::from_secs(8);
/// A hot event goes home later: for those who wait for it, even half a second is long.
const HOT_WAITING: usize = 2_000;
const HOT_COMMITS_PER_SECOND: f64 = 20.0;

/// What etcd says.
pub struct Lists {
    /// When the listing began: what has changed here since then is newer.
    pub began: Instant,
    pub active: Vec<EventId>,
    /// Names of nodes.
    pub owners: HashMap<EventId, String>,
}

/// An event that runs here.
#[derive(Debug, Clone)]
pub struct Load {
    pub event: EventId,
    /// Whether somebody must run it although nobody asks.
    pub is_active: bool,
    pub waiting: usize,
    pub commits_per_second: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Serving,
    /// An operator wants this node to run nothing.
    Drained,
    /// It is stopping.
    Leaving,
}

/// What this node knows at the moment.
pub struct Sight<'a> {
    pub standing: Standing,
    /// Whether what it owns is surely still its own.
    pub is_sure: bool,
    pub running: &'a [Load],
    /// All nodes that may run an event, the first choice first.
    pub order: &'a dyn Fn(EventId) -> Vec<String>,
    /// Where operators want events to run.
    pub pinned: &'a BTreeMap<EventId, String>,
    /// Whether there is a link to the node.
    pub reaches: &'a dyn Fn(&str) -> bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Claim(EventId),
    /// To a node that is asked to take it; otherwise to nobody: whoever asks for the event or misses it has its home run it.
    Give {
        event: EventId,
        to: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Not now; perhaps later.
    Failed,
    /// There is no such event, as far as this node can see.
    Hopeless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Claim,
    Move,
    Homing,
}

pub struct Plan {
    me: String,
    lists: Option<Lists>,
    /// Since when active events were seen without an owner.
    unowned: HashMap<EventId, Instant>,
    under_way: HashMap<EventId, Kind>,
    /// When something ended that was begun here: a list from before does not know of it.
    changed: HashMap<EventId, Instant>,
    setbacks: Setbacks,
    here_since: HashMap<EventId, Instant>,
    /// When the last event went home.
    rested: Option<Instant>,
    wake: Option<Instant>,
}

impl Plan {
    pub fn new(me: impl Into<String>) -> Self {
        Self {
            me: me.into(),
            lists: None,
            unowned: HashMap::new(),
            under_way: HashMap::new(),
            changed: HashMap::new(),
            setbacks: Setbacks::default(),
            here_since: HashMap::new(),
            rested: None,
            wake: None,
        }
    }

    pub fn listed(&mut self, lists: Lists) {
        let unowned: HashSet<EventId> =
            lists.active.iter().filter(|event| !lists.owners.contains_key(event)).copied().collect();
        self.unowned.retain(|event, _| unowned.contains(event));
        for event in unowned {
            self.unowned.entry(event).or_insert(lists.began);
        }
        self.changed.retain(|_, at| *at >= lists.began);
        self.setbacks.forget(lists.began);
        self.lists = Some(lists);
    }

    /// What is to be begun. The end of each is to be told by [`Self::ended`].
    pub fn next(&mut self, now: Instant, sight: &Sight<'_>) -> Vec<Action> {
        self.wake = None;
        self.settle(now, sight.running);
        if !sight.is_sure {
            return Vec::new();
        }
        let mut actions = self.claims(now, sight);
        actions.extend(self.moves(now, sight));
        actions.extend(self.homing(now, sight));
        actions
    }

    pub fn ended(&mut self, now: Instant, event: EventId, outcome: Outcome) {
        let kind = self.under_way.remove(&event);
        self.changed.insert(event, now);
        if kind == Some(Kind::Homing) {
            self.rested = Some(now);
        }
        if kind != Some(Kind::Claim) {
            self.here_since.remove(&event);
        }
        self.setbacks.note(now, event, outcome);
    }

    /// When there may be more to begin than there was, whatever else happens.
    pub fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// Events that run here and have somewhere to go, and whatever is under way.
    pub fn left_to_give(&self, sight: &Sight<'_>) -> usize {
        let to_give = sight.running.iter().filter(|load| {
            !self.under_way.contains_key(&load.event) && self.home_elsewhere(load.event, sight).is_some()
        });
        to_give.count() + self.under_way.len()
    }

    fn settle(&mut self, now: Instant, running: &[Load]) {
        let here: HashSet<EventId> = running.iter().map(|load| load.event).collect();
        self.here_since.retain(|event, _| here.contains(event));
        for event in here {
            self.here_since.entry(event).or_insert(now);
        }
    }

    fn claims(&mut self, now: Instant, sight: &Sight<'_>) -> Vec<Action> {
        if sight.standing == Standing::Leaving {
            return Vec::new();
        }
        let room = CLAIMS.saturating_sub(self.count(Kind::Claim));
        let active = self.lists.iter().flat_map(|lists| &lists.active);
        let free = active.filter(|event| self.is_free(event) && !self.here_since.contains_key(event));
        let due = free.filter_map(|&event| Some((event, self.claim_at(event, sight)?)));
        let mut due: Vec<_> = due.map(|(event, at)| (event, at.max(self.setbacks.until(event, at)))).collect();
        // Those that could not be claimed before do not hold the others up.
        due.sort_by_key(|&(event, at)| (self.setbacks.times(event), at, event));
        self.wake_at(due.iter().map(|(_, at)| *at).filter(|at| *at > now).min());
        let claims: Vec<_> = due.into_iter().filter(|(_, at)| *at <= now).take(room).collect();
        claims.into_iter().map(|(event, _)| self.begin(event, Kind::Claim, Action::Claim(event))).collect()
    }

    /// When this node is to claim the event, if ever.
    fn claim_at(&self, event: EventId, sight: &Sight<'_>) -> Option<Instant> {
        let lists = self.lists.as_ref()?;
        match lists.owners.get(&event) {
            Some(owner) if *owner != self.me => None,
            // From an earlier life, or given up in vain. Nobody else can take it.
            Some(_) => Some(lists.began),
            None => {
                let place = (sight.order)(event).iter().position(|node| *node == self.me)?;
                Some(*self.unowned.get(&event)? + STEP * u32::try_from(place).ok()?)
            }
        }
    }

    /// What must go, whatever happens here.
    fn moves(&mut self, now: Instant, sight: &Sight<'_>) -> Vec<Action> {
        let room = MOVES.saturating_sub(self.count(Kind::Move));
        let (mut going, mut later) = (Vec::new(), None);
        for load in sight.running.iter().filter(|load| !self.under_way.contains_key(&load.event)) {
            let Some(home) = self.home_elsewhere(load.event, sight) else { continue };
            let is_pinned = sight.pinned.get(&load.event) == Some(&home);
            if sight.standing == Standing::Serving && !is_pinned {
                continue;
            }
            let until = self.setbacks.until(load.event, now);
            if until > now {
                later = later.into_iter().chain([until]).min();
                continue;
            }
            // Where it is pinned to, it is to be seen, even if nobody asks for it.
            let is_missed = load.is_active || is_pinned;
            if !is_missed || sight.standing == Standing::Leaving && !(sight.reaches)(&home) {
                going.push((load, None));
            } else if (sight.reaches)(&home) {
                going.push((load, Some(home)));
            }
        }
        self.wake_at(later);
        // Those that somebody waits for, first: a node that is stopping may not have the time for all.
        going.sort_by_key(|(load, _)| (Reverse(load.is_active), Reverse(load.waiting), load.event));
        going.truncate(room);
        let give = |(load, to): (&Load, Option<String>)| {
            self.begin(load.event, Kind::Move, Action::Give { event: load.event, to })
        };
        going.into_iter().map(give).collect()
    }

    /// What has its home elsewhere and may stay as long as it is better off here: one at a time, the coldest first.
    fn homing(&mut self, now: Instant, sight: &Sight<'_>) -> Option<Action> {
        if sight.standing != Standing::Serving || self.count(Kind::Homing) > 0 {
            return None;
        }
        let candidates =
            sight.running.iter().filter(|load| !load.is_hot() && !self.under_way.contains_key(&load.event));
        let candidates = candidates.filter_map(|load| {
            let home = self.home_elsewhere(load.event, sight)?;
            (!load.is_active || (sight.reaches)(&home)).then_some((load, home))
        });
        let rested = self.rested.map_or(now, |at| at + PAUSE);
        let at = |event| {
            let here_since = self.here_since.get(&event).map_or(now, |since| *since + SETTLED);
            self.setbacks.until(event, here_since.max(rested))
        };
        let candidates: Vec<_> = candidates.map(|(load, home)| (at(load.event), load, home)).collect();
        self.wake_at(candidates.iter().map(|(at, ..)| *at).filter(|at| *at > now).min());
        let due = candidates.into_iter().filter(|(at, ..)| *at <= now);
        let coldest = |a: &Load, b: &Load| {
            let by_commits = a.commits_per_second.total_cmp(&b.commits_per_second);
            a.is_active.cmp(&b.is_active).then(a.waiting.cmp(&b.waiting)).then(by_commits).then(a.event.cmp(&b.event))
        };
        let (_, load, home) = due.min_by(|(_, a, _), (_, b, _)| coldest(a, b))?;
        let to = load.is_active.then_some(home);
        Some(self.begin(load.event, Kind::Homing, Action::Give { event: load.event, to }))
    }

    /// The node to which placement gives an event that runs here, if that is another.
    fn home_elsewhere(&self, event: EventId, sight: &Sight<'_>) -> Option<String> {
        let order = (sight.order)(event);
        // That this node takes nothing may not have come round yet.
        let is_eligible = |node: &String| sight.standing == Standing::Serving || *node != self.me;
        order.into_iter().find(is_eligible).filter(|home| *home != self.me)
    }

    /// Whether nothing is under way for it, and the list is newer than the last thing that was.
    fn is_free(&self, event: &EventId) -> bool {
        !self.under_way.contains_key(event) && !self.changed.contains_key(event)
    }

    fn begin(&mut self, event: EventId, kind: Kind, action: Action) -> Action {
        self.under_way.insert(event, kind);
        action
    }

    fn count(&self, kind: Kind) -> usize {
        self.under_way.values().filter(|under_way| **under_way == kind).count()
    }

    fn wake_at(&mut self, at: Option<Instant>) {
        self.wake = self.wake.into_iter().chain(at).min();
    }
}

impl Load {
    fn is_hot(&self) -> bool {
        self.waiting >= HOT_WAITING || self.commits_per_second >= HOT_COMMITS_PER_SECOND
    }
}
