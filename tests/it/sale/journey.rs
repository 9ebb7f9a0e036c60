//! The whole walk, over real HTTP and WebSocket.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::shop::{Shop, heard, say};
use crate::harness::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_joins_waits_is_admitted_holds_pays_and_gets_a_ticket_that_proves_itself() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;

    // Join by socket: the first message comes at once, and says where the fan stands.
    let mut socket = shop.socket(&event, &fan).await;
    let first = heard(&mut socket).await;
    assert_eq!(first["type"], "queue.update");
    assert!(first["positionInQueue"] == 1 || first["state"] == "admitted", "{first}");
    let admission = loop {
        let message = heard(&mut socket).await;
        if message["type"] == "queue.turn" {
            say(&mut socket, r#"{"type": "claim"}"#).await;
        }
        if message["state"] == "admitted" {
            break message["acceptedTokenId"].as_str().expect("a token").to_owned();
        }
    };

    // Three kinds of holds; the best two seats are neighbours.
    let ga = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let key = shop.key();
    let first = shop.hold(&event, &fan, &admission, &key, &ga).await.expect(StatusCode::CREATED);
    assert_eq!(first["lines"][0]["unit_price"], json!({"minor": 3000, "currency": "EUR"}));
    assert_eq!(first["state"], "held");
    let seat = shop.hold(&event, &fan, &admission, &shop.key(), &json!({"seats": ["A-1-1"]})).await;
    let seat = seat.expect(StatusCode::CREATED);
    assert_eq!(seat["lines"][0]["seats"], json!(["A-1-1"]));
    let best = json!({"best_available": {"ticket_type": "VIP", "quantity": 2, "together": true}});
    let best = shop.hold(&event, &fan, &admission, &shop.key(), &best).await.expect(StatusCode::CREATED);
    let seats = best["lines"][0]["seats"].as_array().expect("seats").clone();
    assert_eq!(seats.len(), 2, "{seats:?}");
    assert!(!seats.contains(&json!("A-1-1")), "{seats:?}");

    // The same key again is the same order; with another body it is refused; and four tickets are enough.
    let again = shop.hold(&event, &fan, &admission, &key, &ga).await.expect(StatusCode::CREATED);
    assert_eq!(without_clock(again), without_clock(first.clone()));
    let other = json!({"items": [{"ticket_type": "GA", "quantity": 2}]});
    let reused = shop.hold(&event, &fan, &admission, &key, &other).await;
    assert_eq!(reused.problem(), (422, "idempotency_key_reused".into()));
    let fifth = shop.hold(&event, &fan, &admission, &shop.key(), &ga).await;
    assert_eq!(fifth.problem(), (409, "fan_limit".into()));
    let stock = shop.stock(&event).await;
    assert_eq!((&stock["ticket_types"][0]["held"], &stock["ticket_types"][1]["held"]), (&json!(1), &json!(3)));

    // Given back, extended once.
    let seat = seat["reference"].as_str().expect("reference");
    let path = format!("/api/v1/holds/{seat}");
    for _ in 0..2 {
        let released = shop.served.call(reqwest::Method::DELETE, &path, Some(&fan.access), None).await;
        released.expect(StatusCode::NO_CONTENT);
    }
    let best = best["reference"].as_str().expect("reference");
    let extend = format!("/holds/{best}/extend");
    let extended = shop.act(&extend, &fan, &shop.key(), None).await.expect(StatusCode::OK);
    assert_eq!(extended["extended"], true);
    assert_eq!(shop.act(&extend, &fan, &shop.key(), None).await.problem(), (409, "already_extended".into()));

    // Checkout, and the hosted page.
    let checkout = format!("/orders/{best}/checkout");
    let key = shop.key();
    let body = json!({"provider": "sandbox"});
    let opened = shop.act(&checkout, &fan, &key, Some(body.clone())).await;
    let session = opened.expect(StatusCode::ACCEPTED);
    assert_eq!(opened.header("location"), session["status_url"].as_str().expect("a URL"));
    assert_eq!(session["order"]["total"], json!({"minor": 18_000, "currency": "EUR"}));
    let again = shop.act(&checkout, &fan, &key, Some(body.clone())).await.expect(StatusCode::ACCEPTED);
    assert_eq!(again, session);
    let other_key = shop.act(&checkout, &fan, &shop.key(), Some(body)).await.expect(StatusCode::ACCEPTED);
    assert_eq!(other_key["payment_url"], session["payment_url"], "one payment is open at a time");
    let page_url = session["payment_url"].as_str().expect("a URL");
    let page = shop.served.client.get(page_url).send().await.expect("a page");
    assert!(page.headers()["content-security-policy"].to_str().expect("text").contains("default-src 'none'"));
    assert!(page.text().await.expect("text").contains("180.00 EUR"));
    assert_eq!(shop.choose(page_url, "pay").await, StatusCode::OK);

    // Paid, ticketed, sold.
    let order = shop.order_becomes(best, &fan, "ticketed").await;
    assert_eq!(order["total"], json!({"minor": 18_000, "currency": "EUR"}));
    let status = shop.served.get(&format!("/api/v1/orders/{best}/checkout"), Some(&fan.access)).await;
    assert_eq!(status.expect(StatusCode::OK)["state"], "captured");
    let tickets = shop.served.get("/api/v1/tickets", Some(&fan.access)).await.expect(StatusCode::OK);
    let tickets = tickets["items"].as_array().expect("tickets").clone();
    assert_eq!(tickets.len(), 2);
    let mut held: Vec<_> = tickets.iter().map(|ticket| ticket["seat"].clone()).collect();
    let mut bought = seats.clone();
    held.sort_by_key(ToString::to_string);
    bought.sort_by_key(ToString::to_string);
    assert_eq!(held, bought);
    let keys = shop.served.get("/api/v1/ticket-keys", None).await.expect(StatusCode::OK);
    for ticket in &tickets {
        check_code(ticket, &event, &keys);
        let path = format!("/api/v1/tickets/{}", ticket["id"].as_str().expect("id"));
        assert_eq!(&shop.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK), ticket);
    }
    let stock = shop.stock(&event).await;
    let seats = &stock["ticket_types"][1];
    let counts = ["capacity", "free", "held", "sold", "blocked"].map(|name| seats[name].as_u64().expect("a count"));
    assert_eq!(counts, [16, 14, 0, 2, 0]);

    // Leaving ends it.
    say(&mut socket, r#"{"type": "leave"}"#).await;
    assert_eq!(super::shop::closed_with(&mut socket).await, 1000);
}

fn without_clock(mut hold: Value) -> Value {
    hold.as_object_mut().expect("an object").remove("server_now").expect("a clock");
    hold
}

/// As a door does it, with nothing but the published keys.
fn check_code(ticket: &Value, event: &str, keys: &Value) {
    let code = URL_SAFE_NO_PAD.decode(ticket["code"].as_str().expect("a code")).expect("base64url");
    let (message, signature) = code.split_at(code.len() - 64);
    assert_eq!(message[0], 1, "version");
    assert_eq!(hex(&message[2..18]), event);
    assert_eq!(hex(&message[18..34]), ticket["id"].as_str().expect("id"));
    assert_eq!(&message[35..], ticket["seat"].as_str().expect("a seat").as_bytes());
    let verifies = |signature: &[u8]| {
        keys["keys"].as_array().expect("keys").iter().any(|key| {
            let x = URL_SAFE_NO_PAD.decode(key["x"].as_str().expect("x")).expect("base64url");
            let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, x);
            key.verify(message, signature).is_ok()
        })
    };
    assert!(verifies(signature));
    let mut forged = signature.to_vec();
    forged[7] ^= 1;
    assert!(!verifies(&forged));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_payment_leaves_the_hold_and_another_checkout_pays_it() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 2}]});
    let hold = shop.hold(&event, &fan, &admission, &shop.key(), &body).await.expect(StatusCode::CREATED);
    let reference = hold["reference"].as_str().expect("reference");
    let checkout = format!("/orders/{reference}/checkout");
    let begin = async || {
        let opened = shop.act(&checkout, &fan, &shop.key(), Some(json!({"provider": "sandbox"}))).await;
        opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned()
    };
    let declined = begin().await;
    shop.choose(&declined, "decline").await;
    let state = async || shop.served.get(&format!("/api/v1{checkout}"), Some(&fan.access)).await.expect(StatusCode::OK);
    until("declined", async || state().await["state"] == "declined").await;
    assert_eq!(state().await["order_state"], "pending");
    // Who declined cannot pay there any more.
    shop.choose(&declined, "pay").await;
    let second = begin().await;
    assert_ne!(second, declined);
    shop.choose(&second, "pay").await;
    shop.order_becomes(reference, &fan, "ticketed").await;
    let tickets = shop.served.get("/api/v1/tickets", Some(&fan.access)).await.expect(StatusCode::OK);
    assert_eq!(tickets["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_comes_when_the_stock_is_gone_goes_back() {
    let shop = Shop::open().await;
    let mut concert = Shop::concert();
    concert["limits"] = json!({"hold_seconds": 1});
    concert["ticket_types"][0]["stock"] = json!(1);
    let event = shop.draft(concert).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    let (late, quick) = (shop.fan("late").await, shop.fan("quick").await);
    let (late_admission, quick_admission) = (shop.admitted(&event, &late).await, shop.admitted(&event, &quick).await);
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    let hold = shop.hold(&event, &late, &late_admission, &shop.key(), &body).await.expect(StatusCode::CREATED);
    let reference = hold["reference"].as_str().expect("reference").to_owned();
    let checkout = format!("/orders/{reference}/checkout");
    let opened = shop.act(&checkout, &late, &shop.key(), Some(json!({"provider": "sandbox"}))).await;
    let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a URL").to_owned();
    // The hold lapses, and the next fan takes the last ticket.
    until("lapsed", async || {
        let taken = shop.hold(&event, &quick, &quick_admission, &shop.key(), &body).await;
        taken.status == StatusCode::CREATED
    })
    .await;
    shop.choose(&page, "pay").await;
    shop.order_becomes(&reference, &late, "refunded").await;
    let tickets = shop.served.get("/api/v1/tickets", Some(&late.access)).await.expect(StatusCode::OK);
    assert_eq!(tickets["items"], json!([]));
    let page = shop.served.client.get(&page).send().await.expect("a page").text().await.expect("text");
    assert!(page.contains("The money went back"), "{page}");
}
