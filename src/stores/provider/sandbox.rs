//! The sandbox provider, for trials: its books are tables beside the shop's, and it says what it does by webhook.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde_json::json;

use super::{Opened, Over, Page, PaymentProvider, Record, RefundAnswer, RefundRequest, SessionRequest, Standing};
use crate::{
    domain::time::EventTime,
    stores::{
        database::{
            Database,
            sandbox::{self, Card, Decision, GivenBack, Session, State},
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

    async fn open(&self, request: &SessionRequest) -> Result<Opened, StoreError> {
        let (id, now) = (request.key.to_string(), now());
        let url = format!("{}/sandbox/pay/{id}", request.shop_url);
        let session = Session {
            id: id.clone(),
            reference: request.reference,
            amount: request.amount,
            state: State::Open,
            card: Card::Good,
            return_url: request.return_url.clone(),
            created_at: now,
            updated_at: now,
        };
        sandbox::create_now(&self.database, session).await?;
        Ok(Opened { session: id, url })
    }

    async fn look(&self, session: &str) -> Result<Standing, StoreError> {
        let found = sandbox::by_id(&self.database, session).await?;
        let found = found.ok_or_else(|| StoreError::Invalid("there is no such session".into()))?;
        if found.is_processing(now()) {
            return Ok(Standing::Processing);
        }
        Ok(match found.state {
            State::Open => Standing::Open,
            State::Paid | State::Refunded => Standing::Paid(found.amount),
            State::Declined | State::Cancelled => Standing::Ended,
        })
    }

    async fn close(&self, session: &str) -> Result<Standing, StoreError> {
        let decision = Decision { to: State::Cancelled, card: Card::Good, says: &[] };
        match sandbox::decide(&self.database, session, decision, now()).await {
            Ok(_) => Ok(Standing::Ended),
            // What the fan has decided already stands.
            Err(StoreError::Conflict(_)) => self.look(session).await,
            Err(error) => Err(error),
        }
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

    async fn instrument(&self, session: &str) -> Result<Option<String>, StoreError> {
        let found = sandbox::by_id(&self.database, session).await?;
        Ok(found.map(|session| session.card.as_str().to_owned()))
    }

    async fn records(&self, _: Over, after: &str, limit: u32) -> Result<Page, StoreError> {
        let sessions = sandbox::sessions(&self.database, after, now(), limit).await?;
        let record = |session: sandbox::RecordedSession| Record {
            session: session.id,
            captured_minor: session.captured_minor,
            refunded_minor: session.refunded_minor,
        };
        let next = sessions.last().map(|session| session.id.clone());
        Ok(Page { records: sessions.into_iter().map(record).collect(), next })
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
