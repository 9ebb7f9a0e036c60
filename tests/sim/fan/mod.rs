//! Fans and what they do: queue, shop, pay, retry with the same key, and sometimes what they should not.

mod asking;
mod hearing;
mod listed;
mod shopping;

use std::collections::BTreeMap;

use onsale::domain::{
    code::Code,
    id::{FanId, OrderId},
    inventory::request::{HoldState, HoldView, Want},
    queue::Place,
};

pub use self::listed::Listed;
use crate::{
    bug::Bug,
    node::{ToNode, ToRoom},
    swarm::Fault,
    world::{Event, World},
};

/// A fan who hears nothing asks again after this long.
const PATIENCE_MS: u64 = 2_500;

/// What a fan does now. An operation keeps its key over all its attempts.
#[derive(Debug, Clone, PartialEq)]
pub enum Doing {
    Nothing,
    Joining,
    Waiting,
    Claiming(Place),
    Shopping(Box<Wish>),
    Holding {
        view: Box<HoldView>,
        plan: Plan,
    },
    Extending {
        view: Box<HoldView>,
    },
    Releasing {
        view: Box<HoldView>,
    },
    /// The money is on its way, or declined.
    Settling {
        order: OrderId,
    },
    /// Lets the hold run out.
    Lapsing {
        order: OrderId,
    },
    Leaving,
    /// On the waiting list, or about to be.
    Listed(Box<Listed>),
    Done,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    admission: Place,
    want: Want,
    channel: Option<Code>,
    code: Option<Code>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Pay,
    ExtendAndPay,
    Release,
    Lapse,
}

pub struct Fan {
    pub id: FanId,
    doing: Doing,
    /// Counts operations: the key of the current one.
    operation: u64,
    /// When the current operation was asked for first, and last.
    first_asked: u64,
    last_asked: u64,
    rounds_left: u64,
    /// When each place was asked for.
    pub asked_at: BTreeMap<Place, u64>,
    /// The place that was told last. Some keep nothing.
    pub ticket: Option<Place>,
    /// The node that has this fan's socket.
    socket: Option<u32>,
    keeps_socket: bool,
    waiting_since: u64,
    away_until: u64,
    /// The first answer of each key: every other one must be equal.
    pub answers: BTreeMap<u64, HoldView>,
    payments: u64,
}

impl Fan {
    pub fn new(index: usize, rounds: u64) -> Self {
        Self {
            id: FanId::from_u128(index as u128 + 1),
            doing: Doing::Nothing,
            operation: 0,
            first_asked: 0,
            last_asked: 0,
            rounds_left: rounds,
            asked_at: BTreeMap::new(),
            ticket: None,
            socket: None,
            keeps_socket: !index.is_multiple_of(3),
            waiting_since: 0,
            away_until: 0,
            answers: BTreeMap::new(),
            payments: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.doing == Doing::Done
    }

    pub fn describe(&self) -> String {
        format!("{} {:?}", self.id, self.doing)
    }
}

/// One request of a fan, as sent once.
pub struct Attempt {
    pub fan: usize,
    pub operation: u64,
    leave: bool,
    /// For a hold: the order that this attempt would make. For the others: which one it is about.
    pub order: Option<OrderId>,
    /// Tickets wanted and seats named.
    pub wanted: Option<Want>,
    pub channel: Option<Code>,
    pub code: Option<Code>,
    /// Segments committed when it was sent.
    seq: u64,
}

impl World {
    pub fn fan(&self, id: FanId) -> Option<&Fan> {
        self.fans.iter().find(|fan| fan.id == id)
    }

    /// The store was asked to keep this place: it belongs to the fan's current wish to join.
    pub fn place_sent(&mut self, place: Place, id: FanId) {
        if let Some(fan) = self.fans.iter_mut().find(|fan| fan.id == id) {
            let asked = fan.first_asked;
            fan.asked_at.entry(place).or_insert(asked);
        }
    }

    /// For what is asked by hand: nobody listens.
    pub fn attempt_of_nobody(&mut self) -> usize {
        self.attempt(usize::MAX, None, None)
    }

    pub fn is_leave(&self, attempt: usize) -> bool {
        self.attempts.get(attempt).is_some_and(|attempt| attempt.leave)
    }

    pub fn fan_wakes(&mut self, index: usize) {
        let again = self.rng.between(300, 1_200);
        self.later(again, Event::Fan(index));
        let Some(fan) = self.fans.get(index).filter(|fan| self.now >= fan.away_until) else { return };
        let (id, doing) = (fan.id, fan.doing.clone());
        let hears_nothing = self.now > fan.last_asked + PATIENCE_MS;
        match doing {
            Doing::Nothing => {
                if self.bug == Some(Bug::HoldWithoutAdmission) && index == 0 && self.rng.percent(50) {
                    let place = Place::new(u32::MAX, self.last_node);
                    return self.shop(index, place);
                }
                if self.is_cancelled() {
                    return self.next_round(index);
                }
                // By the script all is sold by then, and nobody is let in.
                if self.script.is_some() && index > 0 && self.goes_on_the_list(index) {
                    return;
                }
                self.begin(index, Doing::Joining);
                self.ask_again(index);
            }
            Doing::Waiting => self.wait(index, id),
            Doing::Holding { view, plan } => self.hold_on(index, *view, plan),
            Doing::Settling { order } => self.await_order(index, order),
            Doing::Lapsing { order } => {
                let state = self.model.orders.get(&order).map(|order| order.state);
                if state != Some(HoldState::Held) {
                    self.next_round(index);
                }
            }
            Doing::Listed(listed) => self.wait_on_the_list(index, &listed),
            Doing::Done => {}
            _ if hears_nothing => self.ask_again(index),
            _ => {}
        }
    }

    pub fn begin(&mut self, index: usize, doing: Doing) {
        let now = self.now;
        let Some(fan) = self.fans.get_mut(index) else { return };
        fan.doing = doing;
        fan.operation += 1;
        fan.first_asked = now;
        fan.last_asked = now;
    }

    pub fn wait(&mut self, index: usize, id: FanId) {
        if self.is_cancelled() || self.strikes(Fault::FanLeaves) {
            self.begin(index, Doing::Leaving);
            return self.ask_again(index);
        }
        if self.strikes(Fault::FanVanishes) {
            // Comes back much later, and only then finds out what became of the place.
            let away = self.rng.between(2_000, 25_000);
            if let Some(fan) = self.fans.get_mut(index)
                && let Some(node) = fan.socket.take()
            {
                self.later(1, Event::ToNode(node, ToNode::Room(ToRoom::Absent(id))));
            }
            if let Some(fan) = self.fans.get_mut(index) {
                fan.away_until = self.now + away;
            }
            return;
        }
        let owner = self.lease.0;
        let Some(fan) = self.fans.get_mut(index) else { return };
        let waits_long = self.now > fan.waiting_since + 120_000;
        if fan.keeps_socket && fan.socket != Some(owner) {
            fan.socket = Some(owner);
            self.later(1, Event::ToNode(owner, ToNode::Room(ToRoom::Present(id))));
        }
        if self.healed() && waits_long {
            self.begin(index, Doing::Leaving);
            return self.ask_again(index);
        }
        let attempt = self.attempt(index, None, None);
        self.send_to_room(ToRoom::Poll { fan: id, attempt });
        let attempt = self.attempt(index, None, None);
        if let Some(attempt) = self.attempts.get_mut(attempt) {
            attempt.operation = 0;
        }
        // A read asks anybody who ever owned the event and may still think so.
        let nodes: Vec<u32> = self.nodes.keys().copied().collect();
        if nodes.is_empty() {
            return;
        }
        let (node, delay) = (self.rng.pick(&nodes), self.short_delay());
        self.later(delay, Event::ToNode(node, ToNode::Read { attempt }));
    }

    pub fn next_round(&mut self, index: usize) {
        let Some(fan) = self.fans.get_mut(index) else { return };
        fan.operation += 1;
        fan.rounds_left = fan.rounds_left.saturating_sub(1);
        fan.doing = if fan.rounds_left > 0 { Doing::Nothing } else { Doing::Done };
        let (id, socket, done) = (fan.id, fan.socket.take(), fan.is_done());
        if let Some(node) = socket {
            self.later(1, Event::ToNode(node, ToNode::Room(ToRoom::Absent(id))));
        }
        // Whoever is done leaves; whoever forgets to is ended by the clock.
        if done && self.rng.percent(50) {
            let attempt = self.attempt(index, None, None);
            if let Some(attempt) = self.attempts.get_mut(attempt) {
                attempt.leave = true;
            }
            self.send_to_room(ToRoom::Leave { fan: id, attempt });
        }
    }
}
