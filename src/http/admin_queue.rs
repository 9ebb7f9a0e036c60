//! Steering a queue: by operators, admins and the event's organizer.
//!
//! Owns who may, and the audit row of each act, which is written first: an act that cannot be recorded is not done. Rate,
//! slots and pause are configuration, so they go through the inventory; the rest is the waiting room's.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    acting::Acting,
    app::App,
    events::{reconfigure, steered},
    extract::{Json, Path, Query},
    problem::{Code, Problem},
    shapes::{FieldError, Wrong},
};
use crate::{
    actors::directory::EventHandles,
    domain::{
        account::Role,
        id::{EventId, FanId},
        inventory::configuration::QueueSettings,
        queue::Place,
    },
    stores::database::events::Event,
};

/// Who may steer a queue beside its organizer.
pub const STEERERS: [Role; 1] = [Role::Operator];
/// Fans named in one request, and members told in one page.
const MOST: usize = 1_000;
const DEFAULT_MEMBERS: u32 = 100;

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MembersQuery {
    /// Members after this place.
    after: Option<u64>,
    /// 1000 at most.
    limit: Option<u32>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QueueReport {
    pub waiting: usize,
    /// Fans with an open socket, waiting or not.
    pub present: usize,
    /// Live admissions, called or claimed.
    pub admissions: usize,
    /// Live admissions, and ended ones with an unpaid hold.
    pub slots_taken: u32,
    pub slots: u32,
    pub rate_per_minute: u32,
    pub paused: bool,
    /// Admitted a minute, measured over the last one.
    pub outflow_per_minute: Option<u32>,
    pub members: Vec<Member>,
    /// `after` for the next page.
    pub next_after: Option<u64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Member {
    #[schema(value_type = u64)]
    pub place: Place,
    #[schema(value_type = String)]
    pub fan: FanId,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// For the audit.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmitBody {
    #[schema(minimum = 1, maximum = 100_000)]
    pub count: u32,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Either these fans, or so many from the front.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveBody {
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 1_000)]
    pub fans: Option<Vec<FanId>>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub count: Option<u32>,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Removed {
    pub removed: u32,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateBody {
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub per_minute: u32,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotsBody {
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub slots: u32,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// A reason that says something.
pub fn check_reason(wrong: &mut Wrong, reason: &str) {
    wrong.text("reason", reason, 1..=500, false);
}

fn checked(reason: &str, field: &str, value: u32, most: u32) -> Result<(), Vec<FieldError>> {
    let mut wrong = Wrong::default();
    wrong.number(field, value, 1..=most);
    check_reason(&mut wrong, reason);
    wrong.or(())
}

/// Allowed and recorded: the event's actors.
async fn begin(app: &App, acting: &Acting, id: EventId, action: &str, reason: &str) -> Result<EventHandles, Problem> {
    let (_, role) = steered(app, acting, id, &STEERERS).await?;
    let handles = app.directory.event(id).await?;
    acting.record(app, &acting.act(role, action, id, reason)).await?;
    Ok(handles)
}

#[utoipa::path(get, path = "/events/{event}/queue", tag = "admin", params(("event" = String, Path), MembersQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = QueueReport),
    (status = 400, description = "invalid_query"),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden"),
    (status = 404, description = "not_found"),
    (status = 503, description = "overloaded or event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Query(query): Query<MembersQuery>,
) -> Result<Json<QueueReport>, Problem> {
    steered(&app, &acting, id, &STEERERS).await?;
    let limit = query.limit.unwrap_or(DEFAULT_MEMBERS) as usize;
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::new(Code::InvalidQuery).detail(format!("limit must be between 1 and {MOST}")));
    }
    let handles = app.directory.event(id).await?;
    report(&handles, query.after.map(Place), limit).await.map(Json)
}

async fn report(handles: &EventHandles, after: Option<Place>, limit: usize) -> Result<QueueReport, Problem> {
    let members = handles.waiting_room.members(after, limit).await?;
    let queue = handles.waiting_room.queue().borrow().clone();
    let (view, configuration) = (handles.inventory.view(), handles.inventory.configuration());
    Ok(QueueReport {
        waiting: queue.ranks.total(),
        present: queue.present,
        admissions: queue.admissions,
        slots_taken: view.slots_taken,
        slots: view.slots,
        rate_per_minute: configuration.queue.rate_per_minute,
        paused: configuration.queue.paused,
        outflow_per_minute: queue.outflow_per_minute,
        next_after: members.last().filter(|_| members.len() == limit).map(|(place, _)| place.0),
        members: members.into_iter().map(|(place, fan)| Member { place, fan }).collect(),
    })
}

/// Admits the first so many now, whatever the rate, within free slots.
#[utoipa::path(post, path = "/events/{event}/queue/admit", tag = "admin", params(("event" = String, Path)),
    request_body = AdmitBody, security(("bearer" = [])), responses(
    (status = 200, body = QueueReport),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden"),
    (status = 404, description = "not_found"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "overloaded or event_unavailable"),
))]
pub async fn admit(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<AdmitBody>,
) -> Result<Json<QueueReport>, Problem> {
    checked(&body.reason, "count", body.count, 100_000)?;
    let handles = begin(&app, &acting, id, "queue.admit", &format!("{}: {}", body.count, body.reason)).await?;
    handles.waiting_room.admit_now(body.count).await?;
    report(&handles, None, DEFAULT_MEMBERS as usize).await.map(Json)
}

#[utoipa::path(post, path = "/events/{event}/queue/remove", tag = "admin", params(("event" = String, Path)),
    request_body = RemoveBody, security(("bearer" = [])), responses(
    (status = 200, body = Removed),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden"),
    (status = 404, description = "not_found"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn remove(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<RemoveBody>,
) -> Result<Json<Removed>, Problem> {
    let mut wrong = Wrong::default();
    check_reason(&mut wrong, &body.reason);
    match (&body.fans, body.count) {
        (Some(fans), None) => wrong.number("fans", fans.len(), 1..=MOST),
        (None, Some(count)) => wrong.number("count", count, 1..=10_000_000),
        _ => wrong.add("fans", "either fans or count is expected"),
    }
    wrong.or(())?;
    let handles = begin(&app, &acting, id, "queue.remove", &body.reason).await?;
    let removed = match (body.fans, body.count) {
        (Some(fans), _) => handles.waiting_room.remove(fans).await?,
        (None, count) => handles.waiting_room.remove_first(count.unwrap_or_default()).await?,
    };
    Ok(Json(Removed { removed }))
}

/// Everybody loses their place.
#[utoipa::path(post, path = "/events/{event}/queue/clear", tag = "admin", params(("event" = String, Path)),
    request_body = Reason, security(("bearer" = [])), responses(
    (status = 200, body = Removed),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden"),
    (status = 404, description = "not_found"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn clear(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<Reason>,
) -> Result<Json<Removed>, Problem> {
    let mut wrong = Wrong::default();
    check_reason(&mut wrong, &body.reason);
    wrong.or(())?;
    let handles = begin(&app, &acting, id, "queue.clear", &body.reason).await?;
    Ok(Json(Removed { removed: handles.waiting_room.clear().await? }))
}

/// Admission stands still; places are kept, and admitted fans buy on.
#[utoipa::path(post, path = "/events/{event}/queue/pause", tag = "admin", params(("event" = String, Path)),
    request_body = Reason, security(("bearer" = [])), responses(
    (status = 200, body = QueueReport),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden"),
    (status = 404, description = "not_found"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn pause(
    state: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<Reason>,
) -> Result<Json<QueueReport>, Problem> {
    set(state, acting, event, "queue.pause", &body.reason, |queue| queue.paused = true).await
}

#[utoipa::path(post, path = "/events/{event}/queue/resume", tag = "admin", params(("event" = String, Path)),
    request_body = Reason, security(("bearer" = [])), responses(
    (status = 200, body = QueueReport),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden"),
    (status = 404, description = "not_found"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn resume(
    state: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<Reason>,
) -> Result<Json<QueueReport>, Problem> {
    set(state, acting, event, "queue.resume", &body.reason, |queue| queue.paused = false).await
}

#[utoipa::path(put, path = "/events/{event}/queue/rate", tag = "admin", params(("event" = String, Path)),
    request_body = RateBody, security(("bearer" = [])), responses(
    (status = 200, body = QueueReport),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden"),
    (status = 404, description = "not_found"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn rate(
    state: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<RateBody>,
) -> Result<Json<QueueReport>, Problem> {
    let rate = body.per_minute;
    checked(&body.reason, "per_minute", rate, 1_000_000)?;
    let reason = format!("{rate}: {}", body.reason);
    set(state, acting, event, "queue.rate", &reason, |queue| queue.rate_per_minute = rate).await
}

#[utoipa::path(put, path = "/events/{event}/queue/slots", tag = "admin", params(("event" = String, Path)),
    request_body = SlotsBody, security(("bearer" = [])), responses(
    (status = 200, body = QueueReport),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden"),
    (status = 404, description = "not_found"),
    (status = 422, description = "invalid_body"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn slots(
    state: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<SlotsBody>,
) -> Result<Json<QueueReport>, Problem> {
    let slots = body.slots;
    checked(&body.reason, "slots", slots, 1_000_000)?;
    let reason = format!("{slots}: {}", body.reason);
    set(state, acting, event, "queue.slots", &reason, |queue| queue.slots = slots).await
}

async fn set(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    action: &str,
    reason: &str,
    change: impl Fn(&mut QueueSettings),
) -> Result<Json<QueueReport>, Problem> {
    let mut wrong = Wrong::default();
    // What this adds in front of a reason is short.
    wrong.text("reason", reason, 1..=520, false);
    wrong.or(())?;
    let (event, role): (Event, Role) = steered(&app, &acting, id, &STEERERS).await?;
    let act = acting.act(role, action, id, reason);
    reconfigure(&app, event, act, |configuration| {
        change(&mut configuration.queue);
        Ok(())
    })
    .await?;
    let handles = app.directory.event(id).await?;
    report(&handles, None, DEFAULT_MEMBERS as usize).await.map(Json)
}
