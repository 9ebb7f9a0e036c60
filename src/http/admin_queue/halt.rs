//! The kill switch: of one event, by its steerers; of all events, by operators and admins.
//!
//! That of one event is part of its configuration; that of all is an operators' wish, which each node looks at twice a second.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Refused,
    body::QueueReport,
    notice::{self, wrong_texts},
    set,
};
use crate::{
    domain::{account::Role, id::EventId, time::EventTime},
    http::{
        acting::{self, Acting},
        app::App,
        extract::{Json, Path},
        now,
        problem::Problem,
        refusals::NotAllowed,
        shapes::{Timestamp, Wrong},
    },
    stores::halts::Halted,
};

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HaltBody {
    /// `false` lifts it.
    pub halted: bool,
    /// What all who wait are told by the same act, as of a notice. Left out: what they are told stays.
    #[serde(default)]
    pub texts: Option<BTreeMap<String, String>>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HaltAllBody {
    /// `false` lifts it.
    pub halted: bool,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Whether all events are halted.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HaltReport {
    pub halted: bool,
    pub since: Option<Timestamp>,
    pub reason: Option<String>,
}

impl HaltReport {
    fn of(halted: Option<Halted>) -> Self {
        let (since, reason) = halted.map(|halted| (EventTime(halted.at_ms).into(), halted.reason)).unzip();
        Self { halted: since.is_some(), since, reason }
    }
}

/// Nobody gets a place, an admission or a hold of this event until it is lifted. Places, holds and orders are kept, and can
/// still be paid and given back.
#[utoipa::path(put, path = "/events/{event}/halt", tag = "admin", params(("event" = String, Path)),
    request_body = HaltBody, security(("bearer" = [])), responses((status = 200, body = QueueReport), NotAllowed, Refused))]
pub async fn halt_event(
    app: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<HaltBody>,
) -> Result<Json<QueueReport>, Problem> {
    let mut wrong = Wrong::default();
    wrong_texts(&mut wrong, body.texts.iter().flatten());
    wrong.add_reason(&body.reason);
    wrong.or(())?;
    let (action, at) = (if body.halted { "queue.halt" } else { "queue.lift" }, now());
    set(app, acting, event, action, &body.reason, |event| {
        event.halted = body.halted;
        if let Some(texts) = &body.texts {
            event.notice = notice::of(event.version + 1, at, texts);
        }
    })
    .await
}

#[utoipa::path(get, path = "/halt", tag = "admin", security(("bearer" = [])), responses(
    (status = 200, body = HaltReport),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 403, description = "forbidden"),
    (status = 503, description = "store_unavailable"),
))]
pub async fn read(State(app): State<Arc<App>>, acting: Acting) -> Result<Json<HaltReport>, Problem> {
    acting.as_one_of(&[Role::Operator])?;
    Ok(Json(HaltReport::of(app.halt.read().await?)))
}

/// The same for all events of the installation, those that are made later too, on all nodes within a second and over restarts.
/// Lifting it leaves events halted that are halted by themselves.
#[utoipa::path(put, path = "/halt", tag = "admin", request_body = HaltAllBody, security(("bearer" = [])), responses(
    (status = 200, body = HaltReport),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 403, description = "forbidden"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "store_unavailable, outcome_unknown or read_only"),
))]
pub async fn halt_all(
    State(app): State<Arc<App>>,
    acting: Acting,
    Json(body): Json<HaltAllBody>,
) -> Result<Json<HaltReport>, Problem> {
    let role = acting.as_one_of(&[Role::Operator])?;
    Wrong::reason(&body.reason)?;
    let action = if body.halted { "halt" } else { "lift" };
    acting::record(&app, &acting.act(role, action, "all", &body.reason)).await?;
    let halted = body.halted.then(|| Halted { at_ms: now().0, reason: body.reason });
    Ok(Json(HaltReport::of(app.halt.set(halted).await?)))
}
