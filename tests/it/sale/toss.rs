//! Paying with Toss Payments, by a stub of ours: the fan agrees in its window, the shop has the money taken.

use jiff::Span;
use onsale::{
    domain::account::Role,
    http::now,
    stores::{
        database::outbox,
        error::StoreError,
        provider::reconcile::{self, Difference},
    },
};
use reqwest::{StatusCode, redirect::Policy};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::shop::Shop;
use crate::{
    harness::until,
    psp::{
        self, Fault,
        toss::{Movement, Stub},
    },
    served::{Answer, SignedIn},
};

/// A concert that is paid in won.
pub(super) async fn korean(shop: &Shop) -> String {
    let mut concert = Shop::concert();
    concert["currency"] = json!("KRW");
    for (at, minor) in [(0, 50_000), (1, 90_000)] {
        concert["ticket_types"][at]["price"] = json!({"minor": minor, "currency": "KRW"});
    }
    let event = shop.draft(concert).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    event
}

/// A checkout that waits for its money.
struct Scene {
    stub: Stub,
    shop: Shop,
    fan: SignedIn,
    reference: String,
    /// Toss's `orderId`.
    session: String,
    page: String,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Scene {
    async fn set() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let stub = Stub::start().await;
        let mut config = psp::config(folder.path(), None, Some(&stub));
        // What is lost here would open it.
        config.breaker_calls = 1_000;
        let shop = Shop::open_paying(config).await;
        let event = korean(&shop).await;
        let fan = shop.fan("ann").await;
        let reference = shop.held(&event, &fan, &json!({"items": [{"ticket_type": "GA", "quantity": 1}]})).await;
        let opened = shop.check_out(&reference, &fan, "toss").await.expect(StatusCode::ACCEPTED);
        let page = opened["payment_url"].as_str().expect("a URL").to_owned();
        let session = shop.session_of(&reference).await;
        let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("client");
        Self { stub, shop, fan, reference, session, page, client, _folder: folder }
    }

    async fn shown(&self) -> String {
        let answer = Answer::of(self.client.get(&self.page).send().await.expect("an answer")).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.text
    }

    /// Toss leads the fan back.
    async fn returns(&self, key: &str, order_id: &str, amount: i64) -> Answer {
        let url = format!(
            "{}/toss/paid/{}?paymentType=NORMAL&paymentKey={key}&orderId={order_id}&amount={amount}",
            self.shop.served.public, self.session
        );
        Answer::of(self.client.get(url).send().await.expect("an answer")).await
    }

    async fn agrees_and_returns(&self) -> String {
        let key = self.stub.agree(&self.session, 50_000);
        let answer = self.returns(&key, &self.session, 50_000).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, &*format!("/toss/pay/{}", self.session))
        );
        key
    }

    async fn becomes(&self, state: &str) {
        self.shop.order_becomes(&self.reference, &self.fan, state).await;
    }

    async fn differences(&self) -> Vec<Difference> {
        let below = &self.shop.served.below;
        let provider = below.providers.by_name("toss").expect("there");
        reconcile::compare(&below.database, provider.as_ref(), now()).await.expect("compared").differences
    }

    async fn state(&self) -> Value {
        self.shop.checkout_state(&self.reference, &self.fan).await["state"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_agrees_in_toss_window_gets_the_ticket_and_then_the_money_back() {
    let scene = Scene::set().await;
    let page = scene.shown().await;
    for attribute in ["data-client-key=\"test_ck_1\"", "data-currency=\"KRW\"", "data-amount=\"50000\""] {
        assert!(page.contains(attribute), "{page}");
    }
    assert!(page.contains(&format!("data-session=\"{}\"", scene.session)), "{page}");
    let key = scene.agrees_and_returns().await;
    assert_eq!(scene.stub.payment(&key).status, "DONE");
    scene.becomes("ticketed").await;
    assert!(scene.shown().await.contains("Paid"));
    // He comes back once more, and Toss tells of it.
    assert_eq!(scene.returns(&key, &scene.session, 50_000).await.status, StatusCode::SEE_OTHER);
    scene.stub.send(&scene.shop.served.public, &scene.stub.event(&key)).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(scene.shop.tickets(&scene.fan).await.len(), 1);
    assert_eq!(scene.shop.books(&scene.reference).await, [50_000, 0, 50_000, 0, 0]);

    scene.shop.refund(&scene.reference, json!({"reason": "as asked"})).await.expect(StatusCode::CREATED);
    scene.becomes("refunded").await;
    let payment = scene.stub.payment(&key);
    assert_eq!((payment.status, payment.cancels.len(), payment.cancels[0].0), ("CANCELED", 1, 50_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_fan_brings_back_is_checked_before_any_money_moves() {
    let scene = Scene::set().await;
    let key = scene.stub.agree(&scene.session, 1);
    let other = "0".repeat(32);
    for (key, order_id, amount, expected) in [
        (key.as_str(), scene.session.as_str(), 1, (400, "payment_mismatch")),
        (key.as_str(), scene.session.as_str(), 50_001, (400, "payment_mismatch")),
        (key.as_str(), other.as_str(), 50_000, (400, "payment_mismatch")),
        ("..%2F..", scene.session.as_str(), 50_000, (400, "invalid_query")),
    ] {
        let (status, code) = scene.returns(key, order_id, amount).await.problem();
        assert_eq!((status, code.as_str()), expected, "{key} {order_id} {amount}");
    }
    // With the shop's amount, but an agreement about another one, or none: Toss refuses, and the payment stays open.
    for key in [key.as_str(), "tviva_nobodys"] {
        assert_eq!(scene.returns(key, &scene.session, 50_000).await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(scene.stub.payment(&key).status, "IN_PROGRESS");
    assert_eq!(scene.state().await, "open");
    scene.agrees_and_returns().await;
    scene.becomes("ticketed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_40_an_unsigned_message_is_a_hint_and_nothing_of_it_is_believed() {
    let scene = Scene::set().await;
    let public = &scene.shop.served.public;
    let forged = json!({"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2035-01-01T00:00:00.000000",
        "data": {"paymentKey": "tviva_forged", "orderId": scene.session, "status": "DONE", "totalAmount": 50_000,
            "currency": "KRW"}});
    for body in [forged, json!({"data": {"orderId": "0".repeat(32)}}), json!({"data": {}}), json!([]), json!("x")] {
        scene.stub.send(public, &body).await.expect(StatusCode::NO_CONTENT);
    }
    until("Toss was asked", async || scene.stub.faults().asked.load(std::sync::atomic::Ordering::SeqCst) > 0).await;
    assert_eq!(scene.state().await, "open");
    assert_eq!(outbox::count_unsent(&scene.shop.served.below.database).await.expect("counted"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_asked_for_again_and_the_money_taken_once() {
    let scene = Scene::set().await;
    scene.stub.faults().set(Fault::LosesAnswers);
    let key = scene.agrees_and_returns().await;
    assert!(scene.shown().await.contains("Being checked"));
    assert_eq!((scene.stub.payment(&key).status, scene.state().await), ("DONE", json!("open")));
    scene.stub.faults().set(Fault::None);
    scene.stub.send(&scene.shop.served.public, &scene.stub.event(&key)).await.expect(StatusCode::NO_CONTENT);
    scene.becomes("ticketed").await;

    // The way back likewise.
    scene.stub.faults().set(Fault::LosesAnswers);
    scene.shop.refund(&scene.reference, json!({"reason": "as asked"})).await.expect(StatusCode::CREATED);
    until("given back there", async || scene.stub.payment(&key).status == "CANCELED").await;
    scene.stub.faults().set(Fault::None);
    scene.becomes("refunded").await;
    assert_eq!(scene.stub.payment(&key).cancels.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_money_is_taken_for_a_hold_that_has_ended() {
    let scene = Scene::set().await;
    scene.shop.release(&scene.reference, &scene.fan).await;
    let key = scene.agrees_and_returns().await;
    assert_eq!(scene.stub.payment(&key).status, "IN_PROGRESS");
    until("declined", async || scene.state().await == "declined").await;
    assert!(scene.shown().await.contains("Not paid"));
    scene.becomes("cancelled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_is_refused_ends_the_payment_and_another_one_may_be_tried() {
    let scene = Scene::set().await;
    let key = scene.stub.agree(&scene.session, 50_000);
    scene.stub.change(&key, |payment| payment.is_refused = true);
    assert_eq!(scene.returns(&key, &scene.session, 50_000).await.status, StatusCode::SEE_OTHER);
    until("declined", async || scene.state().await == "declined").await;
    scene.shop.check_out(&scene.reference, &scene.fan, "toss").await.expect(StatusCode::ACCEPTED);
    assert_ne!(scene.shop.session_of(&scene.reference).await, scene.session);
    // Whoever only closes the window has lost nothing.
    let session = scene.shop.session_of(&scene.reference).await;
    let failed = format!("{}/toss/failed/{session}?code=PAY_PROCESS_CANCELED&message=x", scene.shop.served.public);
    let answer = scene.client.get(failed).send().await.expect("an answer");
    assert_eq!((answer.status(), scene.state().await), (StatusCode::SEE_OTHER, json!("open")));
    let operator = scene.shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let view = scene.shop.served.get("/api/v1/admin/providers", Some(&operator.access)).await.expect(StatusCode::OK);
    assert_eq!(view["providers"][2]["breaker"], "closed", "a refusal is an answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_held_against_toss_movements_put_together() {
    let scene = Scene::set().await;
    assert_eq!(scene.differences().await, [], "nothing has moved");
    let key = scene.agrees_and_returns().await;
    scene.becomes("ticketed").await;
    assert_eq!(scene.differences().await, []);
    let session = scene.session.clone();
    let payment = session.parse().expect("the payment's id");

    // Given back by hand at Toss: the shop knows nothing of it.
    let by_hand = |amount| Movement::new(&key, &session, amount, "PARTIAL_CANCELED");
    scene.stub.change_movements(|all| all.extend([by_hand(2_000), by_hand(3_000)]));
    let refunded = Difference::Refunded { session: session.clone(), payment, ledger_minor: 0, provider_minor: 5_000 };
    assert_eq!(scene.differences().await, [refunded]);
    // Another amount was taken.
    scene.stub.change_movements(|all| {
        all.truncate(1);
        all[0].amount = 49_000;
    });
    let captured =
        Difference::Captured { session: session.clone(), payment, ledger_minor: 50_000, provider_minor: 49_000 };
    assert_eq!(scene.differences().await, [captured]);
    // Nothing was taken; and what was is nobody's here.
    scene.stub.change_movements(|all| {
        all[0].amount = 50_000;
        all[0].order_id = "another-shops".into();
    });
    assert_eq!(
        scene.differences().await,
        [
            Difference::NotOurs { session: "another-shops".into(), captured_minor: 50_000, refunded_minor: 0 },
            Difference::NotTheirs { session: session.clone(), payment, captured_minor: 50_000 },
        ]
    );
    // Of a time before this shop had any payment there, and not of interest.
    scene.stub.change_movements(|all| {
        all[0].order_id = session.clone();
        let old = all[0].at.checked_sub(Span::new().days(3)).expect("a time");
        all.insert(0, Movement { at: old, ..Movement::new("tk_1", "another-shops", 7, "DONE") });
    });
    assert_eq!(scene.differences().await, []);

    scene.shop.refund(&scene.reference, json!({"reason": "as asked"})).await.expect(StatusCode::CREATED);
    scene.becomes("refunded").await;
    assert_eq!(scene.differences().await, []);
    scene.stub.faults().set(Fault::Down);
    let below = &scene.shop.served.below;
    let provider = below.providers.by_name("toss").expect("there");
    let failed = reconcile::compare(&below.database, provider.as_ref(), now()).await;
    assert!(matches!(failed, Err(StoreError::Unknown(_))), "{failed:?}");
}
