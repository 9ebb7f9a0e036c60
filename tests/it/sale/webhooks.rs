//! Payment messages: only a fresh, signed one that fits its payment moves an order, and only once.

use onsale::{
    http::{payments::signature, tokens::unix_now},
    stores::database::outbox,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::shop::Shop;
use crate::served::{Answer, SignedIn};

/// A checkout that waits for its money.
struct Scene {
    shop: Shop,
    fan: SignedIn,
    reference: String,
    session: String,
}

impl Scene {
    async fn set() -> Self {
        let shop = Shop::open().await;
        let event = shop.published().await;
        let fan = shop.fan("ann").await;
        let admission = shop.admitted(&event, &fan).await;
        let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
        let hold = shop.hold(&event, &fan, &admission, &shop.key(), &body).await.expect(StatusCode::CREATED);
        let reference = hold["reference"].as_str().expect("reference").to_owned();
        let checkout = format!("/orders/{reference}/checkout");
        let opened = shop.act(&checkout, &fan, &shop.key(), Some(json!({"provider": "sandbox"}))).await;
        let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned();
        let session = page.rsplit('/').next().expect("a session").to_owned();
        Self { shop, fan, reference, session }
    }

    fn message(&self, id: &str) -> Value {
        json!({"id": id, "type": "payment.captured", "session": self.session, "reference": self.reference,
            "amount": {"minor": 3000, "currency": "EUR"}})
    }

    fn signed(&self, body: &str) -> String {
        signature::sign(&self.shop.served.app.webhook_keys[0][..], unix_now(), body.as_bytes())
    }

    async fn post(&self, body: String, signature: &str) -> Answer {
        let url = format!("{}/api/v1/payments/sandbox/webhook", self.shop.served.public);
        let request = self.shop.served.client.post(url).header("content-type", "application/json");
        let request = request.header(signature::HEADER, signature).body(body);
        Answer::of(request.send().await.expect("an answer")).await
    }

    async fn send(&self, message: &Value) -> Answer {
        let body = message.to_string();
        let signature = self.signed(&body);
        self.post(body, &signature).await
    }

    async fn state(&self) -> Value {
        let path = format!("/api/v1/orders/{}", self.reference);
        self.shop.served.get(&path, Some(&self.fan.access)).await.expect(StatusCode::OK)["state"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_40_forged_stale_and_unfitting_messages_change_nothing() {
    let scene = Scene::set().await;
    let body = scene.message("evt_1").to_string();
    let key = &scene.shop.served.app.webhook_keys[0][..];
    let good = scene.signed(&body);
    let now = unix_now();
    let altered = body.replace("3000", "1");
    for (body, signature) in [
        (body.clone(), String::new()),
        (body.clone(), "t=1,v1=00".to_owned()),
        (altered, good.clone()),
        (body.clone(), signature::sign(b"another secret", now, body.as_bytes())),
        (body.clone(), signature::sign(key, now - 301, body.as_bytes())),
        (body.clone(), signature::sign(key, now + 360, body.as_bytes())),
    ] {
        assert_eq!(scene.post(body, &signature).await.problem(), (401, "invalid_signature".into()), "{signature}");
    }

    let set = |field: &str, value: Value| {
        let mut message = scene.message("evt_2");
        message[field] = value;
        message
    };
    let other_order = scene.reference.replace(&scene.reference[33..], "0190b5c2a0007000800000000000002a");
    for (message, expected) in [
        (set("amount", json!({"minor": 1, "currency": "EUR"})), (400, "payment_mismatch")),
        (set("amount", json!({"minor": 3000, "currency": "USD"})), (400, "payment_mismatch")),
        (set("reference", json!(other_order)), (400, "payment_mismatch")),
        (set("session", json!("0".repeat(32))), (404, "not_found")),
        (set("type", json!("payment.free")), (422, "invalid_body")),
        (set("state", json!("ticketed")), (422, "invalid_body")),
        (set("id", json!("")), (422, "invalid_body")),
    ] {
        let (status, code) = scene.send(&message).await.problem();
        assert_eq!((status, code.as_str()), expected, "{message}");
    }
    assert_eq!(scene.state().await, "paying");
    let waiting = outbox::count_unsent(&scene.shop.served.below.database).await.expect("counted");
    assert_eq!(waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_40_a_repeated_message_is_answered_and_has_one_effect() {
    let scene = Scene::set().await;
    for _ in 0..3 {
        scene.send(&scene.message("evt_1")).await.expect(StatusCode::NO_CONTENT);
    }
    // Another message about the same capture, as a provider sends after a doubt of its own.
    scene.send(&scene.message("evt_2")).await.expect(StatusCode::NO_CONTENT);
    scene.shop.order_becomes(&scene.reference, &scene.fan, "ticketed").await;
    let late = json!({"id": "evt_3", "type": "payment.declined", "session": scene.session, "reference": scene.reference,
        "amount": {"minor": 3000, "currency": "EUR"}});
    scene.send(&late).await.expect(StatusCode::NO_CONTENT);
    scene.send(&scene.message("evt_1")).await.expect(StatusCode::NO_CONTENT);
    let tickets = scene.shop.served.get("/api/v1/tickets", Some(&scene.fan.access)).await.expect(StatusCode::OK);
    assert_eq!(tickets["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(scene.state().await, "ticketed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hosted_page_takes_only_its_two_outcomes() {
    let scene = Scene::set().await;
    let page = format!("{}/sandbox/pay/{}", scene.shop.served.public, scene.session);
    assert_eq!(scene.shop.choose(&page, "free").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(scene.shop.choose(&page, "pay&amount=1").await, StatusCode::UNPROCESSABLE_ENTITY);
    for (kind, body, (status, code)) in [
        ("application/json", r#"{"outcome": "pay"}"#.to_owned(), (415, "unsupported_media_type")),
        ("application/x-www-form-urlencoded", "outcome=".to_owned() + &"p".repeat(100_000), (413, "body_too_large")),
    ] {
        let request = scene.shop.served.client.post(&page).header("content-type", kind).body(body);
        let answer = Answer::of(request.send().await.expect("an answer")).await;
        assert_eq!(answer.problem(), (status, code.into()));
    }
    for wrong in ["0".repeat(32), "x".into(), "%2e%2e".into()] {
        let page = format!("{}/sandbox/pay/{wrong}", scene.shop.served.public);
        assert_eq!(scene.shop.choose(&page, "pay").await, StatusCode::NOT_FOUND, "{wrong}");
    }
    assert_eq!(scene.state().await, "paying");
}
