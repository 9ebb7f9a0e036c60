//! The simulated payment provider: it captures a session once, refunds under a key once, and says what it did by webhooks
//! that come late, twice and in any order.

use std::collections::{BTreeMap, BTreeSet};

use onsale::domain::id::{OrderId, PaymentId};

#[derive(Debug)]
pub struct Session {
    pub order: OrderId,
    pub amount_minor: i64,
    pub captured_minor: i64,
    pub refunded_minor: i64,
    refund_keys: BTreeSet<u128>,
}

#[derive(Debug, Clone, Copy)]
pub struct Webhook {
    pub payment: PaymentId,
    pub captured: bool,
}

#[derive(Default)]
pub struct Provider {
    pub sessions: BTreeMap<PaymentId, Session>,
    /// All that it ever said.
    pub said: BTreeMap<u64, Webhook>,
    /// Of that, what the shop has not taken yet.
    pub webhooks: BTreeSet<u64>,
    last_webhook: u64,
}

impl Provider {
    /// Idempotent by the payment's id.
    pub fn open(&mut self, payment: PaymentId, order: OrderId, amount_minor: i64) {
        let refund_keys = BTreeSet::new();
        let session = Session { order, amount_minor, captured_minor: 0, refunded_minor: 0, refund_keys };
        self.sessions.entry(payment).or_insert(session);
    }

    /// The fan pays or declines: what the shop is going to hear, if it is news.
    pub fn pay(&mut self, payment: PaymentId, captured: bool) -> Option<u64> {
        let session = self.sessions.get_mut(&payment)?;
        if session.captured_minor > 0 {
            return None;
        }
        if captured {
            session.captured_minor = session.amount_minor;
        }
        self.last_webhook += 1;
        self.said.insert(self.last_webhook, Webhook { payment, captured });
        self.webhooks.insert(self.last_webhook);
        Some(self.last_webhook)
    }

    pub fn refund(&mut self, payment: PaymentId, key: u128, amount_minor: i64) {
        let Some(session) = self.sessions.get_mut(&payment) else { return };
        if session.refund_keys.insert(key) {
            session.refunded_minor += amount_minor;
        }
    }
}
