//! People who have not signed in yet: their places, and whose they become.

use std::{sync::Arc, time::Instant};

use onsale::{
    domain::time::Millis,
    http::{config::Config, now, shapes::Timestamp},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::shop::{Shop, closed_with, heard};
use crate::{
    harness::until,
    served::{Answer, Served, strict},
};

async fn device(served: &Served) -> String {
    let made = served.call(Method::POST, "/api/v1/devices", None, None).await.expect(StatusCode::CREATED);
    made["deviceKey"].as_str().expect("a key").to_owned()
}

fn queue(event: &str) -> String {
    format!("/api/v1/events/{event}/queue")
}

async fn join(served: &Served, event: &str, token: &str) -> Answer {
    served.call(Method::POST, &queue(event), Some(token), None).await
}

async fn tie(served: &Served, event: &str, access: &str, key: &str) -> Answer {
    served.post(&format!("{}/tie", queue(event)), Some(access), json!({"deviceKey": key})).await
}

/// Nobody is called until it is resumed.
async fn standing_still(shop: &Shop) -> String {
    let mut concert = Shop::concert();
    concert["queue"]["paused"] = Value::Bool(true);
    let event = shop.draft(concert).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    event
}

async fn resume(shop: &Shop, event: &str) {
    let path = format!("/api/v1/admin/events/{event}/queue/resume");
    shop.served.post(&path, Some(&shop.organizer.access), json!({"reason": "go on"})).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_waits_and_its_place_becomes_the_accounts_that_then_shops() {
    let shop = Shop::open().await;
    let event = standing_still(&shop).await;
    let (served, key) = (&shop.served, device(&shop.served).await);
    let state = join(served, &event, &key).await.expect(StatusCode::OK);
    assert_eq!((&state["state"], &state["accountNeeded"]), (&json!("waiting"), &json!(true)));
    let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
    join(served, &event, &bob.access).await.expect(StatusCode::OK);
    join(served, &event, &ann.access).await.expect(StatusCode::OK);
    let mut socket = shop.socket_by(&event, &key).await;
    let told = heard(&mut socket).await;
    assert_eq!((&told["state"], &told["accountNeeded"]), (&json!("waiting"), &json!(true)));

    let tied = tie(served, &event, &ann.access, &key).await.expect(StatusCode::OK);
    assert_eq!((&tied["state"], &tied["accountNeeded"]), (&json!("waiting"), &Value::Null));
    assert_eq!(closed_with(&mut socket).await, 1000);
    assert_eq!(tie(served, &event, &ann.access, &key).await.expect(StatusCode::OK)["state"], "waiting", "again");
    until("two wait, and Ann is the first", async || {
        let state = served.get(&queue(&event), Some(&ann.access)).await.expect(StatusCode::OK);
        state["positionInQueue"] == 1 && state["totalPeopleInQueue"] == 2
    })
    .await;
    assert_eq!(tie(served, &event, &bob.access, &key).await.problem(), (409, "device_tied".into()));
    assert_eq!(join(served, &event, &key).await.problem(), (409, "device_tied".into()));
    assert_eq!(served.get(&queue(&event), Some(&key)).await.expect(StatusCode::OK)["state"], "none");

    resume(&shop, &event).await;
    let admission = shop.admitted(&event, &ann).await;
    let hold = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    shop.hold(&event, &ann, &admission, &shop.key(), &hold).await.expect(StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_never_called_and_leaves_as_it_came() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    let key = device(served).await;
    join(served, &event, &key).await.expect(StatusCode::OK);
    let ann = shop.fan("ann").await;
    // Who came later is called.
    shop.admitted(&event, &ann).await;
    let state = served.get(&queue(&event), Some(&key)).await.expect(StatusCode::OK);
    assert_eq!((&state["state"], &state["positionInQueue"]), (&json!("waiting"), &json!(1)));
    served.call(Method::DELETE, &queue(&event), Some(&key), None).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(served.get(&queue(&event), Some(&key)).await.expect(StatusCode::OK)["state"], "none");
    // Tied without a place, nothing changes.
    assert_eq!(tie(served, &event, &ann.access, &key).await.expect(StatusCode::OK)["state"], "admitted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_devices_key_opens_the_queue_and_nothing_else() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    let key = device(served).await;
    for (method, path) in [
        (Method::GET, "/api/v1/auth/me".to_owned()),
        (Method::GET, "/api/v1/orders".to_owned()),
        (Method::GET, "/api/v1/tickets".to_owned()),
        (Method::POST, format!("/api/v1/events/{event}/holds")),
        (Method::POST, format!("{}/claim", queue(&event))),
        (Method::POST, format!("{}/extend", queue(&event))),
        (Method::POST, format!("{}/tie", queue(&event))),
        (Method::GET, format!("/api/v1/admin/events/{event}/queue")),
    ] {
        let answer = served.call(method, &path, Some(&key), Some(json!({}))).await;
        assert_eq!(answer.problem(), (401, "invalid_token".into()), "{path}");
    }
    let ann = shop.fan("ann").await;
    for wrong in ["", "x", &ann.access, &ann.refresh, &format!("{key}x"), &"x".repeat(3_000)] {
        assert_eq!(tie(served, &event, &ann.access, wrong).await.problem(), (400, "invalid_device_key".into()));
    }
    let unknown = served.post(&format!("{}/tie", queue(&event)), Some(&ann.access), json!({"key": key})).await;
    assert_eq!(unknown.problem(), (422, "invalid_body".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_a_draw_a_device_is_told_to_sign_in() {
    let shop = Shop::open().await;
    let mut concert = Shop::concert();
    concert["on_sale_at"] = json!(Timestamp(now() + Millis::minutes(20)));
    let event = shop.draft(concert).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    let key = device(&shop.served).await;
    assert_eq!(join(&shop.served, &event, &key).await.problem(), (403, "account_needed".into()));
    let mut socket = shop.socket_by(&event, &key).await;
    assert_eq!(heard(&mut socket).await["code"], "account_needed");
    assert_eq!(closed_with(&mut socket).await, 1013);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_devices_join_while_nobody_can_sign_in() {
    const DEVICES: usize = 10_000;
    const AT_ONCE: usize = 50;
    let config = Config { login_per_minute: 3, join_per_second: 5_000, join_burst: 40_000, ..strict() };
    let shop = Shop::open_with(config).await;
    let event = standing_still(&shop).await;
    let refused =
        async || shop.served.login("nobody@example.org", "wrong").await.status == StatusCode::TOO_MANY_REQUESTS;
    until("logins are refused", refused).await;

    let (began, event) = (Instant::now(), Arc::new(event));
    let (client, public) = (shop.served.client.clone(), Arc::new(shop.served.public.clone()));
    let mut crowd = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, public, event) = (client.clone(), public.clone(), event.clone());
        crowd.spawn(async move {
            for _ in 0..DEVICES / AT_ONCE {
                let made = client.post(format!("{public}/api/v1/devices")).send().await.expect("an answer");
                let made: Value = made.json().await.expect("JSON");
                let join = client.post(format!("{public}{}", queue(&event)));
                let joined = join.bearer_auth(made["deviceKey"].as_str().expect("a key")).send().await;
                let state = Answer::of(joined.expect("an answer")).await.expect(StatusCode::OK);
                assert_eq!(state["state"], "waiting");
                assert!(state["queueTicket"].as_str().is_some_and(|ticket| !ticket.is_empty()));
            }
        });
    }
    while let Some(done) = crowd.join_next().await {
        done.expect("all joined");
        // Now and then one may try.
        until("logins are refused meanwhile", refused).await;
    }
    println!("{DEVICES} devices made and joined in {:.1} s", began.elapsed().as_secs_f64());
    until("all wait", async || {
        let path = format!("/api/v1/admin/events/{event}/queue");
        let shown = shop.served.get(&path, Some(&shop.organizer.access)).await.expect(StatusCode::OK);
        shown["waiting"] == DEVICES
    })
    .await;
}
