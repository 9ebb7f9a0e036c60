//! Stripe: hosted Checkout Sessions, refunds of their PaymentIntents, and what its webhook says.
//!
//! Written from the published API (<https://docs.stripe.com/api>), version [`VERSION`]. A session is found again by its key for as
//! long as Stripe remembers keys, a day; a refund for ever, by what is written on it.

mod amount;
pub mod event;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use self::amount::{of_stripe, to_stripe};
use super::{
    Opened, Over, Page, PaymentProvider, Record, RefundAnswer, RefundRequest, SessionRequest, Standing,
    config::{InvalidConfig, StripeConfig},
    http::{Body, Caller, Reply},
};
use crate::{
    domain::time::Millis,
    stores::{error::StoreError, secret},
};

/// The provider's name in payments.
pub const NAME: &str = "stripe";

/// Of the API; also the one to choose for the webhook.
pub const VERSION: &str = "2024-06-20";

/// What Stripe writes our names on: a payment's and an order's on sessions and PaymentIntents, a refund's key on refunds.
pub(super) const PAYMENT: &str = "onsale_payment";
const ORDER: &str = "onsale_order";
const REFUND: &str = "onsale_refund";

/// Stripe keeps a session open for half an hour at least; the shop closes it when the hold ends.
const SHORTEST: Millis = Millis::minutes(31);
/// While a signing secret is rolled.
const MOST_SECRETS: usize = 2;
/// As many as Stripe gives at once.
const PAGE: u32 = 100;

/// What Stripe signs its messages with, newest first.
#[derive(Default)]
pub struct WebhookSecrets(Vec<Zeroizing<String>>);

impl WebhookSecrets {
    pub fn open(config: &StripeConfig) -> Result<Self, InvalidConfig> {
        let wrong = |wrong| InvalidConfig { key: "stripe.webhook_secrets_file", wrong };
        let file = config.webhook_secrets_file.as_deref().ok_or(wrong("is needed"))?;
        let text = secret::read(file).map_err(wrong)?;
        let secrets: Vec<_> = text.split_whitespace().map(|line| Zeroizing::new(line.to_owned())).collect();
        if secrets.len() > MOST_SECRETS {
            return Err(wrong("two secrets at most, one a line"));
        }
        Ok(Self(secrets))
    }

    pub fn as_bytes(&self) -> Vec<&[u8]> {
        self.0.iter().map(|secret| secret.as_bytes()).collect()
    }
}

pub struct Stripe {
    caller: Caller,
}

#[derive(Debug, Deserialize)]
struct Session {
    id: String,
    #[serde(default)]
    url: Option<String>,
    status: String,
    payment_status: String,
    #[serde(default)]
    payment_intent: Option<Intent>,
    amount_total: i64,
    currency: String,
}

/// Its id, or the whole of it where that was asked for.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Intent {
    Id(String),
    Whole {
        id: String,
        #[serde(default)]
        amount_received: i64,
        #[serde(default)]
        latest_charge: Option<Charge>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Charge {
    Whole {
        #[serde(default)]
        amount_refunded: i64,
        #[serde(default)]
        payment_method_details: Value,
    },
    Id(#[expect(dead_code, reason = "a charge that was not asked for")] String),
}

#[derive(Debug, Deserialize)]
struct Refund {
    id: String,
    status: String,
    #[serde(default)]
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: Value,
}

#[derive(Debug, Deserialize)]
struct List<T> {
    data: Vec<T>,
    #[serde(default)]
    has_more: bool,
}

impl Stripe {
    pub fn open(config: &StripeConfig, key_file: &Path, timeout: Duration) -> Result<Self, InvalidConfig> {
        let wrong = |wrong| InvalidConfig { key: "stripe.secret_key_file", wrong };
        let key = secret::read(key_file).map_err(wrong)?;
        let authorization = Zeroizing::new(format!("Bearer {}", key.as_str()));
        let caller = Caller::new("stripe.api_url", &config.api_url, &authorization, timeout)?;
        Ok(Self { caller: caller.with_header("stripe-version", VERSION) })
    }

    async fn session(&self, id: &str) -> Result<Session, StoreError> {
        check_id(id, "cs_")?;
        good(self.caller.get(&format!("/v1/checkout/sessions/{id}"), &[]).await?)
    }

    /// The PaymentIntent of a session that was paid.
    async fn intent(&self, session: &str) -> Result<String, StoreError> {
        let intent = self.session(session).await?.payment_intent;
        let id = match intent.ok_or_else(|| StoreError::Invalid("the session was never paid".into()))? {
            Intent::Id(id) | Intent::Whole { id, .. } => id,
        };
        check_id(&id, "pi_")?;
        Ok(id)
    }

    /// The refund that was asked for under this key, if it was: Stripe forgets keys, and this is asked for weeks.
    async fn asked_before(&self, intent: &str, key: &str) -> Result<Option<Refund>, StoreError> {
        let limit = PAGE.to_string();
        let mut after = String::new();
        loop {
            let mut query = vec![("payment_intent", intent), ("limit", limit.as_str())];
            if !after.is_empty() {
                query.push(("starting_after", after.as_str()));
            }
            let page: List<Refund> = good(self.caller.get("/v1/refunds", &query).await?)?;
            let Some(last) = page.data.last().map(|refund| refund.id.clone()) else { return Ok(None) };
            if let Some(found) = page.data.into_iter().find(|refund| refund.metadata[REFUND] == key) {
                return Ok(Some(found));
            }
            if !page.has_more {
                return Ok(None);
            }
            after = last;
        }
    }
}

#[async_trait]
impl PaymentProvider for Stripe {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn open(&self, request: &SessionRequest) -> Result<Opened, StoreError> {
        let (payment, order) = (request.key.to_string(), request.reference.to_string());
        let expires_at = request.expires_at.max(request.at + SHORTEST).0 / 1_000;
        let back = if request.return_url.is_empty() { &request.shop_url } else { &request.return_url };
        let fields = [
            ("mode", "payment".to_owned()),
            ("client_reference_id", order.clone()),
            ("metadata[onsale_payment]", payment.clone()),
            ("metadata[onsale_order]", order.clone()),
            ("payment_intent_data[metadata][onsale_payment]", payment.clone()),
            ("payment_intent_data[metadata][onsale_order]", order),
            ("line_items[0][quantity]", "1".to_owned()),
            ("line_items[0][price_data][currency]", request.amount.currency.as_str().to_ascii_lowercase()),
            ("line_items[0][price_data][unit_amount]", to_stripe(request.amount)?.to_string()),
            ("line_items[0][price_data][product_data][name]", request.description.clone()),
            ("expires_at", expires_at.to_string()),
            ("success_url", back.clone()),
            ("cancel_url", back.clone()),
        ];
        let key = format!("open-{payment}");
        let session: Session = good(self.caller.post("/v1/checkout/sessions", Body::Form(&fields), Some(&key)).await?)?;
        check_id(&session.id, "cs_")?;
        // Without a page it was paid or has ended since.
        let url = session.url.unwrap_or_else(|| request.shop_url.clone());
        Ok(Opened { session: session.id, url })
    }

    async fn look(&self, session: &str) -> Result<Standing, StoreError> {
        standing(&self.session(session).await?)
    }

    async fn close(&self, session: &str) -> Result<Standing, StoreError> {
        check_id(session, "cs_")?;
        let path = format!("/v1/checkout/sessions/{session}/expire");
        match self.caller.post(&path, Body::Form(&[]), Some(&format!("close-{session}"))).await? {
            Reply::Good(_) => Ok(Standing::Ended),
            // Only an open one can be: it is paid, being paid, or has ended.
            Reply::Refused { .. } => match self.look(session).await? {
                Standing::Open => Err(StoreError::Unavailable("Stripe does not close an open session".into())),
                standing => Ok(standing),
            },
        }
    }

    /// The card's fingerprint.
    async fn instrument(&self, session: &str) -> Result<Option<String>, StoreError> {
        check_id(session, "cs_")?;
        let query = [("expand[]", "payment_intent.latest_charge")];
        let session: Session = good(self.caller.get(&format!("/v1/checkout/sessions/{session}"), &query).await?)?;
        Ok(match session.payment_intent {
            Some(Intent::Whole { latest_charge: Some(Charge::Whole { payment_method_details, .. }), .. }) => {
                payment_method_details["card"]["fingerprint"].as_str().map(str::to_owned)
            }
            _ => None,
        })
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundAnswer, StoreError> {
        let (key, intent) = (request.key.to_string(), self.intent(&request.session).await?);
        if let Some(refund) = self.asked_before(&intent, &key).await? {
            return Ok(answer(refund));
        }
        let fields = [
            ("payment_intent", intent),
            ("amount", to_stripe(request.amount)?.to_string()),
            ("metadata[onsale_refund]", key.clone()),
        ];
        let reply = self.caller.post("/v1/refunds", Body::Form(&fields), Some(&format!("refund-{key}"))).await?;
        match reply {
            Reply::Good(body) => Ok(answer(parse(body)?)),
            Reply::Refused { status, body } => Ok(RefundAnswer::Refused(why(status, &body))),
        }
    }

    async fn records(&self, _: Over, after: &str, limit: u32) -> Result<Page, StoreError> {
        let limit = limit.min(PAGE).to_string();
        let mut query = vec![("limit", limit.as_str()), ("expand[]", "data.payment_intent.latest_charge")];
        if !after.is_empty() {
            query.push(("starting_after", after));
        }
        let page: List<Session> = good(self.caller.get("/v1/checkout/sessions", &query).await?)?;
        let next = page.data.last().filter(|_| page.has_more).map(|last| last.id.clone());
        Ok(Page { records: page.data.into_iter().map(record).collect::<Result<_, _>>()?, next })
    }
}

fn standing(session: &Session) -> Result<Standing, StoreError> {
    match (session.status.as_str(), session.payment_status.as_str()) {
        ("open", _) => Ok(Standing::Open),
        ("expired", _) => Ok(Standing::Ended),
        ("complete", "paid" | "no_payment_required") => {
            let paid = of_stripe(session.amount_total, &session.currency);
            paid.map(Standing::Paid).ok_or_else(|| StoreError::Corrupt("an amount in no currency of ours".into()))
        }
        ("complete", "unpaid") => Ok(Standing::Processing),
        (status, paid) => Err(StoreError::Corrupt(format!("a session that is {status:?} and {paid:?}"))),
    }
}

fn answer(refund: Refund) -> RefundAnswer {
    match refund.status.as_str() {
        "succeeded" => RefundAnswer::Done,
        "failed" | "canceled" => RefundAnswer::Refused(refund.failure_reason.unwrap_or(refund.status)),
        _ => RefundAnswer::Pending,
    }
}

fn record(session: Session) -> Result<Record, StoreError> {
    let (received, refunded) = match session.payment_intent {
        Some(Intent::Whole { amount_received, latest_charge, .. }) => {
            let refunded = match latest_charge {
                Some(Charge::Whole { amount_refunded, .. }) => amount_refunded,
                _ => 0,
            };
            (amount_received, refunded)
        }
        _ => (0, 0),
    };
    let minor = |told| {
        let amount = of_stripe(told, &session.currency);
        amount.map(|amount| amount.minor).ok_or_else(|| StoreError::Corrupt("an amount in no currency of ours".into()))
    };
    Ok(Record { captured_minor: minor(received)?, refunded_minor: minor(refunded)?, session: session.id })
}

/// Whatever goes into a path is one of Stripe's ids and nothing else.
fn check_id(id: &str, prefix: &str) -> Result<(), StoreError> {
    let is_id = id.strip_prefix(prefix).is_some_and(|rest| {
        !rest.is_empty() && rest.len() <= 250 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    if is_id { Ok(()) } else { Err(StoreError::Invalid("that is no id of Stripe's".into())) }
}

fn good<T: for<'de> Deserialize<'de>>(reply: Reply) -> Result<T, StoreError> {
    match reply {
        Reply::Good(body) => parse(body),
        Reply::Refused { status, body } => Err(StoreError::Invalid(why(status, &body).into())),
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: Value) -> Result<T, StoreError> {
    serde_json::from_value(body).map_err(|error| StoreError::Unknown(format!("an unexpected answer: {error}").into()))
}

/// Stripe's code for it, which is for logs and operators; its text may name more than it should.
fn why(status: StatusCode, body: &Value) -> String {
    let error = &body["error"];
    let code = error["code"].as_str().or_else(|| error["type"].as_str()).unwrap_or("refused");
    let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
    format!("{code} ({})", status.as_u16())
}

#[cfg(test)]
mod tests;
