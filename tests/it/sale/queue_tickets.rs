//! S-30: what proves a place says whose it is, and for which event; nobody writes it but this service.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use onsale::domain::id::FanId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::Shop;
use crate::{
    harness::until,
    served::{Answer, SignedIn},
};

fn claims_of(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON")
}

/// As the claims would be if their owner could write them.
fn forged(token: &str, field: &str, value: Value) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = claims_of(token);
    claims[field] = value;
    [parts[0], &URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]].join(".")
}

fn ticket(state: &Value) -> String {
    state["queueTicket"].as_str().expect("a ticket").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_30_a_queue_ticket_is_its_fan_s_for_one_event_and_place_and_nobody_picks_a_place() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    shop.control(&event, "pause", json!({})).await;
    let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
    let path = format!("/api/v1/events/{event}/queue");
    let first = served.post(&path, Some(&ann.access), json!({})).await.expect(StatusCode::OK);
    // What a client wishes for is not read.
    let wish = json!({"place": 1, "plc": 1, "positionInQueue": 1, "queueTicket": ticket(&first)});
    let second = served.post(&path, Some(&bob.access), wish).await.expect(StatusCode::OK);
    assert_eq!((&first["positionInQueue"], &second["positionInQueue"]), (&json!(1), &json!(2)));

    let device = served.post("/api/v1/devices", None, json!({})).await.expect(StatusCode::CREATED);
    let key = device["deviceKey"].as_str().expect("a key");
    let third = served.post(&path, Some(key), json!({})).await.expect(StatusCode::OK);
    let device: FanId = device["device"].as_str().expect("an id").parse().expect("an id");
    let mut last = 0;
    for (state, fan) in [(&first, ann.id), (&second, bob.id), (&third, device)] {
        let ticket = ticket(state);
        let verified = served.app.tokens.verify_queue_ticket(&ticket).await.expect("one of ours");
        assert_eq!((verified.sub, verified.about.evt.to_string()), (fan, event.clone()));
        assert!(verified.about.plc.0 > last, "in the order in which they came");
        last = verified.about.plc.0;
        let place = claims_of(&ticket)["plc"].clone();
        for (field, value) in
            [("plc", json!(1)), ("sub", json!(bob.id)), ("evt", json!(ann.id)), ("exp", json!(4_000_000_000u64))]
        {
            let changed = forged(&ticket, field, value);
            if changed != ticket {
                assert!(served.app.tokens.verify_queue_ticket(&changed).await.is_err(), "{field}, {place}");
            }
        }
        // It is good for nothing else.
        assert_eq!(served.get("/api/v1/auth/me", Some(&ticket)).await.problem(), (401, "invalid_token".into()));
        assert_eq!(served.post(&path, Some(&ticket), json!({})).await.problem(), (401, "invalid_token".into()));
        let hold = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
        let refused = shop.hold(&event, &ann, &ticket, &shop.key(), &hold).await;
        assert_eq!(refused.problem(), (403, "admission_invalid".into()));
    }
}

async fn hold(shop: &Shop, event: &str, fan: &SignedIn, admission: &str) -> Answer {
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    shop.hold(event, fan, admission, &shop.key(), &body).await
}

/// As `/metrics` has it.
async fn misused(shop: &Shop) -> f64 {
    let text = shop.served.get("/metrics", None).await.text;
    let line = text.lines().find(|line| line.starts_with(r#"onsale_tokens_misused_total{kind="admission"}"#));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |number| number.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_30_an_admission_token_of_somebody_else_is_refused_and_counted() {
    let shop = Shop::open().await;
    let (event, other_event) = (shop.published().await, shop.published().await);
    let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
    let before = misused(&shop).await;
    let anns = shop.admitted(&event, &ann).await;
    let bobs = shop.admitted(&event, &bob).await;
    let elsewhere = shop.admitted(&other_event, &ann).await;
    for (fan, token) in [(&bob, &anns), (&ann, &bobs), (&ann, &elsewhere)] {
        let refused = hold(&shop, &event, fan, token).await;
        assert_eq!(refused.problem(), (403, "admission_invalid".into()));
    }
    assert!(misused(&shop).await >= before + 3.0, "others may have been counted too");
    hold(&shop, &event, &ann, &anns).await.expect(StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_30_a_place_admits_once_and_what_it_gave_is_worth_nothing_after_its_end() {
    let shop = Shop::open().await;
    let (served, event) = (&shop.served, shop.published().await);
    let path = format!("/api/v1/events/{event}/queue");
    shop.control(&event, "pause", json!({})).await;
    let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
    let waiting = served.post(&path, Some(&ann.access), json!({})).await.expect(StatusCode::OK);
    let ticket = ticket(&waiting);
    shop.control(&event, "resume", json!({})).await;
    let admission = shop.admitted(&event, &ann).await;
    assert_eq!(claims_of(&admission)["plc"], claims_of(&ticket)["plc"]);
    hold(&shop, &event, &ann, &admission).await.expect(StatusCode::CREATED);
    served.call(Method::DELETE, &path, Some(&ann.access), None).await.expect(StatusCode::NO_CONTENT);
    let replayed = hold(&shop, &event, &ann, &admission).await;
    assert_eq!(replayed.problem(), (403, "not_admitted".into()));

    // Whoever comes again comes last, whatever it shows.
    shop.control(&event, "pause", json!({})).await;
    served.post(&path, Some(&bob.access), json!({})).await.expect(StatusCode::OK);
    let again = served.post(&path, Some(&ann.access), json!({"queueTicket": ticket})).await.expect(StatusCode::OK);
    assert_eq!(again["state"], "waiting");
    until("behind the other", async || {
        let state = served.get(&path, Some(&ann.access)).await.expect(StatusCode::OK);
        state["positionInQueue"] == 2
    })
    .await;
    let place = |ticket: &str| claims_of(ticket)["plc"].as_u64().expect("a place");
    assert!(place(again["queueTicket"].as_str().expect("a ticket")) > place(&ticket));
    assert_eq!(hold(&shop, &event, &ann, &admission).await.problem(), (403, "not_admitted".into()));
}
