//! Checkout and the provider's webhooks.

use onsale::domain::{id::PaymentId, inventory::request::HoldView, order::Known};

use crate::{
    bug::Bug,
    stores::database::{OrderRow, OutboxRow, PaymentRow, PaymentState},
    swarm::Fault,
    world::{Event, World},
};

impl World {
    /// The row, the payment, then the provider: each of them any number of times.
    pub fn open_checkout(&mut self, view: &HoldView, number: u128) {
        let payment = PaymentId::from_u128(view.order.as_u128() << 8 | number);
        let row = OrderRow {
            fan: view.fan,
            lines: view.lines.clone(),
            total_minor: view.total_minor,
            known: Known::default(),
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
}
