//! Stripe's answers, read.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use serde_json::json;

use super::*;
use crate::domain::money::{Currency, Money};

fn session(status: &str, payment_status: &str) -> Session {
    let body = json!({"id": "cs_test_1", "url": null, "status": status, "payment_status": payment_status,
        "payment_intent": "pi_1", "amount_total": 3000, "currency": "eur", "object": "checkout.session"});
    parse(body).expect("a session")
}

#[test]
fn a_session_stands_where_its_two_states_say() {
    let paid = Standing::Paid(Money { minor: 3_000, currency: Currency::EUR });
    for (status, payment_status, expected) in [
        ("open", "unpaid", Standing::Open),
        ("complete", "paid", paid),
        ("complete", "no_payment_required", paid),
        ("complete", "unpaid", Standing::Processing),
        ("expired", "unpaid", Standing::Ended),
    ] {
        assert_eq!(standing(&session(status, payment_status)).expect("known"), expected, "{status} {payment_status}");
    }
    assert!(standing(&session("new", "paid")).is_err());
}

#[test]
fn a_refund_is_done_pending_or_refused() {
    let refund = |status: &str, reason: Value| {
        answer(parse(json!({"id": "re_1", "status": status, "failure_reason": reason})).expect("a refund"))
    };
    assert_eq!(refund("succeeded", Value::Null), RefundAnswer::Done);
    assert_eq!(refund("pending", Value::Null), RefundAnswer::Pending);
    assert_eq!(refund("requires_action", Value::Null), RefundAnswer::Pending);
    let lost = json!("lost_or_stolen_card");
    assert_eq!(refund("failed", lost), RefundAnswer::Refused("lost_or_stolen_card".into()));
    assert_eq!(refund("canceled", Value::Null), RefundAnswer::Refused("canceled".into()));
}

#[test]
fn what_was_moved_is_read_from_the_payment_and_its_charge() {
    let mut body = json!({"id": "cs_1", "status": "complete", "payment_status": "paid", "amount_total": 5,
        "currency": "krw", "payment_intent": {"id": "pi_1", "amount_received": 5, "latest_charge": {"amount_refunded": 2}}});
    let moved = |body: &Value| {
        let record = record(parse(body.clone()).expect("a session")).expect("a record");
        (record.captured_minor, record.refunded_minor)
    };
    assert_eq!(moved(&body), (5, 2));
    body["payment_intent"]["latest_charge"] = Value::Null;
    assert_eq!(moved(&body), (5, 0));
    body["payment_intent"] = Value::Null;
    assert_eq!(moved(&body), (0, 0));
}

#[test]
fn only_an_id_of_stripes_gets_into_a_path() {
    assert!(check_id("cs_test_a1B2", "cs_").is_ok());
    for wrong in ["", "cs_", "pi_1", "cs_../refunds", "cs_1?x=1", "cs_1/expire", "cs_é"] {
        assert!(check_id(wrong, "cs_").is_err(), "{wrong}");
    }
}

#[test]
fn a_refusal_tells_its_code_and_no_more() {
    let status = StatusCode::BAD_REQUEST;
    let body = json!({"error": {"code": "charge_already_refunded", "message": "sk_test_1 of Ann"}});
    assert_eq!(why(status, &body), "charge_already_refunded (400)");
    assert_eq!(why(status, &json!({"error": {"type": "invalid_request_error"}})), "invalid_request_error (400)");
    assert_eq!(why(status, &Value::Null), "refused (400)");
}

#[test]
fn one_or_two_signing_secrets_are_read_newest_first() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let secrets = |name: &str, text: &str| {
        let path: PathBuf = folder.path().join(name);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).expect("made");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
        WebhookSecrets::open(&StripeConfig { webhook_secrets_file: Some(path), ..StripeConfig::default() })
    };
    let read = |name, text| secrets(name, text).ok().map(|secrets| secrets.as_bytes().concat());
    assert_eq!(read("one", "whsec_new\n"), Some(b"whsec_new".to_vec()));
    assert_eq!(read("two", "whsec_new\nwhsec_old\n"), Some(b"whsec_newwhsec_old".to_vec()));
    assert_eq!(read("three", "a\nb\nc\n"), None);
    assert_eq!(read("none", "\n"), None);
}
