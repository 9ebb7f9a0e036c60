//! The waiting room: join, look, claim and leave. Cheap on purpose: no database beyond the session's cache.

pub mod state;

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;

use self::state::{QueueState, Teller};
use super::{
    app::App,
    availability::public_event,
    extract::{ClientAddress, Json, Path, SignedIn},
    now,
    problem::{Code, Problem},
};
use crate::{
    actors::waiting_room,
    domain::{
        event::Status,
        id::{EventId, FanId},
        queue::{Outcome, Standing},
    },
};

/// Takes a place, or tells the one that the fan has.
#[utoipa::path(post, path = "/events/{event}/queue", tag = "queue", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = QueueState),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_on_sale: the event has ended or was cancelled"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "queue_full, overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn join(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<Response, Problem> {
    let left = app.limits.join_address.check(address)?;
    app.limits.join_account.check(signed_in.account)?;
    let room = open_room(&app, event).await?;
    let standing = take_place(&room, signed_in.account).await?;
    Ok((left, Json(tell(&app, &room, event, signed_in.account, standing))).into_response())
}

/// The room of an event that is sold or will be.
pub async fn open_room(app: &App, event: EventId) -> Result<waiting_room::Handle, Problem> {
    let handles = public_event(app, event).await?;
    match handles.inventory.view().status {
        Status::Ended | Status::Cancelled => Err(Code::NotOnSale.into()),
        _ => Ok(handles.waiting_room),
    }
}

/// Joins; the fan's old place or admission counts.
pub async fn take_place(room: &waiting_room::Handle, fan: FanId) -> Result<Standing, Problem> {
    standing_after(room.join(fan).await?)
}

/// Takes up a called admission.
pub async fn take_turn(room: &waiting_room::Handle, fan: FanId) -> Result<Standing, Problem> {
    standing_after(room.claim(fan).await?)
}

fn standing_after(outcome: Outcome) -> Result<Standing, Problem> {
    match outcome {
        Outcome::Waiting { place } => Ok(Standing::Waiting(place)),
        Outcome::Admitted(admission) => Ok(Standing::Admitted(admission)),
        Outcome::Full => Err(Code::QueueFull.into()),
        Outcome::TryAgain => Err(Code::OutcomeUnknown.into()),
        Outcome::NotHere | Outcome::Left | Outcome::Removed { .. } => Err(Code::NotInQueue.into()),
    }
}

fn tell(app: &App, room: &waiting_room::Handle, event: EventId, fan: FanId, standing: Standing) -> QueueState {
    let queue = room.queue().borrow().clone();
    Teller::new(app.tokens.clone(), event, fan).tell(standing, &queue, now())
}

/// Tells where the fan stands, and counts as being here.
#[utoipa::path(get, path = "/events/{event}/queue", tag = "queue", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = QueueState),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found"),
    (status = 503, description = "overloaded or event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<Json<QueueState>, Problem> {
    let room = public_event(&app, event).await?.waiting_room;
    let standing = room.poll(signed_in.account).await?;
    Ok(Json(tell(&app, &room, event, signed_in.account, standing)))
}

/// Takes up the admission of a fan who was called.
#[utoipa::path(post, path = "/events/{event}/queue/claim", tag = "queue", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = QueueState),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_in_queue: not called, or too late"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn claim(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<Json<QueueState>, Problem> {
    let room = public_event(&app, event).await?.waiting_room;
    let standing = take_turn(&room, signed_in.account).await?;
    Ok(Json(tell(&app, &room, event, signed_in.account, standing)))
}

/// Gives up the place or the admission.
#[utoipa::path(delete, path = "/events/{event}/queue", tag = "queue", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 204, description = "not in the queue any more"),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn leave(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<StatusCode, Problem> {
    let room = public_event(&app, event).await?.waiting_room;
    match room.leave(signed_in.account).await? {
        Outcome::TryAgain => Err(Code::OutcomeUnknown.into()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
