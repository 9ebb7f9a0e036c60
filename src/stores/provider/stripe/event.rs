//! What Stripe says by webhook: read, not yet believed. Whether it is signed, and true to our payment, the edge checks.

use serde::Deserialize;
use serde_json::Value;

use super::{ORDER, PAYMENT, REFUND, amount::of_stripe};
use crate::domain::{id::PaymentId, money::Money, refund::RefundKey};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same message has the same id, however often it comes.
    pub id: String,
    pub about: About,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Payment(Said),
    /// Something is new about this refund, or about some refund of this payment: what, is asked.
    Refund(RefundKey),
    RefundOf(PaymentId),
    /// Of a kind that says nothing to us, or of what is not ours: the account may have other uses.
    NotOurs,
}

/// Of one payment of ours, all that it says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub payment: PaymentId,
    /// Where the message is about a session.
    pub session: Option<String>,
    /// As it is written there.
    pub order: String,
    /// `None`: in no currency of ours.
    pub amount: Option<Money>,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Captured,
    /// It was not paid, and cannot be any more.
    Declined,
    /// The fan has done his part; the money is on its way.
    Processing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message of Stripe's")]
pub struct NotAnEvent;

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

#[derive(Deserialize)]
struct Session {
    id: String,
    mode: String,
    payment_status: String,
    client_reference_id: Option<String>,
    amount_total: i64,
    currency: String,
}

#[derive(Deserialize)]
struct Intent {
    status: String,
    amount: i64,
    #[serde(default)]
    amount_received: Option<i64>,
    currency: String,
}

pub fn read(body: &[u8]) -> Result<Event, NotAnEvent> {
    let Envelope { id, kind, data: Data { object } } = serde_json::from_slice(body).map_err(|_| NotAnEvent)?;
    if !id.starts_with("evt_") || id.len() > 255 {
        return Err(NotAnEvent);
    }
    let payment = object["metadata"][PAYMENT].as_str().and_then(|id| id.parse().ok());
    let about = match (kind.as_str(), payment) {
        ("checkout.session.completed" | "checkout.session.async_payment_succeeded", Some(payment)) => {
            About::Payment(of_session(&object, payment, None)?)
        }
        ("checkout.session.async_payment_failed" | "checkout.session.expired", Some(payment)) => {
            About::Payment(of_session(&object, payment, Some(Outcome::Declined))?)
        }
        ("payment_intent.succeeded", Some(payment)) => About::Payment(of_intent(&object, payment)?),
        ("charge.refunded", Some(payment)) => About::RefundOf(payment),
        ("refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated", _) => {
            let key = object["metadata"][REFUND].as_str().and_then(|key| key.parse().ok());
            key.map_or(About::NotOurs, About::Refund)
        }
        _ => About::NotOurs,
    };
    Ok(Event { id, about })
}

fn of_session(object: &Value, payment: PaymentId, outcome: Option<Outcome>) -> Result<Said, NotAnEvent> {
    let session = Session::deserialize(object).map_err(|_| NotAnEvent)?;
    if session.mode != "payment" {
        return Err(NotAnEvent);
    }
    let paid = match session.payment_status.as_str() {
        "paid" | "no_payment_required" => Outcome::Captured,
        _ => Outcome::Processing,
    };
    Ok(Said {
        payment,
        amount: of_stripe(session.amount_total, &session.currency),
        session: Some(session.id),
        order: session.client_reference_id.unwrap_or_default(),
        outcome: outcome.unwrap_or(paid),
    })
}

fn of_intent(object: &Value, payment: PaymentId) -> Result<Said, NotAnEvent> {
    let intent = Intent::deserialize(object).map_err(|_| NotAnEvent)?;
    if intent.status != "succeeded" {
        return Err(NotAnEvent);
    }
    Ok(Said {
        payment,
        session: None,
        order: object["metadata"][ORDER].as_str().unwrap_or_default().to_owned(),
        amount: of_stripe(intent.amount_received.unwrap_or(intent.amount), &intent.currency),
        outcome: Outcome::Captured,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::money::Currency;

    const PAYMENT_ID: PaymentId = PaymentId::from_u128(7);

    fn event(kind: &str, object: Value) -> Result<Event, NotAnEvent> {
        read(json!({"id": "evt_1", "type": kind, "data": {"object": object}, "object": "event"}).to_string().as_bytes())
    }

    fn session(payment_status: &str) -> Value {
        json!({"id": "cs_1", "mode": "payment", "payment_status": payment_status, "client_reference_id": "order",
            "amount_total": 3000, "currency": "eur", "metadata": {"onsale_payment": PAYMENT_ID.to_string()}})
    }

    #[test]
    fn each_kind_of_message_says_what_it_says() {
        let said = |kind: &str, object: Value| match event(kind, object).expect("read").about {
            About::Payment(said) => (said.outcome, said.session, said.order),
            other => unreachable!("{kind}: {other:?}"),
        };
        let of_session = |outcome| (outcome, Some("cs_1".to_owned()), "order".to_owned());
        for (kind, payment_status, outcome) in [
            ("checkout.session.completed", "paid", Outcome::Captured),
            ("checkout.session.completed", "no_payment_required", Outcome::Captured),
            ("checkout.session.completed", "unpaid", Outcome::Processing),
            ("checkout.session.async_payment_succeeded", "paid", Outcome::Captured),
            ("checkout.session.async_payment_failed", "unpaid", Outcome::Declined),
            ("checkout.session.expired", "unpaid", Outcome::Declined),
        ] {
            assert_eq!(said(kind, session(payment_status)), of_session(outcome), "{kind} {payment_status}");
        }
        let intent = json!({"status": "succeeded", "amount": 3000, "currency": "eur",
            "metadata": {"onsale_payment": PAYMENT_ID.to_string(), "onsale_order": "order"}});
        assert_eq!(said("payment_intent.succeeded", intent), (Outcome::Captured, None, "order".into()));
    }

    #[test]
    fn the_amount_is_what_was_received() {
        let mut intent = json!({"status": "succeeded", "amount": 3000, "amount_received": 1, "currency": "eur",
            "metadata": {"onsale_payment": PAYMENT_ID.to_string()}});
        let amount = |intent: &Value| match event("payment_intent.succeeded", intent.clone()).expect("read").about {
            About::Payment(said) => said.amount,
            other => unreachable!("{other:?}"),
        };
        assert_eq!(amount(&intent), Some(Money { minor: 1, currency: Currency::EUR }));
        intent["currency"] = json!("nothing");
        assert_eq!(amount(&intent), None);
    }

    #[test]
    fn what_is_not_ours_or_not_known_says_nothing() {
        for (kind, object) in [
            ("customer.created", json!({})),
            ("payment_intent.payment_failed", json!({"metadata": {"onsale_payment": PAYMENT_ID.to_string()}})),
            ("checkout.session.completed", json!({"id": "cs_2", "metadata": {}})),
            ("checkout.session.completed", json!({"id": "cs_2", "metadata": {"onsale_payment": "another shop's"}})),
        ] {
            assert_eq!(event(kind, object).expect("read").about, About::NotOurs, "{kind}");
        }
    }

    #[test]
    fn what_is_said_of_a_refund_names_it_or_its_payment() {
        let about = |kind: &str, metadata: Value| event(kind, json!({"metadata": metadata})).expect("read").about;
        let payment = json!({"onsale_payment": PAYMENT_ID.to_string()});
        assert_eq!(about("charge.refunded", payment.clone()), About::RefundOf(PAYMENT_ID));
        let key = RefundKey { id: crate::domain::id::RefundId::from_u128(9), round: 2 };
        for kind in ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"] {
            assert_eq!(about(kind, json!({"onsale_refund": key.to_string()})), About::Refund(key), "{kind}");
            assert_eq!(about(kind, payment.clone()), About::NotOurs, "{kind}");
        }
        assert_eq!(about("charge.refunded", json!({})), About::NotOurs);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for body in ["", "{}", "[]", r#"{"id": "1", "type": "x", "data": {"object": {}}}"#] {
            assert_eq!(read(body.as_bytes()), Err(NotAnEvent), "{body}");
        }
        let mut wrong = session("paid");
        wrong["mode"] = json!("subscription");
        assert_eq!(event("checkout.session.completed", wrong), Err(NotAnEvent));
        let mut wrong = session("paid");
        wrong["amount_total"] = json!("3000");
        assert_eq!(event("checkout.session.completed", wrong), Err(NotAnEvent));
    }
}
