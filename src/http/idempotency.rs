//! One effect for one `Idempotency-Key`.
//!
//! For what an event's inventory decides, the key travels as the request's [`Identity`] and the journal remembers it. For
//! database commands, [`once`] keeps a row with key, body and answer, written in the effect's own transaction.

use std::{future::Future, sync::Arc};

use aws_lc_rs::digest;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{
    app::App,
    extract::IdempotencyKey,
    hex::hex,
    now,
    problem::{Code, Problem},
};
use crate::{
    domain::{id::FanId, inventory::request::Identity, time::EventTime},
    stores::{
        database::{
            Write,
            idempotency::{self, Begun},
        },
        error::StoreError,
    },
};

/// What a client whose first attempt still runs is told to wait.
const RUNNING_RETRY_AFTER_S: u32 = 5;

/// The identity of an inventory command: `route` is its path with parameters filled in, `body` the parsed body, so that
/// spaces and the order of fields do not matter.
pub fn identity(account: FanId, route: &str, key: &IdempotencyKey, body: &impl Serialize) -> Identity {
    let key = key_hash(account, route, key);
    let body = body_hash(body);
    let (key, _) = key.as_ref().split_first_chunk::<16>().expect("SHA-256 has 32 bytes");
    let (body, _) = body.as_ref().split_first_chunk::<8>().expect("SHA-256 has 32 bytes");
    Identity { key: u128::from_be_bytes(*key), body: u64::from_be_bytes(*body) }
}

/// Runs a database command once for its key; a repeat gets the same answer. `work` writes its effect and ends with
/// [`Attempt::finish`]. It runs to its end also when the client has gone. When it refuses, nothing may have been done, and
/// the key is free again; when its outcome is unknown, the next attempt resumes it. If the process dies, the key stays taken for a
/// minute.
pub async fn once<F, W>(
    app: &Arc<App>,
    account: FanId,
    route: &str,
    key: &IdempotencyKey,
    body: &impl Serialize,
    work: F,
) -> Result<Response, Problem>
where
    F: FnOnce(Attempt) -> W + Send + 'static,
    W: Future<Output = Result<Finished, Problem>> + Send,
{
    let key = hex(key_hash(account, route, key).as_ref());
    let body = hex(body_hash(body).as_ref());
    let began = now();
    let resumed = match idempotency::begin(&app.database, &key, &body, began).await? {
        Begun::Yours { resumed } => resumed,
        Begun::Running { .. } => {
            return Err(Problem::new(Code::RequestRunning).retry_after(RUNNING_RETRY_AFTER_S));
        }
        Begun::OtherBody => return Err(Code::IdempotencyKeyReused.into()),
        Begun::Done { status, response } => return Ok(replay(status, response)),
    };
    let app = app.clone();
    let span = tracing::Span::current();
    let task = tokio::spawn(tracing::Instrument::instrument(
        async move {
            let outcome = work(Attempt { key: key.clone(), resumed }).await;
            if let Err(problem) = &outcome
                && let Err(error) = let_go(&app, &key, began, problem.code()).await
            {
                // It frees itself in a minute.
                tracing::warn!(error = &error as &dyn std::error::Error, "idempotency key not freed");
            }
            outcome
        },
        span,
    ));
    match task.await {
        Ok(outcome) => outcome.map(|finished| answer(finished.status, finished.body)),
        Err(error) => {
            tracing::error!(%error, "command died");
            Err(Code::Internal.into())
        }
    }
}

/// By an attempt that has ended, with this for an answer.
async fn let_go(app: &App, key: &str, began: EventTime, code: Code) -> Result<(), StoreError> {
    match code {
        // Another attempt has it.
        Code::RequestRunning => Ok(()),
        // A fan who pays while the event goes to another node must not wait for a minute.
        Code::OutcomeUnknown | Code::Internal | Code::RequestTimeout => {
            idempotency::hand_on(&app.database, key, began).await
        }
        // Nothing was done.
        _ => idempotency::abandon(&app.database, key).await,
    }
}

/// A command that holds its key.
#[derive(Debug)]
pub struct Attempt {
    key: String,
    /// An earlier attempt died half way: whatever it asked of others was asked under the same keys.
    pub resumed: bool,
}

/// Committed, with the answer that repeats will get.
#[derive(Debug)]
pub struct Finished {
    status: u16,
    body: String,
}

impl Attempt {
    /// Writes the answer beside the effect and commits both.
    pub async fn finish(
        self,
        mut write: Write,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<Finished, Problem> {
        let body = serde_json::to_string(body).expect("an answer is plain values");
        let status = status.as_u16();
        match idempotency::finish(&mut write, &self.key, status, &body).await {
            // Another attempt has resumed this one and was first: its answer counts.
            Err(StoreError::Conflict(_)) => {
                return Err(Problem::new(Code::RequestRunning).retry_after(RUNNING_RETRY_AFTER_S));
            }
            other => other?,
        }
        write.commit().await?;
        Ok(Finished { status, body })
    }

    /// The same where the effect is written together with those of others: `write` is told key and status, and says what was
    /// answered; `None` if another attempt was first.
    pub async fn finish_by<W>(
        self,
        status: StatusCode,
        write: impl FnOnce(String, u16) -> W,
    ) -> Result<Finished, Problem>
    where
        W: Future<Output = Result<Option<String>, StoreError>>,
    {
        let status = status.as_u16();
        match write(self.key, status).await? {
            Some(body) => Ok(Finished { status, body }),
            None => Err(Problem::new(Code::RequestRunning).retry_after(RUNNING_RETRY_AFTER_S)),
        }
    }
}

fn answer(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

fn replay(status: u16, body: String) -> Response {
    let mut response = answer(status, body);
    response.headers_mut().insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
    response
}

/// Lengths stand before the parts, so that no two lists of parts give the same bytes.
fn key_hash(account: FanId, route: &str, key: &IdempotencyKey) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(account.as_bytes());
    for part in [route, &key.0] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish()
}

fn body_hash(body: &impl Serialize) -> digest::Digest {
    let bytes = serde_json::to_vec(body).expect("a body is plain values");
    digest::digest(&digest::SHA256, &bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_identity_differs_by_account_route_and_key_and_not_by_where_parts_are_cut() {
        let (a, b) = (FanId::from_u128(1), FanId::from_u128(2));
        let key = |text: &str| IdempotencyKey(text.to_owned());
        let body = json!({"quantity": 1});
        let first = identity(a, "/x", &key("k"), &body);
        assert_eq!(first, identity(a, "/x", &key("k"), &body));
        let others = [
            identity(b, "/x", &key("k"), &body),
            identity(a, "/y", &key("k"), &body),
            identity(a, "/x", &key("l"), &body),
            identity(a, "/", &key("xk"), &body),
        ];
        assert!(others.iter().all(|other| other.key != first.key && other.body == first.body));
        assert_ne!(identity(a, "/x", &key("k"), &json!({"quantity": 2})).body, first.body);
    }
}
