//! One activation of the event on a node: the shell around the real machines, as the actors are in production.

mod activation;
mod asking;
mod drawing;
mod journalling;
mod misread;
pub mod room;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use onsale::domain::{
    id::{FanId, OrderId},
    inventory::{
        View,
        batch::{self, Batcher},
        draw::Draw,
        fact::OrderFact,
        request::{Admission, Command, Request},
    },
    queue::{self, Place, Room, WaitingRoom},
    time::{EventTime, Millis},
};

use crate::{
    bug::Bug,
    oracle::asked::Asked,
    stores::journal::Landed,
    world::{Event, LEASE_MS, SURE_MS, World},
};

const PULSE_MS: u64 = 250;
const RESEND_MS: u64 = 500;
const ASK_DEADLINE_MS: u64 = 4_000;
const OUTBOX_LIMIT: u64 = 1_000;

/// Who asked the inventory.
#[derive(Debug, Clone, Copy)]
pub enum Caller {
    Client(usize),
    /// The payment in this message of the bus.
    Settle(u64),
    /// With so many refunds known, of all orders.
    Reduce(OrderId, usize),
    /// Who looks for takers of tickets that are given back.
    Takers,
    /// A ticket of the order is to move to another seat, by this number;
    Move(OrderId, u32),
    /// that is over.
    Keep(OrderId, u32),
    /// The waiting room's proposal of this number.
    Proposal(u64),
    /// Ends the admission of a fan who leaves.
    End,
    /// A step of the draw,
    Draw,
    /// and the order that comes of it.
    Order,
    Begin,
    Configure,
    /// Whoever asked does nothing about the answer.
    Nobody,
}

/// A question to the inventory, as its batches carry it.
#[derive(Debug, Clone)]
pub struct Ask {
    caller: Caller,
    asked: Vec<Asked>,
}

pub enum ToNode {
    Pulse,
    LeaseLost,
    Appended { seq: u64, landed: Landed },
    Resend { seq: u64 },
    Ask { request: Request, caller: Caller },
    Read { attempt: usize },
    Opened(Vec<(Place, FanId)>),
    Joined(bool),
    Published { number: Option<u64> },
    Room(ToRoom),
}

pub enum ToRoom {
    Join { fan: FanId, attempt: usize },
    Restore { fan: FanId, place: Place, attempt: usize },
    Leave { fan: FanId, attempt: usize },
    Poll { fan: FanId, attempt: usize },
    Present(FanId),
    Absent(FanId),
    ProposalAnswered { number: u64, admissions: Option<Vec<Admission>> },
    Changed { place: Place, until: EventTime, extended: bool },
    Ended { place: Place },
    AdmitNow(u32),
    DrawStepped,
    Drawn { places: Vec<(Place, FanId)> },
    Remove { who: Removal, attempt: usize },
}

/// Whom an admin takes out of the line.
pub enum Removal {
    First(u32),
    Fans(Vec<FanId>),
    All,
}

pub struct Node {
    pub epoch: u64,
    batcher: Batcher<Ask>,
    room: Option<WaitingRoom<usize>>,
    base: EventTime,
    started: u64,
    pub paused_until: u64,
    renewed_at: u64,
    /// Sent and not yet known to be durable. More than one only where a bug has it so.
    sending: BTreeMap<u64, Rc<[u8]>>,
    /// Restored places that wait for the inventory's word.
    opened: Vec<(Place, FanId)>,
    opening: bool,
    /// How the store was found: whether whole, what may be missing, what of that is used up.
    remains: (bool, u32, BTreeSet<Place>),
    backlog: VecDeque<OrderFact>,
    publishing: bool,
    fans: BTreeMap<Place, FanId>,
    proposal: Option<(u64, u64)>,
    proposals: u64,
    /// The room has proposed these and does not know what became of them.
    proposed: BTreeSet<Place>,
    /// Places of the joins that are being stored.
    storing: Vec<Place>,
    /// A bug's: who has a place hears that nothing was done.
    says_try_again: bool,
    /// The lease was taken away by hand.
    pub is_revoked: bool,
    /// Changes of admissions reach the room in their order.
    room_news_at: u64,
    ticked_at: u64,
    configured: bool,
    first_seq: u64,
    durable_seq: u64,
    /// As of the last commit that it knows of.
    draw: Option<Draw>,
    ended: bool,
}

type Input = batch::Input<Ask>;

impl From<Caller> for Ask {
    fn from(caller: Caller) -> Self {
        Self { caller, asked: Vec::new() }
    }
}

impl Node {
    pub fn time(&self, now: u64) -> EventTime {
        self.base + Millis(now - self.started)
    }

    pub fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    pub fn is_sure(&self, now: u64) -> bool {
        !self.is_revoked && now < self.renewed_at + SURE_MS
    }
}

impl World {
    pub fn at_node(&mut self, id: u32, what: ToNode) {
        let Some(paused_until) = self.nodes.get(&id).map(|node| node.paused_until) else { return };
        if self.now < paused_until {
            let delay = paused_until - self.now + self.rng.below(5);
            return self.later(delay, Event::ToNode(id, what));
        }
        let Some(mut node) = self.nodes.remove(&id) else { return };
        match what {
            ToNode::Pulse => self.pulse(id, &mut node),
            ToNode::LeaseLost => self.lease_lost(id, &mut node),
            ToNode::Appended { seq, landed } => self.appended(id, &mut node, seq, landed),
            ToNode::Resend { seq } => self.resend(id, &node, seq),
            ToNode::Ask { request, caller } => self.ask(id, &mut node, request, caller),
            ToNode::Read { attempt } => {
                self.inventory(id, &mut node, Input::Read { reply: Caller::Client(attempt).into() })
            }
            ToNode::Opened(places) => {
                node.opened = places;
                self.inventory(id, &mut node, Input::Read { reply: Caller::Begin.into() });
            }
            ToNode::Joined(done) => self.joined(id, &mut node, done),
            ToNode::Published { number } => {
                node.publishing = false;
                if let Some(number) = number {
                    while node.backlog.front().is_some_and(|fact| fact.number <= number) {
                        node.backlog.pop_front();
                    }
                    self.mark_published(node.epoch, number);
                    self.inventory(id, &mut node, Input::Published { number });
                }
            }
            ToNode::Room(what) => self.tell_room(id, &mut node, what),
        }
        self.publish(id, &mut node);
        if !node.ended {
            self.nodes.insert(id, node);
        } else if self.lease.0 == id {
            self.restart_at = self.now + self.rng.between(10, 300);
        }
    }

    pub fn pulse(&mut self, id: u32, node: &mut Node) {
        self.later(PULSE_MS, Event::ToNode(id, ToNode::Pulse));
        if self.lease.0 != id && self.bug != Some(Bug::KeepRevokedLease) {
            // It asks to keep the key; the answer takes a while.
            let delay = self.rng.between(1, 400);
            return self.later(delay, Event::ToNode(id, ToNode::LeaseLost));
        }
        if self.now >= self.journal.down_until && self.now <= self.lease.1 {
            self.lease.1 = self.now + LEASE_MS;
            node.renewed_at = self.now;
        }
        let early = if self.bug == Some(Bug::EndHoldsEarly) { 60_000 } else { 0 };
        if node.batcher.next_tick().is_some_and(|at| at <= node.time(self.now + early)) {
            self.inventory(id, node, Input::Tick);
        }
        if !node.configured {
            let request = Request {
                identity: None,
                command: Command::Configure(Box::new(self.first_configuration(node.time(self.now)))),
            };
            node.configured = true;
            self.ask(id, node, request, Caller::Configure);
        }
        // The epoch's first commit is durable: from here on the room can be opened.
        let begun = node.durable_seq >= node.first_seq;
        if node.room.is_none() && !node.opening && begun && node.batcher.inventory().configuration().is_some() {
            node.opening = true;
            let term = node.batcher.inventory().term();
            self.later(1, Event::StoreOpen { node: id, term });
        }
        if node.proposal.is_some_and(|(_, asked_at)| self.now > asked_at + ASK_DEADLINE_MS) {
            self.saw("a proposal is given up, its outcome unknown");
            node.proposal = None;
            self.room(id, node, queue::Input::AdmitFailed);
        }
        if self.now >= node.ticked_at + 1_000 {
            node.ticked_at = self.now;
            self.look_after_store(node);
            let view = View { draw: node.draw.clone(), ..node.batcher.inventory().view(node.time(self.now)) };
            let dice = self.rng.next();
            if let Some(configuration) = node.batcher.inventory().configuration().cloned() {
                let room = self.believed(Room::of(&view, &configuration, dice));
                self.room(id, node, queue::Input::Tick { room });
            }
        }
    }

    /// The key is another's: nothing that is under way can be known any more.
    pub fn lease_lost(&mut self, id: u32, node: &mut Node) {
        self.saw("a stale owner steps down when it looks");
        if let Some((&seq, bytes)) = node.sending.first_key_value() {
            let held = self.journal_holds(seq, bytes);
            self.saw(if held { "a fenced write was committed" } else { "a fenced write was not committed" });
        }
        self.inventory(id, node, Input::Fenced);
    }
    /// The next facts go to the bus, one call at a time.
    pub fn publish(&mut self, id: u32, node: &mut Node) {
        if node.publishing || node.backlog.is_empty() || node.ended {
            return;
        }
        node.publishing = true;
        let facts: Vec<_> = node.backlog.iter().take(8).cloned().collect();
        let delay = self.short_delay();
        if self.bug == Some(Bug::MarkPublishedBeforeConfirm)
            && let Some(last) = facts.last()
        {
            self.mark_published(node.epoch, last.number);
        }
        self.later(delay, Event::Publish { node: id, facts, epoch: node.epoch });
    }
}
