//! One effect for one key, on a real database.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use axum::{body::to_bytes, response::IntoResponse};
use futures_util::future::join_all;
use http::StatusCode;
use onsale::{
    domain::id::FanId,
    http::{
        app::App,
        extract::IdempotencyKey,
        idempotency::{Attempt, Finished, once},
        problem::{Code, Problem},
    },
};
use serde_json::{Value, json};

use crate::served::{Served, config};

const FAN: FanId = FanId::from_u128(7);

/// The command counts its effects and answers with the count.
async fn effect(app: Arc<App>, count: Arc<AtomicU32>, attempt: Attempt) -> Result<Finished, Problem> {
    let write = app.database.begin().await?;
    let answer = json!({"effect": count.fetch_add(1, Ordering::SeqCst) + 1});
    attempt.finish(write, StatusCode::CREATED, &answer).await
}

async fn ask(app: &Arc<App>, count: &Arc<AtomicU32>, key: &str, body: Value) -> (u16, Value, bool) {
    let key = IdempotencyKey(key.to_owned());
    let (inner, count) = (app.clone(), count.clone());
    let answer = once(app, FAN, "/orders/x/checkout", &key, &body, move |attempt| effect(inner, count, attempt)).await;
    let response = answer.into_response();
    let replayed = response.headers().contains_key("idempotent-replayed");
    let status = response.status().as_u16();
    if let Some(problem) = response.extensions().get::<Problem>() {
        return (status, json!(problem.code().row().name), replayed);
    }
    let bytes = to_bytes(response.into_body(), 4096).await.expect("body");
    (status, serde_json::from_slice(&bytes).expect("JSON"), replayed)
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_another_body_is_refused() {
    let served = Served::start(config()).await;
    let count = Arc::default();
    let first = ask(&served.app, &count, "k", json!({"provider": "sandbox"})).await;
    assert_eq!(first, (201, json!({"effect": 1}), false));
    let again = ask(&served.app, &count, "k", json!({"provider": "sandbox"})).await;
    assert_eq!(again, (201, json!({"effect": 1}), true));
    let other = ask(&served.app, &count, "k", json!({"provider": "other"})).await;
    assert_eq!((other.0, other.1), (422, json!("idempotency_key_reused")));
    let next = ask(&served.app, &count, "l", json!({"provider": "sandbox"})).await;
    assert_eq!(next.1, json!({"effect": 2}));
}

#[tokio::test]
async fn of_many_at_once_one_has_an_effect_and_the_others_wait_or_are_told_to() {
    let served = Served::start(config()).await;
    let count: Arc<AtomicU32> = Arc::default();
    let answers = join_all((0..20).map(|_| ask(&served.app, &count, "k", json!({})))).await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
    for answer in answers {
        let replayed = (answer.0, &answer.1) == (201, &json!({"effect": 1}));
        assert!(replayed || (answer.0, &answer.1) == (409, &json!("request_running")), "{answer:?}");
    }
}

#[tokio::test]
async fn a_refused_command_leaves_its_key_free_and_one_of_unknown_outcome_is_resumed_by_the_next_attempt() {
    let served = Served::start(config()).await;
    let app = &served.app;
    let key = |text: &str| IdempotencyKey(text.to_owned());
    let fail = async |name: &str, code: Code| {
        let resumed = Arc::new(AtomicBool::new(false));
        let seen = resumed.clone();
        let work = move |attempt: Attempt| async move {
            seen.store(attempt.resumed, Ordering::SeqCst);
            Err(code.into())
        };
        let answer = once(app, FAN, "/x", &key(name), &json!({}), work).await;
        (answer.expect_err("refused").code(), resumed.load(Ordering::SeqCst))
    };
    for _ in 0..2 {
        assert_eq!(fail("refused", Code::SoldOut).await, (Code::SoldOut, false), "attempted anew");
    }
    for code in [Code::OutcomeUnknown, Code::Internal] {
        let name = code.row().name;
        assert_eq!(fail(name, code).await, (code, false));
        assert_eq!(fail(name, code).await, (code, true), "at once, and it knows that something may have happened");
    }
}

#[tokio::test]
async fn a_command_ends_although_its_client_has_gone() {
    let served = Served::start(config()).await;
    let count: Arc<AtomicU32> = Arc::default();
    let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let (app, counted) = (served.app.clone(), count.clone());
    let client = tokio::spawn({
        let app = app.clone();
        async move {
            let inner = app.clone();
            let key = IdempotencyKey("k".to_owned());
            once(&app, FAN, "/x", &key, &json!({}), move |attempt| async move {
                begun.send(()).await.expect("waited for");
                wait.await.expect("told");
                effect(inner, counted, attempt).await
            })
            .await
            .map(drop)
        }
    });
    has_begun.recv().await.expect("begun");
    client.abort();
    go.send(()).expect("still there");
    crate::harness::until("the effect is there", async || count.load(Ordering::SeqCst) == 1).await;
}
