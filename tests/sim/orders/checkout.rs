//! Checkout and the provider's webhooks.

use onsale::domain::{
    id::PaymentId,
    inventory::request::{Command, HoldView, Request},
    ledger::Entry,
    order::Known,
    time::Millis,
};

use crate::{
    bug::Bug,
    node::{Caller, ToNode},
    orders::Transaction,
    saga::Step,
    stores::{
        database::{OrderRow, OutboxRow, PaymentRow, PaymentState},
        provider::Webhook,
    },
    swarm::Fault,
    world::{Event, World},
};

/// Whoever hears nothing tries again after so long.
const AGAIN_MS: u64 = 1_500;
/// Between two looks at a payment that is under way.
pub const LOOK_MS: u64 = 4_000;

impl World {
    /// The row, the payment, then the provider: each of them any number of times.
    pub fn open_checkout(&mut self, view: &HoldView, number: u128) {
        let Some(payment) = self.begin_checkout(view, number) else { return };
        let declined = self.strikes(Fault::PaymentDeclined);
        let late = self.strikes(Fault::PaymentLate);
        let delay =
            if late { self.rng.between(self.swarm.hold_ttl_ms - 1_500, self.swarm.hold_ttl_ms * 3) } else { 300 };
        self.later(delay, Event::Pay { payment, captured: !declined });
        if self.rng.percent(10) {
            let delay = self.rng.between(0, self.swarm.hold_ttl_ms);
            self.keep_hold(view, delay);
        }
        if declined && self.rng.percent(50) {
            // Tries again on the same page.
            self.later(delay + 800, Event::Pay { payment, captured: true });
        }
    }

    /// The provider says that the money is under way.
    fn keep_hold(&mut self, view: &HoldView, delay: u64) {
        let command = Command::AwaitPayment { order: view.order, fan: view.fan, more: Millis(self.swarm.hold_ttl_ms) };
        let request = Request { identity: None, command };
        let node = self.lease.0;
        for late in self.carry(Step::AwaitAsked).arrivals {
            let request = request.clone();
            self.later(delay + late, Event::ToNode(node, ToNode::Ask { request, caller: Caller::Nobody }));
        }
    }

    /// By the script: it says so at every look, until the money is there.
    pub fn look(&mut self, view: HoldView) {
        let mut of_order = self.provider.sessions.values().filter(|session| session.order == view.order);
        if of_order.any(|session| session.captured_minor > 0) {
            return;
        }
        self.keep_hold(&view, 0);
        self.later(LOOK_MS, Event::Look(Box::new(view)));
    }

    /// By the script. Whoever hears nothing asks again under the same key.
    pub fn check_out_at(&mut self, view: HoldView, number: u128, after: u64, captured: bool) {
        match self.begin_checkout(&view, number) {
            Some(payment) => self.later(after, Event::Pay { payment, captured }),
            None => self.later(AGAIN_MS, Event::CheckOut { view: Box::new(view), number, after, captured }),
        }
    }

    /// `None`: the fan does not hear of it.
    fn begin_checkout(&mut self, view: &HoldView, number: u128) -> Option<PaymentId> {
        let (order, payment) = (view.order, PaymentId::from_u128(view.order.as_u128() << 8 | number));
        let row = OrderRow {
            fan: view.fan,
            lines: view.lines.clone(),
            total_minor: view.total_minor,
            known: Known::default(),
        };
        let ensured = self.transact(Step::OrderEnsured, Transaction::GOOD, |world| {
            world.database.orders.entry(order).or_insert_with(|| row.clone());
        });
        if !ensured.heard {
            return None;
        }
        let amount_minor = self.database.orders.get(&order)?.total_minor;
        let open = PaymentRow { order, amount_minor, state: PaymentState::Open };
        let opened = self.transact(Step::PaymentOpened, Transaction::GOOD, |world| {
            world.database.payments.entry(payment).or_insert(open);
        });
        if !opened.heard {
            return None;
        }
        let carried = self.carry(Step::SessionOpened);
        for late in &carried.arrivals {
            match late {
                0 => self.provider.open(payment, order, amount_minor),
                _ => self.later(*late, Event::OpenSession { payment, order, amount_minor }),
            }
        }
        if !carried.heard {
            return None;
        }
        let answered = self.transact(Step::CheckedOut, Transaction::GOOD, |world| {
            if let Some(row) = world.database.orders.get_mut(&order) {
                row.known.checkout_open = true;
            }
        });
        answered.heard.then_some(payment)
    }

    /// The fan decides at the provider's page; one who sees no answer decides again.
    pub fn pay(&mut self, payment: PaymentId, captured: bool) {
        let carried = self.carry(Step::Captured);
        for late in &carried.arrivals {
            match late {
                0 => self.paid(payment, captured),
                _ => self.later(*late, Event::Paid { payment, captured }),
            }
        }
        if !carried.heard {
            self.later(AGAIN_MS, Event::Paid { payment, captured });
        }
    }

    pub fn paid(&mut self, payment: PaymentId, captured: bool) {
        self.trace.note(self.now, "pay", &[payment.as_u128() as u64, captured.into()]);
        let Some(id) = self.provider.pay(payment, captured) else { return };
        let carried = self.carry(Step::WebhookSent);
        // One that does not arrive is not answered, and is sent again.
        let lost = carried.arrivals.is_empty().then_some(AGAIN_MS);
        for late in carried.arrivals.into_iter().chain(lost) {
            let copies = if self.strikes(Fault::WebhookDuplicated) { 3 } else { 1 };
            for _ in 0..copies {
                let slow = self.strikes(Fault::WebhookLate);
                let delay = if slow { self.rng.between(500, 30_000) } else { self.short_delay() };
                self.later(late + delay, Event::Webhook(id));
            }
        }
        if carried.kept_back {
            self.kept_back = Some(Event::Webhook(id));
        }
    }

    /// Deduplicated and stored with its outbox row before it is answered; unanswered, it comes again.
    pub fn webhook(&mut self, id: u64) {
        let Some(webhook) = self.provider.said.get(&id).copied() else { return };
        if matches!(&self.kept_back, Some(Event::Webhook(other)) if *other != id) {
            self.overtakes();
        }
        let database = self.transaction();
        let transaction = self.transact(Step::WebhookStored, database, |world| world.store_webhook(id, webhook));
        self.trace.note(self.now, "webhook", &[id, transaction.done.into()]);
        if transaction.heard || self.bug == Some(Bug::AnswerWebhookBeforeCommit) {
            self.provider.webhooks.remove(&id);
        } else {
            let again = self.rng.between(200, 3_000);
            self.later(again, Event::Webhook(id));
        }
    }

    fn store_webhook(&mut self, id: u64, webhook: Webhook) {
        if !self.database.webhooks.insert(id) {
            return;
        }
        let Webhook { payment, captured } = webhook;
        if let Some(row) = self.database.payments.get_mut(&payment)
            && matches!(row.state, PaymentState::Open | PaymentState::Declined)
        {
            row.state = if captured { PaymentState::Captured } else { PaymentState::Declined };
            let (order, amount_minor) = (row.order, row.amount_minor);
            if captured {
                self.database.book(order, Entry::Captured, amount_minor);
            }
        }
        self.database.outbox.insert(id, OutboxRow { payment, captured, sent_at: None });
    }
}
