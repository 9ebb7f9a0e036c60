//! What is asked of newcomers when machines come too.

use aws_lc_rs::digest::{SHA256, digest};
use onsale::http::{challenge::Asking, config::Config};
use reqwest::StatusCode;
use serde_json::Value;
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

use super::shop::{Shop, closed_with, heard, say};
use crate::{
    harness::until,
    served::{Answer, SignedIn, config},
};

fn queue(event: &str) -> String {
    format!("/api/v1/events/{event}/queue")
}

/// The way that docs/queue.md describes it.
fn solve(refusal: &Value) -> String {
    let (challenge, bits) =
        (refusal["challenge"].as_str().expect("a challenge"), refusal["bits"].as_u64().expect("bits"));
    let solutions = (0_u64..).map(|nonce| format!("{challenge}.{nonce}"));
    let is_good = |solution: &String| {
        let hash = digest(&SHA256, solution.as_bytes());
        let first = u64::from_be_bytes(hash.as_ref()[..8].try_into().expect("eight bytes"));
        u64::from(first.leading_zeros()) >= bits
    };
    solutions.into_iter().find(is_good).expect("one")
}

async fn join(shop: &Shop, event: &str, token: &str, solution: Option<&str>) -> Answer {
    let request = shop.served.client.post(format!("{}{}", shop.served.public, queue(event))).bearer_auth(token);
    let request = match solution {
        Some(solution) => request.header("onsale-challenge", solution),
        None => request,
    };
    Answer::of(request.send().await.expect("an answer")).await
}

async fn refused(shop: &Shop, event: &str, fan: &SignedIn, solution: Option<&str>) -> Value {
    let answer = join(shop, event, &fan.access, solution).await;
    assert_eq!(answer.problem(), (403, "challenge_required".into()), "{solution:?}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_32_a_newcomer_works_for_a_place_and_who_has_one_is_asked_nothing() {
    let shop = Shop::open_with(Config { join_challenge: Asking::On, join_challenge_bits: 10, ..config() }).await;
    let (event, other) = (shop.published().await, shop.published().await);
    let (ann, bob) = (shop.fan("ann").await, shop.fan("bob").await);
    let challenge = refused(&shop, &event, &ann, None).await;
    assert_eq!(challenge["bits"], 10);
    let good = solve(&challenge);
    let (token, nonce) = good.rsplit_once('.').expect("two parts");
    let another_token = refused(&shop, &event, &ann, None).await["challenge"].as_str().expect("text").to_owned();
    for wrong in [
        "",
        ".",
        "x.1",
        token,
        &format!("{token}."),
        &format!("{token}.{nonce}0000"),
        &format!("{another_token}.x{nonce}"),
    ] {
        refused(&shop, &event, &ann, Some(wrong)).await;
    }
    refused(&shop, &event, &bob, Some(&good)).await;
    refused(&shop, &other, &ann, Some(&good)).await;
    let state = shop.served.get(&queue(&event), Some(&ann.access)).await.expect(StatusCode::OK);
    assert_eq!(state["state"], "none", "nothing was given for nothing");

    join(&shop, &event, &ann.access, Some(&good)).await.expect(StatusCode::OK);
    join(&shop, &event, &ann.access, None).await.expect(StatusCode::OK);
    let mut socket = shop.socket(&event, &ann).await;
    heard(&mut socket).await;
    say(&mut socket, r#"{"type": "leave"}"#).await;
    assert_eq!(closed_with(&mut socket).await, 1000);
    refused(&shop, &event, &ann, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_32_a_socket_brings_the_solution_among_its_protocols() {
    let shop = Shop::open_with(Config { join_challenge: Asking::On, join_challenge_bits: 8, ..config() }).await;
    let (event, ann) = (shop.published().await, shop.fan("ann").await);
    let open = async |protocols: &str| {
        let mut request = shop.socket_url(&event).into_client_request().expect("a URL");
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {}", ann.access).parse().expect("a value"));
        headers.insert("sec-websocket-protocol", protocols.parse().expect("a value"));
        connect_async(request).await
    };
    let status = match open("onsale.v1").await {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => unreachable!("refused: {other:?}"),
    };
    assert_eq!(status, 403);
    let solution = solve(&refused(&shop, &event, &ann, None).await);
    let (mut socket, _) = open(&format!("onsale.v1, challenge.{solution}")).await.expect("a socket");
    assert_eq!(heard(&mut socket).await["type"], "queue.update");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_32_under_load_newcomers_are_asked_and_who_joins_too_fast_is_written_down() {
    let limits = Config { join_per_second: 1, join_burst: 6, insecure_demo: false, bcrypt_cost: 10, ..config() };
    let load = Config { join_challenge: Asking::UnderLoad, join_challenge_bits: 8, join_rush: 0, ..limits };
    let shop = Shop::open_with(load).await;
    let (event, ann) = (shop.published().await, shop.fan("ann").await);
    let admin = shop.served.with_roles("admin@example.org", &[onsale::domain::account::Role::Admin]).await;
    let mut codes = Vec::new();
    for _ in 0..20 {
        let answer = join(&shop, &event, &ann.access, None).await;
        codes.push(answer.problem().1);
    }
    assert_eq!(codes[0], "challenge_required", "one is more than none: {codes:?}");
    assert!(codes.iter().any(|code| code == "rate_limited"), "{codes:?}");
    until("it is in the audit log", async || {
        let log = shop.served.get("/api/v1/admin/audit", Some(&admin.access)).await.expect(StatusCode::OK);
        let rows = log["items"].as_array().expect("rows");
        rows.iter().any(|row| row["action"] == "queue.velocity" && row["address"] == "127.0.0.1")
    })
    .await;
}
