//! Refunds as they are told: to their fan, and to those who look after them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        id::{EventId, FanId, OrderRef, PaymentId, RefundId},
        refund::{RefundReason, RefundState},
    },
    http::shapes::{Price, Timestamp},
    stores::database::refunds::{self, Stock},
};

/// Money on its way back to a fan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefundAnswer {
    #[schema(value_type = String)]
    pub id: RefundId,
    #[schema(value_type = String)]
    pub order: OrderRef,
    #[schema(value_type = String)]
    pub event: EventId,
    pub amount: Price,
    /// `gone`, `already_paid`, `event_cancelled`, `voided`, `limit_reached`, `code_used_up`, `instrument_limit`, `requested` or `returned`.
    #[schema(value_type = String, example = "requested")]
    pub reason: RefundReason,
    /// `begun`, `asked`, `failed` (a person looks after it) or `done`.
    #[schema(value_type = String, example = "done")]
    pub state: RefundState,
    /// Revoked with it.
    pub tickets: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<refunds::Refund> for RefundAnswer {
    fn from(refund: refunds::Refund) -> Self {
        Self {
            id: refund.id,
            order: refund.reference,
            event: refund.reference.event,
            amount: refund.amount.into(),
            reason: refund.reason,
            state: refund.state,
            tickets: refund.tickets,
            created_at: refund.created_at.into(),
            updated_at: refund.updated_at.into(),
        }
    }
}

/// The same with what only the organizer and operators are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefundRecord {
    #[serde(flatten)]
    pub refund: RefundAnswer,
    #[schema(value_type = String)]
    pub fan: FanId,
    #[schema(value_type = String)]
    pub payment: PaymentId,
    /// What whoever asked for it said.
    pub note: String,
    pub places: Places,
    /// What the provider said last.
    pub failure: Option<String>,
    /// Steps taken so far.
    pub attempts: u32,
}

/// What becomes of the places of the tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Places {
    /// Nobody gets them.
    Kept,
    /// They will be for sale again.
    GoingBack,
    /// They are.
    Back,
}

impl From<refunds::Refund> for RefundRecord {
    fn from(refund: refunds::Refund) -> Self {
        Self {
            fan: refund.fan,
            payment: refund.payment,
            note: refund.note.clone(),
            places: match refund.stock {
                Stock::Stays => Places::Kept,
                Stock::Wanted => Places::GoingBack,
                Stock::Back => Places::Back,
            },
            failure: Some(refund.failure.clone()).filter(|failure| !failure.is_empty()),
            attempts: refund.attempts,
            refund: refund.into(),
        }
    }
}
