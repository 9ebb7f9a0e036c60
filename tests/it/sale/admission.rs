//! Being admitted: for how long, how much longer, and no longer.

use onsale::domain::account::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::{Shop, Socket, heard, say};
use crate::harness::until;

/// An event whose queue is as `queue` says.
async fn event(shop: &Shop, queue: Value) -> String {
    let mut concert = Shop::concert();
    concert["queue"] = queue;
    let event = shop.draft(concert).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    event
}

/// The first message of which this is so.
async fn told(socket: &mut Socket, is_it: impl Fn(&Value) -> bool) -> Value {
    loop {
        let message = heard(socket).await;
        if is_it(&message) {
            return message;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shopper_is_told_of_the_end_a_minute_before_and_moves_it_once() {
    let shop = Shop::open().await;
    let event = event(
        &shop,
        json!({"slots": 9, "rate_per_minute": 60_000, "session_seconds": 60, "session_extension_seconds": 90}),
    )
    .await;
    let fan = shop.fan("ann").await;
    let mut socket = shop.socket(&event, &fan).await;
    let admitted = told(&mut socket, |message| message["state"] == "admitted").await;
    assert_eq!(admitted["admissionExtended"], false);
    // The whole session is its last minute.
    let notice = told(&mut socket, |message| message["type"] == "queue.notice").await;
    assert_eq!(notice["code"], "admission_ends_soon");

    say(&mut socket, r#"{"type": "extend"}"#).await;
    let extended = told(&mut socket, |message| message["admissionExtended"] == true).await;
    let end = |state: &Value| -> jiff::Timestamp {
        state["admissionExpiresAt"].as_str().expect("an end").parse().expect("a time")
    };
    assert_eq!((end(&extended) - end(&admitted)).get_seconds(), 90);
    assert_ne!(extended["acceptedTokenId"], admitted["acceptedTokenId"], "a token that lives as long");

    // Asked again, by another way, it is the same.
    let path = format!("/api/v1/events/{event}/queue/extend");
    let again = shop.served.post(&path, Some(&fan.access), json!({})).await.expect(StatusCode::OK);
    assert_eq!(again["admissionExpiresAt"], extended["admissionExpiresAt"]);
    let stranger = shop.fan("bob").await;
    let refused = shop.served.post(&path, Some(&stranger.access), json!({})).await;
    assert_eq!(refused.problem(), (409, "not_in_queue".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_admissions_are_not_extended_a_shopper_hears_so() {
    let shop = Shop::open().await;
    let event = event(&shop, json!({"slots": 9, "rate_per_minute": 60_000, "session_extension_seconds": 0})).await;
    let fan = shop.fan("ann").await;
    let mut socket = shop.socket(&event, &fan).await;
    told(&mut socket, |message| message["state"] == "admitted").await;
    say(&mut socket, r#"{"type": "extend"}"#).await;
    let notice = told(&mut socket, |message| message["type"] == "queue.notice").await;
    assert_eq!(notice["code"], "no_extension");
    let path = format!("/api/v1/events/{event}/queue/extend");
    let refused = shop.served.post(&path, Some(&fan.access), json!({})).await;
    assert_eq!(refused.problem(), (409, "no_extension".into()));
    let state = shop.served.get(&format!("/api/v1/events/{event}/queue"), Some(&fan.access)).await;
    assert_eq!(state.expect(StatusCode::OK)["state"], "admitted", "and shops on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_admission_takes_no_more_holds_and_its_slot_goes_to_the_next() {
    let shop = Shop::open().await;
    let event = event(&shop, json!({"slots": 1, "rate_per_minute": 60_000})).await;
    let (first, next) = (shop.fan("ann").await, shop.fan("bob").await);
    let mut socket = shop.socket(&event, &first).await;
    let admitted = told(&mut socket, |message| message["state"] == "admitted").await;
    let token = admitted["acceptedTokenId"].as_str().expect("a token");
    let queue = format!("/api/v1/events/{event}/queue");
    let waiting = shop.served.post(&queue, Some(&next.access), json!({})).await.expect(StatusCode::OK);
    assert_eq!(waiting["state"], "waiting");

    let operator = shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let revoke = format!("/api/v1/admin/events/{event}/queue/revoke");
    let fans = [&first, &next].map(|fan| json!(fan.id));
    for wrong in [json!({"fans": fans}), json!({"fans": [], "reason": "r"}), json!({"fans": ["x"], "reason": "r"})] {
        let refused = shop.served.post(&revoke, Some(&operator.access), wrong.clone()).await;
        assert_eq!(refused.problem().0, 422, "{wrong}");
    }
    let body = json!({"fans": fans, "reason": "a bot"});
    let revoked = shop.served.post(&revoke, Some(&operator.access), body.clone()).await.expect(StatusCode::OK);
    assert_eq!(revoked, json!({"revoked": 1}), "who waits has no admission");
    told(&mut socket, |message| message["code"] == "admission_ended").await;
    let hold = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let refused = shop.hold(&event, &first, token, &shop.key(), &hold).await;
    assert_eq!(refused.problem(), (403, "not_admitted".into()));
    until("the next one is let in", async || {
        let state = shop.served.get(&queue, Some(&next.access)).await.expect(StatusCode::OK);
        state["state"] != "waiting"
    })
    .await;

    let admin = shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let acts = shop.served.get("/api/v1/admin/audit", Some(&admin.access)).await.expect(StatusCode::OK);
    let acts = acts["items"].as_array().expect("acts");
    let act = acts.iter().find(|act| act["action"] == "queue.revoke").expect("recorded");
    assert_eq!((&act["object"], &act["reason"]), (&json!(event), &json!("a bot")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_declared_to_need_more_time_has_twice_as_long() {
    let shop = Shop::open().await;
    let settings = json!({"slots": 9, "rate_per_minute": 60_000, "session_seconds": 30, "claim_seconds": 20});
    let event = event(&shop, settings).await;
    let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
    let profile = "/api/v1/auth/profile";
    let read = shop.served.get(profile, Some(&ann.access)).await.expect(StatusCode::OK);
    assert_eq!(read, json!({"needs_more_time": false}));
    for wrong in [json!({}), json!({"needs_more_time": "yes"}), json!({"needs_more_time": true, "role": "admin"})] {
        let refused = shop.served.call(Method::PUT, profile, Some(&ann.access), Some(wrong)).await;
        assert_eq!(refused.problem(), (422, "invalid_body".into()));
    }
    let declared = json!({"needs_more_time": true});
    let put = shop.served.call(Method::PUT, profile, Some(&ann.access), Some(declared.clone())).await;
    assert_eq!(put.expect(StatusCode::OK), declared);
    assert_eq!(shop.served.get(profile, Some(&ann.access)).await.expect(StatusCode::OK), declared);

    let seconds = |state: &Value, field: &str| {
        let time = |field: &str| state[field].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
        (time(field) - time("serverNow")).total(jiff::Unit::Second).expect("seconds").round()
    };
    let mut sockets = Vec::new();
    for (fan, session) in [(&ann, 60.0), (&bob, 30.0)] {
        let mut socket = shop.socket(&event, fan).await;
        let admitted = told(&mut socket, |message| message["state"] == "admitted").await;
        assert!((seconds(&admitted, "admissionExpiresAt") - session).abs() <= 2.0, "{admitted}");
        assert_eq!(admitted.get("moreTime"), (session == 60.0).then_some(&json!(true)));
        sockets.push(socket);
    }
    // The last minute is everybody's.
    let notice = told(&mut sockets[0], |message| message["type"] == "queue.notice").await;
    assert_eq!(notice["code"], "admission_ends_soon");

    // Called, and not here.
    let second =
        self::event(&shop, json!({"slots": 9, "rate_per_minute": 60_000, "session_seconds": 30, "claim_seconds": 20}))
            .await;
    let path = format!("/api/v1/events/{second}/queue");
    for (fan, window, session) in [(&ann, 40.0, 60.0), (&bob, 20.0, 30.0)] {
        shop.served.post(&path, Some(&fan.access), json!({})).await.expect(StatusCode::OK);
        let mut called = Value::Null;
        until("called", async || {
            called = shop.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK);
            called["state"] == "called"
        })
        .await;
        assert!((seconds(&called, "claimBy") - window).abs() <= 2.0, "{called}");
        let claimed =
            shop.served.post(&format!("{path}/claim"), Some(&fan.access), json!({})).await.expect(StatusCode::OK);
        assert!((seconds(&claimed, "admissionExpiresAt") - session).abs() <= 2.0, "{claimed}");
    }
}
