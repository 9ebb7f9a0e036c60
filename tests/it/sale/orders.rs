//! Orders and events over their lives: cancelled, repriced, lists, drafts.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::shop::Shop;
use crate::harness::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_order_gives_its_stock_back_and_closes_its_payment() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 3}]});
    let hold = shop.hold(&event, &fan, &admission, &shop.key(), &body).await.expect(StatusCode::CREATED);
    let reference = hold["reference"].as_str().expect("reference");
    let checkout = format!("/orders/{reference}/checkout");
    let opened = shop.act(&checkout, &fan, &shop.key(), Some(json!({"provider": "sandbox"}))).await;
    let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned();
    let key = shop.key();
    let cancel = format!("/orders/{reference}/cancel");
    for _ in 0..2 {
        let cancelled = shop.act(&cancel, &fan, &key, None).await.expect(StatusCode::OK);
        assert_eq!(cancelled["state"], "cancelled");
    }
    assert_eq!(shop.stock(&event).await["ticket_types"][0]["held"], 0);
    shop.choose(&page, "pay").await;
    let status = shop.served.get(&format!("/api/v1/orders/{reference}/checkout"), Some(&fan.access)).await;
    assert_eq!(status.expect(StatusCode::OK)["state"], "declined");
    let list = async || shop.served.get("/api/v1/orders", Some(&fan.access)).await.expect(StatusCode::OK);
    until("listed", async || list().await["items"][0]["state"] == "cancelled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_changed_after_the_hold_is_told_and_does_not_change_the_order() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}], "event_version": 3});
    let hold = shop.hold(&event, &fan, &admission, &shop.key(), &body).await.expect(StatusCode::CREATED);
    let reference = hold["reference"].as_str().expect("reference").to_owned();

    let path = format!("/api/v1/events/{event}");
    let now = shop.served.get(&path, None).await.expect(StatusCode::OK);
    let mut types = now["ticket_types"].clone();
    types[0]["price"]["minor"] = json!(4500);
    let change = json!({"version": now["version"], "ticket_types": types, "title": "Dearer"});
    let patch = async |change| shop.served.call(Method::PATCH, &path, Some(&shop.organizer.access), Some(change)).await;
    let changed = patch(change.clone()).await.expect(StatusCode::OK);
    assert_eq!(
        (&changed["title"], changed["version"].as_u64()),
        (&json!("Dearer"), now["version"].as_u64().map(|v| v + 1))
    );
    assert_eq!(patch(change).await.problem(), (409, "stale_version".into()));

    let stale = shop.hold(&event, &fan, &admission, &shop.key(), &body).await;
    assert_eq!(stale.problem(), (409, "event_changed".into()));
    let checkout = format!("/orders/{reference}/checkout");
    let seen = json!({"provider": "sandbox", "event_version": hold["event_version"]});
    assert_eq!(shop.act(&checkout, &fan, &shop.key(), Some(seen)).await.problem(), (409, "event_changed".into()));
    let opened = shop.act(&checkout, &fan, &shop.key(), Some(json!({"provider": "sandbox"}))).await;
    let order = &opened.expect(StatusCode::ACCEPTED)["order"];
    assert_eq!(order["total"], json!({"minor": 3000, "currency": "EUR"}));
    assert!(order["current_event_version"].as_u64() > order["event_version"].as_u64(), "{order}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_seen_by_its_organizer_only_and_can_be_deleted() {
    let shop = Shop::open().await;
    let event = shop.draft(Shop::concert()).await;
    let fan = shop.fan("ann").await;
    let path = format!("/api/v1/events/{event}");
    shop.served.get(&path, Some(&shop.organizer.access)).await.expect(StatusCode::OK);
    for token in [None, Some(fan.access.as_str())] {
        assert_eq!(shop.served.get(&path, token).await.problem(), (404, "not_found".into()));
        let list = shop.served.get("/api/v1/events", token).await.expect(StatusCode::OK);
        assert_eq!(list["items"], json!([]));
    }
    for route in ["availability", "seats"] {
        assert_eq!(shop.served.get(&format!("{path}/{route}"), None).await.problem(), (404, "not_found".into()));
    }
    let join = shop.served.post(&format!("{path}/queue"), Some(&fan.access), json!({})).await;
    assert_eq!(join.problem(), (404, "not_found".into()));
    let delete = async |token| shop.served.call(Method::DELETE, &path, Some(token), None).await;
    assert_eq!(delete(&fan.access).await.problem(), (404, "not_found".into()));
    delete(&shop.organizer.access).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(shop.served.get(&path, Some(&shop.organizer.access)).await.problem(), (404, "not_found".into()));

    let published = shop.published().await;
    let path = format!("/api/v1/events/{published}");
    let refused = shop.served.call(Method::DELETE, &path, Some(&shop.organizer.access), None).await;
    assert_eq!(refused.problem(), (409, "event_has_orders".into()));
    let list = shop.served.get("/api/v1/events?q=berlin&status=on_sale", None).await.expect(StatusCode::OK);
    assert_eq!(list["items"][0]["id"], published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_goes_through_its_life_by_its_organizers_steps_only() {
    let shop = Shop::open().await;
    let event = shop.draft(Shop::concert()).await;
    let status = async || {
        let event = shop.served.get(&format!("/api/v1/events/{event}"), Some(&shop.organizer.access)).await;
        event.expect(StatusCode::OK)["status"].as_str().expect("a status").to_owned()
    };
    assert_eq!(shop.steer(&event, "pause").await.problem(), (409, "invalid_transition".into()));
    for (step, expected) in
        [("publish", "on_sale"), ("pause", "paused"), ("resume", "on_sale"), ("end", "ended"), ("cancel", "cancelled")]
    {
        let answer = shop.steer(&event, step).await.expect(StatusCode::OK);
        assert_eq!((answer["status"].as_str(), status().await.as_str()), (Some(expected), expected), "{step}");
    }
    for step in ["publish", "pause", "resume", "end", "cancel"] {
        assert_eq!(shop.steer(&event, step).await.problem(), (409, "invalid_transition".into()), "{step}");
    }
    let fan = shop.fan("ann").await;
    let join = shop.served.post(&format!("/api/v1/events/{event}/queue"), Some(&fan.access), json!({})).await;
    assert_eq!(join.problem(), (409, "not_on_sale".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_changes_never_go_below_what_is_taken_and_are_audited() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 4}]});
    shop.hold(&event, &fan, &admission, &shop.key(), &body).await.expect(StatusCode::CREATED);
    let path = format!("/api/v1/admin/events/{event}/stock");
    let put = async |token: &str, body| shop.served.call(Method::PUT, &path, Some(token), Some(body)).await;
    let set = |stock: u32| json!({"ticket_type": "GA", "stock": stock, "reason": "fire regulations"});
    assert_eq!(put(&shop.organizer.access, set(3)).await.problem(), (409, "below_taken".into()));
    let now = put(&shop.organizer.access, set(4)).await.expect(StatusCode::OK);
    assert_eq!((&now["ticket_types"][0]["free"], &now["ticket_types"][0]["held"]), (&json!(0), &json!(4)));
    assert_eq!(put(&fan.access, set(10)).await.problem(), (403, "forbidden".into()));
    let unknown = json!({"ticket_type": "NONE", "stock": 1, "reason": "x"});
    assert_eq!(put(&shop.organizer.access, unknown).await.problem(), (422, "unknown_ticket_type".into()));
    let seated = json!({"ticket_type": "VIP", "stock": 1, "reason": "x"});
    assert_eq!(put(&shop.organizer.access, seated).await.problem(), (422, "sold_by_seat".into()));
    let silent = json!({"ticket_type": "GA", "stock": 9, "reason": ""});
    assert_eq!(put(&shop.organizer.access, silent).await.problem(), (422, "invalid_body".into()));

    let admin = shop.served.with_roles("admin@example.org", &[onsale::domain::account::Role::Admin]).await;
    let audit = shop.served.get("/api/v1/admin/audit", Some(&admin.access)).await.expect(StatusCode::OK);
    let rows = audit["items"].as_array().expect("rows");
    let stock: Vec<_> = rows.iter().filter(|row| row["action"] == "stock.set").collect();
    assert_eq!(stock.len(), 1, "{rows:?}");
    assert!(stock[0]["reason"].as_str().is_some_and(|reason| reason.contains("fire regulations")), "{stock:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_steered_by_operators_and_the_events_organizer() {
    let shop = Shop::open().await;
    let mut concert = Shop::concert();
    concert["queue"]["paused"] = json!(true);
    let event = shop.draft(concert).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    let operator = shop.served.with_roles("op@example.org", &[onsale::domain::account::Role::Operator]).await;
    let stranger = shop.served.with_roles("other@example.org", &[onsale::domain::account::Role::Organizer]).await;
    let fans = [shop.fan("a").await, shop.fan("b").await, shop.fan("c").await];
    let queue = format!("/api/v1/events/{event}/queue");
    for (i, fan) in fans.iter().enumerate() {
        let state = shop.served.post(&queue, Some(&fan.access), json!({})).await.expect(StatusCode::OK);
        assert_eq!((&state["state"], &state["positionInQueue"]), (&json!("waiting"), &json!(i + 1)), "{state}");
        assert_eq!(state["paused"], true);
    }
    let path = format!("/api/v1/admin/events/{event}/queue");
    for token in [&fans[0].access, &stranger.access] {
        assert_eq!(shop.served.get(&path, Some(token)).await.problem(), (403, "forbidden".into()));
    }
    let seen = async || shop.served.get(&path, Some(&operator.access)).await.expect(StatusCode::OK);
    until("three wait", async || seen().await["waiting"] == 3).await;
    let report = seen().await;
    assert_eq!(report["members"][1]["fan"], fans[1].id.to_string());
    assert_eq!((&report["present"], &report["admissions"]), (&json!(0), &json!(0)), "{report}");
    let sockets = (shop.socket(&event, &fans[1]).await, shop.socket(&event, &fans[1]).await);
    until("one fan is here", async || seen().await["present"] == 1).await;
    drop(sockets);
    until("nobody is here", async || seen().await["present"] == 0).await;

    let steer =
        async |verb: &str, body| shop.served.post(&format!("{path}/{verb}"), Some(&operator.access), body).await;
    let removed = steer("remove", json!({"fans": [fans[0].id.to_string()], "reason": "a bot"})).await;
    assert_eq!(removed.expect(StatusCode::OK)["removed"], 1);
    let state = shop.served.get(&queue, Some(&fans[0].access)).await.expect(StatusCode::OK);
    assert_eq!(state["state"], "none");
    assert_eq!(steer("clear", json!({})).await.problem(), (422, "invalid_body".into()));
    assert_eq!(steer("remove", json!({"reason": "x"})).await.problem(), (422, "invalid_body".into()));
    let put = async |what: &str, body| {
        shop.served.call(Method::PUT, &format!("{path}/{what}"), Some(&operator.access), Some(body)).await
    };
    let rate = put("rate", json!({"per_minute": 120, "reason": "slower"})).await.expect(StatusCode::OK);
    assert_eq!(rate["rate_per_minute"], 120);
    let slots = put("slots", json!({"slots": 1, "reason": "narrower"})).await.expect(StatusCode::OK);
    assert_eq!(slots["slots"], 1);
    assert_eq!(put("slots", json!({"slots": 0, "reason": "x"})).await.problem(), (422, "invalid_body".into()));

    steer("resume", json!({"reason": "go"})).await.expect(StatusCode::OK);
    let admission = shop.admitted(&event, &fans[1]).await;
    assert!(!admission.is_empty());
    let third = shop.served.get(&queue, Some(&fans[2].access)).await.expect(StatusCode::OK);
    assert_eq!(third["state"], "waiting", "there is one slot: {third}");
    until("one is admitted", async || seen().await["admissions"] == 1).await;
    let cleared = steer("clear", json!({"reason": "the end"})).await.expect(StatusCode::OK);
    assert_eq!(cleared["removed"], 1);
}
