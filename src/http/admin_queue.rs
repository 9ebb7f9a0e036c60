//! Steering a queue: by operators, admins and the event's organizer.
//!
//! Owns who may, and the audit row of what the waiting room does, which is written first: an act that cannot be recorded is
//! not done. Mode, rate, slots, pause and the kill switch are configuration, so they go through the inventory and are recorded with its copy.

pub mod body;
pub mod classes;
pub mod halt;
pub mod invites;
pub mod live;
pub mod notice;
pub mod synthetic;

use std::sync::Arc;

use axum::extract::State;
use utoipa::IntoResponses;

use self::body::{
    AdmitBody, MOST, Member, MembersQuery, ModeChange, QueueReport, RateBody, Reason, RemoveBody, Removed, RevokeBody,
    Revoked, SlotsBody,
};
use super::{
    acting::{self, Acting},
    app::App,
    events::{reconfigure, steered},
    extract::{Json, Path, Query},
    problem::{Code, Problem},
    queue::notice::NoticeBody,
    refusals::NotAllowed,
    shapes::Wrong,
};
use crate::{
    actors::directory::EventHandles,
    domain::{account::Role, id::EventId, inventory::configuration::Configuration, queue::Place},
};

/// Who may steer a queue beside its organizer.
pub const STEERERS: [Role; 1] = [Role::Operator];
const DEFAULT_MEMBERS: usize = 100;

/// By every act.
#[derive(IntoResponses)]
pub enum Refused {
    #[response(status = 422, description = "invalid_body")]
    Body,
    #[response(status = 503, description = "overloaded, event_unavailable or outcome_unknown")]
    NotNow,
}

#[utoipa::path(get, path = "/events/{event}/queue", tag = "admin", params(("event" = String, Path), MembersQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = QueueReport),
    (status = 400, description = "invalid_query"),
    NotAllowed,
    (status = 503, description = "overloaded or event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Query(query): Query<MembersQuery>,
) -> Result<Json<QueueReport>, Problem> {
    steered(&app, &acting, id, &STEERERS).await?;
    let limit = query.limit.map_or(DEFAULT_MEMBERS, |limit| limit as usize);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::new(Code::InvalidQuery).detail(format!("limit must be between 1 and {MOST}")));
    }
    let handles = app.directory.event(id).await?;
    report(&app, &handles, query.after.map(Place), limit).await.map(Json)
}

/// Admits the first so many now, whatever the rate, within free slots.
#[utoipa::path(post, path = "/events/{event}/queue/admit", tag = "admin", params(("event" = String, Path)),
    request_body = AdmitBody, security(("bearer" = [])), responses((status = 200, body = QueueReport), NotAllowed, Refused))]
pub async fn admit(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<AdmitBody>,
) -> Result<Json<QueueReport>, Problem> {
    body.check()?;
    let handles = record(&app, &acting, id, "queue.admit", &format!("{}: {}", body.count, body.reason)).await?;
    handles.waiting_room.admit_now(body.count).await?;
    report(&app, &handles, None, DEFAULT_MEMBERS).await.map(Json)
}

#[utoipa::path(post, path = "/events/{event}/queue/remove", tag = "admin", params(("event" = String, Path)),
    request_body = RemoveBody, security(("bearer" = [])), responses((status = 200, body = Removed), NotAllowed, Refused))]
pub async fn remove(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<RemoveBody>,
) -> Result<Json<Removed>, Problem> {
    body.check()?;
    let room = record(&app, &acting, id, "queue.remove", &body.reason).await?.waiting_room;
    let removed = match body.fans {
        Some(fans) => room.remove(fans).await?,
        None => room.remove_first(body.count.unwrap_or_default()).await?,
    };
    Ok(Json(Removed { removed }))
}

/// Ends the admissions of these fans: they take no more holds, and their slots are free as soon as no unpaid hold is left.
#[utoipa::path(post, path = "/events/{event}/queue/revoke", tag = "admin", params(("event" = String, Path)),
    request_body = RevokeBody, security(("bearer" = [])), responses((status = 200, body = Revoked), NotAllowed, Refused))]
pub async fn revoke(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<RevokeBody>,
) -> Result<Json<Revoked>, Problem> {
    body.check()?;
    let room = record(&app, &acting, id, "queue.revoke", &body.reason).await?.waiting_room;
    Ok(Json(Revoked { revoked: room.revoke(body.fans).await? }))
}

/// Everybody loses their place.
#[utoipa::path(post, path = "/events/{event}/queue/clear", tag = "admin", params(("event" = String, Path)),
    request_body = Reason, security(("bearer" = [])), responses((status = 200, body = Removed), NotAllowed, Refused))]
pub async fn clear(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<Reason>,
) -> Result<Json<Removed>, Problem> {
    Wrong::reason(&body.reason)?;
    let room = record(&app, &acting, id, "queue.clear", &body.reason).await?.waiting_room;
    Ok(Json(Removed { removed: room.clear().await? }))
}

/// Admission stands still; places are kept, and admitted fans buy on.
#[utoipa::path(post, path = "/events/{event}/queue/pause", tag = "admin", params(("event" = String, Path)),
    request_body = Reason, security(("bearer" = [])), responses((status = 200, body = QueueReport), NotAllowed, Refused))]
pub async fn pause(
    app: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<Reason>,
) -> Result<Json<QueueReport>, Problem> {
    Wrong::reason(&body.reason)?;
    set(app, acting, event, "queue.pause", &body.reason, |event| event.queue.paused = true).await
}

#[utoipa::path(post, path = "/events/{event}/queue/resume", tag = "admin", params(("event" = String, Path)),
    request_body = Reason, security(("bearer" = [])), responses((status = 200, body = QueueReport), NotAllowed, Refused))]
pub async fn resume(
    app: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<Reason>,
) -> Result<Json<QueueReport>, Problem> {
    Wrong::reason(&body.reason)?;
    set(app, acting, event, "queue.resume", &body.reason, |event| event.queue.paused = false).await
}

#[utoipa::path(put, path = "/events/{event}/queue/rate", tag = "admin", params(("event" = String, Path)),
    request_body = RateBody, security(("bearer" = [])), responses((status = 200, body = QueueReport), NotAllowed, Refused))]
pub async fn rate(
    app: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<RateBody>,
) -> Result<Json<QueueReport>, Problem> {
    body.check()?;
    let reason = format!("{}: {}", body.per_minute, body.reason);
    set(app, acting, event, "queue.rate", &reason, |event| event.queue.rate_per_minute = body.per_minute).await
}

#[utoipa::path(put, path = "/events/{event}/queue/slots", tag = "admin", params(("event" = String, Path)),
    request_body = SlotsBody, security(("bearer" = [])), responses((status = 200, body = QueueReport), NotAllowed, Refused))]
pub async fn slots(
    app: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<SlotsBody>,
) -> Result<Json<QueueReport>, Problem> {
    body.check()?;
    let reason = format!("{}: {}", body.slots, body.reason);
    set(app, acting, event, "queue.slots", &reason, |event| event.queue.slots = body.slots).await
}

/// How fans are let in from now on; nobody loses a place by it.
#[utoipa::path(put, path = "/events/{event}/queue/mode", tag = "admin", params(("event" = String, Path)),
    request_body = ModeChange, security(("bearer" = [])), responses((status = 200, body = QueueReport), NotAllowed, Refused))]
pub async fn mode(
    app: State<Arc<App>>,
    acting: Acting,
    event: Path<EventId>,
    Json(body): Json<ModeChange>,
) -> Result<Json<QueueReport>, Problem> {
    body.check()?;
    set(app, acting, event, "queue.mode", &body.told(), |event| body.apply(&mut event.queue)).await
}

/// Allowed and recorded: the event's actors.
pub async fn record(
    app: &App,
    acting: &Acting,
    id: EventId,
    action: &str,
    reason: &str,
) -> Result<EventHandles, Problem> {
    let (_, role) = steered(app, acting, id, &STEERERS).await?;
    let handles = app.directory.event(id).await?;
    acting::record(app, &acting.act(role, action, id, reason)).await?;
    Ok(handles)
}

async fn set(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    action: &str,
    reason: &str,
    change: impl Fn(&mut Configuration),
) -> Result<Json<QueueReport>, Problem> {
    let (event, role) = steered(&app, &acting, id, &STEERERS).await?;
    let act = acting.act(role, action, id, reason);
    reconfigure(&app, event, act, |configuration| {
        change(configuration);
        Ok(())
    })
    .await?;
    let handles = app.directory.event(id).await?;
    report(&app, &handles, None, DEFAULT_MEMBERS).await.map(Json)
}

pub async fn report(
    app: &App,
    handles: &EventHandles,
    after: Option<Place>,
    limit: usize,
) -> Result<QueueReport, Problem> {
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
        pace_percent: queue.pace_percent,
        mode: configuration.queue.mode.into(),
        engaged: queue.conditions.engaged,
        engage_above: configuration.queue.engage_above,
        release_below: configuration.queue.release_below,
        outflow_per_minute: queue.outflow.map(|outflow| outflow.per_minute),
        notice: configuration.notice.as_deref().map(NoticeBody::of),
        manual_moves: queue.manual_moves,
        halted: configuration.halted,
        all_halted: app.halt.is_on(),
        next_after: members.last().filter(|_| members.len() == limit).map(|(place, _)| place.0),
        members: members
            .into_iter()
            .map(|(place, fan)| Member { place, fan, class: configuration.classes.code(place.class()).to_owned() })
            .collect(),
    })
}
