//! Too much, too deep, too slow, too often.

use std::time::Duration;

use futures_util::future::join_all;
use onsale::http::config::Config;
use reqwest::StatusCode;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{
    harness::PASSWORD,
    served::{Answer, Served, config, strict},
};

async fn raw(served: &Served, body: impl Into<reqwest::Body>, content_type: &str) -> Answer {
    let request = served
        .client
        .post(format!("{}/api/v1/auth/login", served.public))
        .header("content-type", content_type)
        .body(body);
    Answer::of(request.send().await.expect("answer")).await
}

/// What the server sends until it closes; the test fails if it does not within `within`.
async fn until_closed(stream: &mut TcpStream, within: Duration) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let read = async {
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            bytes.extend_from_slice(&buffer[..count]);
        }
    };
    timeout(within, read).await.expect("the server closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn s_24_bodies_that_are_not_what_is_expected_are_refused_each_with_its_code() {
    let served = Served::start(config()).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let json = "application/json";
    let table = [
        ("{\"email\": ", json, (400, "malformed_json")),
        ("", json, (400, "malformed_json")),
        (&*deep, json, (400, "malformed_json")),
        ("{\"email\": \"a@b.c\", \"password\": \"x\"} {}", json, (400, "malformed_json")),
        ("[]", json, (422, "invalid_body")),
        ("null", json, (422, "invalid_body")),
        ("{\"email\": \"a@b.c\"}", json, (422, "invalid_body")),
        ("{\"email\": \"a@b.c\", \"email\": \"a@b.c\", \"password\": \"x\"}", json, (422, "invalid_body")),
        ("{\"email\": 1, \"password\": \"x\"}", json, (422, "invalid_body")),
        ("email=a", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        ("{}", "text/plain", (415, "unsupported_media_type")),
    ];
    for (body, content_type, (status, code)) in table {
        let answer = raw(&served, body.to_owned(), content_type).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{content_type} {}", &body[..body.len().min(60)]);
    }
}

#[tokio::test]
async fn s_24_a_body_of_ten_megabytes_is_refused() {
    let served = Served::start(config()).await;
    let answer = raw(&served, vec![b' '; 10 * 1024 * 1024], "application/json").await;
    assert_eq!(answer.problem(), (413, "body_too_large".into()));
    let limit = served.app.config.body_limit;
    assert_eq!(raw(&served, vec![b' '; limit], "application/json").await.problem().0, 400);
    assert_eq!(raw(&served, vec![b' '; limit + 1], "application/json").await.problem().0, 413);
}

#[tokio::test]
async fn s_24_a_head_that_comes_slowly_or_never_is_not_waited_for() {
    let served = Served::start(Config { header_timeout: 1, ..config() }).await;
    for head in ["", "P", "PRI", "GET /health/live HTTP/1.1\r\nHost: x\r\n", "\u{16}\u{3}\u{1}"] {
        let mut stream = TcpStream::connect(served.authority()).await.expect("connects");
        stream.write_all(head.as_bytes()).await.expect("sent");
        until_closed(&mut stream, Duration::from_secs(10)).await;
    }
}

#[tokio::test]
async fn s_24_a_body_that_comes_slowly_is_not_waited_for() {
    let served = Served::start(Config { request_timeout: 1, ..config() }).await;
    let mut stream = TcpStream::connect(served.authority()).await.expect("connects");
    let head =
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let answer = until_closed(&mut stream, Duration::from_secs(10)).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("request_timeout"), "{answer}");
}

#[tokio::test]
async fn s_24_a_large_head_is_refused() {
    let served = Served::start(config()).await;
    let long = format!("X-Long: {}\r\n", "a".repeat(32 * 1024));
    let many: String = (0..200).map(|at| format!("X-{at}: a\r\n")).collect();
    for headers in [long, many] {
        let answer = told(&served, &format!("GET /health/live HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    served.get("/health/live", None).await.expect(StatusCode::OK);
}

/// What comes back for these bytes until the server closes. It may do so before all of them are sent.
async fn told(served: &Served, head: &str) -> String {
    let mut stream = TcpStream::connect(served.authority()).await.expect("connects");
    let _ = stream.write_all(head.as_bytes()).await;
    until_closed(&mut stream, Duration::from_secs(10)).await
}

#[tokio::test]
async fn s_24_what_is_no_request_is_told_so() {
    let served = Served::start(config()).await;
    let post = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for head in [
        "HELLO\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\u{0}b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n",
        &format!("{post}Content-Length: -5\r\n\r\n12345"),
        &format!("{post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345"),
    ] {
        let answer = told(&served, head).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer}");
    }
}

#[tokio::test]
async fn s_24_a_large_body_is_refused_before_it_is_sent() {
    let served = Served::start(config()).await;
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
                Content-Length: 10485760\r\n\r\n";
    let answer = told(&served, head).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
}

#[tokio::test]
async fn s_24_whoever_goes_on_sending_a_large_body_is_told_that_it_is_refused() {
    let served = Served::start(config()).await;
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 10485760\r\n\r\n";
    let mut stream = TcpStream::connect(served.authority()).await.expect("connects");
    stream.write_all(head.as_bytes()).await.expect("sent");
    // It is answered, and nobody reads that yet.
    stream.peek(&mut [0]).await.expect("an answer");
    let part = vec![b' '; 1024 * 1024];
    for _ in 0..10 {
        stream.write_all(&part).await.expect("is not cut off");
    }
    let answer = until_closed(&mut stream, Duration::from_secs(10)).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
}

#[tokio::test]
async fn s_24_logins_are_counted_by_address_and_the_answer_says_so() {
    let served = Served::start(Config { login_per_minute: 3, ..strict() }).await;
    for left in ["2", "1", "0"] {
        let answer = served.login("ann@example.org", "wrong password").await;
        assert_eq!(answer.problem().0, 401);
        assert_eq!(answer.header("ratelimit-policy"), "\"login\";q=3;w=60");
        assert!(answer.header("ratelimit").starts_with(&format!("\"login\";r={left};t=")), "{answer:?}");
    }
    let answer = served.login("ann@example.org", "wrong password").await;
    assert_eq!(answer.problem(), (429, "rate_limited".into()));
    assert!((1..=20).contains(&answer.header("retry-after").parse::<u32>().expect("seconds")), "{answer:?}");
    let body = json!({"email": "ann@example.org", "password": PASSWORD, "name": "Ann", "language": "en"});
    let registered = served.post("/api/v1/auth/register", None, body).await;
    assert_eq!(registered.status, StatusCode::CREATED, "registrations are counted apart");
    assert_eq!(registered.header("ratelimit-policy"), "\"register\";q=3;w=60");
}

#[tokio::test]
async fn s_24_a_forwarded_address_counts_only_from_a_trusted_proxy() {
    let login = async |served: &Served, forwarded: &str| {
        let request = served
            .client
            .post(format!("{}/api/v1/auth/login", served.public))
            .header("x-forwarded-for", forwarded)
            .json(&json!({"email": "ann@example.org", "password": "wrong password"}));
        Answer::of(request.send().await.expect("answer")).await.status.as_u16()
    };
    let config = Config { login_per_minute: 2, ..strict() };
    let open = Served::start(config.clone()).await;
    let behind = Served::start(Config { trusted_proxies: vec!["127.0.0.0/8".into()], ..config }).await;
    let (mut spoofed, mut forwarded) = (Vec::new(), Vec::new());
    for at in 0..4 {
        spoofed.push(login(&open, &format!("198.51.100.{at}")).await);
        forwarded.push(login(&behind, &format!("198.51.100.{at}")).await);
    }
    assert_eq!(spoofed, [401, 401, 429, 429]);
    assert_eq!(forwarded, [401, 401, 401, 401]);
    let same = [login(&behind, "6.6.6.6, 198.51.100.9").await, login(&behind, "7.7.7.7, 198.51.100.9").await];
    assert_eq!((same, login(&behind, "8.8.8.8, 198.51.100.9").await), ([401, 401], 429));
}

#[tokio::test]
async fn s_11_more_sign_ins_than_the_queue_holds_are_told_to_come_back() {
    let served = Served::start(Config { bcrypt_cost: 10, bcrypt_workers: 1, bcrypt_queue: 2, ..config() }).await;
    let answers = join_all((0..12).map(|at| {
        let email = format!("fan{at}@example.org");
        let served = &served;
        async move { served.login(&email, "wrong password").await }
    }))
    .await;
    let full: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(!full.is_empty() && full.len() < 12, "{} of 12", full.len());
    for answer in full {
        assert_eq!(answer.problem().1, "password_queue_full");
        assert!(!answer.header("retry-after").is_empty());
    }
}

#[tokio::test]
async fn s_12_guessing_is_slowed_down_and_the_owner_still_gets_in() {
    let served = Served::start(config()).await;
    served.register("ann@example.org").await;
    for _ in 0..6 {
        served.login("ann@example.org", "wrong password").await;
    }
    let began = Instant::now();
    served.login("ann@example.org", PASSWORD).await.expect(StatusCode::OK);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

/// A request that stays under way: its body does not end.
async fn hanging(served: &Served) -> TcpStream {
    let mut stream = TcpStream::connect(served.authority()).await.expect("connects");
    let head =
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

#[tokio::test]
async fn s_24_beyond_the_requests_under_way_others_are_refused_and_health_still_answers() {
    let served = Served::start(Config { max_in_flight: 1, ..config() }).await;
    let hanging = hanging(&served).await;
    crate::harness::until("the place is taken", async || {
        served.get("/api/v1/ticket-keys", None).await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let answer = served.get("/api/v1/ticket-keys", None).await;
    assert_eq!(answer.problem(), (503, "overloaded".into()));
    assert!(!answer.header("retry-after").is_empty());
    for path in ["/health/live", "/api/v1/health/live", "/api/v1/health/ready"] {
        served.get(path, None).await.expect(StatusCode::OK);
    }
    drop(hanging);
    crate::harness::until("the place is free again", async || {
        served.get("/api/v1/ticket-keys", None).await.status == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn s_24_beyond_the_connections_others_wait_until_one_is_free() {
    let served = Served::start(Config { max_connections: 1, ..config() }).await;
    let first = hanging(&served).await;
    let mut second = TcpStream::connect(served.authority()).await.expect("the kernel takes it");
    second.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
    let mut byte = [0; 1];
    let early = timeout(Duration::from_millis(300), second.read(&mut byte)).await;
    assert!(early.is_err(), "answered beyond the cap");
    drop(first);
    let answer = until_closed(&mut second, Duration::from_secs(10)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
