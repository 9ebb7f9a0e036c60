//! Payments: our side of what happens at a provider. At most one is open for an order.
//!
//! | state | may become |
//! |---|---|
//! | open | captured, declined |
//! | declined | captured (the provider's word on money is final, in whatever order it arrives) |
//! | captured | refunding |
//! | refunding | refunded |
//! | refunded | – |

use super::{Database, Write};
use crate::{
    domain::{
        id::{OrderRef, PaymentId},
        money::Money,
        time::EventTime,
    },
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub reference: OrderRef,
    /// `sandbox`, …
    pub provider: String,
    pub provider_session: String,
    pub amount: Money,
    pub state: State,
    /// The provider's hosted page.
    pub url: String,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Captured,
    Declined,
    Refunding,
    Refunded,
}

impl State {
    /// The table above.
    pub fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Open, Self::Captured | Self::Declined)
                | (Self::Declined, Self::Captured)
                | (Self::Captured, Self::Refunding)
                | (Self::Refunding, Self::Refunded)
        )
    }
}

/// Writes this open payment, unless the order has an open one: the answer is the one that is open now.
/// [`StoreError::Conflict`] if the order is paid already.
pub async fn open(_write: &mut Write, _payment: &Payment) -> Result<Payment, StoreError> {
    todo!("database helper")
}

pub async fn by_id(_database: &Database, _id: PaymentId) -> Result<Option<Payment>, StoreError> {
    todo!("database helper")
}

pub async fn by_provider_session(
    _database: &Database,
    _provider: &str,
    _session: &str,
) -> Result<Option<Payment>, StoreError> {
    todo!("database helper")
}

/// All of an order, newest first.
pub async fn of_order(_database: &Database, _reference: OrderRef) -> Result<Vec<Payment>, StoreError> {
    todo!("database helper")
}

/// By the table above; nothing to do if it is there already. [`StoreError::Conflict`] otherwise.
pub async fn set_state(_write: &mut Write, _id: PaymentId, _to: State, _now: EventTime) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Captured money that must go back and has not yet, oldest first.
pub async fn refunding(_database: &Database, _limit: u32) -> Result<Vec<Payment>, StoreError> {
    todo!("database helper")
}
