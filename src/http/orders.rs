//! Orders: read, listed and cancelled by their fan.
//!
//! Owns where an answer comes from: the database first, then the event's inventory, which knows of a hold before its row is
//! written. Lists may lag.

pub mod answer;

use std::sync::Arc;

use axum::extract::State;

use self::answer::OrderAnswer;
use super::{
    app::App,
    checkout::desk,
    extract::{IdempotencyKey, Json, Path, Query, SignedIn},
    holds,
    idempotency::identity,
    now,
    page::{Page, PageQuery},
    problem::{Code, Problem},
    refusals::{NotMoved, NotYours},
};
use crate::{
    domain::{
        id::{FanId, OrderRef},
        order::OrderState,
    },
    stores::database::{events, orders},
};

/// Lists the fan's own orders, newest first. A new one may take a moment to appear.
#[utoipa::path(get, path = "/orders", tag = "orders", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Page<OrderAnswer>),
    (status = 400, description = "invalid_query"),
    (status = 401, description = "unauthenticated"),
))]
pub async fn list(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<OrderAnswer>>, Problem> {
    let (cursor, limit) = query.checked()?;
    let page = orders::list(&app.database, signed_in.account, cursor.as_ref(), limit).await?;
    let now = now();
    Ok(Json(Page::of(page, |row| OrderAnswer::of_row(row, None, now))))
}

#[utoipa::path(get, path = "/orders/{reference}", tag = "orders", params(("reference" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = OrderAnswer),
    NotYours,
    (status = 503, description = "event_unavailable"),
))]
pub async fn read(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(reference): Path<OrderRef>,
) -> Result<Json<OrderAnswer>, Problem> {
    told(&app, signed_in.account, reference).await.map(Json)
}

/// This fan's order; another's is not there.
pub async fn told(app: &App, fan: FanId, reference: OrderRef) -> Result<OrderAnswer, Problem> {
    let row = orders::of_fan(&app.database, reference, fan).await?;
    match row {
        // Nothing but the database decides any more, and the event may sleep.
        Some(row) if matches!(row.state, OrderState::Ticketed | OrderState::Refunded) => {
            let event = events::by_id(&app.database, reference.event).await?;
            Ok(OrderAnswer::of_row(row, event.map(|event| event.configuration).as_ref(), now()))
        }
        Some(row) => match holds::own(app, fan, reference).await {
            Ok((handles, hold)) => {
                Ok(OrderAnswer::of_row(row, Some(&handles.inventory.configuration()), handles.inventory.clock().now())
                    .corrected(&hold))
            }
            // The row stands by itself: an inventory forgets what ended long ago.
            Err(_) => Ok(OrderAnswer::of_row(row, None, now())),
        },
        None => {
            let (handles, hold) = holds::own(app, fan, reference).await?;
            Ok(OrderAnswer::of_hold(
                reference.event,
                hold,
                &handles.inventory.configuration(),
                handles.inventory.clock().now(),
            ))
        }
    }
}

/// Gives up an unpaid order: what it held is free again, and its checkout is closed.
#[utoipa::path(post, path = "/orders/{reference}/cancel", tag = "orders", security(("bearer" = [])),
    params(("reference" = String, Path), ("Idempotency-Key" = String, Header)), responses(
    (status = 200, body = OrderAnswer),
    NotYours,
    (status = 409, description = "order_state: it is paid"),
    NotMoved,
))]
pub async fn cancel(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(reference): Path<OrderRef>,
    key: IdempotencyKey,
) -> Result<Json<OrderAnswer>, Problem> {
    let fan = signed_in.account;
    let order = told(&app, fan, reference).await?;
    if matches!(order.state, OrderState::Paid | OrderState::Ticketed | OrderState::Refunding | OrderState::Refunded) {
        return Err(Problem::new(Code::OrderState).detail("a paid order cannot be cancelled here"));
    }
    let identity = identity(fan, &format!("/orders/{reference}/cancel"), &key, &());
    match holds::give_back(&app, fan, reference, Some(identity)).await {
        Err(problem) if problem.code() == Code::HoldEnded => return Err(Code::OrderState.into()),
        given_back => given_back?,
    }
    desk(&app).give_up(reference, now()).await?;
    told(&app, fan, reference).await.map(Json)
}
