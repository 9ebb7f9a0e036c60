//! What every request passes: its id, its client's address, the bound on requests under way, a deadline, a net for panics,
//! counters, and the headers of every answer.
//!
//! One function, because the hot path goes through it: nothing is logged above debug, no name is built.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use tokio::{sync::Semaphore, time::Instant};
use tracing::Instrument;

use super::{
    extract::{ClientAddress, RequestId},
    metrics::Routes,
    problem::{Code, Problem},
    proxies::Proxies,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 64;

/// The other end of the connection, put there by the server.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// One listener's.
pub struct Edge {
    pub proxies: Proxies,
    pub in_flight: Semaphore,
    pub routes: Routes,
    pub request_timeout: Duration,
    /// Whether clients may be told to come by TLS only.
    pub tls: bool,
}

pub async fn pass(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId(request_id(request.headers()));
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map(MatchedPath::as_str);
    let peer = request.extensions().get::<Peer>().map(|Peer(peer)| peer.ip());
    if let Some(peer) = peer {
        let client = edge.proxies.client(peer, request.headers());
        request.extensions_mut().insert(ClientAddress(client));
    }
    request.extensions_mut().insert(id.clone());

    let span = tracing::info_span!("http", request = &*id.0);
    let mut response = answer(&edge, path, request, next).instrument(span.clone()).await;
    render(&mut response, &id);
    protect(&mut response, &id, edge.tls);

    let took = began.elapsed();
    edge.routes.count(path, &method, response.status(), took);
    tracing::debug!(parent: &span, %method, path, status = response.status().as_u16(), ?took, client = ?peer, "answered");
    response
}

async fn answer(edge: &Edge, path: Option<&str>, request: Request, next: Next) -> Response {
    // Whoever asks whether we live gets an answer even when nobody else does.
    let vital = path.is_some_and(|path| path.contains("/health/"));
    let _place = match edge.in_flight.try_acquire() {
        Ok(place) => Some(place),
        Err(_) if vital => None,
        Err(_) => return Problem::new(Code::Overloaded).into_response(),
    };
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(edge.request_timeout, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(path, "a handler panicked");
            Problem::new(Code::Internal).into_response()
        }
        Err(_) => {
            tracing::warn!(path, "a request took too long");
            Problem::new(Code::RequestTimeout).into_response()
        }
    }
}

/// The client's own, if it can stand in a log line as it is; else a random one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|text| {
        (1..=MAX_REQUEST_ID).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    });
    match given {
        Some(text) => text.into(),
        None => {
            let mut text = uuid::Uuid::encode_buffer();
            let text: &str = uuid::Uuid::from_u128(rand::random()).simple().encode_lower(&mut text);
            text.into()
        }
    }
}

/// A problem becomes a body here, where the request's id is known.
fn render(response: &mut Response, id: &RequestId) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return };
    *response.body_mut() = Body::from(problem.body(&id.0).to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
}

/// A handler that serves a page sets its own policy and caching; for everything else nothing may be kept or run.
fn protect(response: &mut Response, id: &RequestId, tls: bool) {
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(X_REQUEST_ID, value);
    }
    if switching {
        return;
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    if tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn s_25_a_request_id_that_could_break_a_log_line_is_replaced() {
        let id = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(value).expect("value"));
            request_id(&headers).to_string()
        };
        assert_eq!(id(b"trace-7_a.b"), "trace-7_a.b");
        for wrong in [&b""[..], b"a b", b"a\tb", b"a\"b", b"\xff", &[b'a'; 65]] {
            assert_eq!(id(wrong).len(), 32, "{wrong:?}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    fn edge(in_flight: usize) -> Arc<Edge> {
        Arc::new(Edge {
            proxies: Proxies::default(),
            in_flight: Semaphore::new(in_flight),
            routes: Routes::new(["/panics".to_owned()]),
            request_timeout: Duration::from_millis(200),
            tls: false,
        })
    }

    async fn get(router: &Router, path: &str) -> (StatusCode, serde_json::Value) {
        let request = Request::builder().uri(path).header(X_REQUEST_ID, "r-1").body(Body::empty()).expect("request");
        let response = router.clone().oneshot(request).await.expect("infallible");
        let (status, body) = (response.status(), response.into_body());
        let bytes = axum::body::to_bytes(body, 4096).await.expect("body");
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[expect(clippy::panic, reason = "this handler is there to panic")]
    async fn panics() -> StatusCode {
        panic!("secret of the source")
    }

    #[tokio::test]
    async fn s_26_a_panic_or_a_hanging_handler_costs_one_answer_and_tells_nothing() {
        let router = Router::new()
            .route("/panics", axum::routing::get(panics))
            .route("/hangs", axum::routing::get(std::future::pending::<()>))
            .route("/works", axum::routing::get(|| async { "{}" }))
            .layer(axum::middleware::from_fn_with_state(edge(1), pass));
        for (path, status, code) in [("/panics", 500, "internal"), ("/hangs", 503, "request_timeout")] {
            let (got, body) = get(&router, path).await;
            assert_eq!((got.as_u16(), body["code"].as_str()), (status, Some(code)), "{path}");
            assert_eq!(body["request_id"], "r-1");
            assert!(!body.to_string().contains("secret"), "{body}");
            let (again, _) = get(&router, "/works").await;
            assert_eq!(again, StatusCode::OK, "its place is free again after {path}");
        }
    }
}
