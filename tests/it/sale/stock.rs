//! The live stock, as viewers put it together: on a stream, on a socket of its own, and on the queue's.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use onsale::http::config::Config;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, client::IntoClientRequest},
};

use super::{
    shop::{Scene, Shop, Socket, closed_with, heard, say},
    streams::Events,
};
use crate::{
    harness::{eventually, in_time},
    served::{Answer, config},
};

/// What a viewer knows.
#[derive(Default)]
struct Seen {
    epoch: u64,
    seq: u64,
    version: u64,
    sections: BTreeMap<String, Vec<u8>>,
    counts: BTreeMap<String, u64>,
    snapshots: u32,
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD_NO_PAD.decode(value.as_str().expect("text")).expect("base64")
}

impl Seen {
    fn apply(&mut self, message: &Value) {
        let seq = number(&message["seq"]);
        if message["type"] == "stock.snapshot" {
            let list = |name: &str| message[name].as_array().expect("a list").clone();
            self.epoch = number(&message["epoch"]);
            self.version = number(&message["version"]);
            self.sections = list("sections").iter().map(|one| (text(&one["section"]), bytes(&one["bits"]))).collect();
            self.counts = list("counts").iter().map(|one| (text(&one["ticketType"]), number(&one["free"]))).collect();
            self.snapshots += 1;
        } else {
            assert_eq!((&message["type"], seq), (&json!("stock.delta"), self.seq + 1), "{message}");
            if message["bits"].is_array() {
                let bits = self.sections.get_mut(&text(&message["section"])).expect("a section that is known");
                for run in message["bits"].as_array().expect("runs") {
                    let (from, new) = (number(&run[0]) as usize, bytes(&run[1]));
                    bits[from..from + new.len()].copy_from_slice(&new);
                }
            } else {
                let count = self.counts.get_mut(&text(&message["ticketType"])).expect("a type that is known");
                *count = number(&message["free"]);
            }
        }
        self.seq = seq;
    }

    /// Whether that is what everybody may read.
    async fn is_right(&self, shop: &Shop, event: &str) -> bool {
        let path = format!("/api/v1/events/{event}");
        let seats = shop.served.get(&format!("{path}/seats"), None).await.expect(StatusCode::OK);
        let mut sections: BTreeMap<String, (usize, Vec<u8>)> = BTreeMap::new();
        for seat in seats["seats"].as_array().expect("seats") {
            let (next, bits) = sections.entry(text(&seat["zone"])).or_default();
            if *next % 8 == 0 {
                bits.push(0);
            }
            bits[*next / 8] |= u8::from(seat["state"] == "free") << (*next % 8);
            *next += 1;
        }
        let sections: BTreeMap<String, Vec<u8>> = sections.into_iter().map(|(zone, (_, bits))| (zone, bits)).collect();
        let left = shop.served.get(&format!("{path}/availability"), None).await.expect(StatusCode::OK);
        let types = left["ticket_types"].as_array().expect("types").iter().filter(|one| one["seated"] == false);
        let counts: BTreeMap<String, u64> = types.map(|one| (text(&one["code"]), number(&one["free"]))).collect();
        self.sections == sections && self.counts == counts && self.version == number(&left["version"])
    }
}

trait Way {
    async fn message(&mut self) -> Value;
}

impl Way for Events {
    async fn message(&mut self) -> Value {
        let event = self.next().await.expect("before the end");
        assert_eq!(event.data["type"], event.name.as_str());
        assert!(event.id.is_some_and(|id| id.ends_with(&format!("-{}", event.data["seq"]))));
        event.data
    }
}

impl Way for Socket {
    /// Of the stock: the queue's socket says other things too.
    async fn message(&mut self) -> Value {
        loop {
            let message = heard(self).await;
            if message["type"].as_str().is_some_and(|name| name.starts_with("stock.")) {
                return message;
            }
        }
    }
}

/// Somebody who watches.
struct Viewer<W> {
    way: W,
    seen: Seen,
}

impl<W: Way> Viewer<W> {
    fn new(way: W) -> Self {
        Self { way, seen: Seen::default() }
    }

    /// Until it is what everybody may read: a copy of that may be a second old.
    async fn comes_right(&mut self, shop: &Shop, event: &str, what: &str) {
        let coming = async {
            while !self.seen.is_right(shop, event).await {
                if let Ok(message) = timeout(Duration::from_millis(50), self.way.message()).await {
                    self.seen.apply(&message);
                }
            }
        };
        timeout(Duration::from_secs(20), coming).await.unwrap_or_else(|_| unreachable!("not seen: {what}"));
    }
}

fn stream_path(event: &str) -> String {
    format!("/api/v1/events/{event}/stock/stream")
}

async fn stream(shop: &Shop, event: &str) -> Viewer<Events> {
    let url = format!("{}{}", shop.served.public, stream_path(event));
    Viewer::new(Events::asked(shop.served.client.get(url)).await)
}

fn socket_url(shop: &Shop, event: &str, query: &str) -> String {
    format!("ws://{}/api/v1/events/{event}/stock/socket{query}", shop.served.authority())
}

async fn socket(shop: &Shop, event: &str, query: &str) -> Socket {
    connect_async(socket_url(shop, event, query)).await.expect("a socket").0
}

/// The hold's reference.
async fn hold(scene: &Scene, body: &Value) -> String {
    text(&scene.hold(body).await.expect(StatusCode::CREATED)["reference"])
}

async fn hold_some(scene: &Scene, quantity: u32) -> String {
    hold(scene, &json!({"items": [{"ticket_type": "GA", "quantity": quantity}]})).await
}

async fn release(Scene { shop, fan, .. }: &Scene, reference: &str) {
    let path = format!("/api/v1/holds/{reference}");
    let answer = shop.served.call(reqwest::Method::DELETE, &path, Some(&fan.access), None).await;
    answer.expect(StatusCode::NO_CONTENT);
}

/// What is told until the seq is this one.
async fn told_until(way: &mut impl Way, until: u64) -> Vec<Value> {
    let mut missed = Vec::new();
    while missed.last().is_none_or(|last: &Value| number(&last["seq"]) < until) {
        missed.push(way.message().await);
    }
    missed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_of_a_stream_and_of_a_socket_see_holds_releases_expiry_and_another_plan() {
    let shop = Shop::open().await;
    let mut concert = Shop::concert();
    concert["limits"] = json!({"hold_seconds": 2});
    let event = shop.draft(concert).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    let (mut events, mut own) = (stream(&shop, &event).await, Viewer::new(socket(&shop, &event, "").await));
    let first = events.way.message().await;
    assert_eq!(first["type"], "stock.snapshot");
    assert_eq!(first["sections"], json!([{"section": "A", "seats": 16, "bits": "//8"}]));
    assert_eq!(first["counts"], json!([{"ticketType": "GA", "free": 40}]));
    events.seen.apply(&first);

    let fan = shop.fan("ann").await;
    let admission = shop.admitted(&event, &fan).await;
    let scene = Scene { shop, event: event.clone(), fan, admission };
    let shop = &scene.shop;
    let released = hold(&scene, &json!({"seats": ["A-1-1", "A-1-2"]})).await;
    let kept = hold_some(&scene, 2).await;
    own.seen.apply(&own.way.message().await);
    for (what, is_held) in [("holds", true), ("a release", false)] {
        if !is_held {
            release(&scene, &released).await;
        }
        events.comes_right(shop, &event, what).await;
        own.comes_right(shop, &event, what).await;
    }
    // It lapses.
    in_time(async {
        while events.seen.counts["GA"] != 40 {
            let message = events.way.message().await;
            events.seen.apply(&message);
        }
    })
    .await;
    own.comes_right(shop, &event, "expiry").await;
    assert_eq!((events.seen.snapshots, own.seen.snapshots), (1, 1), "the rest was told as changes");
    drop(kept);

    let mut plan = String::from("id,zone,row,number,ticket_type,kind\n");
    for (zone, seats) in [("B", 3), ("A", 8)] {
        for number in 1..=seats {
            plan.push_str(&format!("{zone}-1-{number},{zone},1,{number},VIP,standard\n"));
        }
    }
    let version = u32::try_from(events.seen.version).expect("small");
    shop.plan(&event, version, "text/csv", plan).await.expect(StatusCode::OK);
    events.comes_right(shop, &event, "another plan").await;
    own.comes_right(shop, &event, "another plan").await;
    assert_eq!(events.seen.snapshots, 2);
    assert_eq!((events.seen.epoch, events.seen.seq), (own.seen.epoch, own.seen.seq), "everybody is told the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_again_is_told_just_what_was_missed() {
    let scene = Scene::set().await;
    let Scene { shop, event, .. } = &scene;
    let mut first = Viewer::new(socket(shop, event, "").await);
    let snapshot = first.way.message().await;
    first.seen.apply(&snapshot);
    let (epoch, seq) = (first.seen.epoch, first.seen.seq);
    // Nobody watches meanwhile, so that is told as what it comes to.
    drop(first.way);
    hold(&scene, &json!({"seats": ["A-2-3"]})).await;
    hold_some(&scene, 2).await;

    let resumed = format!("?epoch={epoch}&last_seq={seq}");
    let mut again = socket(shop, event, &resumed).await;
    let missed = told_until(&mut again, seq + 2).await;
    assert_eq!(missed.iter().map(|one| &one["type"]).collect::<Vec<_>>(), ["stock.delta", "stock.delta"], "{missed:?}");
    let mut way = Viewer { way: again, seen: first.seen };
    missed.iter().for_each(|message| way.seen.apply(message));
    way.comes_right(shop, event, "what was missed").await;
    assert_eq!(way.seen.snapshots, 1);

    // A stream, by the URL and by what a browser sends; half of what was missed.
    let url = format!("{}{}", shop.served.public, stream_path(event));
    let by_url = shop.served.client.get(format!("{url}{resumed}"));
    let by_header = shop.served.client.get(&url).header("last-event-id", format!("{epoch}-{}", seq + 1));
    assert_eq!(told_until(&mut Events::asked(by_url).await, seq + 2).await, missed);
    assert_eq!(told_until(&mut Events::asked(by_header).await, seq + 2).await, missed[1..]);

    // Of another activation, or of what never was: everything.
    for strange in [format!("?epoch={}&last_seq={seq}", epoch + 1), format!("?epoch={epoch}&last_seq={}", seq + 3)] {
        let told = socket(shop, event, &strange).await.message().await;
        assert_eq!((&told["type"], number(&told["seq"])), (&json!("stock.snapshot"), seq + 2), "{strange}");
    }
    // And on the socket itself.
    say(&mut way.way, &json!({"type": "stock", "epoch": epoch, "lastSeq": seq + 1}).to_string()).await;
    assert_eq!(way.way.message().await, missed[1]);
    say(&mut way.way, r#"{"type": "stock"}"#).await;
    assert_eq!(way.way.message().await["type"], "stock.snapshot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_and_whoever_is_admitted_watches_on_the_queues_socket() {
    let scene = Scene::set().await;
    let Scene { shop, event, fan, .. } = &scene;
    shop.control(event, "pause", json!({})).await;
    let waiting = shop.fan("bob").await;
    let mut viewers = Vec::new();
    for (fan, state) in [(&waiting, "waiting"), (fan, "admitted")] {
        let mut viewer = Viewer::new(shop.socket(event, fan).await);
        assert_eq!(heard(&mut viewer.way).await["state"], state);
        say(&mut viewer.way, r#"{"type": "stock"}"#).await;
        let snapshot = viewer.way.message().await;
        viewer.seen.apply(&snapshot);
        viewers.push(viewer);
    }
    hold(&scene, &json!({"seats": ["A-1-4"]})).await;
    for viewer in &mut viewers {
        viewer.comes_right(shop, event, "a hold").await;
        assert_eq!(viewer.seen.snapshots, 1);
    }
    // The queue goes on beside it.
    shop.control(event, "resume", json!({})).await;
    in_time(async { while heard(&mut viewers[0].way).await["state"] != "admitted" {} }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_refused_and_changes_nothing() {
    let scene = Scene::set().await;
    let Scene { shop, event, .. } = &scene;
    let path = stream_path(event);
    for query in ["?last_seq=1", "?epoch=1", "?epoch=1&last_seq=-1", "?epoch=1&last_seq=x", "?epoch=1&lastSeq=2"] {
        let answer = shop.served.get(&format!("{path}{query}"), None).await;
        assert_eq!(answer.problem(), (400, "invalid_query".into()), "{query}");
        let Err(Error::Http(response)) = connect_async(socket_url(shop, event, query)).await else {
            unreachable!("refused: {query}")
        };
        assert_eq!(response.status(), 400, "{query}");
    }
    let request = shop.served.client.get(format!("{}{path}", shop.served.public)).header("last-event-id", "12");
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::BAD_REQUEST);

    let mut own = socket(shop, event, "").await;
    let mut queues = shop.socket(event, &scene.fan).await;
    for socket in [&mut own, &mut queues] {
        let first = heard(socket).await;
        assert!(first["type"] == "stock.snapshot" || first["type"] == "queue.update");
        for wrong in [json!({"lastSeq": 1}), json!({"epoch": 1, "lastSeq": -1}), json!({"epoch": 1, "lastSeq": "x"})] {
            let mut message = wrong.clone();
            message["type"] = json!("stock");
            say(socket, &message.to_string()).await;
            assert_eq!(heard(socket).await, json!({"type": "error", "code": "invalid_last_seq"}), "{wrong}");
        }
    }
    // It has no place to give up, and stays open.
    say(&mut own, r#"{"type": "leave"}"#).await;
    assert_eq!(heard(&mut own).await, json!({"type": "error", "code": "invalid_message"}));
    say(&mut own, r#"{"type": "ping"}"#).await;
    assert_eq!(heard(&mut own).await["type"], "pong");
    own.close(None).await.expect("closed");

    // Pages that are not ours, and drafts.
    let mut foreign = socket_url(shop, event, "").into_client_request().expect("a URL");
    foreign.headers_mut().insert("origin", "https://evil.example".parse().expect("a value"));
    let refused = connect_async(foreign).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 403));
    let draft = shop.draft(Shop::concert()).await;
    assert_eq!(shop.served.get(&stream_path(&draft), None).await.problem(), (404, "not_found".into()));
    let refused = connect_async(socket_url(shop, &draft, "")).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 404));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_opens_so_many_a_second_and_a_node_that_goes_down_says_so() {
    let limits = Config { join_per_second: 1, join_burst: 4, insecure_demo: false, bcrypt_cost: 10, ..config() };
    let shop = Shop::open_with(limits).await;
    let event = shop.published().await;
    let mut viewers = Vec::new();
    for _ in 0..3 {
        viewers.push(stream(&shop, &event).await);
    }
    let mut own = socket(&shop, &event, "").await;
    assert_eq!(own.message().await["type"], "stock.snapshot");
    let url = format!("{}{}", shop.served.public, stream_path(&event));
    let refused = eventually("refused", async || {
        let response = shop.served.client.get(&url).send().await.expect("an answer");
        // A stream that was let in ends here.
        (response.status() != StatusCode::OK).then_some(response)
    });
    let answer = Answer::of(refused.await).await;
    assert_eq!(answer.problem(), (429, "rate_limited".into()));
    assert!(!answer.header("retry-after").is_empty());

    let Shop { served, .. } = shop;
    let (_, ()) = tokio::join!(served.stop(), async {
        for viewer in &mut viewers {
            viewer.way.until(|event| event.name == "goaway").await;
            assert!(viewer.way.next().await.is_none());
        }
        assert_eq!(closed_with(&mut own).await, 1001);
    });
}
