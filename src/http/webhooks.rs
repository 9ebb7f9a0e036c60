//! Webhook endpoints of an organizer: made, listed, changed, deleted; their secret changed; whether one hears.
//!
//! Owns who may, and which URLs are taken. What they are told, and how: `actors::webhooks`, `docs/webhooks.md`.

pub mod answer;
pub mod deliveries;

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use self::answer::{DeliveryRow, EndpointAnswer, EndpointWithSecret};
use super::{
    acting::Acting,
    app::App,
    extract::{Json, Path},
    now,
    problem::{Code, Problem},
    refusals::NotAllowed,
    shapes::{Timestamp, Wrong},
};
use crate::{
    domain::{
        account::Role,
        time::{EventTime, Millis},
    },
    stores::{
        database::{
            audit, webhook_deliveries as stored,
            webhook_endpoints::{self as endpoints, Endpoint, State as StoredState, TOPICS},
        },
        egress::{signature, target::Target},
    },
};

const DAY_S: u64 = 24 * 60 * 60;

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    #[schema(example = "https://hooks.example.com/onsale")]
    url: String,
    /// Of `order.created`, `order.offered`, `order.payment-success`, `order.payment-cancelled`, `ticket.issued`, `ticket.replaced`, `refund.begun`, `refund.asked`,
    /// `refund.failed` and `refund.done`.
    topics: Vec<String>,
    #[serde(default)]
    description: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointChange {
    url: Option<String>,
    topics: Option<Vec<String>>,
    description: Option<String>,
    /// `false`: nothing more is noted for it, and what waits stays. `true` also for one that was taken for gone.
    enabled: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// For so many seconds the secret of before signs too, a day unless said otherwise, a week at most; 0: at once no more.
    previous_seconds: Option<u64>,
}

/// Your webhook endpoints, oldest first.
#[utoipa::path(get, path = "/webhooks", tag = "webhooks", security(("bearer" = [])), responses(
    (status = 200, body = Vec<EndpointAnswer>),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden: the account is not an organizer"),
))]
pub async fn list(State(app): State<Arc<App>>, acting: Acting) -> Result<Json<Vec<EndpointAnswer>>, Problem> {
    acting.as_one_of(&[Role::Organizer])?;
    let endpoints = endpoints::of_organizer(&app.database, acting.signed_in.account).await?;
    Ok(Json(endpoints.into_iter().map(EndpointAnswer::from).collect()))
}

/// Makes an endpoint, which from then on is told of what happens in all your events. Its secret is said here only.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", request_body = NewEndpoint, security(("bearer" = [])), responses(
    (status = 201, body = EndpointWithSecret),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden: the account is not an organizer"),
    (status = 409, description = "too_many_endpoints"),
    (status = 422, description = "invalid_body, with `errors` naming each field: among them a URL that is not called"),
))]
pub async fn create(
    State(app): State<Arc<App>>,
    acting: Acting,
    Json(body): Json<NewEndpoint>,
) -> Result<(StatusCode, Json<EndpointWithSecret>), Problem> {
    let role = acting.as_one_of(&[Role::Organizer])?;
    let now = now();
    let mut endpoint = Endpoint {
        id: Uuid::now_v7(),
        organizer: acting.signed_in.account,
        url: body.url,
        description: body.description,
        topics: body.topics,
        state: StoredState::Active,
        secret_version: 1,
        previous_until: EventTime(0),
        created_at: now,
        updated_at: now,
    };
    check(&app, &mut endpoint)?;
    let mut write = app.database.begin().await?;
    if !endpoints::add(&mut write, &endpoint, app.egress.per_organizer()).await? {
        return Err(Code::TooManyEndpoints.into());
    }
    audit::append(&mut write, &acting.act(role, "webhook.create", endpoint.id.simple(), "")).await?;
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(with_secret(&app, endpoint))))
}

#[utoipa::path(get, path = "/webhooks/{endpoint}", tag = "webhooks", params(("endpoint" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = EndpointAnswer), NotAllowed))]
pub async fn read(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<Uuid>,
) -> Result<Json<EndpointAnswer>, Problem> {
    Ok(Json(own(&app, &acting, id).await?.0.into()))
}

/// Changes an endpoint, also what waits for it: it goes to where the endpoint is when it goes out.
#[utoipa::path(patch, path = "/webhooks/{endpoint}", tag = "webhooks", params(("endpoint" = String, Path)),
    request_body = EndpointChange, security(("bearer" = [])), responses(
    (status = 200, body = EndpointAnswer),
    NotAllowed,
    (status = 422, description = "invalid_body, with `errors` naming each field"),
))]
pub async fn change(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<Uuid>,
    Json(body): Json<EndpointChange>,
) -> Result<Json<EndpointAnswer>, Problem> {
    let (before, role) = own(&app, &acting, id).await?;
    let state = match body.enabled {
        Some(true) => StoredState::Active,
        Some(false) => StoredState::Paused,
        None => before.state,
    };
    let mut endpoint = Endpoint {
        url: body.url.unwrap_or(before.url),
        topics: body.topics.unwrap_or(before.topics),
        description: body.description.unwrap_or(before.description),
        state,
        ..before
    };
    check(&app, &mut endpoint)?;
    let mut write = app.database.begin().await?;
    if !endpoints::update(&mut write, &endpoint, now()).await? {
        return Err(Code::NotFound.into());
    }
    audit::append(&mut write, &acting.act(role, "webhook.change", id.simple(), "")).await?;
    write.commit().await?;
    read(State(app), acting, Path(id)).await
}

/// Deletes an endpoint, with the log of its deliveries.
#[utoipa::path(delete, path = "/webhooks/{endpoint}", tag = "webhooks", params(("endpoint" = String, Path)),
    security(("bearer" = [])), responses((status = 204, description = "deleted"), NotAllowed))]
pub async fn delete(State(app): State<Arc<App>>, acting: Acting, Path(id): Path<Uuid>) -> Result<StatusCode, Problem> {
    let (_, role) = own(&app, &acting, id).await?;
    let mut write = app.database.begin().await?;
    endpoints::delete(&mut write, id).await?;
    audit::append(&mut write, &acting.act(role, "webhook.delete", id.simple(), "")).await?;
    write.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the endpoint another secret. Both sign until the receiver had the time to take the new one.
#[utoipa::path(post, path = "/webhooks/{endpoint}/rotate", tag = "webhooks", params(("endpoint" = String, Path)),
    request_body = Rotation, security(("bearer" = [])), responses(
    (status = 200, body = EndpointWithSecret),
    NotAllowed,
    (status = 409, description = "rotation_running: somebody else has just done so"),
    (status = 422, description = "invalid_body"),
))]
pub async fn rotate(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<Uuid>,
    Json(body): Json<Rotation>,
) -> Result<Json<EndpointWithSecret>, Problem> {
    let (endpoint, role) = own(&app, &acting, id).await?;
    let seconds = body.previous_seconds.unwrap_or(DAY_S);
    let mut wrong = Wrong::default();
    wrong.number("previous_seconds", seconds, 0..=7 * DAY_S);
    wrong.or(())?;
    let mut write = app.database.begin().await?;
    if !endpoints::rotate(&mut write, &endpoint, now() + Millis::seconds(seconds), now()).await? {
        return Err(Code::RotationRunning.into());
    }
    audit::append(&mut write, &acting.act(role, "webhook.rotate", id.simple(), "")).await?;
    write.commit().await?;
    Ok(Json(with_secret(&app, own(&app, &acting, id).await?.0)))
}

/// Sends a message with the topic `ping`, once; what became of it is in the list of deliveries.
#[utoipa::path(post, path = "/webhooks/{endpoint}/ping", tag = "webhooks", params(("endpoint" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 202, body = DeliveryRow),
    NotAllowed,
    (status = 409, description = "endpoint_not_active"),
))]
pub async fn ping(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<DeliveryRow>), Problem> {
    active(own(&app, &acting, id).await?.0)?;
    let body = json!({"version": 1, "endpoint": id.simple().to_string(), "at": now().0}).to_string();
    let mut write = app.database.begin().await?;
    let delivery = stored::ping(&mut write, id, &body, now()).await?;
    write.commit().await?;
    let delivery = stored::by_id(&app.database, id, delivery).await?.ok_or(Code::NotFound)?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}

/// The endpoint, and as which role this account may steer it.
async fn own(app: &App, acting: &Acting, id: Uuid) -> Result<(Endpoint, Role), Problem> {
    let endpoint = endpoints::by_id(&app.database, id).await?.ok_or(Code::NotFound)?;
    let is_own = endpoint.organizer == acting.signed_in.account;
    let role = acting.as_one_of(if is_own { &[Role::Organizer] } else { &[] })?;
    Ok((endpoint, role))
}

fn active(endpoint: Endpoint) -> Result<Endpoint, Problem> {
    if endpoint.state == StoredState::Active { Ok(endpoint) } else { Err(Code::EndpointNotActive.into()) }
}

/// Puts URL and topics into the form that is kept.
fn check(app: &App, endpoint: &mut Endpoint) -> Result<(), Problem> {
    let mut wrong = Wrong::default();
    match Target::parse(&endpoint.url, app.egress.rules()) {
        Ok(target) => endpoint.url = target.url,
        Err(error) => wrong.add("url", error.to_string()),
    }
    wrong.text("description", &endpoint.description, 0..=200, false);
    let wanted: BTreeSet<&str> = endpoint.topics.iter().map(String::as_str).collect();
    if wanted.is_empty() || !wanted.iter().all(|topic| TOPICS.contains(topic)) {
        wrong.add("topics", format!("some of {} are expected", TOPICS.join(", ")));
    } else {
        endpoint.topics = TOPICS.into_iter().filter(|topic| wanted.contains(topic)).map(str::to_owned).collect();
    }
    Ok(wrong.or(())?)
}

fn with_secret(app: &App, endpoint: Endpoint) -> EndpointWithSecret {
    let secrets = signature::secrets(app.keys.secret(), endpoint.id, endpoint.secret_version);
    let secret = secrets.first().map(|secret| secret.to_string()).unwrap_or_default();
    let previous_until = (endpoint.previous_until > now()).then_some(Timestamp(endpoint.previous_until));
    EndpointWithSecret { endpoint: endpoint.into(), secret, previous_until }
}
