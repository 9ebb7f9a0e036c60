//! Requests of fans: once, twice, under one key, to whichever node they end up at.

use onsale::domain::{
    id::{FanId, OrderId},
    inventory::request::{Command, Hold, Identity, Request, Want},
    queue::Place,
};

use crate::{
    bug::Bug,
    fan::{Attempt, Doing},
    node::{Caller, ToNode, ToRoom},
    swarm::Fault,
    world::{Event, STANDING, World, code},
};

impl World {
    /// Sends the current operation, once or, where a client is like that, twice.
    pub fn ask_again(&mut self, index: usize) {
        self.ask_once(index);
        if self.strikes(Fault::ClientRepeats) {
            self.ask_once(index);
        }
    }

    pub fn ask_once(&mut self, index: usize) {
        let now = self.now;
        let Some(fan) = self.fans.get_mut(index) else { return };
        let repeat = fan.last_asked != now || fan.first_asked != now;
        fan.last_asked = now;
        let (id, doing, operation, ticket) = (fan.id, fan.doing.clone(), fan.operation, fan.ticket);
        match doing {
            Doing::Joining => {
                let attempt = self.attempt(index, None, None);
                self.send_to_room(match ticket {
                    Some(place) => ToRoom::Restore { fan: id, place, attempt },
                    None => ToRoom::Join { fan: id, attempt },
                });
            }
            Doing::Leaving => {
                let attempt = self.attempt(index, None, None);
                if let Some(attempt) = self.attempts.get_mut(attempt) {
                    attempt.leave = true;
                }
                self.send_to_room(ToRoom::Leave { fan: id, attempt });
            }
            Doing::Claiming(place) => {
                let attempt = self.attempt(index, None, None);
                let request =
                    Request { identity: None, command: Command::Claim { place, fan: id, needs_more_time: false } };
                self.send_to_inventory(request, attempt);
            }
            Doing::Shopping(wish) => {
                let order = self.new_order();
                let attempt = self.attempt(index, Some(order), Some(wish.want.clone()));
                if let Some(attempt) = self.attempts.get_mut(attempt) {
                    (attempt.channel, attempt.code) = (wish.channel.clone(), wish.code.clone());
                }
                let hold = Hold {
                    order,
                    fan: id,
                    admission: wish.admission,
                    want: wish.want.clone(),
                    channel: wish.channel.clone(),
                    seen_version: None,
                    code: wish.code.clone(),
                    rates: Vec::new(),
                };
                let identity = self.identity(id, operation, repeat);
                self.send_to_inventory(Request { identity, command: Command::Hold(hold) }, attempt);
                if self.strikes(Fault::ClientReusesKey) {
                    self.reuse_key(index, wish.admission, identity);
                }
            }
            Doing::Extending { view } => {
                let attempt = self.attempt(index, Some(view.order), None);
                let identity = self.identity(id, operation, repeat);
                let command = Command::Extend { fan: id, order: view.order };
                self.send_to_inventory(Request { identity, command }, attempt);
            }
            Doing::Releasing { view } => {
                let attempt = self.attempt(index, Some(view.order), None);
                let identity = self.identity(id, operation, repeat);
                let command = Command::Release { fan: id, order: view.order };
                self.send_to_inventory(Request { identity, command }, attempt);
            }
            _ => {}
        }
    }

    pub fn new_order(&mut self) -> OrderId {
        let number = u128::from(self.rng.next());
        let takes_others = self.script.as_ref().map(|script| script.walk.takes_others());
        // See `orders::takes_others`.
        OrderId::from_u128(takes_others.map_or(number, |others| number & !1 | u128::from(others)))
    }

    pub fn identity(&self, fan: FanId, operation: u64, repeat: bool) -> Option<Identity> {
        if repeat && self.bug == Some(Bug::DropRepeatsIdentity) {
            return None;
        }
        Some(Identity { key: fan.as_u128() << 64 | u128::from(operation), body: operation })
    }

    /// The same key with another body: it must have no effect beside the first.
    pub fn reuse_key(&mut self, index: usize, admission: Place, identity: Option<Identity>) {
        let Some(id) = self.fans.get(index).map(|fan| fan.id) else { return };
        let order = OrderId::from_u128(u128::from(self.rng.next()));
        let want = Want::Quantities(vec![(code(STANDING), 1)]);
        let attempt = self.attempt(index, Some(order), Some(want.clone()));
        // Nothing waits for what becomes of this one.
        if let Some(attempt) = self.attempts.get_mut(attempt) {
            attempt.operation = 0;
        }
        let identity = identity.map(|identity| Identity { body: identity.body + 1_000_000, ..identity });
        let hold =
            Hold { order, fan: id, admission, want, channel: None, seen_version: None, code: None, rates: vec![] };
        self.send_to_inventory(Request { identity, command: Command::Hold(hold) }, attempt);
    }

    pub fn attempt(&mut self, index: usize, order: Option<OrderId>, wanted: Option<Want>) -> usize {
        let operation = self.fans.get(index).map_or(0, |fan| fan.operation);
        let seq = self.model.seq;
        let attempt = Attempt { fan: index, operation, leave: false, order, wanted, channel: None, code: None, seq };
        self.attempts.push(attempt);
        self.attempts.len() - 1
    }

    /// The node that the client's request ends up at.
    pub fn a_node(&mut self) -> u32 {
        let nodes: Vec<u32> = self.nodes.keys().copied().collect();
        if nodes.len() > 1 && self.strikes(Fault::Misrouted) {
            return self.rng.pick(&nodes);
        }
        self.lease.0
    }

    pub fn send_to_inventory(&mut self, request: Request, attempt: usize) {
        if self.strikes(Fault::NetworkLoses) {
            return;
        }
        let (node, delay) = (self.a_node(), self.short_delay());
        let caller = Caller::Client(attempt);
        self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller }));
    }

    pub fn send_to_room(&mut self, what: ToRoom) {
        if self.strikes(Fault::NetworkLoses) {
            return;
        }
        let (node, delay) = (self.a_node(), self.short_delay());
        self.later(delay, Event::ToNode(node, ToNode::Room(what)));
    }
}
