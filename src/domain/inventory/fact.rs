//! What an inventory tells the orders side: one numbered message for each journal entry that changes an order.

use serde::{Deserialize, Serialize};

use super::request::{ConfirmRefusal, Line};
use crate::domain::{
    id::{FanId, OrderId, PaymentId},
    money::Currency,
    time::EventTime,
};

/// Carries the whole order, so that facts may arrive in any order and any number of times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFact {
    /// Counts the facts of one event from 1; a pure function of the journal.
    pub number: u64,
    pub order: OrderId,
    pub fan: FanId,
    pub at: EventTime,
    pub what: FactKind,
    pub lines: Vec<Line>,
    pub total_minor: i64,
    pub currency: Currency,
    pub expires_at: EventTime,
    pub version: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactKind {
    Created,
    Extended,
    Released,
    Expired,
    Confirmed {
        payment: PaymentId,
    },
    ConfirmRefused {
        payment: PaymentId,
        why: ConfirmRefusal,
    },
    Voided,
    /// Created by the inventory itself, for who waits.
    Offered,
}
