//! Stock in numbers, and its change: by operators, admins and the event's organizer.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    acting::Acting,
    admin_queue::STEERERS,
    app::App,
    events::{reconfigure, steered},
    extract::{Json, Path},
    prices::PriceParts,
    problem::{Code as Refused, Problem},
    refusals::NotAllowed,
    shapes::{Timestamp, Wrong},
};
use crate::{
    actors::directory::EventHandles,
    domain::{code::Code, event::Status, id::EventId, inventory::configuration::Stock as ConfiguredStock},
};

const MOST_STOCK: u32 = 10_000_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stock {
    #[schema(value_type = String, example = "on_sale")]
    pub status: Status,
    pub version: u32,
    pub ticket_types: Vec<StockOfType>,
    pub quotas: Vec<StockOfQuota>,
    /// Live holds.
    pub holds: u32,
    /// Order messages not yet with the broker.
    pub outbox: u64,
    pub as_of: Timestamp,
}

/// capacity = free + held + sold + blocked, always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StockOfType {
    #[schema(value_type = String)]
    pub code: Code,
    pub name: String,
    /// Of one ticket, all in.
    #[serde(flatten)]
    pub parts: PriceParts,
    pub seated: bool,
    pub capacity: u32,
    pub free: u32,
    pub held: u32,
    pub sold: u32,
    pub blocked: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StockOfQuota {
    #[schema(value_type = String)]
    pub code: Code,
    pub capacity: u32,
    pub taken: u32,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StockBody {
    #[schema(value_type = String)]
    pub ticket_type: Code,
    /// So many in all; not below what is held and sold.
    #[schema(maximum = 10_000_000)]
    pub stock: u32,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[utoipa::path(get, path = "/events/{event}/stock", tag = "admin", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = Stock),
    NotAllowed,
    (status = 503, description = "event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
) -> Result<Json<Stock>, Problem> {
    steered(&app, &acting, id, &STEERERS).await?;
    Ok(Json(told(&app.directory.event(id).await?)))
}

/// Changes how many of a ticket type there are.
#[utoipa::path(put, path = "/events/{event}/stock", tag = "admin", params(("event" = String, Path)),
    request_body = StockBody, security(("bearer" = [])), responses(
    (status = 200, body = Stock),
    NotAllowed,
    (status = 409, description = "below_taken"),
    (status = 422, description = "invalid_body, unknown_ticket_type or sold_by_seat"),
    (status = 503, description = "event_unavailable or outcome_unknown"),
))]
pub async fn set(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<StockBody>,
) -> Result<Json<Stock>, Problem> {
    let mut wrong = Wrong::default();
    wrong.number("stock", body.stock, 0..=MOST_STOCK);
    wrong.add_reason(&body.reason);
    wrong.or(())?;
    let (event, role) = steered(&app, &acting, id, &STEERERS).await?;
    let reason = format!("{} = {}: {}", body.ticket_type, body.stock, body.reason);
    let act = acting.act(role, "stock.set", id, &reason);
    reconfigure(&app, event, act, |configuration| {
        let found = configuration.ticket_types.iter_mut().find(|t| t.code == body.ticket_type);
        let ticket_type = found.ok_or(Refused::UnknownTicketType)?;
        if ticket_type.stock == ConfiguredStock::Seats {
            return Err(Refused::SoldBySeat.into());
        }
        ticket_type.stock = ConfiguredStock::Quantity(body.stock);
        Ok(())
    })
    .await?;
    Ok(Json(told(&app.directory.event(id).await?)))
}

fn told(handles: &EventHandles) -> Stock {
    let (view, configuration) = (handles.inventory.view(), handles.inventory.configuration());
    let ticket_types = view.ticket_types.iter().map(|t| StockOfType {
        code: t.code.clone(),
        name: t.name.clone(),
        parts: PriceParts::of(t.parts, configuration.currency),
        seated: t.seated,
        capacity: t.capacity,
        free: t.free,
        held: t.held,
        sold: t.sold,
        blocked: t.blocked,
    });
    let quotas =
        view.quotas.iter().map(|q| StockOfQuota { code: q.code.clone(), capacity: q.capacity, taken: q.taken });
    Stock {
        status: view.status,
        version: view.version,
        ticket_types: ticket_types.collect(),
        quotas: quotas.collect(),
        holds: view.holds,
        outbox: view.outbox,
        as_of: view.at.into(),
    }
}
