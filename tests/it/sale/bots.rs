//! What is asked of newcomers when machines come too.

use std::{
    collections::HashSet,
    os::unix::fs::OpenOptionsExt as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{Router, extract::State, http::HeaderMap, response::IntoResponse, routing::post};
use onsale::http::{challenge::Asking, config::Config};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};
use tokio_util::task::AbortOnDropHandle;

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

/// The other side of a captcha: takes the form that Turnstile, hCaptcha and reCAPTCHA take, and believes each good answer once.
struct Verifier {
    url: String,
    seen: Arc<Seen>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Seen {
    forms: Mutex<Vec<String>>,
    used: Mutex<HashSet<String>>,
    /// What is wrong with it: 0 nothing, 1 says nothing, 2 fails, 3 talks nonsense.
    fault: AtomicU32,
}

impl Verifier {
    async fn start() -> Self {
        let seen = Arc::<Seen>::default();
        let router = Router::new().route("/siteverify", post(verify)).with_state(Arc::clone(&seen));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let url = format!("http://{}/siteverify", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, seen, _serving: AbortOnDropHandle::new(serving) }
    }

    fn forms(&self) -> Vec<String> {
        self.seen.forms.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn verify(State(seen): State<Arc<Seen>>, headers: HeaderMap, form: String) -> axum::response::Response {
    let is_form = headers.get("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    seen.forms.lock().unwrap_or_else(PoisonError::into_inner).push(form.clone());
    match seen.fault.load(Ordering::Relaxed) {
        1 => std::future::pending::<()>().await,
        2 => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        3 => return "<html>no such page</html>".into_response(),
        _ => {}
    }
    let fields: std::collections::HashMap<_, _> = form.split('&').filter_map(|field| field.split_once('=')).collect();
    let response = fields.get("response").copied().unwrap_or_default().to_owned();
    let is_good = is_form && fields.get("secret") == Some(&"s3cret%26") && response.starts_with("good");
    let is_new = seen.used.lock().unwrap_or_else(PoisonError::into_inner).insert(response);
    let codes = if is_good && is_new { json!([]) } else { json!(["invalid-input-response"]) };
    axum::Json(json!({"success": is_good && is_new, "challenge_ts": "2026-01-01T00:00:00Z", "error-codes": codes}))
        .into_response()
}

fn asking_captchas(verifier: &Verifier, folder: &tempfile::TempDir, captcha: Asking) -> Config {
    let file = folder.path().join("captcha.secret");
    let mut options = std::fs::OpenOptions::new();
    let mut secret = options.write(true).create_new(true).mode(0o600).open(&file).expect("made");
    std::io::Write::write_all(&mut secret, b"s3cret&\n").expect("written");
    let captcha_url = verifier.url.clone();
    Config { captcha, captcha_url, captcha_secret_file: Some(file), captcha_timeout: 1, ..config() }
}

async fn answer(shop: &Shop, event: &str, fan: &SignedIn, captcha: Option<&str>) -> Answer {
    let request = shop.served.client.post(format!("{}{}", shop.served.public, queue(event))).bearer_auth(&fan.access);
    let request = match captcha {
        Some(captcha) => request.header("onsale-captcha", captcha),
        None => request,
    };
    Answer::of(request.send().await.expect("an answer")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_32_a_newcomer_solves_a_captcha_and_who_has_a_place_is_asked_nothing() {
    let (verifier, folder) = (Verifier::start().await, tempfile::tempdir().expect("temporary folder"));
    let shop = Shop::open_with(asking_captchas(&verifier, &folder, Asking::On)).await;
    let (event, ann, bob) = (shop.published().await, shop.fan("ann").await, shop.fan("bob").await);
    let long = "good".repeat(2_000);
    for (captcha, calls) in [(None, 0), (Some(""), 0), (Some(long.as_str()), 0), (Some("bad"), 1)] {
        let refused = answer(&shop, &event, &ann, captcha).await;
        assert_eq!(refused.problem(), (403, "captcha_required".into()), "{captcha:?}");
        assert_eq!(verifier.forms().len(), calls, "{captcha:?}");
    }
    answer(&shop, &event, &ann, Some("good-1")).await.expect(StatusCode::OK);
    assert_eq!(verifier.forms().last().expect("one"), "secret=s3cret%26&response=good-1&remoteip=127.0.0.1");
    answer(&shop, &event, &ann, None).await.expect(StatusCode::OK);
    let refused = answer(&shop, &event, &bob, Some("good-1")).await;
    assert_eq!(refused.problem(), (403, "captcha_required".into()), "it was used");

    // Who has passed is not asked again for some minutes, of this event.
    let calls = verifier.forms().len();
    let left = shop.served.call(reqwest::Method::DELETE, &queue(&event), Some(&ann.access), None).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    answer(&shop, &event, &ann, None).await.expect(StatusCode::OK);
    assert_eq!(verifier.forms().len(), calls);
    let other = shop.published().await;
    let refused = answer(&shop, &other, &ann, None).await;
    assert_eq!(refused.problem(), (403, "captcha_required".into()));

    let mut request = shop.socket_url(&event).into_client_request().expect("a URL");
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Bearer {}", bob.access).parse().expect("a value"));
    headers.insert("sec-websocket-protocol", "onsale.v1, captcha.good-2".parse().expect("a value"));
    let (mut socket, _) = connect_async(request).await.expect("a socket");
    assert_eq!(heard(&mut socket).await["type"], "queue.update");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_32_while_captchas_cannot_be_checked_nobody_new_gets_in() {
    let (verifier, folder) = (Verifier::start().await, tempfile::tempdir().expect("temporary folder"));
    let shop = Shop::open_with(asking_captchas(&verifier, &folder, Asking::On)).await;
    let (event, ann, bob) = (shop.published().await, shop.fan("ann").await, shop.fan("bob").await);
    answer(&shop, &event, &bob, Some("good-bob")).await.expect(StatusCode::OK);
    for fault in [1, 2, 3] {
        verifier.seen.fault.store(fault, Ordering::Relaxed);
        let began = std::time::Instant::now();
        let refused = answer(&shop, &event, &ann, Some("good-ann")).await;
        assert_eq!(refused.problem(), (503, "captcha_unavailable".into()), "{fault}");
        assert_eq!((refused.header("retry-after"), &refused.json()["retryable"]), ("3", &json!(true)));
        assert!(began.elapsed() < Duration::from_secs(5), "{fault}: {:?}", began.elapsed());
    }
    answer(&shop, &event, &bob, None).await.expect(StatusCode::OK);
    let state = shop.served.get(&queue(&event), Some(&ann.access)).await.expect(StatusCode::OK);
    assert_eq!(state["state"], "none");
    verifier.seen.fault.store(0, Ordering::Relaxed);
    answer(&shop, &event, &ann, Some("good-ann")).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_32_captchas_may_be_asked_under_load_only() {
    let (verifier, folder) = (Verifier::start().await, tempfile::tempdir().expect("temporary folder"));
    let config = Config { join_rush: 3, ..asking_captchas(&verifier, &folder, Asking::UnderLoad) };
    let shop = Shop::open_with(config).await;
    let (event, ann) = (shop.published().await, shop.fan("ann").await);
    answer(&shop, &event, &ann, None).await.expect(StatusCode::OK);
    let bob = shop.fan("bob").await;
    let joins = (0..30).map(|_| answer(&shop, &event, &ann, None));
    futures_util::future::join_all(joins).await;
    let refused = answer(&shop, &event, &bob, None).await;
    assert_eq!(refused.problem(), (403, "captcha_required".into()));
    answer(&shop, &event, &bob, Some("good")).await.expect(StatusCode::OK);
}
