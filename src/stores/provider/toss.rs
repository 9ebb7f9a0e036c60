//! Toss Payments: the fan agrees in its window, which a page of ours opens, and the shop then has the money taken.
//!
//! Written from the published API (<https://docs.tosspayments.com/reference>), version 1. A payment's name there is ours (`orderId`).
//! Won only: it has no smaller unit, and what else the window takes is not of this shop.

mod movements;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use self::movements::{Movement, Place};
use super::{
    Agreement, Opened, Over, Page, PaymentProvider, RefundAnswer, RefundRequest, SessionRequest, Standing,
    config::{InvalidConfig, TossConfig},
    http::{Body, Caller, Reply},
};
use crate::{
    domain::money::Money,
    stores::{error::StoreError, secret},
};

/// The provider's name in payments.
pub const NAME: &str = "toss";

/// What the window takes at most of a name.
const MOST_NAME: usize = 100;

pub struct Toss {
    caller: Caller,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    payment_key: String,
    order_id: String,
    status: String,
    total_amount: i64,
    currency: String,
    #[serde(default)]
    cancels: Option<Vec<Cancel>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancel {
    cancel_reason: String,
    #[serde(default)]
    cancel_status: Option<String>,
}

impl Toss {
    pub fn open(config: &TossConfig, key_file: &Path, timeout: Duration) -> Result<Self, InvalidConfig> {
        let wrong = |wrong| InvalidConfig { key: "toss.secret_key_file", wrong };
        let key = secret::read(key_file).map_err(wrong)?;
        // The key is the user, without a password.
        let user = Zeroizing::new(format!("{}:", key.as_str()));
        let authorization = Zeroizing::new(format!("Basic {}", STANDARD.encode(user.as_bytes())));
        Ok(Self { caller: Caller::new("toss.api_url", &config.api_url, &authorization, timeout)? })
    }

    /// `None`: nobody has agreed to pay it.
    async fn payment(&self, session: &str) -> Result<Option<Payment>, StoreError> {
        check_id(session)?;
        match self.caller.get(&format!("/v1/payments/orders/{session}"), &[]).await? {
            Reply::Good(body) => of_session(body, session).map(Some),
            Reply::Refused { status: StatusCode::NOT_FOUND, .. } => Ok(None),
            Reply::Refused { status, body } => Err(StoreError::Invalid(why(status, &body).into())),
        }
    }
}

#[async_trait]
impl PaymentProvider for Toss {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Toss hears of it from the fan's window first.
    async fn open(&self, request: &SessionRequest) -> Result<Opened, StoreError> {
        won(request.amount)?;
        let session = request.key.to_string();
        let url = format!("{}/toss/pay/{session}", request.shop_url);
        Ok(Opened { session, url })
    }

    async fn look(&self, session: &str) -> Result<Standing, StoreError> {
        self.payment(session).await?.map_or(Ok(Standing::Open), |payment| standing(&payment))
    }

    async fn confirm(&self, agreement: &Agreement) -> Result<Standing, StoreError> {
        let Agreement { session, token, amount, .. } = agreement;
        let body = json!({"paymentKey": token, "orderId": session, "amount": won(*amount)?});
        let key = format!("confirm-{token}");
        match self.caller.post("/v1/payments/confirm", Body::Json(&body), Some(&key)).await? {
            Reply::Good(body) => standing(&of_session(body, session)?),
            // It was done before, the card was refused, or it is no token of Toss's: what there is now tells.
            Reply::Refused { status, body } => match self.look(session).await? {
                Standing::Open => Err(StoreError::Invalid(why(status, &body).into())),
                standing => Ok(standing),
            },
        }
    }

    /// No money is taken without the shop's word, so there is nothing to close but what was paid already.
    async fn close(&self, session: &str) -> Result<Standing, StoreError> {
        Ok(match self.look(session).await? {
            Standing::Open => Standing::Ended,
            standing => standing,
        })
    }

    async fn refund(&self, request: &RefundRequest) -> Result<RefundAnswer, StoreError> {
        let payment = self.payment(&request.session).await?;
        let Some(payment) = payment else { return Ok(RefundAnswer::Refused("there is no such payment".into())) };
        // Toss forgets keys after fifteen days, and this is asked for weeks: so it is written on it.
        let reason = format!("onsale refund {}", request.key);
        if let Some(cancel) = payment.cancel(&reason) {
            return Ok(cancel.answer());
        }
        let body = json!({"cancelReason": reason, "cancelAmount": won(request.amount)?});
        let path = format!("/v1/payments/{}/cancel", payment.payment_key);
        let key = format!("refund-{}", request.key);
        match self.caller.post(&path, Body::Json(&body), Some(&key)).await? {
            Reply::Good(body) => {
                let payment = of_session(body, &request.session)?;
                Ok(payment.cancel(&reason).map_or(RefundAnswer::Pending, Cancel::answer))
            }
            Reply::Refused { status, body } => Ok(RefundAnswer::Refused(why(status, &body))),
        }
    }

    async fn records(&self, over: Over, after: &str, limit: u32) -> Result<Page, StoreError> {
        let (place, limit) = (Place::of(over, after)?, limit.clamp(1, movements::MOST));
        let ((from, to), most) = (place.span(over)?, limit.to_string());
        let mut query = vec![("startDate", from.as_str()), ("endDate", to.as_str()), ("limit", most.as_str())];
        if !place.after.is_empty() {
            query.push(("startingAfter", place.after.as_str()));
        }
        let movements: Vec<Movement> = match self.caller.get("/v1/transactions", &query).await? {
            Reply::Good(body) => parse(body)?,
            Reply::Refused { status, body } => return Err(StoreError::Invalid(why(status, &body).into())),
        };
        let is_full = movements.len() >= limit as usize;
        let next = place.next(over, movements.last(), is_full)?.map(|place| place.text());
        let records = movements.into_iter().map(Movement::record).filter_map(Result::transpose);
        Ok(Page { records: records.collect::<Result<_, _>>()?, next })
    }
}

impl Payment {
    fn cancel(&self, reason: &str) -> Option<&Cancel> {
        self.cancels.iter().flatten().find(|cancel| cancel.cancel_reason == reason)
    }
}

impl Cancel {
    fn answer(&self) -> RefundAnswer {
        match self.cancel_status.as_deref() {
            None | Some("DONE") => RefundAnswer::Done,
            Some("ABORTED") => RefundAnswer::Refused("ABORTED".into()),
            Some(_) => RefundAnswer::Pending,
        }
    }
}

fn standing(payment: &Payment) -> Result<Standing, StoreError> {
    match payment.status.as_str() {
        "READY" | "IN_PROGRESS" => Ok(Standing::Open),
        "WAITING_FOR_DEPOSIT" => Ok(Standing::Processing),
        "DONE" | "CANCELED" | "PARTIAL_CANCELED" => {
            let currency = payment.currency.parse();
            let currency = currency.map_err(|_| StoreError::Corrupt("an amount in no currency of ours".into()))?;
            Ok(Standing::Paid(Money { minor: payment.total_amount, currency }))
        }
        "ABORTED" | "EXPIRED" => Ok(Standing::Ended),
        other => Err(StoreError::Corrupt(format!("a payment that is {other:?}"))),
    }
}

fn of_session(body: Value, session: &str) -> Result<Payment, StoreError> {
    let payment: Payment = parse(body)?;
    check_id(&payment.payment_key)?;
    if payment.order_id == session {
        Ok(payment)
    } else {
        Err(StoreError::Corrupt("Toss has told of another payment than was asked for".into()))
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: Value) -> Result<T, StoreError> {
    serde_json::from_value(body).map_err(|error| StoreError::Unknown(format!("an unexpected answer: {error}").into()))
}

fn won(amount: Money) -> Result<i64, StoreError> {
    match amount.currency.as_str() {
        "KRW" => Ok(amount.minor),
        _ => Err(StoreError::Invalid("Toss is asked for won only".into())),
    }
}

/// What the window shows of an order.
pub fn name(description: &str) -> String {
    description.chars().take(MOST_NAME).collect()
}

/// Whatever goes into a path or comes from the fan's browser as one of Toss's keys is nothing else.
pub fn is_key(key: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
    !key.is_empty() && key.len() <= 200 && key.bytes().all(is_good)
}

fn check_id(id: &str) -> Result<(), StoreError> {
    if is_key(id) { Ok(()) } else { Err(StoreError::Invalid("that is no key of Toss's".into())) }
}

/// Toss's code for it; its text is for fans.
fn why(status: StatusCode, body: &Value) -> String {
    let code = body["code"].as_str().unwrap_or("refused");
    let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
    format!("{code} ({})", status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    fn payment(status: &str) -> Value {
        json!({"paymentKey": "tk_1", "orderId": "o-1", "status": status, "totalAmount": 50_000, "balanceAmount": 0,
            "currency": "KRW", "cancels": null, "mId": "shop"})
    }

    #[test]
    fn a_payment_stands_where_its_status_says() {
        let won = Money { minor: 50_000, currency: "KRW".parse().expect("a currency") };
        for (status, expected) in [
            ("READY", Standing::Open),
            ("IN_PROGRESS", Standing::Open),
            ("WAITING_FOR_DEPOSIT", Standing::Processing),
            ("DONE", Standing::Paid(won)),
            ("PARTIAL_CANCELED", Standing::Paid(won)),
            ("CANCELED", Standing::Paid(won)),
            ("ABORTED", Standing::Ended),
            ("EXPIRED", Standing::Ended),
        ] {
            let payment = of_session(payment(status), "o-1").expect("a payment");
            assert_eq!(standing(&payment).expect("known"), expected, "{status}");
        }
        assert!(standing(&of_session(payment("NEW"), "o-1").expect("a payment")).is_err());
    }

    #[test]
    fn an_answer_about_another_payment_is_not_believed() {
        assert!(matches!(of_session(payment("DONE"), "o-2"), Err(StoreError::Corrupt(_))));
        assert!(matches!(of_session(json!({}), "o-1"), Err(StoreError::Unknown(_))));
    }

    #[test]
    fn a_cancellation_is_found_by_what_is_written_on_it() {
        let mut body = payment("PARTIAL_CANCELED");
        body["cancels"] = json!([{"cancelReason": "other", "cancelAmount": 1},
            {"cancelReason": "mine", "cancelAmount": 2, "cancelStatus": "DONE"},
            {"cancelReason": "slow", "cancelAmount": 2, "cancelStatus": "IN_PROGRESS"},
            {"cancelReason": "lost", "cancelAmount": 2, "cancelStatus": "ABORTED"}]);
        let payment = of_session(body, "o-1").expect("a payment");
        let answer = |reason| payment.cancel(reason).map(Cancel::answer);
        assert_eq!(answer("mine"), Some(RefundAnswer::Done));
        assert_eq!(answer("other"), Some(RefundAnswer::Done));
        assert_eq!(answer("slow"), Some(RefundAnswer::Pending));
        assert_eq!(answer("lost"), Some(RefundAnswer::Refused("ABORTED".into())));
        assert_eq!(answer("none"), None);
    }

    #[test]
    fn only_won_are_asked_for_and_only_keys_get_into_paths() {
        assert!(won(Money { minor: 1, currency: Currency::EUR }).is_err());
        for (key, good) in [("tk_1-A=", true), ("", false), ("a/b", false), ("..", false), ("a?b", false), ("é", false)]
        {
            assert_eq!(is_key(key), good, "{key}");
        }
        assert!(!is_key(&"a".repeat(201)));
        assert_eq!(
            why(StatusCode::FORBIDDEN, &json!({"code": "REJECT_CARD_PAYMENT", "message": "…"})),
            "REJECT_CARD_PAYMENT (403)"
        );
    }
}
