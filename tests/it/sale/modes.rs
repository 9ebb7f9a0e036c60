//! How fans are let in: each mode, and changes of it in the middle of a sale.

use onsale::{
    domain::time::Millis,
    http::{now, shapes::Timestamp},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::{Shop, closed_with, heard};
use crate::{
    harness::until,
    served::{Answer, SignedIn},
};

impl Shop {
    /// A published concert with these settings of its queue, on sale so long from now.
    async fn with_queue(&self, opens_in: Millis, queue: Value) -> String {
        let mut body = Self::concert();
        body["on_sale_at"] = json!(Timestamp(now() + opens_in));
        for (name, value) in queue.as_object().expect("an object") {
            body["queue"][name] = value.clone();
        }
        let event = self.draft(body).await;
        self.steer(&event, "publish").await.expect(StatusCode::OK);
        event
    }

    async fn join(&self, event: &str, fan: &SignedIn) -> Answer {
        self.served.post(&format!("/api/v1/events/{event}/queue"), Some(&fan.access), json!({})).await
    }

    async fn standing(&self, event: &str, fan: &SignedIn) -> Value {
        let path = format!("/api/v1/events/{event}/queue");
        self.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK)
    }

    /// As its organizer.
    async fn set_mode(&self, event: &str, body: Value) -> Answer {
        let path = format!("/api/v1/admin/events/{event}/queue/mode");
        self.served.call(Method::PUT, &path, Some(&self.organizer.access), Some(body)).await
    }
}

const NOW: Millis = Millis(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_cannot_be_joined_before_its_pre_queue_opens() {
    let shop = Shop::open().await;
    let event = shop.with_queue(Millis::minutes(60), json!({"prequeue_seconds": 1800})).await;
    let fan = shop.fan("ann").await;
    let refused = shop.join(&event, &fan).await;
    assert_eq!(refused.problem(), (409, "queue_not_open".into()));
    let opens_at = refused.json()["opens_at"].clone();
    assert!(opens_at.is_string(), "{refused:?}");
    let standing = shop.standing(&event, &fan).await;
    assert_eq!(standing["joinOpensAt"], opens_at);
    assert!(standing["opensAt"].as_str() > standing["joinOpensAt"].as_str(), "{standing}");

    let mut socket = shop.socket(&event, &fan).await;
    let notice = heard(&mut socket).await;
    assert_eq!((&notice["code"], &notice["opensAt"]), (&json!("queue_not_open"), &opens_at));
    assert_eq!(closed_with(&mut socket).await, 1013);

    // Opened a little earlier, it takes whoever comes.
    let changed = json!({"version": 3, "queue": {"mode": "fifo", "prequeue_seconds": 7200}});
    let path = format!("/api/v1/events/{event}");
    shop.served.call(Method::PATCH, &path, Some(&shop.organizer.access), Some(changed)).await.expect(StatusCode::OK);
    until("joined", async || shop.join(&event, &fan).await.status == 200).await;
    let standing = shop.standing(&event, &fan).await;
    assert_eq!((&standing["state"], &standing["positionInQueue"]), (&json!("waiting"), &json!(1)));
    assert!(standing["opensAt"].is_string() && standing["joinOpensAt"].is_null(), "{standing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_change_while_fans_wait_and_nobody_loses_a_place() {
    let shop = Shop::open().await;
    let event = shop.with_queue(NOW, json!({"mode": "fifo", "paused": true})).await;
    let (ann, bob, cat) = (shop.fan("ann").await, shop.fan("bob").await, shop.fan("cat").await);
    for fan in [&ann, &bob] {
        shop.join(&event, fan).await.expect(StatusCode::OK);
    }

    let report = shop.set_mode(&event, json!({"mode": "reject", "reason": "too many"})).await.expect(StatusCode::OK);
    assert_eq!(report["mode"], "reject");
    until("it is known", async || shop.standing(&event, &bob).await["mode"] == "reject").await;
    assert_eq!(shop.join(&event, &cat).await.problem(), (409, "queue_closed".into()));
    let mut socket = shop.socket(&event, &cat).await;
    assert_eq!(heard(&mut socket).await["code"], "queue_closed");
    assert_eq!(closed_with(&mut socket).await, 1013);
    let standing = shop.standing(&event, &bob).await;
    assert_eq!((&standing["state"], &standing["positionInQueue"]), (&json!("waiting"), &json!(2)));

    shop.set_mode(&event, json!({"mode": "random", "reason": "no rush"})).await.expect(StatusCode::OK);
    until("no numbers", async || shop.standing(&event, &bob).await["positionInQueue"] == 0).await;
    let standing = shop.standing(&event, &bob).await;
    assert_eq!((&standing["state"], &standing["mode"]), (&json!("waiting"), &json!("random")));
    assert_eq!(standing["totalPeopleInQueue"], 2, "{standing}");

    shop.set_mode(&event, json!({"mode": "fifo", "reason": "back"})).await.expect(StatusCode::OK);
    until("numbers again", async || shop.standing(&event, &bob).await["positionInQueue"] == 2).await;

    for (body, code) in [
        (json!({"mode": "lifo", "reason": "r"}), "invalid_body"),
        (json!({"reason": "nothing"}), "invalid_body"),
        (json!({"mode": "fifo", "reason": ""}), "invalid_body"),
        (json!({"mode": "fifo"}), "invalid_body"),
        (json!({"engage_above": 1, "release_below": 2, "reason": "r"}), "invalid_event"),
    ] {
        assert_eq!(shop.set_mode(&event, body.clone()).await.problem().1, code, "{body}");
    }
    assert_eq!(shop.standing(&event, &bob).await["positionInQueue"], 2, "nothing has changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_everybody_is_let_through_nobody_waits_for_the_rate_or_claims() {
    let shop = Shop::open().await;
    let slow = json!({"slots": 2, "rate_per_minute": 1, "mode": "passthrough"});
    let event = shop.with_queue(NOW, slow).await;
    let fans = [shop.fan("ann").await, shop.fan("bob").await, shop.fan("cat").await];
    for fan in &fans {
        shop.join(&event, fan).await.expect(StatusCode::OK);
    }
    for fan in fans.iter().take(2) {
        until("admitted", async || {
            let state = shop.standing(&event, fan).await["state"].clone();
            assert_ne!(state, "called");
            state == "admitted"
        })
        .await;
    }
    until("the first of those who wait", async || shop.standing(&event, &fans[2]).await["positionInQueue"] == 1).await;
    assert_eq!(shop.standing(&event, &fans[2]).await["state"], "waiting", "no slot is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_safety_net_engages_when_enough_shop() {
    let shop = Shop::open().await;
    let net = json!({"mode": "fifo", "rate_per_minute": 1, "engage_above": 2, "release_below": 1});
    let event = shop.with_queue(NOW, net).await;
    let fans = [shop.fan("ann").await, shop.fan("bob").await, shop.fan("cat").await];
    for fan in fans.iter().take(2) {
        shop.join(&event, fan).await.expect(StatusCode::OK);
        until("let through", async || shop.standing(&event, fan).await["state"] == "admitted").await;
    }
    until("there is a queue", async || shop.standing(&event, &fans[0]).await["engaged"] == true).await;
    shop.join(&event, &fans[2]).await.expect(StatusCode::OK);
    assert_eq!(shop.standing(&event, &fans[2]).await["state"], "waiting");
    let path = format!("/api/v1/events/{event}/queue");
    for fan in &fans {
        shop.served.call(Method::DELETE, &path, Some(&fan.access), None).await;
    }
    until("it lets go", async || shop.standing(&event, &fans[0]).await["engaged"] == false).await;
}
