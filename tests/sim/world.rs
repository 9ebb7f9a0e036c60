//! The world of one run: virtual time, everything in it, and what happens next.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use onsale::domain::{
    code::Code,
    event::Phase,
    id::{FanId, OrderId},
    inventory::{
        configuration::{Configuration, Kept, Limits, OrphanRule, QueueSettings, Seat, SeatKind, Stock, TicketType},
        request::{Answer, Command, Refusal, Request},
    },
    money::Currency,
    queue::{News, Outcome, Place, Standing},
    time::{EventTime, Millis},
};

use super::{
    broker::Broker,
    bug::Bug,
    client::{Attempt, Fan},
    database::Database,
    journal::Journal,
    model::Model,
    node::{Caller, Node, ToNode, ToRoom},
    provider::Provider,
    queue_store::QueueStore,
    rng::{Rng, Trace},
    settle::Settling,
    swarm::{Fault, Swarm},
};

/// The wall clock's reading when virtual time begins.
pub const WALL_BASE: u64 = 1_700_000_000_000;
/// An ownership ends so long after the last renewal,
pub const LEASE_MS: u64 = 5_000;
/// and its owner is unsure of it a second earlier.
pub const SURE_MS: u64 = 4_000;
/// A run has some thousand events.
const MAX_EVENTS: u64 = 200_000;
/// Everything must be settled so long after the faults have stopped.
const HEALED_BOUND_MS: u64 = 400_000;

/// What a caller of an inventory hears.
#[derive(Debug, Clone)]
pub enum Told {
    Answer(Answer),
    Refused(Refusal),
    Free {
        free: u64,
        seq: u64,
    },
    /// Not attempted.
    Not,
    Unknown,
}

/// What a caller of a waiting room hears.
#[derive(Debug, Clone)]
pub enum ToldByRoom {
    Outcome(Outcome),
    Standing(Standing),
}

pub enum Event {
    ToNode(u32, ToNode),
    /// A write reaches the journal; its sender may never hear of it.
    Land {
        node: u32,
        epoch: u64,
        seq: u64,
        bytes: Rc<[u8]>,
        reply_lost: bool,
    },
    StoreOpen {
        node: u32,
        term: u32,
    },
    StoreJoin {
        node: u32,
        term: u32,
        joins: Vec<(Place, FanId)>,
        done: bool,
        said: bool,
    },
    StoreForget {
        term: u32,
        places: Vec<Place>,
    },
    /// A node asks the bus to take facts.
    Publish {
        node: u32,
        facts: Vec<onsale::domain::inventory::fact::OrderFact>,
        epoch: u64,
    },
    MarkPublished {
        epoch: u64,
        number: u64,
    },
    Fan(usize),
    Answered {
        attempt: usize,
        told: Told,
    },
    AnsweredByRoom {
        attempt: usize,
        told: ToldByRoom,
    },
    News {
        fan: FanId,
        news: News,
    },
    Deliver(u64),
    SettleAnswered {
        message: u64,
        told: Told,
    },
    SettleTimeout {
        message: u64,
        attempt: u64,
    },
    VoidAnswered {
        order: OrderId,
        told: Told,
    },
    Pay {
        payment: onsale::domain::id::PaymentId,
        captured: bool,
    },
    Webhook(u64),
    Relay,
    Watch,
    Nemesis,
}

pub struct World {
    pub now: u64,
    pub rng: Rng,
    pub swarm: Swarm,
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
    pub store: QueueStore,
    pub broker: Broker,
    pub database: Database,
    pub provider: Provider,
    pub fans: Vec<Fan>,
    pub attempts: Vec<Attempt>,
    pub settling: BTreeMap<u64, Settling>,
    pub told: BTreeMap<Place, super::line::Told>,
    pub given: BTreeMap<Place, FanId>,
    /// Given up, removed, or lost by the queue's store: overtaking these is no harm.
    pub gone: BTreeSet<Place>,
    /// Since when fans wait although there is room, after the faults.
    pub stalled_since: Option<u64>,
    finished: bool,
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>, print: bool) -> Self {
        let mut rng = Rng::new(seed);
        let swarm = Swarm::of(&mut rng);
        let fans = (0..swarm.fans).map(|index| Fan::new(index, swarm.rounds)).collect();
        let mut world = Self {
            now: 0,
            rng,
            swarm,
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
            store: QueueStore::default(),
            broker: Broker::default(),
            database: Database::default(),
            provider: Provider::default(),
            fans,
            attempts: Vec::new(),
            settling: BTreeMap::new(),
            told: BTreeMap::new(),
            given: BTreeMap::new(),
            gone: BTreeSet::new(),
            stalled_since: None,
            finished: false,
        };
        world.trace.say(|| format!("{:?}", world.swarm));
        world.later(0, Event::Watch);
        world.later(500, Event::Relay);
        world.later(1_000, Event::Nemesis);
        for index in 0..world.fans.len() {
            let start = world.rng.below(8_000);
            world.later(start, Event::Fan(index));
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
            Event::VoidAnswered { order, told } => self.void_answered(order, told),
            Event::Pay { payment, captured } => self.pay(payment, captured),
            Event::Webhook(id) => self.webhook(id),
            Event::Relay => self.relay(),
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
            if !gone && self.now > until {
                self.saw("an owner is replaced while it is asleep");
            }
            self.activate();
        }
        self.snapshot();
        if !self.healed() {
            return;
        }
        self.check_progress();
        if self.is_settled() {
            self.audit();
            self.finished = true;
            return;
        }
        let bound = self.swarm.chaos_ms + HEALED_BOUND_MS;
        if self.now > bound {
            let unsettled = self.unsettled();
            self.require(false, || format!("I-15: not settled {HEALED_BOUND_MS} ms after the faults: {unsettled}"));
        }
    }

    /// Once a second, what strikes the world as a whole.
    fn nemesis(&mut self) {
        self.later(1_000, Event::Nemesis);
        let owner = self.lease.0;
        // These hurt: a tenth as often as the others.
        let rare = self.rng.percent(25);
        if rare && self.nodes.contains_key(&owner) {
            if self.strikes(Fault::OwnerCrashes) {
                self.trace.note(self.now, "crash", &[owner.into()]);
                self.nodes.remove(&owner);
                self.restart_at = self.lease.1.min(self.now + LEASE_MS);
            } else if self.strikes(Fault::OwnerRestarts) {
                self.trace.note(self.now, "restart", &[owner.into()]);
                self.nodes.remove(&owner);
                self.restart_at = self.now;
            } else if self.strikes(Fault::OwnerPauses) {
                let pause = self.rng.pick(&[800, 4_500, 9_000, 20_000]);
                self.trace.note(self.now, "pause", &[owner.into(), pause]);
                if let Some(node) = self.nodes.get_mut(&owner) {
                    node.paused_until = self.now + pause;
                }
            }
        }
        if rare && self.strikes(Fault::JournalDown) {
            let down = self.rng.pick(&[500, 3_000, 8_000]);
            self.trace.note(self.now, "journal down", &[down]);
            self.journal.down_until = self.now + down;
        }
        if rare && self.strikes(Fault::BusRefuses) {
            self.broker.down_until = self.now + self.rng.between(500, 6_000);
        }
        if self.strikes(Fault::OperatorActs) {
            self.operate();
        }
        if rare && self.strikes(Fault::StoreLosesWrites) {
            let writes = self.rng.between(1, 6) as usize;
            self.trace.note(self.now, "store loses", &[writes as u64]);
            self.store.lose_last(writes);
        }
    }

    /// Somebody steers the sale by hand.
    fn operate(&mut self) {
        let (node, delay) = (self.lease.0, self.short_delay());
        let what = match self.rng.below(3) {
            0 => ToNode::Room(ToRoom::AdmitNow(self.rng.between(1, 4) as u32)),
            1 => {
                let attempt = self.attempt_of_nobody();
                ToNode::Room(ToRoom::RemoveFirst { count: self.rng.between(1, 2) as u32, attempt })
            }
            _ => {
                let Some(mut changed) = self.model.configuration.clone() else { return };
                changed.version += 1;
                changed.queue.slots = self.rng.between(1, 5) as u32;
                if let Some(standing) = changed.ticket_types.first_mut()
                    && let Stock::Quantity(quantity) = &mut standing.stock
                {
                    *quantity = (*quantity + self.rng.below(3) as u32).saturating_sub(1);
                }
                let request = Request { identity: None, command: Command::Configure(Box::new(changed)) };
                ToNode::Ask { request, caller: Caller::Operator }
            }
        };
        self.later(delay, Event::ToNode(node, what));
    }

    /// Now and then the journal is folded into a snapshot.
    fn snapshot(&mut self) {
        if !self.rng.percent(5) || self.model.seq == 0 {
            return;
        }
        match onsale::actors::inventory::recovery::fold(self.journal.recover()) {
            Ok(folded) => {
                self.saw("a snapshot is made");
                self.journal.put_snapshot(self.journal.epoch, folded.seq, folded.inventory.to_snapshot());
            }
            Err(error) => self.require(false, || format!("I-29: the journal does not fold: {error}")),
        }
    }
}

fn code(text: &str) -> Code {
    text.parse().expect("a code")
}

/// Two ticket types, one of them by seat.
pub fn configuration(swarm: &Swarm) -> Configuration {
    let ticket_type = |name: &str, price_minor, stock| TicketType {
        code: code(name),
        name: name.to_owned(),
        price_minor,
        stock,
        quotas: Vec::new(),
    };
    let seat = |number: u32| Seat {
        id: code(&format!("A-{}-{}", number / 5 + 1, number % 5 + 1)),
        zone: code("A"),
        row: code(&(number / 5 + 1).to_string()),
        number: (number % 5 + 1) as u16,
        ticket_type: code("SEAT"),
        kind: SeatKind::Standard,
        kept: Kept::Free,
    };
    Configuration {
        version: 1,
        phase: Phase::Published,
        on_sale_at: EventTime(1),
        ticket_types: vec![
            ticket_type("STANDING", 3_000, Stock::Quantity(swarm.standing)),
            ticket_type("SEAT", 5_000, Stock::Seats),
        ],
        seats: (0..swarm.seats).map(seat).collect(),
        limits: Limits {
            per_order: 3,
            per_fan: swarm.per_fan,
            hold_ttl: Millis(swarm.hold_ttl_ms),
            hold_extension: Millis(5_000),
        },
        queue: QueueSettings {
            slots: swarm.slots,
            rate_per_minute: swarm.rate_per_minute,
            paused: false,
            session: Millis(swarm.session_ms),
            claim_window: Millis(swarm.claim_window_ms),
            grace: Millis(swarm.grace_ms),
        },
        ..empty_configuration()
    }
}

pub fn empty_configuration() -> Configuration {
    Configuration {
        version: 0,
        phase: Phase::Draft,
        currency: Currency::EUR,
        on_sale_at: EventTime(1),
        sale_ends_at: None,
        ticket_types: Vec::new(),
        quotas: Vec::new(),
        seats: Vec::new(),
        limits: Limits { per_order: 1, per_fan: 1, hold_ttl: Millis(1_000), hold_extension: Millis(0) },
        orphan_rule: OrphanRule::Off,
        queue: QueueSettings {
            slots: 0,
            rate_per_minute: 0,
            paused: true,
            session: Millis(1_000),
            claim_window: Millis(1_000),
            grace: Millis(1_000),
        },
    }
}
