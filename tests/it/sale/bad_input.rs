//! Wrong input on the way to a ticket: each with a clear error, and nothing changed.

use onsale::{
    domain::{
        claims::{AdmissionClaim, Kind},
        id::EventId,
        queue::Place,
    },
    http::tokens::unix_now,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::{Scene, Shop};
use crate::served::Answer;

fn ga(quantity: u32) -> Value {
    json!({"items": [{"ticket_type": "GA", "quantity": quantity}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_22_a_hold_that_is_not_as_it_must_be_is_refused_and_takes_nothing() {
    let scene = Scene::set().await;
    let before = scene.counts().await;
    let item = |quantity: Value| json!({"items": [{"ticket_type": "GA", "quantity": quantity}]});
    for (body, expected) in [
        (item(json!(-1)), "invalid_body"),
        (item(json!(0)), "invalid_body"),
        (item(json!(1.5)), "invalid_body"),
        (item(json!(4_294_967_296_u64)), "invalid_body"),
        (item(json!(1e300)), "invalid_body"),
        (item(json!("1")), "invalid_body"),
        (item(json!(21)), "invalid_body"),
        (item(json!(5)), "invalid_quantity"),
        (json!({"items": [{"ticket_type": "NONE", "quantity": 1}]}), "unknown_ticket_type"),
        (json!({"items": [{"ticket_type": "VIP", "quantity": 1}]}), "sold_by_seat"),
        (json!({"items": [{"ticket_type": "GA", "quantity": 1, "price": 1}]}), "invalid_body"),
        (
            json!({"items": [{"ticket_type": "GA", "quantity": 1}], "total": {"minor": 1, "currency": "EUR"}}),
            "invalid_body",
        ),
        (json!({"items": [{"ticket_type": "GA", "quantity": 1}], "status": "paid"}), "invalid_body"),
        (json!({"items": [{"ticket_type": "GA", "quantity": 1}], "fan": scene.fan.id}), "invalid_body"),
        (json!({"items": [{"ticket_type": "GA", "quantity": 1}], "seats": ["A-1-1"]}), "invalid_body"),
        (json!({"seats": ["A-1-1", "A-1-1"]}), "duplicate_seat"),
        (json!({"seats": ["Z-9-9"]}), "unknown_seat"),
        (json!({"seats": ["../../etc/passwd"]}), "invalid_body"),
        (json!({"best_available": {"ticket_type": "VIP", "quantity": 4, "zone": "NONE"}}), "no_such_seats"),
        (json!({}), "invalid_body"),
        (json!([]), "invalid_body"),
        (json!(null), "invalid_body"),
    ] {
        let answer = scene.hold(&body).await;
        let (status, code) = answer.problem();
        assert_eq!(code, expected, "{body}: {answer:?}");
        assert!((400..500).contains(&status), "{body}");
    }
    assert_eq!(scene.counts().await, before);
    scene.hold(&ga(1)).await.expect(StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_json_or_too_large_or_of_another_kind_is_refused() {
    let scene = Scene::set().await;
    let before = scene.counts().await;
    let url = format!("{}/api/v1/events/{}/holds", scene.shop.served.public, scene.event);
    let ten_megabytes = format!(r#"{{"seats": ["{}"]}}"#, "A".repeat(10 * 1024 * 1024));
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    for (kind, body, expected) in [
        ("application/json", r#"{"seats": ["A-1-1""#.to_owned(), (400, "malformed_json")),
        ("application/json", "seats=A-1-1".to_owned(), (400, "malformed_json")),
        ("application/json", String::new(), (400, "malformed_json")),
        ("application/json", deep, (400, "malformed_json")),
        ("application/json", r#"{"seats": ["A-1-1"], "seats": ["A-1-2"]}"#.to_owned(), (422, "invalid_body")),
        ("text/plain", ga(1).to_string(), (415, "unsupported_media_type")),
        ("application/json", ten_megabytes, (413, "body_too_large")),
    ] {
        let request = scene.shop.served.client.post(&url).bearer_auth(&scene.fan.access);
        let request = request.header("idempotency-key", scene.shop.key()).header("onsale-admission", &scene.admission);
        let request = request.header("content-type", kind).body(body);
        let (status, code) = Answer::of(request.send().await.expect("an answer")).await.problem();
        assert_eq!((status, code.as_str()), expected);
    }
    assert_eq!(scene.counts().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_23_no_hold_without_a_live_admission_of_this_fan_to_this_event() {
    let scene = Scene::set().await;
    let before = scene.counts().await;
    let (shop, event, fan) = (&scene.shop, &scene.event, &scene.fan);
    let other_event = shop.published().await;
    let stranger = shop.fan("bob").await;
    let foreign = shop.admitted(event, &stranger).await;
    let elsewhere = shop.admitted(&other_event, fan).await;
    let tokens = &shop.served.app.tokens;
    let evt: EventId = event.parse().expect("id");
    let claim = |place| AdmissionClaim::of(evt, Place(place));
    let now = unix_now();
    let place = tokens.verify_admission(&scene.admission).await.expect("ours").about.plc;
    let expired = tokens.sign_until(Kind::Admission, fan.id, now - 60, now - 1, claim(place.0));
    let queue_ticket = tokens.sign(Kind::QueueTicket, fan.id, 60, claim(place.0));
    let never_given = tokens.sign(Kind::Admission, fan.id, 60, claim(999));
    let strangers_place = tokens.verify_admission(&foreign).await.expect("ours").about.plc;
    let strangers = tokens.sign(Kind::Admission, fan.id, 60, claim(strangers_place.0));
    for (token, expected) in [
        (foreign.as_str(), "admission_invalid"),
        (&elsewhere, "admission_invalid"),
        (&expired, "admission_invalid"),
        (&queue_ticket, "admission_invalid"),
        (&fan.access, "admission_invalid"),
        ("rubbish", "admission_invalid"),
        ("", "admission_invalid"),
        // Signed by us, and yet not in the journal: only what is written there counts.
        (&never_given, "not_admitted"),
        (&strangers, "not_admitted"),
    ] {
        let answer = shop.hold(event, fan, token, &shop.key(), &ga(1)).await;
        assert_eq!(answer.problem(), (403, expected.into()), "{token}");
    }
    let path = format!("/events/{event}/holds");
    assert_eq!(shop.act(&path, fan, &shop.key(), Some(ga(1))).await.problem(), (403, "not_admitted".into()));
    let seat_of_another_event = json!({"seats": ["B-1-1"]});
    assert_eq!(scene.hold(&seat_of_another_event).await.problem(), (422, "unknown_seat".into()));
    assert_eq!(scene.counts().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_20_another_fans_things_are_not_there() {
    let scene = Scene::set().await;
    let (shop, fan) = (&scene.shop, &scene.fan);
    let hold = scene.hold(&ga(2)).await.expect(StatusCode::CREATED);
    let reference = hold["reference"].as_str().expect("reference");
    let thief = shop.fan("thief").await;
    let before = scene.counts().await;
    let served = &shop.served;
    let (event, order) = reference.split_once('-').expect("two ids");
    let unknown = format!("{event}-{}", order.chars().rev().collect::<String>());
    let other_event = format!("{}-{order}", event.chars().rev().collect::<String>());
    for named in [reference, &unknown, &other_event, "x", "..%2f..%2fetc"] {
        for path in ["holds", "orders"] {
            let path = format!("/api/v1/{path}/{named}");
            assert_eq!(served.get(&path, Some(&thief.access)).await.problem(), (404, "not_found".into()), "{path}");
        }
        let path = format!("/api/v1/holds/{named}");
        let deleted = served.call(Method::DELETE, &path, Some(&thief.access), None).await;
        assert_eq!(deleted.problem(), (404, "not_found".into()), "{named}");
        let path = format!("/api/v1/orders/{named}/checkout");
        assert_eq!(served.get(&path, Some(&thief.access)).await.problem(), (404, "not_found".into()), "{named}");
        for (path, body) in [
            (format!("/holds/{named}/extend"), None),
            (format!("/orders/{named}/cancel"), None),
            (format!("/orders/{named}/checkout"), Some(json!({"provider": "sandbox"}))),
        ] {
            let answer = shop.act(&path, &thief, &shop.key(), body).await;
            assert_eq!(answer.problem(), (404, "not_found".into()), "{path}");
        }
    }
    for path in ["orders", "tickets"] {
        let list = served.get(&format!("/api/v1/{path}"), Some(&thief.access)).await.expect(StatusCode::OK);
        assert_eq!(list["items"], json!([]));
    }
    for ticket in ["0190b5c2a0007000800000000000002a", "x"] {
        let path = format!("/api/v1/tickets/{ticket}");
        assert_eq!(served.get(&path, Some(&fan.access)).await.problem(), (404, "not_found".into()));
    }
    assert_eq!(scene.counts().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_good_access_token_nothing_of_a_fans_is_open() {
    let scene = Scene::set().await;
    let served = &scene.shop.served;
    let foreign = served.app.tokens.sign(Kind::Resume, scene.fan.id, 60, json!({"sv": 1}));
    let event = &scene.event;
    for (method, path) in [
        (Method::POST, format!("/api/v1/events/{event}/queue")),
        (Method::GET, format!("/api/v1/events/{event}/queue")),
        (Method::POST, format!("/api/v1/events/{event}/queue/claim")),
        (Method::DELETE, format!("/api/v1/events/{event}/queue")),
        (Method::POST, format!("/api/v1/events/{event}/holds")),
        (Method::GET, "/api/v1/orders".to_owned()),
        (Method::GET, "/api/v1/tickets".to_owned()),
        (Method::POST, "/api/v1/events".to_owned()),
        (Method::GET, format!("/api/v1/admin/events/{event}/queue")),
        (Method::GET, format!("/api/v1/admin/events/{event}/stock")),
    ] {
        for (token, code) in
            [(None, "unauthenticated"), (Some(foreign.as_str()), "invalid_token"), (Some("x"), "invalid_token")]
        {
            let answer = served.call(method.clone(), &path, token, None).await;
            assert_eq!(answer.problem(), (401, code.into()), "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_is_needed_wherever_stock_or_money_moves() {
    let scene = Scene::set().await;
    let (shop, fan) = (&scene.shop, &scene.fan);
    let hold = scene.hold(&ga(1)).await.expect(StatusCode::CREATED);
    let reference = hold["reference"].as_str().expect("reference");
    let long = "k".repeat(129);
    for path in [
        format!("events/{}/holds", scene.event),
        format!("holds/{reference}/extend"),
        format!("orders/{reference}/cancel"),
        format!("orders/{reference}/checkout"),
    ] {
        for (key, code) in [
            (None, "idempotency_key_missing"),
            (Some(""), "idempotency_key_invalid"),
            (Some("a b"), "idempotency_key_invalid"),
            (Some(long.as_str()), "idempotency_key_invalid"),
        ] {
            let request = shop.served.client.post(format!("{}/api/v1/{path}", shop.served.public));
            let request = request.bearer_auth(&fan.access).json(&json!({"provider": "sandbox"}));
            let request = match key {
                Some(key) => request.header("idempotency-key", key),
                None => request,
            };
            let answer = Answer::of(request.send().await.expect("an answer")).await;
            assert_eq!(answer.problem(), (400, code.into()), "{path} {key:?}");
        }
    }
    let read = shop.served.get(&format!("/api/v1/holds/{reference}"), Some(&fan.access)).await.expect(StatusCode::OK);
    assert_eq!((&read["state"], &read["extended"]), (&json!("held"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_23_a_checkout_takes_neither_price_nor_state_nor_a_way_out_from_the_client() {
    let scene = Scene::set().await;
    let (shop, fan) = (&scene.shop, &scene.fan);
    let hold = scene.hold(&ga(1)).await.expect(StatusCode::CREATED);
    let reference = hold["reference"].as_str().expect("reference");
    let path = format!("/orders/{reference}/checkout");
    for (body, expected) in [
        (json!({"provider": "sandbox", "amount": {"minor": 1, "currency": "EUR"}}), (422, "invalid_body")),
        (json!({"provider": "sandbox", "currency": "KRW"}), (422, "invalid_body")),
        (json!({"provider": "sandbox", "state": "paid"}), (422, "invalid_body")),
        (json!({"provider": "sandbox", "card_number": "4242424242424242", "cvc": "123"}), (422, "invalid_body")),
        (json!({"provider": "paypal"}), (422, "provider_unknown")),
        (json!({}), (422, "invalid_body")),
        (json!({"provider": "sandbox", "return_url": "https://evil.example/"}), (422, "invalid_body")),
        (json!({"provider": "sandbox", "return_url": "javascript:alert(1)"}), (422, "invalid_body")),
    ] {
        let (status, code) = shop.act(&path, fan, &shop.key(), Some(body.clone())).await.problem();
        assert_eq!((status, code.as_str()), expected, "{body}");
    }
    let state = shop.served.get(&format!("/api/v1{path}"), Some(&fan.access)).await.expect(StatusCode::OK);
    assert_eq!((&state["state"], &state["order_state"]), (&json!("none"), &json!("pending")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_and_seat_plans_that_are_wrong_are_refused_with_every_field_named() {
    let shop = Shop::open().await;
    let fan = shop.fan("ann").await;
    let post = async |token: &str, body| shop.served.post("/api/v1/events", Some(token), body).await;
    assert_eq!(post(&fan.access, Shop::concert()).await.problem(), (403, "forbidden".into()));
    let mut wrong = Shop::concert();
    wrong["title"] = json!("");
    wrong["time_zone"] = json!("Mars/Olympus");
    wrong["ticket_types"][0]["price"]["minor"] = json!(-1);
    let answer = post(&shop.organizer.access, wrong).await;
    assert_eq!(answer.problem(), (422, "invalid_body".into()));
    let body = answer.json();
    let fields: Vec<_> = body["errors"].as_array().expect("errors").iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["title", "time_zone", "ticket_types[0].price.minor"]);
    for (field, value) in [("status", json!("on_sale")), ("version", json!(9)), ("organizer", json!(fan.id))] {
        let mut body = Shop::concert();
        body[field] = value;
        assert_eq!(post(&shop.organizer.access, body).await.problem(), (422, "invalid_body".into()), "{field}");
    }

    let event = shop.draft(Shop::concert()).await;
    let head = "id,zone,row,number,ticket_type\n";
    let plan = async |version, kind, body: String| shop.plan(&event, version, kind, body).await;
    let twice = plan(2, "text/csv", format!("{head}S1,A,1,1,VIP\nS1,A,1,2,VIP\n")).await;
    assert_eq!(twice.problem(), (422, "invalid_body".into()));
    assert_eq!(twice.json()["errors"][0]["field"], "line 3");
    let type_without_seats = plan(2, "text/csv", format!("{head}S1,A,1,1,GA\n")).await;
    assert_eq!(type_without_seats.problem(), (422, "invalid_body".into()));
    assert_eq!(plan(1, "text/csv", format!("{head}S1,A,1,1,VIP\n")).await.problem(), (409, "stale_version".into()));
    assert_eq!(plan(2, "text/html", "<p>".into()).await.problem(), (415, "unsupported_media_type".into()));
    assert_eq!(plan(2, "application/json", "{".into()).await.problem(), (422, "invalid_body".into()));
    let nine_megabytes = format!("{head}{}", "x".repeat(9 * 1024 * 1024));
    assert_eq!(plan(2, "text/csv", nine_megabytes).await.problem(), (413, "body_too_large".into()));
    let unchanged = shop.served.get(&format!("/api/v1/events/{event}"), Some(&shop.organizer.access)).await;
    let unchanged = unchanged.expect(StatusCode::OK);
    assert_eq!((&unchanged["version"], &unchanged["seats"]), (&json!(2), &json!(16)));
}
