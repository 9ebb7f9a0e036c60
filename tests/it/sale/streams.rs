//! Server-sent events: a fan's, and those of whoever steers the queue.

use onsale::{domain::account::Role, http::config::Config};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::shop::Shop;
use crate::{
    harness::{in_time, until},
    served::{SignedIn, config},
};

/// A stream, event by event.
pub struct Events {
    response: Response,
    text: String,
}

#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: Value,
}

impl Events {
    async fn open(shop: &Shop, base: &str, path: &str, access: &str) -> Self {
        Self::asked(shop.served.client.get(format!("{base}{path}")).bearer_auth(access)).await
    }

    pub async fn asked(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    async fn of(shop: &Shop, event: &str, fan: &SignedIn) -> Self {
        Self::open(shop, &shop.served.public, &format!("/api/v1/events/{event}/queue/stream"), &fan.access).await
    }

    /// `None`: the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        in_time(async {
            loop {
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let field = |name: &str| {
                        let prefix = format!("{name}: ");
                        event.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
                    };
                    let found = field("event").map(|name| Event {
                        name,
                        id: field("id"),
                        data: serde_json::from_str(&field("data").expect("data")).expect("JSON"),
                    });
                    let rest = rest.to_owned();
                    self.text = rest;
                    if found.is_some() {
                        return found;
                    }
                }
                let bytes = self.response.chunk().await.ok()??;
                self.text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
            }
        })
        .await
    }

    pub async fn until(&mut self, what: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("before the end");
            if what(&event) {
                return event;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_waits_and_is_admitted_over_a_stream_of_events() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let fan = shop.fan("ann").await;
    let mut events = Events::of(&shop, &event, &fan).await;
    let first = events.next().await.expect("at once");
    assert_eq!((first.name.as_str(), &first.data["state"]), ("queue.update", &json!("waiting")));
    assert_eq!(first.id, Some(first.data["seq"].to_string()));
    let mut last = first.data["seq"].as_u64().expect("a number");
    until("present", async || shop.queue(&event).await["present"] == 1).await;

    shop.control(&event, "resume", json!({})).await;
    loop {
        let next = events.until(|event| event.name == "queue.update").await;
        let seq = next.data["seq"].as_u64().expect("a number");
        assert!(seq > last, "{next:?}");
        last = seq;
        if next.data["state"] == "admitted" {
            let token = next.data["acceptedTokenId"].as_str().expect("a token");
            let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
            shop.hold(&event, &fan, token, &shop.key(), &body).await.expect(StatusCode::CREATED);
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_says_why_it_ends() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let fan = shop.fan("ann").await;
    let mut events = Events::of(&shop, &event, &fan).await;
    events.next().await.expect("at once");
    shop.control(&event, "remove", json!({"fans": [fan.id.to_string()]})).await;
    let closed = events.until(|event| event.name == "close").await;
    assert_eq!(closed.data, json!({"code": 1000, "reason": "removed"}));
    assert!(events.next().await.is_none());

    // As many as sockets: the newest stay.
    let mut oldest = Events::of(&shop, &event, &fan).await;
    let most = shop.served.app.config.max_sockets_per_account;
    let mut newer = Vec::new();
    for _ in 0..most {
        newer.push(Events::of(&shop, &event, &fan).await);
    }
    let closed = oldest.until(|event| event.name == "close").await;
    assert_eq!(closed.data["code"], 4409);

    // A node that goes down.
    let mut last = newer.pop().expect("a stream");
    last.next().await.expect("at once");
    let Shop { served, .. } = shop;
    let (_, ()) = tokio::join!(served.stop(), async {
        last.until(|event| event.name == "goaway").await;
        let closed = last.until(|event| event.name == "close").await;
        assert_eq!(closed.data["code"], 1001);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_steers_watches_the_queue_live_until_the_role_is_gone() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let operator = shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let admin = shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let path = format!("/api/v1/admin/events/{event}/queue/live");
    let mut events = Events::open(&shop, &shop.served.admin, &path, &operator.access).await;
    let first = events.next().await.expect("at once");
    assert_eq!(
        (first.name.as_str(), &first.data["waiting"], &first.data["paused"]),
        ("queue", &json!(0), &json!(true))
    );

    let fan = shop.fan("ann").await;
    shop.served
        .post(&format!("/api/v1/events/{event}/queue"), Some(&fan.access), json!({}))
        .await
        .expect(StatusCode::OK);
    let seen = events.until(|event| event.data["members"].as_array().is_some_and(|all| !all.is_empty())).await;
    assert_eq!(seen.data["members"][0]["fan"], fan.id.to_string());

    let roles = format!("/api/v1/admin/accounts/{}/roles", operator.id);
    let body = json!({"roles": ["fan"], "reason": "left"});
    shop.served.call(Method::PUT, &roles, Some(&admin.access), Some(body)).await.expect(StatusCode::OK);
    let closed = events.until(|event| event.name == "close").await;
    assert!(["forbidden", "token_expired"].map(Value::from).contains(&closed.data["code"]), "{closed:?}");
    assert!(events.next().await.is_none());
}

/// Nothing is under way on such a connection but the one answer, for many times as long as an idle one is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_not_taken_for_an_idle_connection() {
    let shop = Shop::open_with(Config { header_timeout: 1, ..config() }).await;
    let event = shop.published().await;
    let path = format!("/api/v1/admin/events/{event}/queue/live");
    let mut events = Events::open(&shop, &shop.served.admin, &path, &shop.organizer.access).await;
    for _ in 0..16 {
        assert_eq!(events.next().await.expect("before the end").name, "queue");
    }
}
