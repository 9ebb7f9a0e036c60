//! What an endpoint was told or waits to be told, and sending it again.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    active,
    answer::{DeliveryLog, DeliveryRow, DeliveryState},
    own,
};
use crate::{
    http::{
        acting::Acting,
        app::App,
        extract::{Json, Path, Query},
        now,
        page::{self, Page},
        problem::{Code, Problem},
        refusals::NotAllowed,
    },
    stores::database::{
        audit,
        webhook_deliveries::{self as deliveries, Delivery, State as StoredState},
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveriesQuery {
    state: Option<DeliveryState>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows in a page, 200 at most.
    limit: Option<u32>,
}

/// Deliveries of the last 30 days, newest first.
#[utoipa::path(get, path = "/webhooks/{endpoint}/deliveries", tag = "webhooks",
    params(("endpoint" = String, Path), DeliveriesQuery), security(("bearer" = [])), responses(
    (status = 200, body = Page<DeliveryRow>),
    (status = 400, description = "invalid_query"),
    NotAllowed,
))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(endpoint): Path<Uuid>,
    Query(query): Query<DeliveriesQuery>,
) -> Result<Json<Page<DeliveryRow>>, Problem> {
    own(&app, &acting, endpoint).await?;
    let (cursor, limit) = page::checked(query.cursor.as_deref(), query.limit)?;
    let state = query.state.map(StoredState::from);
    let page = deliveries::list(&app.database, endpoint, state, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, DeliveryRow::from)))
}

/// One of them, with what it says and what became of each attempt.
#[utoipa::path(get, path = "/webhooks/{endpoint}/deliveries/{delivery}", tag = "webhooks",
    params(("endpoint" = String, Path), ("delivery" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = DeliveryLog), NotAllowed))]
pub async fn read(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path((endpoint, id)): Path<(Uuid, Uuid)>,
) -> Result<Json<DeliveryLog>, Problem> {
    own(&app, &acting, endpoint).await?;
    let delivery = known(&app, endpoint, id).await?;
    let attempts = deliveries::attempts(&app.database, id).await?;
    Ok(Json(DeliveryLog::new(delivery, attempts)))
}

/// Sends it again, also one that was delivered, under the same message id; it is tried for another three days.
#[utoipa::path(post, path = "/webhooks/{endpoint}/deliveries/{delivery}/redeliver", tag = "webhooks",
    params(("endpoint" = String, Path), ("delivery" = String, Path)), security(("bearer" = [])), responses(
    (status = 202, body = DeliveryRow),
    NotAllowed,
    (status = 409, description = "endpoint_not_active"),
))]
pub async fn redeliver(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path((endpoint, id)): Path<(Uuid, Uuid)>,
) -> Result<(StatusCode, Json<DeliveryRow>), Problem> {
    let (endpoint, role) = own(&app, &acting, endpoint).await?;
    let endpoint = active(endpoint)?;
    known(&app, endpoint.id, id).await?;
    let mut write = app.database.begin().await?;
    deliveries::send_again(&mut write, id, now()).await?;
    audit::append(&mut write, &acting.act(role, "webhook.redeliver", id.simple(), "")).await?;
    write.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(known(&app, endpoint.id, id).await?.into())))
}

async fn known(app: &App, endpoint: Uuid, id: Uuid) -> Result<Delivery, Problem> {
    Ok(deliveries::by_id(&app.database, endpoint, id).await?.ok_or(Code::NotFound)?)
}
