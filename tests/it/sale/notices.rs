//! What those who steer an event tell all who wait: over a poll always, over a socket once and again when it changes.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::shop::{Shop, Socket, heard};
use crate::{harness::until, served::SignedIn};

async fn give(shop: &Shop, event: &str, texts: &Value) {
    shop.control(event, "notice", json!({"texts": texts})).await;
}

async fn polled(shop: &Shop, event: &str, fan: &SignedIn) -> Value {
    let path = format!("/api/v1/events/{event}/queue");
    let state = shop.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK);
    state.get("notice").expect("a poll tells it always").clone()
}

/// The next state that tells a notice, or that there is none, and how many came before it.
async fn told(socket: &mut Socket) -> (Value, u32) {
    let mut before = 0;
    loop {
        let state = heard(socket).await;
        if let Some(notice) = state.get("notice") {
            return (notice.clone(), before);
        }
        before += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_is_told_by_a_poll_and_once_by_a_socket_until_it_changes() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let fan = shop.fan("ann").await;
    let mut early = shop.socket(&event, &fan).await;
    assert!(heard(&mut early).await.get("notice").is_none(), "there is none, so there is nothing to tell");
    assert_eq!(polled(&shop, &event, &fan).await, Value::Null);

    let first = json!({"en": "The hall opens late.", "hr": "Dvorana se otvara kasnije."});
    give(&shop, &event, &first).await;
    let (notice, _) = told(&mut early).await;
    assert_eq!(notice["texts"], first);
    assert!(notice["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{notice}");
    assert_eq!(polled(&shop, &event, &fan).await, notice);
    let mut late = shop.socket(&event, &fan).await;
    assert_eq!(told(&mut late).await, (notice.clone(), 0), "in the first state");

    // What else changes does not repeat it: the queue grows, so each socket is told states, without a notice.
    for name in ["bob", "cat"] {
        let path = format!("/api/v1/events/{event}/queue");
        let other = shop.fan(name).await;
        shop.served.post(&path, Some(&other.access), json!({})).await.expect(StatusCode::OK);
        for socket in [&mut early, &mut late] {
            assert!(heard(socket).await.get("notice").is_none());
        }
    }

    let second = json!({"en": "The hall is open."});
    give(&shop, &event, &second).await;
    for socket in [&mut early, &mut late] {
        assert_eq!(told(socket).await.0["texts"], second);
    }
    give(&shop, &event, &json!({})).await;
    for socket in [&mut early, &mut late] {
        assert_eq!(told(socket).await.0, Value::Null);
    }
    until("a poll tells none", async || polled(&shop, &event, &fan).await.is_null()).await;
}
