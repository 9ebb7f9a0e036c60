//! The control of a queue as the first version of this service had it, for scripts that know no other. Each is one of
//! `admin_queue`'s acts under another name, so who may and what is recorded is the same.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    acting::Acting,
    admin_queue::{
        self, Refused,
        body::{MOST, MembersQuery, QueueReport, Reason, RemoveBody},
        synthetic::{self, SyntheticBody},
    },
    app::App,
    extract::{Json, Path, Query},
    problem::Problem,
    refusals::NotAllowed,
};
use crate::domain::id::{EventId, FanId};

/// For the audit: these calls bring none.
const REASON: &str = "by a call of the first version";

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    #[param(value_type = String)]
    event_id: EventId,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HowMany {
    #[schema(value_type = String)]
    event_id: EventId,
    #[schema(minimum = 1)]
    count: u32,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FirstState {
    #[schema(value_type = String)]
    event_id: EventId,
    total_in_queue: usize,
    /// The first thousand.
    #[schema(value_type = Vec<String>)]
    user_ids: Vec<FanId>,
}

/// Who waits.
#[utoipa::path(get, path = "/api/state", tag = "first version", params(Which), security(("bearer" = [])), responses(
    (status = 200, body = FirstState), (status = 400, description = "invalid_query"), NotAllowed,
    (status = 503, description = "overloaded or event_unavailable")))]
pub async fn state(
    app: State<Arc<App>>,
    acting: Acting,
    Query(Which { event_id }): Query<Which>,
) -> Result<Json<FirstState>, Problem> {
    let most = Query(MembersQuery { after: None, limit: u32::try_from(MOST).ok() });
    let Json(QueueReport { waiting, members, .. }) = admin_queue::read(app, acting, Path(event_id), most).await?;
    let user_ids = members.into_iter().map(|member| member.fan).collect();
    Ok(Json(FirstState { event_id, total_in_queue: waiting, user_ids }))
}

/// Makes fans up: on an installation for trials.
#[utoipa::path(post, path = "/api/add", tag = "first version", request_body = HowMany, security(("bearer" = [])),
    responses((status = 200, body = FirstState), NotAllowed, (status = 409, description = "not_for_trials"), Refused))]
pub async fn add(
    app: State<Arc<App>>,
    acting: Acting,
    Json(HowMany { event_id, count }): Json<HowMany>,
) -> Result<Json<FirstState>, Problem> {
    let body = SyntheticBody { count, reason: REASON.to_owned() };
    synthetic::add(app.clone(), acting.clone(), Path(event_id), Json(body)).await?;
    state(app, acting, Query(Which { event_id })).await
}

/// The first so many lose their places.
#[utoipa::path(post, path = "/api/remove", tag = "first version", request_body = HowMany, security(("bearer" = [])),
    responses((status = 200, body = FirstState), NotAllowed, Refused))]
pub async fn remove(
    app: State<Arc<App>>,
    acting: Acting,
    Json(HowMany { event_id, count }): Json<HowMany>,
) -> Result<Json<FirstState>, Problem> {
    let body = RemoveBody { fans: None, count: Some(count), reason: REASON.to_owned() };
    admin_queue::remove(app.clone(), acting.clone(), Path(event_id), Json(body)).await?;
    state(app, acting, Query(Which { event_id })).await
}

/// Everybody loses their place.
#[utoipa::path(post, path = "/api/clear", tag = "first version", params(Which), security(("bearer" = [])),
    responses((status = 200, body = FirstState), (status = 400, description = "invalid_query"), NotAllowed, Refused))]
pub async fn clear(app: State<Arc<App>>, acting: Acting, query: Query<Which>) -> Result<Json<FirstState>, Problem> {
    let reason = Json(Reason { reason: REASON.to_owned() });
    admin_queue::clear(app.clone(), acting.clone(), Path(query.0.event_id), reason).await?;
    state(app, acting, query).await
}
