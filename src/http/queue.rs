//! The waiting room: join, look, claim and leave. Cheap on purpose: no database beyond the session's cache.

pub mod classes;
pub mod notice;
pub mod state;
pub mod stream;
pub mod ticket;

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};

use self::state::{QueueState, Teller};
use super::{
    app::App,
    availability::public_event,
    extract::{ClientAddress, Fan, Json, Nothing, Path, SignedIn},
    gates::{self, Comer},
    problem::{Code, Problem},
    shapes::Timestamp,
};
use crate::{
    actors::{connection::Update, directory::EventHandles, waiting_room::Position},
    domain::{
        event::Status,
        id::EventId,
        queue::{Outcome, Standing},
    },
};

/// Takes a place, or tells the one that the fan has. By access token, or by device key: that takes no part in a draw.
#[utoipa::path(post, path = "/events/{event}/queue", tag = "queue", params(("event" = String, Path),
        ("onsale-challenge" = Option<String>, Header, description = "`CHALLENGE.NONCE`"),
        ("onsale-queue-ticket" = Option<String>, Header, description = "`queueTicket` of a state: the place that it names comes back if the shop has lost it"),
        ("onsale-captcha" = Option<String>, Header, description = "what the page's captcha gave, where one is asked"),
        ("onsale-invite" = Option<String>, Header, description = "to an event whose queue is for invited ones only")),
    security(("bearer" = [])), responses(
    (status = 200, body = QueueState),
    (status = 400, description = "invalid_queue_ticket or invalid_invite"),
    (status = 401, description = "unauthenticated"),
    (status = 422, description = "invalid_body: there is nothing to say"),
    (status = 403, description = "forbidden: the queue ticket is another's; challenge_required: solve `challenge` with `bits`, and come again; captcha_required; invite_needed; invite_used: by somebody else; account_needed: a device, and the sale begins with a draw, or the queue is exclusive or by invite"),
    (status = 404, description = "not_found"),
    (status = 409, description = "device_tied; waits_elsewhere, with `event`; not_on_sale: the event has ended or was cancelled; queue_not_open: too early, `opens_at` says when; queue_closed: nobody new gets a place"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "halted, captcha_unavailable, queue_full, overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn join(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    fan: Fan,
    Path(event): Path<EventId>,
    headers: HeaderMap,
    // No client chooses its class or its place.
    _: Nothing,
) -> Result<Response, Problem> {
    let left = app.limits.joining(address, fan.id)?;
    let handles = open_event(&app, event).await?;
    let place = ticket::shown(&app, event, fan.id, &headers).await?;
    let comer = Comer { fan: fan.id, address, headers: &headers, had_place: place.is_some() };
    gates::pass(&app, &handles, event, comer).await?;
    let outcome = match place {
        Some(place) => handles.waiting_room.restore(fan.id, place).await?,
        None => handles.waiting_room.join(fan.id).await?,
    };
    let standing = standing_after(outcome)?;
    Ok((left, Json(tell(&app, &handles, event, &fan, standing))).into_response())
}

/// An event that is sold or will be.
pub async fn open_event(app: &App, event: EventId) -> Result<EventHandles, Problem> {
    let handles = public_event(app, event).await?;
    match handles.inventory.view().status {
        Status::Ended | Status::Cancelled => Err(Code::NotOnSale.into()),
        _ => Ok(handles),
    }
}

pub fn standing_after(outcome: Outcome) -> Result<Standing, Problem> {
    match outcome {
        Outcome::Waiting { place } => Ok(Standing::Waiting(place)),
        Outcome::Admitted(admission) => Ok(Standing::Admitted(admission)),
        Outcome::Full => Err(Code::QueueFull.into()),
        Outcome::NoExtension => Err(Code::NoExtension.into()),
        Outcome::NotOpen { from } => {
            Err(Problem::new(Code::QueueNotOpen).with("opens_at", Timestamp(from).to_string()))
        }
        Outcome::Closed => Err(Code::QueueClosed.into()),
        Outcome::AccountNeeded => Err(Code::AccountNeeded.into()),
        Outcome::DeviceTied => Err(Code::DeviceTied.into()),
        Outcome::Halted => Err(Problem::halted()),
        Outcome::TryAgain => Err(Code::OutcomeUnknown.into()),
        Outcome::NotHere | Outcome::Left | Outcome::Removed { .. } => Err(Code::NotInQueue.into()),
    }
}

pub fn tell(app: &App, handles: &EventHandles, event: EventId, fan: &Fan, standing: Standing) -> QueueState {
    let queue = handles.waiting_room.queue().borrow().clone();
    let position = Position::of_standing(standing, &queue);
    let told = Update::of(standing, position, &queue, handles.inventory.clock().now());
    let teller = Teller::new(app.tokens.clone(), event, fan.id).bound_to(fan.key.clone());
    let teller = teller.with_more_time(app.database.needs_more_time(fan.id));
    teller.with_total(queue.ranks.total()).tell(told)
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
    fan: Fan,
    Path(event): Path<EventId>,
) -> Result<Json<QueueState>, Problem> {
    let handles = public_event(&app, event).await?;
    let standing = handles.waiting_room.poll(fan.id).await?;
    Ok(Json(tell(&app, &handles, event, &fan, standing)))
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
    let handles = public_event(&app, event).await?;
    let standing = standing_after(handles.waiting_room.claim(signed_in.account).await?)?;
    Ok(Json(tell(&app, &handles, event, &signed_in.into(), standing)))
}

/// The one extension of an admission; asked again, it is told again.
#[utoipa::path(post, path = "/events/{event}/queue/extend", tag = "queue", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = QueueState),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_in_queue: not admitted, or too late; no_extension: the event has none"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn extend(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<Json<QueueState>, Problem> {
    let handles = public_event(&app, event).await?;
    let standing = standing_after(handles.waiting_room.extend(signed_in.account).await?)?;
    Ok(Json(tell(&app, &handles, event, &signed_in.into(), standing)))
}

/// Gives up the place or the admission.
#[utoipa::path(delete, path = "/events/{event}/queue", tag = "queue", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 204, description = "not in the queue any more"),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn leave(State(app): State<Arc<App>>, fan: Fan, Path(event): Path<EventId>) -> Result<StatusCode, Problem> {
    let room = public_event(&app, event).await?.waiting_room;
    match room.leave(fan.id).await? {
        Outcome::TryAgain => Err(Code::OutcomeUnknown.into()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
