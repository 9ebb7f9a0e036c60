//! The sandbox provider, for trials: its books are tables beside the shop's, and it says what it does by webhook.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde_json::json;

use super::{PaymentProvider, Record, RefundAnswer, RefundRequest};
use crate::{
    domain::time::EventTime,
    stores::{
        database::{
            Database,
            sandbox::{self, GivenBack},
        },
        error::StoreError,
    },
};

/// The provider's name in payments.
pub const NAME: &str = "sandbox";

pub struct Sandbox {
    database: Database,
}

impl Sandbox {
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl PaymentProvider for Sandbox {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundAnswer, StoreError> {
        let (key, now) = (request.key.to_string(), now());
        let says = |given: &GivenBack| message(&key, given);
        let given = sandbox::give_back(&self.database, &key, &request.session, request.amount, says, now).await?;
        Ok(match given {
            Err(refused) => RefundAnswer::Refused(refused.to_string()),
            Ok(given) if !given.failure.is_empty() => RefundAnswer::Refused(given.failure),
            Ok(given) if given.due_at > now => RefundAnswer::Pending,
            Ok(_) => RefundAnswer::Done,
        })
    }

    async fn records(&self, after: &str, limit: u32) -> Result<Vec<Record>, StoreError> {
        let sessions = sandbox::sessions(&self.database, after, now(), limit).await?;
        let record = |session: sandbox::RecordedSession| Record {
            session: session.id,
            captured_minor: session.captured_minor,
            refunded_minor: session.refunded_minor,
        };
        Ok(sessions.into_iter().map(record).collect())
    }
}

/// What its webhook says, as the edge reads it.
fn message(key: &str, given: &GivenBack) -> String {
    let mut message = json!({
        "id": format!("evt_refund_{key}"),
        "type": "refund.succeeded",
        "session": given.session,
        "reference": given.reference,
        "amount": {"minor": given.amount.minor, "currency": given.amount.currency},
        "refund": key,
    });
    if !given.failure.is_empty() {
        message["type"] = json!("refund.failed");
        message["failure"] = json!(given.failure);
    }
    message.to_string()
}

/// The provider has a clock of its own.
fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
