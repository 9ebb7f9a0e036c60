//! A POST that checks everything that a hold checks, and does nothing: what HTTP itself costs. Only benchmarks serve it.

use std::sync::Arc;

use axum::{Router, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::{
    app::App,
    extract::{IdempotencyKey, Json, Path, SignedIn},
    holds::{self, body::HoldBody},
    problem::Problem,
    proof::Asked,
    routes::API,
};
use crate::domain::{id::EventId, queue::Place};

#[derive(Serialize)]
struct Nothing {
    event: EventId,
    place: Place,
}

pub fn routes() -> Router<Arc<App>> {
    Router::new().route(&format!("{API}/events/{{event}}/noop"), post(noop))
}

async fn noop(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
    _key: IdempotencyKey,
    asked: Asked,
    headers: HeaderMap,
    Json(_body): Json<HoldBody>,
) -> Result<(StatusCode, Json<Nothing>), Problem> {
    let place = holds::admission(&app, &asked, &headers, signed_in.account, event).await?;
    Ok((StatusCode::CREATED, Json(Nothing { event, place })))
}
