//! Orders: takes an event's committed facts to the broker, in journal order, and settles payments.

use serde::{Deserialize, Serialize};

use crate::domain::id::{OrderRef, PaymentId};

/// What the payment provider said, as it travels on the bus: `order.payment-success` or `order.payment-cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFact {
    pub payment: PaymentId,
    pub reference: OrderRef,
    pub amount_minor: i64,
    pub currency: crate::domain::money::Currency,
    pub captured: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// Deliver it again later.
    #[error("not settled yet: {0}")]
    Later(String),
    /// It can never be settled: a person must look.
    #[error("cannot be settled: {0}")]
    Never(String),
}

#[derive(Clone)]
pub struct Handle {}

impl Handle {
    /// Confirms with the inventory, then writes order and tickets in one transaction. Any number of times.
    pub async fn settle(&self, _fact: PaymentFact) -> Result<(), SettleError> {
        todo!("actors helper")
    }

    /// Facts committed and not yet confirmed by the broker.
    pub fn lag(&self) -> u64 {
        todo!("actors helper")
    }
}
