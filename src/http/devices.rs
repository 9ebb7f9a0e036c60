//! Keys of devices: a place in a queue before signing in, and whose it becomes.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    app::App,
    availability::public_event,
    extract::{ClientAddress, Json, Path, SignedIn},
    problem::{Code, Problem},
    queue::{standing_after, state::QueueState, tell},
    shapes::Timestamp,
    tokens::{lives::DEVICE_S, unix_now},
};
use crate::domain::{
    claims::{DeviceClaim, Kind},
    id::{EventId, FanId},
    queue::{Outcome, Standing},
    time::EventTime,
};

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    #[schema(value_type = String)]
    device: FanId,
    /// To be sent as bearer token to the paths of queues; kept by the device alone.
    device_key: String,
    expires_at: Timestamp,
}

/// Makes a key for a device whose person has not signed in: it takes a place in a queue, and is tied to an account before
/// that can be called.
#[utoipa::path(post, path = "/devices", tag = "queue", responses(
    (status = 201, body = Device),
    (status = 429, description = "rate_limited"),
))]
pub async fn create(State(app): State<Arc<App>>, ClientAddress(address): ClientAddress) -> Result<Response, Problem> {
    let left = app.limits.join_address.check(address)?;
    let (device, now) = (FanId::device(rand::random()), unix_now());
    let expires_at = now + DEVICE_S;
    let device_key = app.tokens.sign_until(Kind::Device, device, now, expires_at, DeviceClaim {});
    let expires_at = Timestamp(EventTime(expires_at * 1000));
    Ok((StatusCode::CREATED, left, Json(Device { device, device_key, expires_at })).into_response())
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tied {
    device_key: String,
}

/// Ties a device to the account: its place is the account's from now on, and of two the earlier stays. Again: the same.
#[utoipa::path(post, path = "/events/{event}/queue/tie", tag = "queue", params(("event" = String, Path)),
    request_body = Tied, security(("bearer" = [])), responses(
    (status = 200, description = "where the account stands now", body = QueueState),
    (status = 400, description = "invalid_device_key: not one of ours, or too old"),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found"),
    (status = 409, description = "device_tied: to another account"),
    (status = 503, description = "outcome_unknown: one of the two is just joining, or the draw is being made; overloaded, event_unavailable"),
))]
pub async fn tie(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
    Json(Tied { device_key }): Json<Tied>,
) -> Result<Json<QueueState>, Problem> {
    let device = match app.tokens.verify_device(&device_key).await {
        Ok(claims) => claims.sub,
        Err(refused) if refused.is_certain() => return Err(Code::InvalidDeviceKey.into()),
        Err(refused) => return Err(refused.into()),
    };
    let handles = public_event(&app, event).await?;
    let standing = match handles.waiting_room.tie(device, signed_in.account).await? {
        Outcome::NotHere => Standing::NotHere,
        outcome => standing_after(outcome)?,
    };
    Ok(Json(tell(&app, &handles, event, &signed_in.into(), standing)))
}
