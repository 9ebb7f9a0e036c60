//! Refunds: read by their fan; begun, read and asked for anew by the event's organizer and by operators.
//!
//! Owns who may, and what of an order is asked for. What begins here is carried out elsewhere: see `docs/money.md`.

pub mod answer;
pub mod batch;

use std::{collections::BTreeSet, sync::Arc};

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::answer::{RefundAnswer, RefundRecord};
use super::{
    acting::Acting,
    admin_queue::STEERERS,
    app::App,
    events::steered,
    extract::{IdempotencyKey, Json, Path, Query, SignedIn},
    idempotency::{Attempt, Finished, once},
    now,
    page::{self, Page, PageQuery},
    problem::{Code, Problem},
    refusals::NotAllowed,
    shapes::Wrong,
};
use crate::{
    domain::{
        account::Role,
        id::{OrderRef, RefundId, TicketId},
        refund::{RefundReason, RefundState},
    },
    stores::database::{
        audit::{self, Act},
        orders::{self, NotRefunded, Wanted},
        refunds,
    },
};

/// An order has no more tickets than that.
const MOST_TICKETS: usize = 200;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundBody {
    /// Of the order; without it, all that are left.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 1)]
    pub tickets: Option<Vec<TicketId>>,
    /// Whether their places are for sale again.
    #[serde(default)]
    pub restock: bool,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryBody {
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RefundsQuery {
    /// `begun`, `asked`, `failed` or `done`; without it those that need a person: `failed`.
    #[param(value_type = Option<String>)]
    state: Option<RefundState>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows in a page, 200 at most.
    limit: Option<u32>,
}

/// Money that goes back to you, newest first.
#[utoipa::path(get, path = "/me/refunds", tag = "orders", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Page<RefundAnswer>),
    (status = 400, description = "invalid_query"),
    (status = 401, description = "unauthenticated"),
))]
pub async fn mine(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<RefundAnswer>>, Problem> {
    let (cursor, limit) = query.checked()?;
    let page = refunds::of_fan(&app.database, signed_in.account, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, RefundAnswer::from)))
}

/// Revokes tickets of an order and gives their money back: from the answer on they let nobody in.
#[utoipa::path(post, path = "/orders/{reference}/refunds", tag = "admin", request_body = RefundBody,
    params(("reference" = String, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])), responses(
    (status = 201, body = RefundRecord),
    NotAllowed,
    (status = 400, description = "idempotency_key_missing or idempotency_key_invalid"),
    (status = 409, description = "order_state: it has no tickets, or none are left; request_running"),
    (status = 422, description = "invalid_body, unknown_ticket or idempotency_key_reused"),
    (status = 503, description = "store_unavailable or outcome_unknown"),
))]
pub async fn create(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(reference): Path<OrderRef>,
    key: IdempotencyKey,
    Json(body): Json<RefundBody>,
) -> Result<Response, Problem> {
    check(&body)?;
    let (_, role) = steered(&app, &acting, reference.event, &STEERERS).await?;
    acting.with_password()?;
    if orders::by_reference(&app.database, reference).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    let act = acting.act(role, "order.refund", reference, &body.reason);
    let route = format!("/orders/{reference}/refunds");
    let work = {
        let (app, body) = (app.clone(), body.clone());
        move |attempt| begin(app, reference, body, act, attempt)
    };
    once(&app, acting.signed_in.account, &route, &key, &body, work).await
}

fn check(body: &RefundBody) -> Result<(), Problem> {
    let mut wrong = Wrong::default();
    wrong.add_reason(&body.reason);
    if let Some(tickets) = &body.tickets {
        let distinct: BTreeSet<_> = tickets.iter().collect();
        if tickets.is_empty() || tickets.len() > MOST_TICKETS || distinct.len() < tickets.len() {
            wrong.add("tickets", format!("1 to {MOST_TICKETS} different tickets are expected"));
        }
    }
    Ok(wrong.or(())?)
}

async fn begin(
    app: Arc<App>,
    reference: OrderRef,
    body: RefundBody,
    act: Act,
    attempt: Attempt,
) -> Result<Finished, Problem> {
    let wanted = Wanted {
        reference,
        tickets: body.tickets.as_deref(),
        restock: body.restock,
        reason: RefundReason::Requested,
        note: &body.reason,
    };
    let mut write = app.database.begin().await?;
    let refund = match orders::refund_tickets(&mut write, &wanted, now()).await? {
        Ok(refund) => refund,
        Err(NotRefunded::OrderState(state)) => {
            return Err(Problem::new(Code::OrderState)
                .with("state", serde_json::to_value(state).unwrap_or_default())
                .detail("the order has no tickets that could be refunded"));
        }
        Err(NotRefunded::NoSuchTicket(ticket)) => {
            return Err(Problem::new(Code::UnknownTicket).with("ticket", ticket.to_string()));
        }
    };
    audit::append(&mut write, &act).await?;
    attempt.finish(write, StatusCode::CREATED, &RefundRecord::from(refund)).await
}

/// An order's refunds, oldest first.
#[utoipa::path(get, path = "/orders/{reference}/refunds", tag = "admin", params(("reference" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = Vec<RefundRecord>), NotAllowed))]
pub async fn of_order(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(reference): Path<OrderRef>,
) -> Result<Json<Vec<RefundRecord>>, Problem> {
    steered(&app, &acting, reference.event, &STEERERS).await?;
    let refunds = refunds::of_order(&app.database, reference).await?;
    Ok(Json(refunds.into_iter().map(RefundRecord::from).collect()))
}

/// Refunds in one state, newest first.
#[utoipa::path(get, path = "/refunds", tag = "admin", params(RefundsQuery), security(("bearer" = [])), responses(
    (status = 200, body = Page<RefundRecord>),
    (status = 400, description = "invalid_query"),
    NotAllowed,
))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Query(query): Query<RefundsQuery>,
) -> Result<Json<Page<RefundRecord>>, Problem> {
    acting.as_one_of(&[Role::Operator])?;
    let (cursor, limit) = page::checked(query.cursor.as_deref(), query.limit)?;
    let state = query.state.unwrap_or(RefundState::Failed);
    let page = refunds::in_state(&app.database, state, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, RefundRecord::from)))
}

/// Has the provider asked anew for a refund that it refused.
#[utoipa::path(post, path = "/refunds/{refund}/retry", tag = "admin", request_body = RetryBody,
    params(("refund" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = RefundRecord),
    NotAllowed,
    (status = 409, description = "refund_state: it has not failed"),
    (status = 422, description = "invalid_body"),
))]
pub async fn retry(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<RefundId>,
    Json(body): Json<RetryBody>,
) -> Result<Json<RefundRecord>, Problem> {
    let role = acting.as_one_of(&[Role::Operator])?;
    acting.with_password()?;
    Wrong::reason(&body.reason)?;
    let refund = refunds::by_id(&app.database, id).await?.ok_or(Code::NotFound)?;
    let mut write = app.database.begin().await?;
    let begun = orders::advance_refund(&mut write, refund.key(), RefundState::Begun, "", now()).await?;
    let begun = begun.ok_or(Code::RefundState)?;
    audit::append(&mut write, &acting.act(role, "refund.retry", id, &body.reason)).await?;
    write.commit().await?;
    Ok(Json(begun.into()))
}
