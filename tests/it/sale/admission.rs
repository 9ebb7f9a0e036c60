//! Being admitted: for how long, how much longer, and no longer.

use onsale::domain::account::Role;
use reqwest::StatusCode;
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
