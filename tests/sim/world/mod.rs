//! The world of one run: virtual time, everything in it, and what happens next.

pub mod codes;
mod event;
mod nemesis;
mod organizer;
mod setting;

pub use self::{
    event::{Event, Told, ToldByRoom},
    organizer::mark,
    setting::{GALLERY, PRESS, SEATED, STANDING, code, seat_id},
};

use std::collections::{BTreeMap, BTreeSet};

use onsale::domain::{
    id::{FanId, OrderId},
    inventory::entry::Segment,
    queue::Place,
};

use crate::{
    bug::Bug,
    extras::Extras,
    fan::{Attempt, Fan},
    node::{Node, ToNode},
    oracle::{asked::Asked, model::Model},
    orders::Settling,
    rng::{Rng, Trace},
    saga::Script,
    stores::{broker::Broker, database::Database, journal::Journal, provider::Provider, queue_store::QueueStore},
    swarm::{Fault, List, Swarm},
};

/// The wall clock's reading when virtual time begins.
pub const WALL_BASE: u64 = 1_700_000_000_000;
/// An ownership ends so long after the last renewal,
pub const LEASE_MS: u64 = 5_000;
/// and its owner is unsure of it a second earlier.
pub const SURE_MS: u64 = 4_000;
/// Set their dice apart.
const EXTRAS: u64 = 0x6578_7472_6173;
const MAILS: u64 = 0x006D_6169_6C73;
/// A run has some thousand events.
const MAX_EVENTS: u64 = 200_000;
/// Everything must be settled so long after the faults have stopped.
const HEALED_BOUND_MS: u64 = 400_000;
/// I-15, where one order goes its way and one thing happens to it.
const SCRIPTED_BOUND_MS: u64 = 120_000;

pub struct World {
    pub now: u64,
    pub rng: Rng,
    pub swarm: Swarm,
    pub extras: Extras,
    pub bug: Option<Bug>,
    pub trace: Trace,
    /// Situations and faults that were met.
    pub seen: BTreeSet<String>,
    pub violation: Option<String>,
    agenda: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    pub nodes: BTreeMap<u32, Node>,
    pub last_node: u32,
    /// The node that runs the event as far as anybody knows, and until when it cannot be taken from it.
    pub lease: (u32, u64),
    pub restart_at: u64,
    pub journal: Journal,
    pub model: Model,
    /// All segments, where a bug has owners misread them.
    pub log: Vec<Segment>,
    pub store: QueueStore,
    pub broker: Broker,
    pub database: Database,
    pub provider: Provider,
    /// How many who asked for each have no answer, or do not know.
    pub open: BTreeMap<Asked, u32>,
    /// Changes of the configuration that the organizer has asked for,
    pub changes: u64,
    /// and codes.
    pub codes: u64,
    pub fans: Vec<Fan>,
    pub attempts: Vec<Attempt>,
    pub settling: BTreeMap<u64, Settling>,
    /// Orders whose mail has arrived.
    pub mailbox: BTreeSet<OrderId>,
    pub dice_of_mails: Rng,
    pub calls: crate::oracle::shares::Calls,
    pub told: BTreeMap<Place, crate::oracle::line::Told>,
    pub given: BTreeMap<Place, FanId>,
    /// Given up, removed, or lost by the queue's store: overtaking these is no harm.
    pub gone: BTreeSet<Place>,
    /// Of those, the ones that the queue's store has lost, and whose tickets were not shown again.
    pub lost: BTreeSet<Place>,
    /// What was admitted since the last rebuild of the queue began, and when that was over.
    pub admitted_since_loss: Vec<Place>,
    pub rebuilt_at: u64,
    /// Places that an owner may not use any more, and why.
    pub out: BTreeMap<Place, (u32, &'static str)>,
    /// Since when fans wait although there is room, after the faults.
    pub stalled_since: Option<u64>,
    /// Where one order's way is laid down, and what happens on it.
    pub script: Option<Script>,
    /// A message that the script has others overtake.
    pub kept_back: Option<Event>,
    finished: bool,
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>, print: bool) -> Self {
        let mut rng = Rng::new(seed);
        let swarm = Swarm { list: List::of(&mut Rng::new(!seed)), ..Swarm::of(&mut rng) };
        let extras = Extras::of(&mut Rng::new(seed ^ EXTRAS), &swarm);
        let world = Self::of(rng, (swarm, extras), None, bug, print);
        Self { dice_of_mails: Rng::new(seed ^ MAILS), ..world }
    }

    pub fn scripted(script: Script, bug: Option<Bug>, print: bool) -> Self {
        let (swarm, extras) = (script.walk.swarm(), script.walk.extras());
        Self::of(Rng::new(1), (swarm, extras), Some(script), bug, print)
    }

    fn of(rng: Rng, (swarm, extras): (Swarm, Extras), script: Option<Script>, bug: Option<Bug>, print: bool) -> Self {
        let fans = (0..swarm.fans).map(|index| Fan::new(index, swarm.rounds)).collect();
        let mut world = Self {
            now: 0,
            rng,
            swarm,
            extras,
            bug,
            trace: Trace::new(print),
            seen: BTreeSet::new(),
            violation: None,
            agenda: BTreeMap::new(),
            scheduled: 0,
            nodes: BTreeMap::new(),
            last_node: 0,
            lease: (0, 0),
            restart_at: 0,
            journal: Journal::default(),
            model: Model::default(),
            log: Vec::new(),
            store: QueueStore::default(),
            broker: Broker::default(),
            database: Database::default(),
            provider: Provider::default(),
            open: BTreeMap::new(),
            changes: 0,
            codes: 0,
            fans,
            attempts: Vec::new(),
            settling: BTreeMap::new(),
            mailbox: BTreeSet::new(),
            dice_of_mails: Rng::new(MAILS),
            calls: crate::oracle::shares::Calls::default(),
            told: BTreeMap::new(),
            given: BTreeMap::new(),
            gone: BTreeSet::new(),
            lost: BTreeSet::new(),
            admitted_since_loss: Vec::new(),
            rebuilt_at: 0,
            out: BTreeMap::new(),
            stalled_since: None,
            script,
            kept_back: None,
            finished: false,
        };
        world.trace.say(|| format!("{:?} {:?}", world.swarm, world.extras));
        world.later(0, Event::Watch);
        world.later(500, Event::Relay);
        world.later(1_000, Event::Nemesis);
        for index in 0..world.fans.len() {
            let start = match &world.script {
                Some(script) => script.walk.begins_at(index),
                None => world.rng.below(8_000),
            };
            world.later(start, Event::Fan(index));
        }
        for act in world.script.as_ref().map_or(&[][..], |script| script.walk.acts()) {
            world.later(1_000, Event::Act(*act));
        }
        world
    }

    /// Until everything is settled, or something is wrong.
    pub fn run(&mut self) {
        while self.violation.is_none() && !self.finished {
            let Some(((at, _), event)) = self.agenda.pop_first() else {
                self.violation = Some("nothing more happens".into());
                return;
            };
            self.now = at;
            self.happen(event);
            if self.scheduled > MAX_EVENTS {
                self.violation = Some(format!("at {at}: the world runs in circles"));
            }
        }
    }

    pub fn later(&mut self, delay: u64, event: Event) {
        self.scheduled += 1;
        self.agenda.insert((self.now + delay, self.scheduled), event);
    }

    pub fn forget(&mut self, what: impl Fn(&Event) -> bool) {
        self.agenda.retain(|_, event| !what(event));
    }

    pub fn agenda_has(&self, what: impl Fn(&Event) -> bool) -> bool {
        self.agenda.values().any(what)
    }

    pub fn healed(&self) -> bool {
        self.now >= self.swarm.chaos_ms
    }

    /// Whether the fault strikes now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let Some(&often) = self.swarm.faults.get(&fault) else { return false };
        let strikes = !self.healed() && self.rng.percent(often);
        if strikes {
            self.saw(&format!("{fault:?}"));
        }
        strikes
    }

    pub fn saw(&mut self, what: &str) {
        if !self.seen.contains(what) {
            self.seen.insert(what.to_owned());
        }
    }

    pub fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(format!("at {}: {}", self.now, what()));
        }
    }

    pub fn short_delay(&mut self) -> u64 {
        self.rng.between(1, 20)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToNode(node, what) => self.at_node(node, what),
            Event::Land { node, epoch, seq, bytes, reply_lost } => self.land(node, epoch, seq, &bytes, reply_lost),
            Event::StoreOpen { node, term } => self.store_open(node, term),
            Event::StoreJoin { node, term, joins, done, said } => {
                self.trace.note(self.now, "store join", &[node.into(), joins.len() as u64, done.into(), said.into()]);
                let done = done && self.store.join(term, &joins);
                let delay = self.short_delay();
                self.later(delay, Event::ToNode(node, ToNode::Joined(done && said)));
            }
            Event::StoreForget { term, places } => self.store.forget(term, &places),
            Event::Publish { node, facts, epoch } => self.publish_facts(node, facts, epoch),
            Event::MarkPublished { epoch, number } => self.journal.mark_published(epoch, number),
            Event::Fan(index) => self.fan_wakes(index),
            Event::Answered { attempt, told } => self.answered(attempt, told),
            Event::AnsweredByRoom { attempt, told } => self.answered_by_room(attempt, told),
            Event::News { fan, news } => self.news(fan, news),
            Event::Deliver(message) => self.deliver(message),
            Event::SettleAnswered { message, told } => self.settle_answered(message, told),
            Event::SettleTimeout { message, attempt } => self.settle_timeout(message, attempt),
            Event::ReduceAnswered { order, known, told } => self.reduce_answered(order, known, told),
            Event::TakersFound(told) => self.takers_found(told),
            Event::MoveAnswered { order, number, told } => self.move_answered(order, number, told),
            Event::Kept { order, number, told } => self.kept(order, number, told),
            Event::CheckOut { view, number, after, captured } => self.check_out_at(*view, number, after, captured),
            Event::OpenSession { payment, order, amount_minor } => self.provider.open(payment, order, amount_minor),
            Event::Pay { payment, captured } => self.pay(payment, captured),
            Event::Paid { payment, captured } => self.paid(payment, captured),
            Event::GiveBack { payment, key, amount_minor } => self.provider.refund(payment, key, amount_minor),
            Event::Look(view) => self.look(*view),
            Event::Act(act) => self.act(act),
            Event::Mail(order) => self.mail_arrives(order),
            Event::Crash => self.crash(),
            Event::Webhook(id) => self.webhook(id),
            Event::Relay => self.relay(),
            Event::Snapshot { epoch, seq, bytes } => self.store_snapshot(epoch, seq, bytes),
            Event::Watch => self.watch(),
            Event::Nemesis => self.nemesis(),
        }
    }

    /// Twice a second: somebody must own the event; after the faults, everything must come to an end.
    fn watch(&mut self) {
        self.later(500, Event::Watch);
        let (owner, until) = self.lease;
        let gone = !self.nodes.contains_key(&owner);
        if (gone && self.now >= self.restart_at) || self.now > until {
            if !gone {
                let revoked = self.nodes.get(&owner).is_some_and(|node| node.is_revoked);
                let asleep = "an owner is replaced while it is asleep";
                self.saw(if revoked { "an owner is replaced whose lease was revoked" } else { asleep });
            }
            self.activate();
        }
        if !self.healed() {
            return;
        }
        self.check_progress();
        self.resume_if_paused();
        if self.is_settled() {
            self.check_shares();
            self.audit();
            self.finished = true;
            return;
        }
        let (since, within) = match &self.script {
            Some(script) => (script.stirred_at, SCRIPTED_BOUND_MS),
            None => (self.swarm.chaos_ms, HEALED_BOUND_MS),
        };
        if self.now > since + within {
            let unsettled = self.unsettled();
            self.require(false, || format!("I-15: not settled {within} ms after the faults: {unsettled}"));
        }
    }
}
