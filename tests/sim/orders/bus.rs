//! To the bus and from it: both outboxes, deliveries, acknowledgements.

use onsale::domain::{inventory::fact::OrderFact, order::Known};

use crate::{
    node::ToNode,
    orders::Transaction,
    saga::{Carried, Step},
    stores::{
        broker::Body,
        database::{OrderRow, OutboxRow},
    },
    swarm::Fault,
    world::{Event, World},
};

/// Sent so long ago and not done, although nothing waits in the bus: it may have been lost there.
const OVERDUE_MS: u64 = 60_000;

impl World {
    /// Takes outbox rows to the bus, and marks them when it has them.
    pub fn relay(&mut self) {
        self.later(400, Event::Relay);
        self.refunds_due();
        self.moves_due();
        self.mails_due();
        if self.now < self.broker.down_until {
            return;
        }
        let overdue = !self.broker.has_payments();
        let is_due = |row: &OutboxRow| row.sent_at.is_none_or(|at| overdue && self.now > at + OVERDUE_MS);
        let due: Vec<u64> = self.database.outbox.iter().filter(|(_, row)| is_due(row)).map(|(id, _)| *id).collect();
        for id in due {
            let Some(OutboxRow { payment, captured, .. }) = self.database.outbox.get(&id).copied() else { continue };
            let Some(order) = self.database.payments.get(&payment).map(|row| row.order) else { continue };
            let carried = self.carry(Step::PaymentRelayed);
            self.send_to_bus(Body::Payment { payment, order, captured, row: id }, &carried);
            let confirmed = carried.heard && !self.strikes(Fault::BusLosesConfirm);
            if confirmed {
                self.mark_sent(id);
            }
            if carried.crashed {
                return;
            }
        }
    }

    fn mark_sent(&mut self, id: u64) {
        let now = self.now;
        self.transact(Step::MarkedSent, Transaction::GOOD, |world| {
            if let Some(row) = world.database.outbox.get_mut(&id) {
                row.sent_at = Some(now);
            }
        });
    }

    /// What the message asked for is done. If that is not noted, it is sent again, and done again.
    pub fn outbox_done(&mut self, id: u64) {
        self.transact(Step::OutboxDone, Transaction::GOOD, |world| {
            world.database.outbox.remove(&id);
        });
    }

    pub fn send_to_bus(&mut self, body: Body, carried: &Carried) {
        for late in &carried.arrivals {
            let message = self.broker.take(body.clone());
            let copies = if self.strikes(Fault::BusDuplicates) { 2 } else { 1 };
            for _ in 0..copies {
                let slow = self.strikes(Fault::BusReorders);
                let delay = if slow { self.rng.between(50, 6_000) } else { self.short_delay() };
                self.later(late + delay, Event::Deliver(message));
            }
            if carried.kept_back {
                self.kept_back = Some(Event::Deliver(message));
            }
            if matches!(body, Body::Payment { .. }) && self.harm(Step::KeptByBus).is_some() {
                self.broker.messages.remove(&message);
            }
        }
    }

    pub fn publish_facts(&mut self, node: u32, facts: Vec<OrderFact>, epoch: u64) {
        let last = facts.last().map(|fact| fact.number);
        self.trace.note(self.now, "publish", &[node.into(), epoch, last.unwrap_or_default()]);
        let carried = self.carry(Step::FactsPublished);
        let mut number = None;
        if self.now >= self.broker.down_until {
            facts.into_iter().for_each(|fact| self.send_to_bus(Body::Fact(Box::new(fact)), &carried));
            number = last;
        }
        if !carried.heard || self.strikes(Fault::BusLosesConfirm) {
            number = None;
        }
        let delay = if number.is_some() { self.short_delay() } else { 600 };
        self.later(delay, Event::ToNode(node, ToNode::Published { number }));
    }

    /// I-19: the cursor never passes what the bus has.
    pub fn mark_published(&mut self, epoch: u64, number: u64) {
        let has = self.broker.contiguous();
        self.require(number <= has, || format!("I-19: facts up to {number} count as published, the bus has {has}"));
        let carried = self.carry(Step::CursorMoved);
        for late in carried.arrivals {
            let delay = late + self.short_delay();
            self.later(delay, Event::MarkPublished { epoch, number });
        }
        if !carried.heard && !carried.crashed {
            self.later(600, Event::MarkPublished { epoch, number });
        }
    }

    pub fn deliver(&mut self, message: u64) {
        let Some(body) = self.broker.messages.get(&message).cloned() else { return };
        if matches!(&self.kept_back, Some(Event::Deliver(other)) if *other != message) {
            self.overtakes();
        }
        match body {
            Body::Fact(fact) => self.consume_fact(message, &fact),
            Body::Payment { payment, order, captured: true, row } => self.settle(message, payment, order, row),
            Body::Payment { row, .. } => {
                self.outbox_done(row);
                self.acknowledge(message, Step::PaymentAcknowledged);
            }
        }
    }

    pub fn consume_fact(&mut self, message: u64, fact: &OrderFact) {
        let database = self.transaction();
        let transaction = self.transact(Step::FactTakenIn, database, |world| {
            let row = world.database.orders.entry(fact.order).or_insert_with(|| OrderRow {
                fan: fact.fan,
                lines: fact.lines.clone(),
                total_minor: fact.total_minor,
                known: Known::default(),
            });
            row.known.learn(fact);
        });
        if transaction.heard && !self.strikes(Fault::ConsumerCrashes) {
            self.acknowledge(message, Step::FactAcknowledged);
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
