//! What the sandbox provider says by webhook.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{domain::id::OrderRef, http::shapes::Price};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The same message has the same id, however often it comes.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub session: String,
    #[schema(value_type = String)]
    pub reference: OrderRef,
    pub amount: Price,
    /// The shop's key, of what is said about a refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Kind {
    /// The money is there.
    #[serde(rename = "payment.captured")]
    Captured,
    /// The fan has paid, and the money is under way.
    #[serde(rename = "payment.processing")]
    Processing,
    /// The fan gave up, or the money is not there.
    #[serde(rename = "payment.declined")]
    Declined,
    /// The money went back.
    #[serde(rename = "refund.succeeded")]
    RefundSucceeded,
    /// It does not go back.
    #[serde(rename = "refund.failed")]
    RefundFailed,
}
