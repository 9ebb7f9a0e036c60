//! Clients in other languages, by packages of other people, which know nothing but the documented API.

use std::{path::Path, process::Stdio};

use onsale::domain::account::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::shop::Shop;
use crate::{
    harness::{PASSWORD, in_time, until},
    served::Answer,
};

/// A script of `tests/clients` under way, line by line.
pub(super) struct Stranger {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Stranger {
    /// By the interpreters that Debian's packages are for; a machine may have others before them.
    pub(super) fn start(script: &str, arguments: &[&str]) -> Self {
        Self::start_trusting(script, arguments, None)
    }

    /// The certificates in this file, as OpenSSL lets it be said.
    fn start_trusting(script: &str, arguments: &[&str], trusted: Option<&Path>) -> Self {
        let interpreter = if script.ends_with(".py") { "/usr/bin/python3" } else { "node" };
        let path = format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(interpreter);
        command.arg(path).args(arguments).env("NODE_PATH", "/usr/share/nodejs").kill_on_drop(true);
        if let Some(file) = trusted {
            command.env("SSL_CERT_FILE", file);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("scripts/packages test installs it");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The next line that begins with this word, without it; others before it are let pass.
    pub(super) async fn says(&mut self, word: &str) -> Vec<String> {
        in_time(async {
            loop {
                let line = self.lines.next_line().await.expect("text").expect("it says something before it ends");
                let mut words = line.split(' ').map(str::to_owned);
                if words.next().is_some_and(|first| first == word) {
                    return words.collect();
                }
            }
        })
        .await
    }

    /// A line.
    pub(super) async fn hears(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        in_time(input.write_all(format!("{line}\n").as_bytes())).await.expect("it reads");
    }

    async fn ends_well(mut self) {
        assert!(in_time(self.child.wait()).await.expect("ended").success());
    }
}

async fn a_stranger_gets_through(script: &str, email: &str) {
    a_stranger_gets_through_at(&Shop::open().await, script, email, None).await;
}

pub async fn a_stranger_gets_through_at(shop: &Shop, script: &str, email: &str, trusted: Option<&Path>) {
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let arguments = [shop.served.public.as_str(), &event, email, PASSWORD];
    let mut fan = Stranger::start_trusting(script, &arguments, trusted);
    fan.says("waiting").await;
    shop.control(&event, "resume", json!({})).await;
    fan.says("admitted").await;
    let held = fan.says("held").await;
    assert_eq!(held[1], "2");
    fan.ends_well().await;
    let stock = shop.stock(&event).await;
    let standing = stock["ticket_types"].as_array().and_then(|all| all.iter().find(|one| one["code"] == "GA"));
    assert_eq!(standing.expect("a ticket type")["held"], 2, "{stock}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_goes_through_the_queue_to_a_hold() {
    a_stranger_gets_through("fan.py", "python@example.org").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_client_goes_through_the_queue_to_a_hold() {
    a_stranger_gets_through("fan.js", "node@example.org").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_first_version_reaches_close_1000_with_its_token() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let fan = shop.fan("ann").await;
    let mut stranger = Stranger::start("first_version.py", &[&shop.served.public, &event, &fan.access]);
    assert_eq!(stranger.says("waiting").await, ["1", "0", "1"]);
    shop.control(&event, "resume", json!({})).await;
    let closed = stranger.says("closed").await;
    assert_eq!((closed[0].as_str(), closed[1].as_str()), ("1000", "accepted"));
    stranger.ends_well().await;
    // The token is good for a hold, and the admission outlives the socket.
    let body = json!({"items": [{"ticket_type": "GA", "quantity": 1}]});
    shop.hold(&event, &fan, &closed[2], &shop.key(), &body).await.expect(StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_who_was_called_while_away_is_claimed_by_a_socket_of_the_first_version() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let fan = shop.fan("ann").await;
    let path = format!("/api/v1/events/{event}/queue");
    shop.served.post(&path, Some(&fan.access), json!({})).await.expect(StatusCode::OK);
    until("called", async || {
        let state = shop.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK);
        matches!(state["state"].as_str(), Some("called" | "admitted"))
    })
    .await;
    let mut stranger = Stranger::start("first_version.py", &[&shop.served.public, &event, &fan.access]);
    let closed = stranger.says("closed").await;
    assert_eq!((closed[0].as_str(), closed[1].as_str()), ("1000", "accepted"));
    assert!(!closed[2].is_empty());
    stranger.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_versions_control_is_the_admins_under_other_names() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let staff = Some(shop.organizer.access.as_str());
    let call = async |method: Method, path: &str, token: Option<&str>, body: Option<Value>| {
        let mut request = shop.served.client.request(method, format!("{}{path}", shop.served.admin));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::of(request.send().await.expect("an answer")).await
    };
    let (state, clear) = (format!("/api/state?eventId={event}"), format!("/api/clear?eventId={event}"));
    let count = |count: u32| Some(json!({"eventId": event, "count": count}));

    let fan = shop.fan("ann").await;
    let place = format!("/api/v1/events/{event}/queue");
    shop.served.post(&place, Some(&fan.access), json!({})).await.expect(StatusCode::OK);
    let waiting = async |expected: usize| {
        until("so many wait", async || {
            let told = call(Method::GET, &state, staff, None).await.expect(StatusCode::OK);
            told["totalInQueue"] == expected && told["userIds"].as_array().is_some_and(|ids| ids.len() == expected)
        })
        .await;
    };
    waiting(1).await;
    assert_eq!(call(Method::GET, &state, staff, None).await.json()["userIds"], json!([fan.id.to_string()]));
    call(Method::POST, "/api/add", staff, count(30)).await.expect(StatusCode::OK);
    waiting(31).await;

    // Refused, with nothing changed.
    for (method, path, token, body, code) in [
        (Method::GET, state.as_str(), None, None, "unauthenticated"),
        (Method::GET, state.as_str(), Some(fan.access.as_str()), None, "forbidden"),
        (Method::POST, "/api/remove", Some(fan.access.as_str()), count(1), "forbidden"),
        (Method::POST, clear.as_str(), Some(fan.access.as_str()), None, "forbidden"),
        (Method::POST, "/api/remove", staff, count(0), "invalid_body"),
        (Method::POST, "/api/add", staff, count(10_001), "invalid_body"),
        (Method::POST, "/api/clear", staff, None, "invalid_query"),
        (Method::GET, "/api/state", staff, None, "invalid_query"),
    ] {
        assert_eq!(call(method, path, token, body).await.problem().1, code, "{path}");
    }
    waiting(31).await;

    call(Method::POST, "/api/remove", staff, count(1)).await.expect(StatusCode::OK);
    waiting(30).await;
    let standing = shop.served.get(&place, Some(&fan.access)).await.expect(StatusCode::OK);
    assert_eq!(standing["state"], "none", "the first one was removed");
    call(Method::POST, &clear, staff, None).await.expect(StatusCode::OK);
    waiting(0).await;

    let admin = shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let audit = shop.served.get("/api/v1/admin/audit", Some(&admin.access)).await.expect(StatusCode::OK);
    let acts: Vec<_> = audit["items"].as_array().expect("items").iter().map(|act| act["action"].clone()).collect();
    for action in ["queue.synthetic", "queue.remove", "queue.clear"] {
        assert!(acts.contains(&json!(action)), "{action} in {acts:?}");
    }
}
