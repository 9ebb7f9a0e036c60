//! What a shop does about its payment providers, whichever they are: those that do not answer, and fans who change between them.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use onsale::domain::account::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{shop::Shop, toss::korean};
use crate::{
    harness::until,
    psp::{self, Fault, stripe, toss},
    served::{Answer, SignedIn},
};

impl Shop {
    /// A hold, unpaid; the order's reference.
    pub(super) async fn held(&self, event: &str, fan: &SignedIn, wanted: &Value) -> String {
        let admission = self.admitted(event, fan).await;
        let hold = self.hold(event, fan, &admission, &self.key(), wanted).await.expect(StatusCode::CREATED);
        hold["reference"].as_str().expect("reference").to_owned()
    }

    pub(super) async fn check_out(&self, reference: &str, fan: &SignedIn, provider: &str) -> Answer {
        let path = format!("/orders/{reference}/checkout");
        self.act(&path, fan, &self.key(), Some(json!({"provider": provider}))).await
    }

    pub(super) async fn checkout_state(&self, reference: &str, fan: &SignedIn) -> Value {
        let path = format!("/api/v1/orders/{reference}/checkout");
        self.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK)
    }

    /// Gives the hold up, as its end would.
    pub(super) async fn release(&self, reference: &str, fan: &SignedIn) {
        let path = format!("/api/v1/holds/{reference}");
        let released = self.served.call(reqwest::Method::DELETE, &path, Some(&fan.access), None).await;
        released.expect(StatusCode::NO_CONTENT);
    }

    /// The order's open payment is asked about now, and not in a minute.
    pub(super) async fn time_to_look(&self) {
        self.meddle("UPDATE payments SET look_at = 1 WHERE look_at IS NOT NULL").await;
    }
}

fn one() -> Value {
    json!({"items": [{"ticket_type": "GA", "quantity": 1}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_provider_is_down_the_breaker_opens_says_so_and_closes_again() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stub = stripe::Stub::start().await;
    let shop = Shop::open_paying(psp::config(folder.path(), Some(&stub), None)).await;
    let operator = shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let view = async || {
        let answer = shop.served.get("/api/v1/admin/providers", Some(&operator.access)).await.expect(StatusCode::OK);
        answer["providers"].as_array().expect("a list").clone()
    };
    let of = |view: &[Value], name: &str| view.iter().find(|one| one["name"] == name).expect(name).clone();
    let before = view().await;
    assert_eq!(of(&before, "stripe")["breaker"], "closed");
    for absent in ["sandbox", "toss"] {
        let one = of(&before, absent);
        assert_eq!((&one["configured"], &one["breaker"]), (&json!(false), &Value::Null));
    }

    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let reference = shop.held(&event, &fan, &one()).await;
    stub.faults().set(Fault::Down);
    until("open", async || {
        let answer = shop.check_out(&reference, &fan, "stripe").await;
        assert_eq!(answer.problem(), (503, "provider_unavailable".into()));
        let seconds: u32 = answer.header("retry-after").parse().expect("seconds");
        assert!((1..=3).contains(&seconds), "{seconds}");
        of(&view().await, "stripe")["breaker"] == "open"
    })
    .await;
    let stripe = of(&view().await, "stripe");
    assert!(stripe["failures"].as_u64().is_some_and(|failures| failures >= 4), "{stripe}");
    assert_eq!(stripe["last_failure"]["error"], "status 503");
    assert!(!stripe.to_string().contains(stripe::KEY));
    // The hold stays, and the provider is left alone.
    let asked = stub.faults().asked.load(Ordering::SeqCst);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) {
        assert_eq!(shop.check_out(&reference, &fan, "stripe").await.problem(), (503, "provider_unavailable".into()));
    }
    assert_eq!(stub.faults().asked.load(Ordering::SeqCst), asked);

    stub.faults().set(Fault::None);
    until("open again for fans", async || {
        shop.check_out(&reference, &fan, "stripe").await.status == StatusCode::ACCEPTED
    })
    .await;
    let stripe = of(&view().await, "stripe");
    assert_eq!((&stripe["breaker"], &stripe["retry_after_ms"]), (&json!("closed"), &json!(0)));
    assert_eq!(stub.sessions().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_who_changes_the_provider_leaves_no_session_behind() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (stripe, toss) = (stripe::Stub::start().await, toss::Stub::start().await);
    let shop = Shop::open_paying(psp::config(folder.path(), Some(&stripe), Some(&toss))).await;
    let event = korean(&shop).await;
    let fan = shop.fan("ann").await;
    let reference = shop.held(&event, &fan, &one()).await;
    shop.check_out(&reference, &fan, "stripe").await.expect(StatusCode::ACCEPTED);
    let first = shop.session_of(&reference).await;
    let opened = shop.check_out(&reference, &fan, "toss").await.expect(StatusCode::ACCEPTED);
    assert!(opened["payment_url"].as_str().is_some_and(|url| url.contains("/toss/pay/")), "{opened}");
    assert_eq!(stripe.session(&first).status, "expired");
    // And back: another session, for the first one is over.
    shop.check_out(&reference, &fan, "stripe").await.expect(StatusCode::ACCEPTED);
    let second = shop.session_of(&reference).await;
    assert_ne!(first, second);
    assert_eq!(stripe.sessions().len(), 2);
    // Paid there: nobody may open another one any more.
    stripe.pay(&second).await;
    assert_eq!(shop.check_out(&reference, &fan, "toss").await.problem(), (409, "order_state".into()));
    shop.order_becomes(&reference, &fan, "ticketed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_refuses_can_be_paid_with_another() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (stripe, toss) = (stripe::Stub::start().await, toss::Stub::start().await);
    let shop = Shop::open_paying(psp::config(folder.path(), Some(&stripe), Some(&toss))).await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let reference = shop.held(&event, &fan, &one()).await;
    assert_eq!(shop.check_out(&reference, &fan, "toss").await.problem(), (422, "provider_refuses".into()));
    assert_eq!(shop.check_out(&reference, &fan, "sandbox").await.problem(), (422, "provider_unknown".into()));
    shop.check_out(&reference, &fan, "stripe").await.expect(StatusCode::ACCEPTED);
    assert_eq!(shop.checkout_state(&reference, &fan).await["state"], "open");
}
