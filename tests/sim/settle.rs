//! Checkout, webhooks, the two outboxes' readers, refunds: from a hold to a ticket or to the money back.

use onsale::domain::{
    id::{OrderId, PaymentId},
    inventory::{
        fact::OrderFact,
        request::{Answer, Command, Confirm, ConfirmRefusal, HoldView, Request},
    },
    order::{HoldFact, Known, OrderState},
};

use super::{
    broker::Body,
    bug::Bug,
    database::{OrderRow, OutboxRow, PaymentRow, PaymentState},
    node::{Caller, ToNode},
    swarm::Fault,
    world::{Event, Told, World},
};

/// A payment on its way from the bus into the books.
pub struct Settling {
    payment: PaymentId,
    order: OrderId,
    attempt: u64,
}

/// What became of a transaction, as far as its author can tell.
struct Transaction {
    done: bool,
    heard: bool,
}

impl World {
    fn transaction(&mut self) -> Transaction {
        if self.strikes(Fault::DatabaseFails) {
            return Transaction { done: false, heard: false };
        }
        let heard = !self.strikes(Fault::DatabaseReplyLost);
        if !heard {
            self.saw("a transaction is done and nobody knows");
        }
        Transaction { done: true, heard }
    }

    /// The row, the payment, then the provider: each of them any number of times.
    pub fn open_checkout(&mut self, view: &HoldView, number: u128) {
        let payment = PaymentId::from_u128(view.order.as_u128() << 8 | number);
        let row = OrderRow {
            fan: view.fan,
            lines: view.lines.clone(),
            total_minor: view.total_minor,
            known: Known::default(),
            void_wanted: false,
        };
        let row = self.database.orders.entry(view.order).or_insert(row);
        row.known.checkout_open = true;
        let amount_minor = row.total_minor;
        let open = PaymentRow { order: view.order, amount_minor, state: PaymentState::Open };
        self.database.payments.entry(payment).or_insert(open);
        self.provider.open(payment, view.order, amount_minor);
        let declined = self.strikes(Fault::PaymentDeclined);
        let late = self.strikes(Fault::PaymentLate);
        let delay =
            if late { self.rng.between(self.swarm.hold_ttl_ms - 1_500, self.swarm.hold_ttl_ms * 3) } else { 300 };
        self.later(delay, Event::Pay { payment, captured: !declined });
        if declined && self.rng.percent(50) {
            // Tries again on the same page.
            self.later(delay + 800, Event::Pay { payment, captured: true });
        }
    }

    pub fn pay(&mut self, payment: PaymentId, captured: bool) {
        self.trace.note(self.now, "pay", &[payment.as_u128() as u64, captured.into()]);
        let Some(id) = self.provider.pay(payment, captured) else { return };
        let copies = if self.strikes(Fault::WebhookDuplicated) { 3 } else { 1 };
        for _ in 0..copies {
            let late = self.strikes(Fault::WebhookLate);
            let delay = if late { self.rng.between(500, 30_000) } else { self.short_delay() };
            self.later(delay, Event::Webhook(id));
        }
    }

    /// Deduplicated and stored with its outbox row before it is answered; unanswered, it comes again.
    pub fn webhook(&mut self, id: u64) {
        let Some(webhook) = self.provider.webhooks.get(&id).copied() else { return };
        let transaction = self.transaction();
        self.trace.note(self.now, "webhook", &[id, transaction.done.into()]);
        if transaction.done && self.database.webhooks.insert(id) {
            if let Some(payment) = self.database.payments.get_mut(&webhook.payment)
                && matches!(payment.state, PaymentState::Open | PaymentState::Declined)
            {
                payment.state = if webhook.captured { PaymentState::Captured } else { PaymentState::Declined };
            }
            let row = OutboxRow { payment: webhook.payment, captured: webhook.captured, sent: false };
            self.database.outbox.push(row);
        }
        if transaction.heard || self.bug == Some(Bug::AnswerWebhookBeforeCommit) {
            self.provider.webhooks.remove(&id);
        } else {
            let again = self.rng.between(200, 3_000);
            self.later(again, Event::Webhook(id));
        }
    }

    /// Takes outbox rows to the bus, and marks them when it has them.
    pub fn relay(&mut self) {
        self.later(400, Event::Relay);
        self.undo_wanted();
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

    fn send_to_bus(&mut self, body: Body) {
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

    fn consume_fact(&mut self, message: u64, fact: &OrderFact) {
        let transaction = self.transaction();
        if transaction.done {
            let row = self.database.orders.entry(fact.order).or_insert_with(|| OrderRow {
                fan: fact.fan,
                lines: fact.lines.clone(),
                total_minor: fact.total_minor,
                known: Known::default(),
                void_wanted: false,
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
    fn again(&mut self, message: u64) {
        self.saw("a message is delivered again");
        let delay = self.rng.between(200, 2_000);
        self.later(delay, Event::Deliver(message));
    }

    /// Asks the inventory first: its decision is final.
    fn settle(&mut self, message: u64, payment: PaymentId, order: OrderId) {
        let Some(row) = self.database.orders.get(&order) else { return self.again(message) };
        let attempt = self.settling.get(&message).map_or(1, |settling| settling.attempt + 1);
        let mut asked = payment;
        if self.bug == Some(Bug::ConfirmUnderAnotherPayment) && attempt > 1 {
            asked = PaymentId::from_u128(payment.as_u128() + 16);
        }
        let confirm = Confirm { order, payment: asked, fan: row.fan, lines: row.lines.clone() };
        self.settling.insert(message, Settling { payment, order, attempt });
        let request = Request { identity: None, command: Command::Confirm(confirm) };
        let (node, delay) = (self.lease.0, self.short_delay());
        self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller: Caller::Settle(message) }));
        self.later(3_000, Event::SettleTimeout { message, attempt });
        if self.bug == Some(Bug::AcknowledgeBeforeCommit) {
            self.broker.messages.remove(&message);
        }
    }

    pub fn settle_timeout(&mut self, message: u64, attempt: u64) {
        let same = self.settling.get(&message).is_some_and(|settling| settling.attempt == attempt);
        if same && self.broker.messages.contains_key(&message) {
            self.again(message);
        }
    }

    pub fn settle_answered(&mut self, message: u64, told: Told) {
        let Some(&Settling { payment, order, .. }) = self.settling.get(&message) else { return };
        let outcome = match told {
            Told::Answer(Answer::Confirmed) => HoldFact::Sold,
            Told::Answer(Answer::ConfirmRefused(why)) => {
                self.saw_refusal(why);
                HoldFact::Refused
            }
            // Later: the timeout has it delivered again.
            _ => return,
        };
        let transaction = self.transaction();
        self.trace.note(self.now, "settle", &[message, outcome as u64, transaction.done.into()]);
        if transaction.done {
            self.write_settlement(payment, order, outcome);
        }
        if transaction.heard && !self.strikes(Fault::ConsumerCrashes) && self.finish_refund(payment, order) {
            self.broker.messages.remove(&message);
            self.settling.remove(&message);
        } else if self.broker.messages.contains_key(&message) {
            self.again(message);
        }
    }

    fn saw_refusal(&mut self, why: ConfirmRefusal) {
        self.saw(match why {
            ConfirmRefusal::Gone => "a late payment finds its stock gone",
            ConfirmRefusal::AlreadyPaid => "a second payment for one order is refused",
            ConfirmRefusal::LimitReached => "a late payment finds the fan's limit reached",
            ConfirmRefusal::EventCancelled | ConfirmRefusal::Voided => "a late payment finds the order undone",
        });
    }

    /// One transaction: order, tickets, and whether money has to go back.
    fn write_settlement(&mut self, payment: PaymentId, order: OrderId, outcome: HoldFact) {
        let Some(row) = self.database.orders.get_mut(&order) else { return };
        match outcome {
            HoldFact::Sold => row.known.settle(),
            // A second payment's refusal is none of the order's business.
            _ if matches!(row.known.hold, HoldFact::Sold | HoldFact::Voided) => {}
            _ => row.known.refuse(),
        }
        let lines = row.lines.clone();
        match outcome {
            HoldFact::Sold => {
                let twice = self.bug == Some(Bug::ConsumerWithoutDeduplication);
                let first = if twice { 1 + self.database.live_tickets(order) as u32 } else { 1 };
                self.database.issue_tickets(order, &lines, first);
                if self.rng.percent(5)
                    && let Some(row) = self.database.orders.get_mut(&order)
                {
                    row.void_wanted = true;
                }
            }
            _ => {
                if let Some(row) = self.database.payments.get_mut(&payment)
                    && row.state != PaymentState::Refunded
                {
                    row.state = PaymentState::Refunding;
                }
            }
        }
    }

    /// Whether nothing is left to give back for this payment.
    fn finish_refund(&mut self, payment: PaymentId, order: OrderId) -> bool {
        if self.database.payments.get(&payment).is_none_or(|row| row.state != PaymentState::Refunding) {
            return true;
        }
        // Kept with the payment, so that every attempt names the same one.
        let mut key = payment.as_u128();
        if self.bug == Some(Bug::RefundUnderNewKey) {
            key ^= u128::from(self.rng.next());
        }
        self.provider.refund(payment, key);
        if self.strikes(Fault::RefundReplyLost) {
            return false;
        }
        let transaction = self.transaction();
        if transaction.done {
            if let Some(row) = self.database.payments.get_mut(&payment) {
                row.state = PaymentState::Refunded;
            }
            // The money of the payment that counted; a second one's is none of the order's business.
            if let Some(row) = self.database.orders.get_mut(&order)
                && matches!(row.known.hold, HoldFact::Refused | HoldFact::Voided)
            {
                row.known.refunded = true;
            }
        }
        transaction.heard
    }

    /// An operator takes a sold order back: stock first, then tickets, then money.
    fn undo_wanted(&mut self) {
        let wanted: Vec<OrderId> =
            self.database.orders.iter().filter(|(_, row)| row.void_wanted).map(|(order, _)| *order).collect();
        for order in wanted {
            let request = Request { identity: None, command: Command::Void { order } };
            let (node, delay) = (self.lease.0, self.short_delay());
            self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller: Caller::Void(order) }));
        }
    }

    pub fn void_answered(&mut self, order: OrderId, told: Told) {
        if !matches!(told, Told::Answer(Answer::Voided)) {
            return;
        }
        let paid_by = self.model.orders.get(&order).and_then(|order| order.payment);
        let Some(payment) = paid_by else { return };
        if self.database.orders.get(&order).is_none_or(|row| !row.void_wanted) {
            return;
        }
        let transaction = self.transaction();
        if !transaction.done {
            return;
        }
        self.saw("a sold order is undone");
        self.database.void_tickets(order);
        if let Some(row) = self.database.orders.get_mut(&order) {
            row.known.hold = row.known.hold.max(HoldFact::Voided);
        }
        if let Some(row) = self.database.payments.get_mut(&payment)
            && row.state != PaymentState::Refunded
        {
            row.state = PaymentState::Refunding;
        }
        if transaction.heard
            && self.finish_refund(payment, order)
            && let Some(row) = self.database.orders.get_mut(&order)
        {
            row.void_wanted = false;
        }
    }

    pub fn open_orders(&self) -> usize {
        let open = |row: &&OrderRow| {
            !matches!(row.known.state(), OrderState::Ticketed | OrderState::Cancelled | OrderState::Refunded)
                || row.void_wanted
        };
        self.database.orders.values().filter(open).count()
    }
}
