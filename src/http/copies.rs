//! What everybody reads at once when a sale opens: made once a second on this node, however many ask.
//!
//! Owns how old such an answer may be, its `ETag`, and how long the outside may keep it. What is told is its handler's.

use std::{future::Future, time::Duration};

use aws_lc_rs::digest;
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::problem::{Code, Problem};
use crate::domain::id::EventId;

/// How old a copy may be; caches on the way may keep it for as long again.
const FRESH: Duration = Duration::from_secs(1);
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=1");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Of all copies together. The seats of a stadium are ten megabytes; what finds no room is made anew each time.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// What is told. Where the event's version is at hand it belongs to the name, so that a change is seen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Of {
    Event(EventId),
    Availability(EventId, u32),
    Seats(EventId, u32),
}

pub struct Copies(moka::future::Cache<Of, Copy>);

#[derive(Debug, Clone)]
struct Copy {
    etag: HeaderValue,
    body: Bytes,
}

impl Default for Copies {
    fn default() -> Self {
        let bytes = |_: &Of, copy: &Copy| u32::try_from(copy.body.len()).unwrap_or(u32::MAX);
        Self(moka::future::Cache::builder().max_capacity(MOST_BYTES).weigher(bytes).time_to_live(FRESH).build())
    }
}

impl Copies {
    /// The copy, or 304 for who has it. Of many who find none one runs `ask`, and the others wait for what comes of it; what
    /// `ask` gives makes the answer. A refusal is not kept.
    pub async fn answer<T: Serialize>(
        &self,
        of: Of,
        headers: &HeaderMap,
        ask: impl Future<Output = Result<impl FnOnce() -> T + Send + 'static, Problem>>,
    ) -> Result<Response, Problem> {
        let make = async {
            let make = ask.await?;
            // A hundred thousand seats take a while to write: not on a thread that serves others.
            tokio::task::spawn_blocking(move || Copy::of(&make())).await.map_err(|_| Problem::new(Code::Internal))
        };
        let copy = self.0.try_get_with(of, make).await.map_err(|problem| Problem::clone(&problem))?;
        let kept = [(header::ETAG, copy.etag.clone()), (header::CACHE_CONTROL, KEEP)];
        if is_known(headers, &copy.etag) {
            return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
        }
        Ok((kept, [(header::CONTENT_TYPE, JSON)], copy.body).into_response())
    }
}

impl Copy {
    /// The tag is of the bytes: the same on every node, and after a restart.
    fn of(answer: &impl Serialize) -> Self {
        let body = serde_json::to_vec(answer).expect("an answer is plain values");
        let tag = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &body));
        let etag = HeaderValue::try_from(format!("\"{tag}\"")).expect("base64 is visible ASCII");
        Self { etag, body: body.into() }
    }
}

/// Compared weakly (RFC 9110 §13.1.2): a proxy that compresses marks the tag as weak.
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let seen = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut seen = seen.flat_map(|value| value.split(',')).map(str::trim);
    seen.any(|seen| seen == "*" || seen.strip_prefix("W/").unwrap_or(seen) == *etag)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    const OF: Of = Of::Event(EventId::from_u128(1));

    #[tokio::test]
    async fn of_many_at_once_one_asks_and_a_refusal_is_not_kept() {
        let (copies, asked) = (Copies::default(), AtomicU32::new(0));
        let headers = HeaderMap::new();
        let ask = async |good: bool| {
            let asking = async {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                if good { Ok(|| 7) } else { Err(Problem::new(Code::NotFound)) }
            };
            copies.answer(OF, &headers, asking).await
        };
        let refused = join_all((0..50).map(|_| ask(false))).await;
        assert!(refused.iter().all(|answer| answer.as_ref().is_err_and(|problem| problem.code() == Code::NotFound)));
        let before = asked.load(Ordering::Relaxed);
        let told = join_all((0..50).map(|_| ask(true))).await;
        assert!(told.iter().all(Result::is_ok));
        assert_eq!(asked.load(Ordering::Relaxed), before + 1);
    }

    #[test]
    fn who_has_the_copy_is_told_so_in_every_form_that_a_tag_may_have() {
        let Copy { etag, .. } = Copy::of(&"told");
        let tag = etag.to_str().expect("ASCII").to_owned();
        let known = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::try_from(value).expect("a value"));
            is_known(&headers, &etag)
        };
        for good in [&tag, &format!("W/{tag}"), &format!("\"a\", {tag}"), "*"] {
            assert!(known(good), "{good}");
        }
        for wrong in ["", "\"a\"", tag.trim_matches('"')] {
            assert!(!known(wrong), "{wrong}");
        }
        assert!(!is_known(&HeaderMap::new(), &etag));
    }
}
