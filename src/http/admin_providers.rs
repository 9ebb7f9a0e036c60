//! How it goes with the payment providers, for operators and admins. As the node that is asked has seen it.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{acting::Acting, app::App, extract::Json, now, problem::Problem, shapes::Timestamp};
use crate::{
    domain::{account::Role, breaker, time::Millis},
    stores::provider::{NAMES, guard::Health},
};

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProvidersReport {
    pub providers: Vec<ProviderReport>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProviderReport {
    #[schema(example = "stripe")]
    pub name: &'static str,
    /// Whether fans can pay with it here. If not, what follows is `null`.
    pub configured: bool,
    /// `closed`: it is asked; `open`: it is not, until `retry_after_ms` have passed; `half_open`: the next call decides.
    #[schema(value_type = Option<String>, example = "closed")]
    pub breaker: Option<breaker::State>,
    pub retry_after_ms: Option<u64>,
    /// Calls that ended lately, and how many of them failed.
    pub calls: Option<u32>,
    pub failures: Option<u32>,
    pub last_failure: Option<LastFailure>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastFailure {
    pub at: Timestamp,
    pub error: String,
}

/// The payment providers and their circuit breakers, as this node sees them.
#[utoipa::path(get, path = "/providers", tag = "payments", security(("bearer" = [])), responses(
    (status = 200, body = ProvidersReport),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 403, description = "forbidden"),
))]
pub async fn read(State(app): State<Arc<App>>, acting: Acting) -> Result<Json<ProvidersReport>, Problem> {
    acting.as_one_of(&[Role::Operator])?;
    let providers = NAMES.into_iter().map(|name| ProviderReport::of(name, app.providers.health(name)));
    Ok(Json(ProvidersReport { providers: providers.collect() }))
}

impl ProviderReport {
    fn of(name: &'static str, health: Option<Health>) -> Self {
        let health = health.as_ref();
        Self {
            name,
            configured: health.is_some(),
            breaker: health.map(|health| health.state),
            retry_after_ms: health.map(|health| health.retry_after.0),
            calls: health.map(|health| health.calls),
            failures: health.map(|health| health.failures),
            last_failure: health.and_then(|health| health.last_failure.as_ref()).map(|(error, ago)| LastFailure {
                at: (now() - Millis(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX))).into(),
                error: error.clone(),
            }),
        }
    }
}
