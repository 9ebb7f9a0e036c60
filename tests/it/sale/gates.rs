//! Who gets into a queue at all: the kill switch of an event and of all, invites.

use std::process::Output;

use onsale::{
    domain::{account::Role, time::Millis},
    http::{now, shapes::Timestamp},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

use super::shop::{Shop, closed_with, heard};
use crate::{
    harness::until,
    node::Site,
    rush::event_body,
    served::{Answer, Served, SignedIn},
};

fn queue(event: &str) -> String {
    format!("/api/v1/events/{event}/queue")
}

async fn join(shop: &Shop, event: &str, fan: &SignedIn) -> Answer {
    shop.served.post(&queue(event), Some(&fan.access), json!({})).await
}

async fn state(shop: &Shop, event: &str, fan: &SignedIn) -> Value {
    shop.served.get(&queue(event), Some(&fan.access)).await.expect(StatusCode::OK)
}

fn one_ticket() -> Value {
    json!({"items": [{"ticket_type": "GA", "quantity": 1}]})
}

async fn halt(shop: &Shop, token: &str, path: &str, body: Value) -> Answer {
    shop.served.call(Method::PUT, &format!("/api/v1/admin{path}/halt"), Some(token), Some(body)).await
}

fn is_halted(answer: &Answer) {
    assert_eq!(answer.problem(), (503, "halted".into()));
    assert_eq!(answer.header("retry-after"), "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_event_takes_nothing_new_and_keeps_all_that_there_is() {
    let shop = Shop::open().await;
    let event = shop.published().await;
    let [ann, bob, cat, dan] =
        [shop.fan("ann").await, shop.fan("bob").await, shop.fan("cat").await, shop.fan("dan").await];
    let (by_ann, by_bob) = (shop.admitted(&event, &ann).await, shop.admitted(&event, &bob).await);
    let key = shop.key();
    let held = shop.hold(&event, &ann, &by_ann, &key, &one_ticket()).await.expect(StatusCode::CREATED);
    let reference = held["reference"].as_str().expect("a reference").to_owned();
    shop.control(&event, "pause", json!({})).await;
    join(&shop, &event, &cat).await.expect(StatusCode::OK);
    let mut socket = shop.socket(&event, &cat).await;
    assert_eq!(heard(&mut socket).await["halted"], false);

    let body = json!({"halted": true, "texts": {"en": "Smoke in the hall."}, "reason": "smoke"});
    let report = halt(&shop, &shop.organizer.access, &format!("/events/{event}"), body).await.expect(StatusCode::OK);
    assert_eq!((&report["halted"], &report["all_halted"]), (&json!(true), &json!(false)));
    until("the queue says so", async || state(&shop, &event, &dan).await["halted"] == true).await;
    is_halted(&join(&shop, &event, &dan).await);
    let mut refused = shop.socket(&event, &dan).await;
    let first = heard(&mut refused).await;
    assert_eq!((&first["type"], &first["code"]), (&json!("queue.notice"), &json!("halted")));
    assert_eq!(closed_with(&mut refused).await, 1013);
    let stream = shop.served.get(&format!("{}/stream", queue(&event)), Some(&dan.access)).await;
    assert!(stream.text.contains("\"code\":\"halted\""), "{stream:?}");
    // Who waits is told, and stays.
    let told = loop {
        let told = heard(&mut socket).await;
        if told["halted"] == true {
            break told;
        }
    };
    assert_eq!((&told["state"], &told["positionInQueue"]), (&json!("waiting"), &json!(1)));
    let polled = join(&shop, &event, &cat).await.expect(StatusCode::OK);
    let is = (&polled["state"], &polled["halted"], &polled["notice"]["texts"]["en"], &polled["estimatedWaitTime"]);
    assert_eq!(is, (&json!("waiting"), &json!(true), &json!("Smoke in the hall."), &Value::Null));
    // Nobody is let in, by hand neither, and nothing new is held.
    shop.control(&event, "resume", json!({})).await;
    shop.control(&event, "admit", json!({"count": 1})).await;
    is_halted(&shop.hold(&event, &bob, &by_bob, &shop.key(), &one_ticket()).await);
    assert_eq!(state(&shop, &event, &cat).await["state"], "waiting");
    assert_eq!(shop.stock(&event).await["holds"], 1);
    // What was held before is told again, prolonged, paid.
    let again = shop.hold(&event, &ann, &by_ann, &key, &one_ticket()).await.expect(StatusCode::CREATED);
    assert_eq!(again["reference"], reference.as_str());
    shop.act(&format!("/holds/{reference}/extend"), &ann, &shop.key(), None).await.expect(StatusCode::OK);
    let checkout = format!("/orders/{reference}/checkout");
    let opened = shop.act(&checkout, &ann, &shop.key(), Some(json!({"provider": "sandbox"}))).await;
    let page = opened.expect(StatusCode::ACCEPTED)["payment_url"].as_str().expect("a page").to_owned();
    assert!(shop.choose(&page, "pay").await.is_success());
    shop.order_becomes(&reference, &ann, "ticketed").await;

    let body = json!({"halted": false, "texts": {}, "reason": "all clear"});
    let report = halt(&shop, &shop.organizer.access, &format!("/events/{event}"), body).await.expect(StatusCode::OK);
    assert_eq!((&report["halted"], &report["notice"]), (&json!(false), &Value::Null));
    until("who waited is let in", async || {
        ["called", "admitted"].map(Value::from).contains(&state(&shop, &event, &cat).await["state"])
    })
    .await;
    shop.hold(&event, &bob, &by_bob, &shop.key(), &one_ticket()).await.expect(StatusCode::CREATED);
    join(&shop, &event, &dan).await.expect(StatusCode::OK);
    let admin = shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let audit = shop.served.get("/api/v1/admin/audit?limit=50", Some(&admin.access)).await.expect(StatusCode::OK);
    for (action, reason) in [("queue.halt", "smoke"), ("queue.lift", "all clear")] {
        let rows = audit["items"].as_array().expect("rows");
        let is_it =
            |row: &&Value| row["action"] == action && row["reason"] == reason && row["object"] == event.as_str();
        assert!(rows.iter().any(|row| is_it(&row)), "{action}: {audit}");
    }
}

async fn by_command(shop: &Shop, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
    command.args(["queue"]).args(arguments).args(["--admin-url", &shop.served.admin, "--token", token]);
    command.output().await.expect("the program runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_halts_all_events_and_lifting_it_leaves_those_halted_that_are_halted_by_themselves() {
    let shop = Shop::open().await;
    let (event, other) = (shop.published().await, shop.published().await);
    let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
    let operator = shop.served.with_roles("operator@example.org", &[Role::Operator]).await;
    let by_ann = shop.admitted(&event, &ann).await;
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();

    let halted = by_command(&shop, &operator.access, &["halt", "--all", "--reason", "fire"]).await;
    assert!(halted.status.success() && said(&halted).contains("halted"), "{halted:?}");
    let report = shop.served.get("/api/v1/admin/halt", Some(&operator.access)).await.expect(StatusCode::OK);
    assert_eq!((&report["halted"], &report["reason"]), (&json!(true), &json!("fire")));
    let again = halt(&shop, &operator.access, "", json!({"halted": true, "reason": "twice"})).await;
    assert_eq!(again.expect(StatusCode::OK)["since"], report["since"], "the first one stays");
    for event in [&event, &other] {
        until("the queue says so", async || state(&shop, event, &bob).await["halted"] == true).await;
    }
    let made_now = shop.published().await;
    for event in [&event, &other, &made_now] {
        is_halted(&join(&shop, event, &bob).await);
        assert_eq!(state(&shop, event, &bob).await["halted"], true);
    }
    is_halted(&shop.hold(&event, &ann, &by_ann, &shop.key(), &one_ticket()).await);
    let report = shop.queue(&event).await;
    assert_eq!((&report["halted"], &report["all_halted"]), (&json!(false), &json!(true)));
    let one = by_command(&shop, &shop.organizer.access, &["halt", &other, "--text", "en=Wait."]).await;
    assert!(one.status.success() && said(&one).contains("all events are halted"), "{one:?}");

    let lifted = by_command(&shop, &operator.access, &["lift", "--all"]).await;
    assert!(lifted.status.success() && said(&lifted).contains("not halted"), "{lifted:?}");
    shop.hold(&event, &ann, &by_ann, &shop.key(), &one_ticket()).await.expect(StatusCode::CREATED);
    until("it can be joined", async || join(&shop, &event, &bob).await.status == 200).await;
    is_halted(&join(&shop, &other, &bob).await);
    let lifted = by_command(&shop, &shop.organizer.access, &["lift", &other]).await;
    assert!(lifted.status.success() && !said(&lifted).contains("halted"), "{lifted:?}");
    until("this one too", async || join(&shop, &other, &bob).await.status == 200).await;

    let organizer = &shop.organizer.access;
    for (token, path, body, expected) in [
        (organizer, "", json!({"halted": true, "reason": "r"}), (403, "forbidden")),
        (&operator.access, "", json!({"halted": true, "reason": ""}), (422, "invalid_body")),
        (&operator.access, "", json!({"reason": "r"}), (422, "invalid_body")),
        (
            organizer,
            &format!("/events/{event}"),
            json!({"halted": true, "texts": {"e!": "a"}, "reason": "r"}),
            (422, "invalid_body"),
        ),
        (&ann.access, &format!("/events/{event}"), json!({"halted": true, "reason": "r"}), (403, "forbidden")),
    ] {
        let answer = halt(&shop, token, path, body).await;
        assert_eq!(answer.problem(), (expected.0, expected.1.into()), "{path}");
    }
    let refused = by_command(&shop, organizer, &["halt"]).await;
    assert!(!refused.status.success(), "of which event?");
    assert_eq!(state(&shop, &event, &bob).await["halted"], false);
    let admin = shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let audit = shop.served.get("/api/v1/admin/audit?limit=50", Some(&admin.access)).await.expect(StatusCode::OK);
    let acts: Vec<_> = audit["items"].as_array().expect("rows").iter().filter(|row| row["object"] == "all").collect();
    let acts: Vec<_> = acts.iter().map(|row| (&row["action"], &row["reason"], &row["role"])).collect();
    let (halt, lift, role) = (json!("halt"), json!("lift"), json!("operator"));
    let reasons = [json!("from the command line"), json!("twice"), json!("fire")];
    assert_eq!(acts, [(&lift, &reasons[0], &role), (&halt, &reasons[1], &role), (&halt, &reasons[2], &role)]);
}

async fn invite_only(shop: &Shop, more: Value) -> String {
    let mut body = Shop::concert();
    body["queue"]["invite_only"] = json!(true);
    body["queue"].as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let event = shop.draft(body).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    event
}

async fn invited(shop: &Shop, event: &str, body: Value) -> Vec<Value> {
    let path = format!("/api/v1/admin/events/{event}/queue/invites");
    let made = shop.served.post(&path, Some(&shop.organizer.access), body).await.expect(StatusCode::CREATED);
    made["invites"].as_array().expect("a list").clone()
}

async fn join_by(served: &Served, event: &str, token: &str, invite: &str) -> Answer {
    let request = served.client.post(format!("{}{}", served.public, queue(event))).bearer_auth(token);
    Answer::of(request.header("onsale-invite", invite).send().await.expect("an answer")).await
}

fn token(invite: &Value) -> &str {
    invite["token"].as_str().expect("a token")
}

fn in_an_hour() -> String {
    Timestamp(now() + Millis::minutes(60)).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_gives_one_person_a_place_and_nobody_else() {
    let shop = Shop::open().await;
    let event = invite_only(&shop, json!({"paused": true})).await;
    let other = invite_only(&shop, json!({})).await;
    let [ann, bob, cat] = [shop.fan("ann").await, shop.fan("bob").await, shop.fan("cat").await];
    let body = json!({"for": ["Ann <ann@example.org>", "whoever"], "expires_at": in_an_hour(), "reason": "friends"});
    let made = invited(&shop, &event, body).await;
    assert_eq!(made[0]["for"], "Ann <ann@example.org>");
    let (first, second) = (token(&made[0]), token(&made[1]));
    assert_ne!(first, second);

    assert_eq!(join(&shop, &event, &ann).await.problem(), (403, "invite_needed".into()));
    let wrong = format!("{}{}{}", &first[..30], if &first[30..31] == "A" { "B" } else { "A" }, &first[31..]);
    for (event, invite) in [(&event, "x"), (&event, ""), (&event, wrong.as_str()), (&other, first)] {
        let refused = join_by(&shop.served, event, &ann.access, invite).await;
        assert_eq!(refused.problem(), (400, "invalid_invite".into()), "{invite}");
    }
    assert_eq!(state(&shop, &event, &ann).await["state"], "none");
    let device = shop.served.post("/api/v1/devices", None, json!({})).await.expect(StatusCode::CREATED);
    let key = device["deviceKey"].as_str().expect("a key").to_owned();
    let refused = join_by(&shop.served, &event, &key, first).await;
    assert_eq!(refused.problem(), (403, "account_needed".into()));

    // Of all who try at once one gets in.
    let tries = [&ann, &bob, &cat].map(|fan| join_by(&shop.served, &event, &fan.access, first));
    let answers = futures_util::future::join_all(tries).await;
    let codes: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1, "{codes:?}");
    let at = codes.iter().position(|code| *code == 200).expect("one");
    let fans = [&ann, &bob, &cat];
    let (winner, loser) = (fans[at], fans[(at + 1) % 3]);
    assert_eq!(join_by(&shop.served, &event, &loser.access, first).await.problem(), (403, "invite_used".into()));
    // The same place: without it, as it has one; with it, also after leaving.
    join(&shop, &event, winner).await.expect(StatusCode::OK);
    let leave = shop.served.call(Method::DELETE, &queue(&event), Some(&winner.access), None).await;
    assert_eq!(leave.status, StatusCode::NO_CONTENT);
    assert_eq!(join(&shop, &event, winner).await.problem(), (403, "invite_needed".into()));
    join_by(&shop.served, &event, &winner.access, first).await.expect(StatusCode::OK);

    // Over a socket it is a protocol.
    let mut request = shop.socket_url(&event).into_client_request().expect("a URL");
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Bearer {}", loser.access).parse().expect("a value"));
    headers.insert("sec-websocket-protocol", format!("onsale.v1, invite.{second}").parse().expect("a value"));
    let (mut socket, _) = connect_async(request).await.expect("a socket");
    assert_eq!(heard(&mut socket).await["state"], "waiting");

    let withdraw = |invites: Value| json!({"invites": invites, "reason": "sold"});
    let path = format!("/api/v1/admin/events/{event}/queue/invites/withdraw");
    let body = withdraw(json!([made[0]["invite"], made[1]["invite"]]));
    let withdrawn = shop.served.post(&path, Some(&shop.organizer.access), body).await.expect(StatusCode::OK);
    assert_eq!(withdrawn["withdrawn"], 2);
    assert_eq!(state(&shop, &event, winner).await["state"], "waiting", "who has a place keeps it");
    shop.served.call(Method::DELETE, &queue(&event), Some(&winner.access), None).await;
    let refused = join_by(&shop.served, &event, &winner.access, first).await;
    assert_eq!(refused.problem(), (400, "invalid_invite".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invites_are_made_by_those_who_steer_and_within_limits() {
    let shop = Shop::open().await;
    let event = invite_only(&shop, json!({})).await;
    let ann = shop.fan("ann").await;
    let path = format!("/api/v1/admin/events/{event}/queue/invites");
    let later = in_an_hour();
    for (body, field) in [
        (json!({"count": 0, "expires_at": later, "reason": "r"}), "count"),
        (json!({"count": 1_001, "expires_at": later, "reason": "r"}), "count"),
        (json!({"expires_at": later, "reason": "r"}), "count"),
        (json!({"count": 1, "for": ["a"], "expires_at": later, "reason": "r"}), "count"),
        (json!({"for": [""], "expires_at": later, "reason": "r"}), "for[0]"),
        (json!({"for": [], "expires_at": later, "reason": "r"}), "for"),
        (json!({"count": 1, "expires_at": "2020-01-01T00:00:00Z", "reason": "r"}), "expires_at"),
        (json!({"count": 1, "expires_at": "2199-01-01T00:00:00Z", "reason": "r"}), "expires_at"),
        (json!({"count": 1, "expires_at": later, "reason": ""}), "reason"),
    ] {
        let refused = shop.served.post(&path, Some(&shop.organizer.access), body.clone()).await;
        assert_eq!(refused.problem(), (422, "invalid_body".into()));
        assert_eq!(refused.json()["errors"][0]["field"], field, "{body}");
    }
    let short = Timestamp(now() + Millis(1_500)).to_string();
    let soon = invited(&shop, &event, json!({"count": 1, "expires_at": short, "reason": "r"})).await;
    let by = shop.organizer.access.clone();
    let printed = by_command(&shop, &by, &["invite", &event, "--count", "2", "--expires", &later]).await;
    assert!(printed.status.success(), "{printed:?}");
    let lines = String::from_utf8_lossy(&printed.stdout).into_owned();
    let lines: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines.len(), lines[0].len()), (2, 2), "{lines:?}");
    let withdrawn = by_command(&shop, &by, &["withdraw", &event, lines[1][1]]).await;
    assert!(String::from_utf8_lossy(&withdrawn.stdout).contains("1 invites"), "{withdrawn:?}");
    let refused = join_by(&shop.served, &event, &ann.access, lines[1][0]).await;
    assert_eq!(refused.problem(), (400, "invalid_invite".into()));
    join_by(&shop.served, &event, &ann.access, lines[0][0]).await.expect(StatusCode::OK);
    let bob = shop.fan("bob").await;
    let expires_at = serde_json::from_value::<Timestamp>(soon[0]["expires_at"].clone()).expect("a time").0;
    until("it has expired", async || now() >= expires_at).await;
    let refused = join_by(&shop.served, &event, &bob.access, token(&soon[0])).await;
    assert_eq!(refused.problem(), (400, "invalid_invite".into()));
    let admin = shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
    let audit = shop.served.get("/api/v1/admin/audit?limit=50", Some(&admin.access)).await.expect(StatusCode::OK);
    let rows = audit["items"].as_array().expect("rows");
    for action in ["queue.invites", "queue.withdraw"] {
        assert!(rows.iter().any(|row| row["action"] == action && row["object"] == event.as_str()), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_invite_is_used_after_a_restart_and_at_every_node() {
    for site in [Some(Site::embedded()), Site::on_servers().await].into_iter().flatten() {
        let mut node = site.start().await;
        let mut body = event_body();
        body["queue"] = json!({"mode": "fifo", "invite_only": true});
        let event = site.event(body, None).await;
        let (admin, operator) = (site.config().http.admin_listen, site.account("operator").await);
        let client = reqwest::Client::builder().no_proxy().build().expect("client");
        let request = client.post(format!("http://{admin}/api/v1/admin/events/{event}/queue/invites"));
        let body = json!({"count": 1, "expires_at": in_an_hour(), "reason": "r"});
        let made: Value =
            request.bearer_auth(&operator).json(&body).send().await.expect("sent").json().await.expect("JSON");
        let invite = token(&made["invites"][0]).to_owned();
        let (ann, bob) = (site.account("fan").await, site.account("fan").await);
        let join = async |access: &str| {
            let request = client.post(format!("{}{}", site.url(), queue(&event))).bearer_auth(access);
            Answer::of(request.header("onsale-invite", &invite).send().await.expect("an answer")).await
        };
        until("it can be joined", async || join(&ann).await.status == 200).await;
        node.kill().await;
        node = site.start().await;
        let mut refused = join(&bob).await;
        until("the event runs again", async || {
            refused = join(&bob).await;
            refused.status != 503
        })
        .await;
        assert_eq!(refused.problem(), (403, "invite_used".into()));
        join(&ann).await.expect(StatusCode::OK);
        node.kill().await;
    }
}
