//! The kill switch over all events, on two nodes. Such a halt is everybody's on an etcd: this test has one of its own.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{clan::Clan, fleet::Fleet};
use crate::{etcd_members::Members, harness::until, rush::event_body};

async fn call(fleet: &Fleet, at: char, method: Method, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
    let client = reqwest::Client::builder().no_proxy().build().expect("client");
    let http = fleet.site(at).config().http;
    let host = if path.starts_with("/admin") { http.admin_listen } else { http.listen };
    let request = client.request(method, format!("http://{host}/api/v1{path}")).bearer_auth(token).json(&body);
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_of_all_holds_on_every_node_within_two_seconds_and_over_restarts() {
    let Some(mut clan) = Clan::new() else { return };
    let members = Members::start(1, &[]).await;
    clan.etcd = members.urls()[0].clone();
    let Some(mut fleet) = Fleet::open_on(clan, &['a', 'z']).await else { return };
    let operator = fleet.site('a').account("operator").await;
    let mut body = event_body();
    body["queue"] = json!({"mode": "fifo", "paused": true});
    body["ticket_types"].as_array_mut().expect("a list").truncate(1);
    let event = fleet.site('a').event(body, None).await;
    let queue = format!("/events/{event}/queue");
    let mut fans = Vec::new();
    for _ in 0..4 {
        fans.push(fleet.site('z').account("fan").await);
    }
    let join = async |fleet: &Fleet, at: char, fan: &str| {
        let (status, answer) = call(fleet, at, Method::POST, &queue, fan, json!({})).await;
        (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
    };
    let is_halted = async |fleet: &Fleet, at: char| {
        let (status, state) = call(fleet, at, Method::GET, &queue, &fans[1], json!({})).await;
        status == StatusCode::OK && state["halted"] == true
    };
    let set = async |fleet: &Fleet, at: char, halted: bool| {
        let body = json!({"halted": halted, "reason": "fire"});
        assert_eq!(call(fleet, at, Method::PUT, "/admin/halt", &operator, body).await.0, StatusCode::OK);
    };
    until("it can be joined", async || join(&fleet, 'a', &fans[0]).await.0 == 200).await;
    let halted = (503, "halted".to_owned());

    set(&fleet, 'z', true).await;
    let began = Instant::now();
    for at in ['a', 'z'] {
        until("it is halted", async || is_halted(&fleet, at).await).await;
    }
    let took = began.elapsed();
    println!("halted on both nodes after {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    for at in ['a', 'z'] {
        assert_eq!(join(&fleet, at, &fans[1]).await, halted);
        assert_eq!(join(&fleet, at, &fans[0]).await.0, 200, "who has a place keeps it");
    }

    for letter in ['a', 'z'] {
        let site = fleet.kill(letter).await;
        fleet.start_again(letter, site).await;
    }
    for at in ['a', 'z'] {
        until("it is halted", async || is_halted(&fleet, at).await).await;
        assert_eq!(join(&fleet, at, &fans[2]).await, halted);
    }
    set(&fleet, 'a', false).await;
    for (at, fan) in [('a', &fans[2]), ('z', &fans[3])] {
        until("it can be joined again", async || join(&fleet, at, fan).await.0 == 200).await;
    }
}
