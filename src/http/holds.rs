//! Holds: taken, read, extended and released by their fan.
//!
//! Taking one asks nobody but the event's inventory: no database is on this way.

pub mod body;

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use metrics::counter;
use uuid::Uuid;

use self::body::{Hold, HoldBody};
use super::{
    admin_codes,
    app::App,
    extract::{IdempotencyKey, Json, Path, SignedIn},
    idempotency::identity,
    metrics::TOKENS_MISUSED,
    problem::{Code, Problem},
    proof::Asked,
    refusals::{NotMoved, NotYours},
    tokens::Refused,
};
use crate::{
    actors::{directory::EventHandles, inventory::AskError},
    domain::{
        id::{EventId, FanId, OrderId, OrderRef},
        inventory::request::{Answer, Command, Hold as HoldCommand, HoldState, HoldView, Identity, Refusal, Request},
        queue::Place,
    },
};

/// Carries the admission token.
pub const ADMISSION_HEADER: &str = "onsale-admission";

/// Takes seats or quantities from stock for this fan, all of them or none.
///
/// A repeat with the same key gets the same order; only `server_now` is the time of the answer.
#[utoipa::path(post, path = "/events/{event}/holds", tag = "sale", request_body = HoldBody, security(("bearer" = [])),
    params(("event" = String, Path), ("Idempotency-Key" = String, Header),
        ("Onsale-Admission" = String, Header, description = "admission token of this event"),
        ("DPoP" = Option<String>, Header, description = "where that is bound to a key: proof of it, RFC 9449")),
    responses(
    (status = 201, body = Hold),
    (status = 400, description = "malformed_json, idempotency_key_missing or idempotency_key_invalid"),
    (status = 401, description = "unauthenticated, invalid_token or token_expired; proof_needed or invalid_proof"),
    (status = 403, description = "not_admitted or admission_invalid; code_required"),
    (status = 404, description = "not_found"),
    (status = 409, description = "sold_out, seat_taken, no_such_seats, orphan_seat, fan_limit, event_changed or not_on_sale; code_used_up, code_fan_limit or code_not_valid_now"),
    (status = 422, description = "invalid_body, invalid_quantity, unknown_ticket_type, unknown_seat, unknown_rate, sold_by_seat, duplicate_seat, unknown_code, code_not_applicable or idempotency_key_reused"),
    (status = 429, description = "rate_limited: too many codes tried"),
    (status = 503, description = "overloaded, halted, orders_lagging, event_unavailable, outcome_unknown or store_unavailable"),
))]
pub async fn create(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
    key: IdempotencyKey,
    asked: Asked,
    headers: HeaderMap,
    Json(body): Json<HoldBody>,
) -> Result<Response, Problem> {
    let fan = signed_in.account;
    let admission = admission(&app, &asked, &headers, fan, event).await?;
    let identity = identity(fan, &format!("/events/{event}/holds"), &key, &body);
    let (channel, seen_version) = (body.channel.clone(), body.event_version);
    let code = body.code.as_ref().map(admin_codes::kept);
    if code.is_some() {
        app.limits.codes.check(fan)?;
    }
    let (want, rates) = body.want()?;
    let command = Command::Hold(HoldCommand {
        order: OrderId::from_uuid(Uuid::now_v7()),
        fan,
        admission,
        want,
        channel,
        seen_version,
        code,
        rates,
    });
    let handles = app.directory.event(event).await?;
    let view = held(handles.inventory.ask(Request { identity: Some(identity), command }).await?)?;
    let hold = told(&handles, event, view);
    let location = format!("/api/v1/holds/{}", hold.reference);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(hold)).into_response())
}

/// The place that the token admits, if it is this fan's and for this event, and its key is there. Whether it is live, the
/// inventory knows.
pub async fn admission(
    app: &App,
    asked: &Asked,
    headers: &HeaderMap,
    fan: FanId,
    event: EventId,
) -> Result<Place, Problem> {
    let mut values = headers.get_all(ADMISSION_HEADER).iter();
    let Some(value) = values.next() else {
        return Err(Problem::new(Code::NotAdmitted).detail("an admission token is needed in Onsale-Admission"));
    };
    let invalid = || Problem::new(Code::AdmissionInvalid);
    if values.next().is_some() {
        return Err(invalid());
    }
    let token = value.to_str().map_err(|_| invalid())?;
    let claims = match app.tokens.verify_admission(token).await {
        Err(unsure @ Refused::Unsure) => return Err(unsure.into()),
        verified => verified.map_err(|_| invalid())?,
    };
    if claims.sub != fan || claims.about.evt != event {
        counter!(TOKENS_MISUSED, "kind" => "admission").increment(1);
        return Err(invalid());
    }
    if let Some(bound) = &claims.about.cnf {
        app.proofs.check(bound, token, asked, headers)?;
    }
    Ok(claims.about.plc)
}

fn held(answer: Answer) -> Result<HoldView, Problem> {
    match answer {
        Answer::Held(view) => Ok(*view),
        other => {
            tracing::error!(?other, "not an answer to a hold");
            Err(Code::Internal.into())
        }
    }
}

fn told(handles: &EventHandles, event: EventId, view: HoldView) -> Hold {
    Hold::of(event, view, &handles.inventory.configuration(), handles.inventory.clock().now())
}

/// The event's actors and this fan's hold; another's is not there.
pub async fn own(app: &App, fan: FanId, reference: OrderRef) -> Result<(EventHandles, HoldView), Problem> {
    let handles = app.directory.event(reference.event).await?;
    match handles.inventory.order(reference.order).await? {
        Some(view) if view.fan == fan => Ok((handles, view)),
        _ => Err(Code::NotFound.into()),
    }
}

#[utoipa::path(get, path = "/holds/{reference}", tag = "sale", params(("reference" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = Hold),
    NotYours,
    (status = 503, description = "event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(reference): Path<OrderRef>,
) -> Result<Json<Hold>, Problem> {
    let (handles, view) = own(&app, signed_in.account, reference).await?;
    Ok(Json(told(&handles, reference.event, view)))
}

/// Prolongs a live hold, once.
#[utoipa::path(post, path = "/holds/{reference}/extend", tag = "sale", security(("bearer" = [])),
    params(("reference" = String, Path), ("Idempotency-Key" = String, Header)), responses(
    (status = 200, body = Hold),
    NotYours,
    (status = 409, description = "hold_ended or already_extended"),
    NotMoved,
))]
pub async fn extend(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(reference): Path<OrderRef>,
    key: IdempotencyKey,
) -> Result<Json<Hold>, Problem> {
    let fan = signed_in.account;
    let identity = identity(fan, &format!("/holds/{reference}/extend"), &key, &());
    let command = Command::Extend { fan, order: reference.order };
    let handles = app.directory.event(reference.event).await?;
    let view = held(handles.inventory.ask(Request { identity: Some(identity), command }).await?)?;
    Ok(Json(told(&handles, reference.event, view)))
}

/// Gives it back. One that has lapsed or was released before is no error.
#[utoipa::path(delete, path = "/holds/{reference}", tag = "sale", params(("reference" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 204, description = "released"),
    NotYours,
    (status = 409, description = "hold_ended: it is sold"),
    (status = 503, description = "overloaded, event_unavailable or outcome_unknown"),
))]
pub async fn release(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(reference): Path<OrderRef>,
) -> Result<StatusCode, Problem> {
    give_back(&app, signed_in.account, reference, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Releases this fan's hold, unless that has happened or it has lapsed.
pub async fn give_back(app: &App, fan: FanId, reference: OrderRef, identity: Option<Identity>) -> Result<(), Problem> {
    let command = Command::Release { fan, order: reference.order };
    let handles = app.directory.event(reference.event).await?;
    match handles.inventory.ask(Request { identity, command }).await {
        Ok(_) | Err(AskError::Refused(Refusal::HoldEnded { state: HoldState::Released | HoldState::Expired })) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
