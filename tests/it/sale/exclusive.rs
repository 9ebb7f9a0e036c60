//! One place for each fan: per event always, among an organizer's exclusive queues where the organizer wants it.

use futures_util::future::{join, join_all};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::{Shop, heard};
use crate::{
    harness::until,
    node::Site,
    rush::event_body,
    served::{Answer, Served, SignedIn, config},
};

fn queue(event: &str) -> String {
    format!("/api/v1/events/{event}/queue")
}

async fn enter(served: &Served, event: &str, fan: &SignedIn) -> Answer {
    served.post(&queue(event), Some(&fan.access), json!({})).await
}

async fn exclusive(shop: &Shop) -> String {
    let mut body = Shop::concert();
    body["queue"]["exclusive"] = json!(true);
    body["queue"]["paused"] = json!(true);
    let event = shop.draft(body).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    event
}

async fn leave(shop: &Shop, event: &str, fan: &SignedIn) {
    let left = shop.served.call(Method::DELETE, &queue(event), Some(&fan.access), None).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
}

#[track_caller]
fn waits_at(answer: &Answer, event: &str) {
    assert_eq!(answer.problem(), (409, "waits_elsewhere".into()));
    assert_eq!(answer.json()["event"], event);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_31_an_account_has_one_place_in_a_queue_however_many_tabs_it_opens() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
    let beside = shop.served.beside(config()).await;
    let joins = (0..20).map(|n| enter(if n % 2 == 0 { &shop.served } else { &beside }, &event, &ann));
    let tickets: Vec<Value> = join_all(joins).await.iter().map(|answer| answer.expect(StatusCode::OK)).collect();
    enter(&shop.served, &event, &bob).await.expect(StatusCode::OK);
    let (mut first, mut second) = (shop.socket(&event, &ann).await, shop.socket(&event, &ann).await);
    for socket in [&mut first, &mut second] {
        assert_eq!(heard(socket).await["positionInQueue"], 1);
    }
    assert!(tickets.iter().all(|state| state["state"] == "waiting"), "{tickets:?}");
    until("two wait, each once", async || {
        let report = shop.queue(&event).await;
        let fans: Vec<_> = report["members"].as_array().expect("a list").iter().map(|member| &member["fan"]).collect();
        assert!(report["waiting"].as_u64().is_some_and(|waiting| waiting <= 2), "{report}");
        fans == [&json!(ann.id.to_string()), &json!(bob.id.to_string())]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_one_exclusive_queue_is_refused_in_another_until_leaving_the_first() {
    let shop = Shop::open().await;
    let (first, second) = (exclusive(&shop).await, exclusive(&shop).await);
    let open = shop.published().await;
    let ann = shop.fan("ann").await;
    enter(&shop.served, &first, &ann).await.expect(StatusCode::OK);
    waits_at(&enter(&shop.served, &second, &ann).await, &first);
    enter(&shop.served, &first, &ann).await.expect(StatusCode::OK);
    enter(&shop.served, &open, &ann).await.expect(StatusCode::OK);
    let mut socket = shop.socket(&first, &ann).await;
    assert_eq!(heard(&mut socket).await["state"], "waiting");
    let refused = shop.served.get(&format!("{}/stream", queue(&second)), Some(&ann.access)).await;
    waits_at(&refused, &first);

    leave(&shop, &first, &ann).await;
    enter(&shop.served, &second, &ann).await.expect(StatusCode::OK);
    waits_at(&enter(&shop.served, &first, &ann).await, &second);
    // A queue that is exclusive no more holds nobody back, nor does one that is over.
    let event = shop.served.get(&format!("/api/v1/events/{second}"), Some(&shop.organizer.access)).await;
    let body = json!({"version": event.expect(StatusCode::OK)["version"], "queue": {"exclusive": false}});
    let path = format!("/api/v1/events/{second}");
    let changed = shop.served.call(Method::PATCH, &path, Some(&shop.organizer.access), Some(body)).await;
    changed.expect(StatusCode::OK);
    enter(&shop.served, &first, &ann).await.expect(StatusCode::OK);
    let third = exclusive(&shop).await;
    waits_at(&enter(&shop.served, &third, &ann).await, &first);
    shop.steer(&first, "end").await.expect(StatusCode::OK);
    enter(&shop.served, &third, &ann).await.expect(StatusCode::OK);

    let device = shop.served.post("/api/v1/devices", None, json!({})).await.expect(StatusCode::CREATED);
    let key = device["deviceKey"].as_str().expect("a key");
    let refused = shop.served.post(&queue(&third), Some(key), json!({})).await;
    assert_eq!(refused.problem(), (403, "account_needed".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_joins_at_the_same_time_on_two_nodes_one_is_refused() {
    let Some(first) = Site::on_servers().await else { return };
    let sites = first.with_siblings(1);
    let mut nodes = Vec::new();
    for site in &sites {
        nodes.push(site.start().await);
    }
    let organizer = sites[0].organizer().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("client");
    let ask = async |at: usize, method: Method, path: &str, token: &str, body: Value| {
        let request = client.request(method, format!("{}/api/v1{path}", sites[at].url())).bearer_auth(token);
        Answer::of(request.json(&body).send().await.expect("an answer")).await
    };
    let mut events = Vec::new();
    for _ in 0..2 {
        let mut body = event_body();
        body["queue"] = json!({"mode": "fifo", "exclusive": true, "paused": true});
        let made = ask(0, Method::POST, "/events", &organizer, body).await.expect(StatusCode::CREATED);
        let event = made["id"].as_str().expect("an id").to_owned();
        ask(0, Method::POST, &format!("/events/{event}/publish"), &organizer, json!({})).await.expect(StatusCode::OK);
        events.push(event);
    }
    for event in &events {
        until("it can be asked at both", async || {
            let path = format!("/events/{event}/queue");
            let look = |at| ask(at, Method::GET, &path, &organizer, json!({}));
            let (one, other) = join(look(0), look(1)).await;
            one.status == 200 && other.status == 200
        })
        .await;
    }
    let mut refused = 0;
    for n in 0..10 {
        let fan = sites[0].account("fan").await;
        let try_at = async |at: usize, event: &str| {
            let path = format!("/events/{event}/queue");
            ask(at, Method::POST, &path, &fan, json!({})).await
        };
        let (one, other) = join(try_at(n % 2, &events[0]), try_at(1 - n % 2, &events[1])).await;
        let codes = [one.status.as_u16(), other.status.as_u16()];
        println!("{codes:?}");
        assert!(codes.iter().filter(|code| **code == 200).count() <= 1, "{codes:?}: two places");
        assert!(codes.contains(&200), "{codes:?}: the first one gets in");
        refused += codes.iter().filter(|code| **code == 409).count();
    }
    assert_eq!(refused, 10);
}
