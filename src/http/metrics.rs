//! What the edge counts, and how all counters of the process are shown.
//!
//! Owns the recorder. Each layer names and describes its own metrics by the `metrics` macros.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{extract::State, response::IntoResponse};
use http::{Method, StatusCode, header};
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::app::App;

const REQUESTS: &str = "onsale_http_requests_total";
const DURATION: &str = "onsale_http_request_duration_seconds";
pub const CONNECTIONS: &str = "onsale_http_connections";
pub const TOKENS_MISUSED: &str = "onsale_tokens_misused_total";
pub const WEBHOOKS_REFUSED: &str = "onsale_webhooks_refused_total";
pub const WEBHOOKS_IGNORED: &str = "onsale_webhooks_ignored_total";
/// Seconds: from half a millisecond to the longest that a request may take.
const SECONDS: [f64; 14] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
const SIZES: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];

/// The process's one recorder, made at the first call; the boot calls it before anything is counted.
pub fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".into()), &SIZES))
            .expect("neither list of buckets is empty")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder takes the metrics: /metrics stays empty");
        }
        describe_counter!(REQUESTS, "Requests answered, by method, route and status.");
        describe_histogram!(DURATION, Unit::Seconds, "Time from a request's head to its answer's head.");
        describe_counter!(TOKENS_MISUSED, "Good tokens sent by another account or for another event, by kind.");
        describe_counter!(WEBHOOKS_REFUSED, "Messages of payment providers refused, by reason.");
        describe_counter!(WEBHOOKS_IGNORED, "Messages of payment providers about nothing of ours, by reason.");
        crate::actors::measures::describe();
        crate::stores::provider::measures::describe();
        describe_gauge!(CONNECTIONS, "Open connections, sockets included, by listener.");
        handle
    })
}

/// `/metrics`, on the admin listener.
pub async fn render(State(_): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder().render())
}

/// Keeps the recorder's memory small; runs for as long as the server.
pub async fn upkeep() {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        recorder().run_upkeep();
    }
}

const METHODS: [Method; 6] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];
/// Of [`METHODS`], one by one.
const NAMES: [&str; METHODS.len()] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
const STATUSES: [u16; 23] =
    [101, 200, 201, 202, 204, 302, 303, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 500, 502, 503];

/// Counters of each route, found without building a name: they are looked up for every request.
pub struct Routes {
    routes: HashMap<String, Route>,
    unmatched: Route,
}

struct Route {
    path: String,
    methods: [PerMethod; METHODS.len() + 1],
}

#[derive(Default)]
struct PerMethod {
    duration: OnceLock<Histogram>,
    counts: [OnceLock<Counter>; STATUSES.len() + 1],
}

impl Routes {
    /// `paths` as the router writes them.
    pub fn new(paths: impl IntoIterator<Item = String>) -> Self {
        let routes = paths.into_iter().map(|path| (path.clone(), Route::new(path))).collect();
        Self { routes, unmatched: Route::new("unmatched".to_owned()) }
    }

    pub fn count(&self, path: Option<&str>, method: &Method, status: StatusCode, took: Duration) {
        let route = path.and_then(|path| self.routes.get(path)).unwrap_or(&self.unmatched);
        route.count(method, status, took);
    }
}

impl Route {
    fn new(path: String) -> Self {
        Self { path, methods: std::array::from_fn(|_| PerMethod::default()) }
    }

    fn count(&self, method: &Method, status: StatusCode, took: Duration) {
        let at = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
        let method: &'static str = NAMES.get(at).copied().unwrap_or("other");
        let Some(slots) = self.methods.get(at) else { return };
        let at = STATUSES.binary_search(&status.as_u16()).unwrap_or(STATUSES.len());
        let Some(count) = slots.counts.get(at) else { return };
        count
            .get_or_init(|| {
                let status = STATUSES.get(at).map_or("other".to_owned(), u16::to_string);
                counter!(REQUESTS, "method" => method, "route" => self.path.clone(), "status" => status)
            })
            .increment(1);
        slots
            .duration
            .get_or_init(|| histogram!(DURATION, "method" => method, "route" => self.path.clone()))
            .record(took.as_secs_f64());
    }
}
