//! To the bus and from it: both outboxes, deliveries, acknowledgements.

use onsale::domain::{inventory::fact::OrderFact, order::Known};

use crate::{
    node::ToNode,
    stores::{
        broker::Body,
        database::{OrderRow, OutboxRow},
    },
    swarm::Fault,
    world::{Event, World},
};

impl World {
    /// Takes outbox rows to the bus, and marks them when it has them.
    pub fn relay(&mut self) {
        self.later(400, Event::Relay);
        self.refunds_due();
        if self.now < self.broker.down_until {
            return;
        }
        let unsent: Vec<usize> =
            self.database.outbox.iter().enumerate().filter(|(_, row)| !row.sent).map(|(index, _)| index).collect();
        for index in unsent {
            let Some(OutboxRow { payment, captured, .. }) = self.database.outbox.get(index).copied() else { continue };
            let Some(order) = self.database.payments.get(&payment).map(|row| row.order) else { continue };
            self.send_to_bus(Body::Payment { payment, order, captured });
            let confirmed = !self.strikes(Fault::BusLosesConfirm);
            if confirmed && let Some(row) = self.database.outbox.get_mut(index) {
                row.sent = true;
            }
        }
    }

    pub fn send_to_bus(&mut self, body: Body) {
        let message = self.broker.take(body);
        let copies = if self.strikes(Fault::BusDuplicates) { 2 } else { 1 };
        for _ in 0..copies {
            let slow = self.strikes(Fault::BusReorders);
            let delay = if slow { self.rng.between(50, 6_000) } else { self.short_delay() };
            self.later(delay, Event::Deliver(message));
        }
    }

    pub fn publish_facts(&mut self, node: u32, facts: Vec<OrderFact>, epoch: u64) {
        let last = facts.last().map(|fact| fact.number);
        self.trace.note(self.now, "publish", &[node.into(), epoch, last.unwrap_or_default()]);
        let mut number = None;
        if self.now >= self.broker.down_until {
            facts.into_iter().for_each(|fact| self.send_to_bus(Body::Fact(Box::new(fact))));
            number = last;
        }
        if self.strikes(Fault::BusLosesConfirm) {
            number = None;
        }
        let delay = if number.is_some() { self.short_delay() } else { 600 };
        self.later(delay, Event::ToNode(node, ToNode::Published { number }));
    }

    /// I-19: the cursor never passes what the bus has.
    pub fn mark_published(&mut self, epoch: u64, number: u64) {
        let has = self.broker.contiguous();
        self.require(number <= has, || format!("I-19: facts up to {number} count as published, the bus has {has}"));
        let delay = self.short_delay();
        self.later(delay, Event::MarkPublished { epoch, number });
    }

    pub fn deliver(&mut self, message: u64) {
        let Some(body) = self.broker.messages.get(&message).cloned() else { return };
        match body {
            Body::Fact(fact) => self.consume_fact(message, &fact),
            Body::Payment { payment, order, captured: true } => self.settle(message, payment, order),
            Body::Payment { .. } => {
                self.broker.messages.remove(&message);
            }
        }
    }

    pub fn consume_fact(&mut self, message: u64, fact: &OrderFact) {
        let transaction = self.transaction();
        if transaction.done {
            let row = self.database.orders.entry(fact.order).or_insert_with(|| OrderRow {
                fan: fact.fan,
                lines: fact.lines.clone(),
                total_minor: fact.total_minor,
                known: Known::default(),
            });
            row.known.learn(fact);
        }
        if transaction.heard && !self.strikes(Fault::ConsumerCrashes) {
            self.broker.messages.remove(&message);
        } else {
            self.again(message);
        }
    }

    /// Not acknowledged: it comes again.
    pub fn again(&mut self, message: u64) {
        self.saw("a message is delivered again");
        let delay = self.rng.between(200, 2_000);
        self.later(delay, Event::Deliver(message));
    }
}
