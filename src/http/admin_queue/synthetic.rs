//! Fans who are nobody, to see a queue move: only on an installation for trials.

use std::sync::Arc;

use axum::extract::State;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Refused, STEERERS, body::checked, record};
use crate::{
    domain::{
        id::{EventId, FanId},
        queue::Outcome,
    },
    http::{
        acting::Acting,
        app::App,
        events::steered,
        extract::{Json, Path},
        problem::{Code, Problem},
        refusals::NotAllowed,
    },
};

/// In one call.
const MOST: u32 = 10_000;
/// Joins under way at once.
const AT_ONCE: usize = 256;

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticBody {
    #[schema(minimum = 1, maximum = 10_000)]
    pub count: u32,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Added {
    /// Fans who have got a place.
    pub added: u32,
}

/// Makes so many fans up, who join, and whose places end with the grace time, as of everybody who is gone. Needs
/// `http.insecure_demo`.
#[utoipa::path(post, path = "/events/{event}/queue/synthetic", tag = "admin", params(("event" = String, Path)),
    request_body = SyntheticBody, security(("bearer" = [])), responses((status = 200, body = Added), NotAllowed,
    (status = 409, description = "not_for_trials"), Refused))]
pub async fn add(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<SyntheticBody>,
) -> Result<Json<Added>, Problem> {
    checked("count", body.count, MOST, &body.reason)?;
    steered(&app, &acting, id, &STEERERS).await?;
    if !app.config.insecure_demo {
        return Err(Code::NotForTrials.into());
    }
    let reason = format!("{}: {}", body.count, body.reason);
    let room = record(&app, &acting, id, "queue.synthetic", &reason).await?.waiting_room;
    let joins = stream::iter(0..body.count).map(|_| {
        let (room, fan) = (room.clone(), FanId::random(rand::random()));
        async move { room.join(fan).await }
    });
    let added = joins.buffer_unordered(AT_ONCE).fold(0, |added, joined| async move {
        added + u32::from(matches!(joined, Ok(Outcome::Waiting { .. } | Outcome::Admitted(_))))
    });
    Ok(Json(Added { added: added.await }))
}
