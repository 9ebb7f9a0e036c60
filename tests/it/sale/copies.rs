//! What everybody reads at once: copies that are a second old at most, and never older than what their organizer did.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::Shop;
use crate::{harness::until, served::Answer};

/// As a cache on the way would ask.
async fn ask(shop: &Shop, path: &str, seen: &str) -> Answer {
    let request = shop.served.client.get(format!("{}{path}", shop.served.public)).header("if-none-match", seen);
    Answer::of(request.send().await.expect("an answer")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_copy_gets_304_until_it_changes() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    for route in ["", "/availability", "/seats"] {
        let path = format!("/api/v1/events/{event}{route}");
        let first = shop.served.get(&path, None).await;
        first.expect(StatusCode::OK);
        assert_eq!(first.header("content-type"), "application/json");
        assert_eq!(first.header("cache-control"), "public, max-age=1");
        let etag = first.header("etag");
        let again = ask(&shop, &path, etag).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
        assert_eq!((again.header("etag"), again.header("cache-control")), (etag, "public, max-age=1"));
        ask(&shop, &path, "\"another\"").await.expect(StatusCode::OK);
    }
    let path = format!("/api/v1/events/{event}/seats");
    let before = shop.served.get(&path, None).await;
    shop.hold(&event, &fan, &admission, &shop.key(), &json!({"seats": ["A-1-1"]})).await.expect(StatusCode::CREATED);
    until("the hold shows", async || ask(&shop, &path, before.header("etag")).await.status == StatusCode::OK).await;
    let seats = shop.served.get(&path, None).await.expect(StatusCode::OK);
    assert_eq!((&seats["seats"][0]["id"], &seats["seats"][0]["state"]), (&json!("A-1-1"), &json!("held")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_shows_to_its_organizer_at_once_and_a_draft_to_nobody_else() {
    let shop = Shop::open().await;
    let event = shop.draft(Shop::concert()).await;
    let path = format!("/api/v1/events/{event}");
    let of = async |route: &str, token: Option<&str>| shop.served.get(&format!("{path}{route}"), token).await;
    let organizer = Some(shop.organizer.access.as_str());
    for _ in 0..2 {
        assert_eq!(of("", organizer).await.expect(StatusCode::OK)["status"], "draft");
        for route in ["", "/availability", "/seats"] {
            let refused = of(route, None).await;
            assert_eq!(refused.problem(), (404, "not_found".into()), "{route}");
            assert_eq!(refused.header("cache-control"), "no-store", "{route}");
        }
    }
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    for price in [4100, 4200, 4300] {
        let now = of("", organizer).await;
        assert_eq!(now.header("cache-control"), "no-store");
        let now: Value = now.expect(StatusCode::OK);
        // In everybody's hands before the change.
        for route in ["", "/availability", "/seats"] {
            of(route, None).await.expect(StatusCode::OK);
        }
        let mut types = now["ticket_types"].clone();
        types[0]["price"]["minor"] = json!(price);
        let change = json!({"version": now["version"], "ticket_types": types});
        shop.served.call(Method::PATCH, &path, organizer, Some(change)).await.expect(StatusCode::OK);
        assert_eq!(of("", organizer).await.json()["ticket_types"][0]["price"]["minor"], price);
        assert_eq!(of("/availability", None).await.json()["ticket_types"][0]["price"]["minor"], price);
    }
    until("everybody sees it", async || of("", None).await.json()["ticket_types"][0]["price"]["minor"] == 4300).await;
}
