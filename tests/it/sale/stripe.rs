//! Paying with Stripe: Checkout Sessions by a stub of ours, PaymentIntents, refunds and their signed messages by localstripe.

use std::path::Path;

use onsale::{
    domain::time::Millis,
    http::{now, payments::signature, tokens::unix_now},
    stores::{
        database::{
            outbox,
            payments::{self, outstanding},
        },
        provider::reconcile,
    },
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::shop::Shop;
use crate::{
    harness::until,
    psp::{self, Fault, stripe::Stub},
    served::SignedIn,
};

/// A checkout that waits for its money.
struct Scene {
    stub: Stub,
    shop: Shop,
    fan: SignedIn,
    event: String,
    reference: String,
    session: String,
    _folder: TempDir,
}

impl Scene {
    async fn set() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let stub = Stub::start().await;
        let shop = Shop::open_paying(psp::config(folder.path(), Some(&stub), None)).await;
        let event = shop.published().await;
        let fan = shop.fan("ann").await;
        let reference = shop.held(&event, &fan, &one()).await;
        let opened = shop.check_out(&reference, &fan, "stripe").await.expect(StatusCode::ACCEPTED);
        let session = shop.session_of(&reference).await;
        assert_eq!(opened["payment_url"], format!("https://checkout.stripe.example/c/pay/{session}"));
        Self { stub, shop, fan, event, reference, session, _folder: folder }
    }

    fn event(&self, kind: &str) -> Value {
        self.stub.event(kind, &self.session)
    }

    async fn becomes(&self, state: &str) {
        self.shop.order_becomes(&self.reference, &self.fan, state).await;
    }

    async fn refused(&self, event: &Value) -> (u16, String) {
        self.stub.send(&self.shop.served.public, event).await.problem()
    }

    async fn taken(&self, event: &Value) {
        self.stub.send(&self.shop.served.public, event).await.expect(StatusCode::NO_CONTENT);
    }

    /// Messages that are stored and wait to be worked off.
    async fn stored(&self) -> u64 {
        outbox::count_unsent(&self.shop.served.below.database).await.expect("counted")
    }
}

fn one() -> Value {
    json!({"items": [{"ticket_type": "GA", "quantity": 1}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_pays_on_stripes_page_gets_the_ticket_and_then_the_money_back() {
    let scene = Scene::set().await;
    let Scene { stub, shop, fan, reference, session, .. } = &scene;
    stub.tell(&shop.served.public).await;
    let asked = stub.session(session).fields;
    assert_eq!(asked["line_items[0][price_data][unit_amount]"], "3000");
    assert_eq!(asked["line_items[0][price_data][currency]"], "eur");
    assert_eq!(asked["line_items[0][price_data][product_data][name]"], "Concert: 1 × Standing");
    assert_eq!((&asked["client_reference_id"], asked["mode"].as_str()), (reference, "payment"));

    // localstripe's own message, signed by it, is what the shop hears first.
    stub.pay(session).await;
    scene.becomes("ticketed").await;
    assert_eq!(shop.books(reference).await, [3_000, 0, 3_000, 0, 0]);
    scene.taken(&scene.event("checkout.session.completed")).await;
    assert_eq!(shop.tickets(fan).await.len(), 1);
    assert_eq!(shop.check_out(reference, fan, "stripe").await.problem(), (409, "order_state".into()));

    shop.refund(reference, json!({"reason": "as asked"})).await.expect(StatusCode::CREATED);
    scene.becomes("refunded").await;
    assert_eq!(shop.books(reference).await, [3_000, 0, 0, 0, 3_000]);
    assert_eq!(stub.refunds(session).await, [3_000]);
    let providers = &shop.served.below.providers;
    let provider = providers.by_name("stripe").expect("there");
    let compared = reconcile::compare(&shop.served.below.database, provider.as_ref(), now()).await.expect("compared");
    assert_eq!((compared.payments, compared.sessions, compared.differences), (1, 1, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_known_by_its_fingerprint_where_an_event_limits_what_one_may_buy() {
    let (folder, stub) = (tempfile::tempdir().expect("temporary folder"), Stub::start().await);
    let shop = Shop::open_paying(psp::config(folder.path(), Some(&stub), None)).await;
    stub.tell(&shop.served.public).await;
    let mut concert = Shop::concert();
    concert["limits"] = json!({"per_instrument": 1});
    let event = shop.draft(concert).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    for (name, state) in [("ann", "ticketed"), ("bob", "refunded")] {
        let fan = shop.fan(name).await;
        let reference = shop.held(&event, &fan, &one()).await;
        shop.check_out(&reference, &fan, "stripe").await.expect(StatusCode::ACCEPTED);
        stub.pay(&shop.session_of(&reference).await).await;
        shop.order_becomes(&reference, &fan, state).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_40_forged_stale_and_unfitting_messages_change_nothing() {
    let scene = Scene::set().await;
    let (public, now) = (&scene.shop.served.public, unix_now());
    scene.stub.pay(&scene.session).await;
    let event = scene.event("checkout.session.completed");
    let body = event.to_string();
    let key = scene.stub.secrets[0].as_bytes();
    let good = signature::sign(key, now, body.as_bytes());
    for (body, signature) in [
        (body.clone(), String::new()),
        (body.clone(), "t=1,v1=00".to_owned()),
        (body.replace("3000", "3001"), good.clone()),
        (body.clone(), good.replace("v1=", "v0=")),
        (body.clone(), signature::sign(b"whsec_of_another", now, body.as_bytes())),
        (body.clone(), signature::sign(key, now - 301, body.as_bytes())),
        // The clock goes on meanwhile.
        (body.clone(), signature::sign(key, now + 600, body.as_bytes())),
    ] {
        let answer = scene.stub.post(public, body, &signature).await;
        assert_eq!(answer.problem(), (401, "invalid_signature".into()), "{signature}");
    }

    let other = scene.reference.replace(&scene.reference[33..], "0190b5c2a0007000800000000000002a");
    let set = |field: &str, value: Value| {
        let mut event = scene.event("checkout.session.completed");
        event["data"]["object"][field] = value;
        event
    };
    for (event, expected) in [
        (set("amount_total", json!(2_999)), (400, "payment_mismatch")),
        (set("amount_total", json!(300_000)), (400, "payment_mismatch")),
        (set("currency", json!("usd")), (400, "payment_mismatch")),
        (set("client_reference_id", json!(other)), (400, "payment_mismatch")),
        (set("client_reference_id", Value::Null), (400, "payment_mismatch")),
        (set("id", json!("cs_test_another")), (400, "payment_mismatch")),
        (set("amount_total", json!("3000")), (422, "invalid_body")),
        (set("mode", json!("setup")), (422, "invalid_body")),
        (json!({"id": "evt_1"}), (422, "invalid_body")),
    ] {
        let (status, code) = scene.refused(&event).await;
        assert_eq!((status, code.as_str()), expected, "{event}");
    }
    // What is not this shop's, or says nothing to it, is answered and has no effect.
    for event in [
        set("metadata", json!({})),
        set("metadata", json!({"onsale_payment": "0".repeat(32)})),
        scene.event("invoice.paid"),
        scene.event("payment_intent.payment_failed"),
        scene.event("charge.refunded"),
    ] {
        scene.taken(&event).await;
    }
    assert_eq!(scene.shop.checkout_state(&scene.reference, &scene.fan).await["order_state"], "paying");
    assert_eq!(scene.stored().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_40_a_repeated_message_has_one_effect_and_a_late_decline_none() {
    let scene = Scene::set().await;
    let expired = scene.event("checkout.session.expired");
    scene.stub.pay(&scene.session).await;
    let paid = scene.event("checkout.session.completed");
    for _ in 0..3 {
        scene.taken(&paid).await;
    }
    scene.becomes("ticketed").await;
    scene.taken(&scene.event("checkout.session.async_payment_succeeded")).await;
    scene.taken(&expired).await;
    scene.taken(&paid).await;
    until("worked off", async || scene.stored().await == 0).await;
    scene.becomes("ticketed").await;
    assert_eq!(scene.shop.tickets(&scene.fan).await.len(), 1);
    assert_eq!(scene.shop.books(&scene.reference).await, [3_000, 0, 3_000, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_40_both_signing_secrets_are_believed_while_one_is_rolled() {
    let scene = Scene::set().await;
    let body = scene.event("checkout.session.expired").to_string();
    let old = signature::sign(scene.stub.secrets[1].as_bytes(), unix_now(), body.as_bytes());
    scene.stub.post(&scene.shop.served.public, body, &old).await.expect(StatusCode::NO_CONTENT);
    until("declined", async || scene.shop.checkout_state(&scene.reference, &scene.fan).await["state"] == "declined")
        .await;
    // The fan may pay by another session.
    scene.shop.check_out(&scene.reference, &scene.fan, "stripe").await.expect(StatusCode::ACCEPTED);
    assert_ne!(scene.shop.session_of(&scene.reference).await, scene.session);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_ends_unpaid_has_its_session_expired() {
    let scene = Scene::set().await;
    scene.shop.release(&scene.reference, &scene.fan).await;
    until("expired at Stripe", async || scene.stub.session(&scene.session).status == "expired").await;
    until("declined here", async || {
        scene.shop.checkout_state(&scene.reference, &scene.fan).await["state"] == "declined"
    })
    .await;
    scene.becomes("cancelled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_was_faster_than_the_end_of_the_hold_buys_the_same_stock_again() {
    let scene = Scene::set().await;
    // Nobody tells the shop: it asks when it closes the session.
    scene.stub.pay(&scene.session).await;
    scene.shop.release(&scene.reference, &scene.fan).await;
    scene.becomes("ticketed").await;
    assert_eq!(scene.stub.session(&scene.session).status, "complete");
    assert_eq!(scene.shop.books(&scene.reference).await, [3_000, 0, 3_000, 0, 0]);
    let held = scene.shop.stock(&scene.event).await;
    assert_eq!(held["ticket_types"][0]["sold"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_lost_is_made_up_for_by_asking() {
    let scene = Scene::set().await;
    scene.stub.pay(&scene.session).await;
    scene.shop.time_to_look().await;
    scene.becomes("ticketed").await;
    // The same for one that was given up on Stripe's side.
    let fan = scene.shop.fan("bob").await;
    let reference = scene.shop.held(&scene.event, &fan, &one()).await;
    scene.shop.check_out(&reference, &fan, "stripe").await.expect(StatusCode::ACCEPTED);
    let session = scene.shop.session_of(&reference).await;
    scene.stub.change(&session, |session| session.status = "expired");
    scene.shop.time_to_look().await;
    until("declined", async || scene.shop.checkout_state(&reference, &fan).await["state"] == "declined").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_of_another_amount_than_the_orders_buys_nothing() {
    let scene = Scene::set().await;
    scene.stub.pay(&scene.session).await;
    let unit = "line_items[0][price_data][unit_amount]";
    scene.stub.change(&scene.session, |session| {
        session.fields.insert(unit.to_owned(), "1".to_owned());
    });
    scene.shop.release(&scene.reference, &scene.fan).await;
    let database = &scene.shop.served.below.database;
    let reference = scene.reference.parse().expect("a reference");
    let payment = payments::of_order(database, reference).await.expect("payments")[0].id;
    until("left to a person", async || {
        let outstanding = outstanding::by_id(database, payment).await.expect("read").expect("there");
        outstanding.look_at > now() + Millis::minutes(5)
    })
    .await;
    scene.becomes("cancelled").await;
    let session = scene.stub.session(&scene.session);
    assert_eq!((session.status, scene.stored().await), ("complete", 0));
    assert_eq!(scene.shop.books(&scene.reference).await, [0; 5]);
}

/// A held order whose session Stripe has opened, and the shop has not heard of it.
async fn with_a_lost_session(folder: &Path, stub: &Stub) -> (Shop, SignedIn, String) {
    let mut config = psp::config(folder, Some(stub), None);
    // What is lost here would open it.
    config.breaker_calls = 1_000;
    let shop = Shop::open_paying(config).await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let reference = shop.held(&event, &fan, &one()).await;
    stub.faults().set(Fault::LosesAnswers);
    assert_eq!(shop.check_out(&reference, &fan, "stripe").await.problem(), (503, "provider_unavailable".into()));
    stub.faults().set(Fault::None);
    (shop, fan, reference)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_cost_neither_a_second_session_nor_a_second_refund() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stub = Stub::start().await;
    let (shop, fan, reference) = with_a_lost_session(folder.path(), &stub).await;
    shop.check_out(&reference, &fan, "stripe").await.expect(StatusCode::ACCEPTED);
    let session = shop.session_of(&reference).await;
    assert_eq!(stub.sessions().keys().collect::<Vec<_>>(), [&session]);

    stub.pay(&session).await;
    let paid = stub.event("checkout.session.completed", &session);
    stub.send(&shop.served.public, &paid).await.expect(StatusCode::NO_CONTENT);
    shop.order_becomes(&reference, &fan, "ticketed").await;
    stub.faults().set(Fault::LosesAnswers);
    shop.refund(&reference, json!({"reason": "as asked"})).await.expect(StatusCode::CREATED);
    until("given back there", async || stub.refunds(&session).await == [3_000]).await;
    // localstripe remembers no keys: what is written on the refund is what it is found by.
    stub.faults().set(Fault::None);
    shop.order_becomes(&reference, &fan, "refunded").await;
    assert_eq!(stub.refunds(&session).await, [3_000]);
    assert_eq!(shop.books(&reference).await, [3_000, 0, 0, 0, 3_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_knows_of_any_more_is_closed_too() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stub = Stub::start().await;
    let (shop, fan, reference) = with_a_lost_session(folder.path(), &stub).await;
    // The fan never comes back.
    shop.release(&reference, &fan).await;
    shop.time_to_look().await;
    until("closed", async || stub.sessions().values().all(|session| session.status == "expired")).await;
    assert_eq!(stub.sessions().len(), 1);
    until("declined", async || shop.checkout_state(&reference, &fan).await["state"] == "declined").await;
}
