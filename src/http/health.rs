//! Whether the process lives, and whether it can serve.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{extract::State, response::IntoResponse};
use http::StatusCode;
use serde::Serialize;
use tokio::{sync::Mutex, time::Instant};
use utoipa::ToSchema;

use super::{app::App, extract::Json};
use crate::{
    domain::id::EventId,
    stores::{error::StoreError, membership::State as NodeState},
};

/// A dependency that has not answered by then is down.
const DEADLINE: Duration = Duration::from_secs(2);
/// Anybody may ask, and the stores have other work: an answer is good for so long.
const FRESH: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Report {
    /// `ready`, `not_ready`, or `draining`: an operator wants this node to run nothing, and others are to be asked.
    pub status: &'static str,
    pub dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Dependency {
    pub name: &'static str,
    /// `up` or `down`.
    pub status: &'static str,
    pub latency_ms: f64,
}

/// The last report, and the one place where the next is made.
#[derive(Default)]
pub struct Readiness(Mutex<Option<(Instant, Report)>>);

/// Always answers while the process runs.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, description = "The process runs.")))]
pub async fn live() -> StatusCode {
    StatusCode::OK
}

/// Whether every store answers, and fans are welcome here.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses(
    (status = 200, description = "Ready.", body = Report),
    (status = 503, description = "A dependency is down, or the node is drained or going down; it answers all the same.", body = Report),
))]
pub async fn ready(State(app): State<Arc<App>>) -> impl IntoResponse {
    let mut last = app.readiness.0.lock().await;
    let mut report = match &*last {
        Some((at, report)) if at.elapsed() < FRESH => report.clone(),
        _ => {
            let report = look(&app).await;
            *last = Some((Instant::now(), report.clone()));
            report
        }
    };
    if report.status == "ready" && *app.operations.state().borrow() == NodeState::Draining {
        report.status = "draining";
    }
    let status = if report.status == "ready" && !app.closing.is_cancelled() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}

async fn look(app: &App) -> Report {
    let nobody = EventId::from_u128(0);
    let (database, queue, bus, ownership) = tokio::join!(
        check("database", app.database.ping()),
        check("queue", app.queue.ping()),
        check("order_bus", app.bus.ping()),
        // A read of a key that nobody has goes all the way to where the journal is, too.
        check("journal", app.ownership.owner(nobody)),
    );
    let dependencies = vec![database, queue, bus, ownership];
    let all_up = dependencies.iter().all(|dependency| dependency.status == "up");
    Report { status: if all_up { "ready" } else { "not_ready" }, dependencies }
}

async fn check<T>(name: &'static str, ping: impl Future<Output = Result<T, StoreError>>) -> Dependency {
    let began = Instant::now();
    let status = match tokio::time::timeout(DEADLINE, ping).await {
        Ok(Ok(_)) => "up",
        Ok(Err(error)) => {
            tracing::warn!(name, error = &error as &dyn std::error::Error, "dependency is down");
            "down"
        }
        Err(_) => {
            tracing::warn!(name, "dependency does not answer");
            "down"
        }
    };
    Dependency { name, status, latency_ms: (began.elapsed().as_secs_f64() * 1e6).round() / 1e3 }
}
