//! A cancelled event's refunds: all of its orders, some at a time, with how far that has come.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{RetryBody, answer::RefundRecord};
use crate::{
    domain::{event::Phase, id::EventId, order::OrderState, refund::RefundState},
    http::{
        acting::Acting,
        admin_queue::STEERERS,
        app::App,
        events::steered,
        extract::{Json, Path, Query},
        now,
        page::{Page, PageQuery},
        problem::{Code, Problem},
        refusals::NotAllowed,
        shapes::{Price, Timestamp, Wrong},
    },
    stores::database::{
        audit, checks,
        events::Event,
        refund_batches::{self, Batch},
        refunds,
    },
};

/// How far an event's refunds have come.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Progress {
    /// When all were asked for; absent if they were not.
    pub asked_at: Option<Timestamp>,
    /// When the last order was begun to be refunded.
    pub done_at: Option<Timestamp>,
    pub orders: OrderCounts,
    pub refunds: Vec<StateCount>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderCounts {
    /// With tickets, or on the way to them.
    pub left: u64,
    pub refunding: u64,
    pub refunded: u64,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StateCount {
    #[schema(value_type = String, example = "done")]
    pub state: RefundState,
    pub count: u64,
    pub amount: Price,
}

/// Begins to refund every order of a cancelled event. Asked for again: the same.
#[utoipa::path(post, path = "/events/{event}/refunds", tag = "admin", request_body = RetryBody,
    params(("event" = String, Path)), security(("bearer" = [])), responses(
    (status = 202, body = Progress),
    NotAllowed,
    (status = 409, description = "invalid_transition: the event is not cancelled"),
    (status = 422, description = "invalid_body"),
))]
pub async fn begin(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Json(body): Json<RetryBody>,
) -> Result<(StatusCode, Json<Progress>), Problem> {
    Wrong::reason(&body.reason)?;
    let (event, role) = steered(&app, &acting, id, &STEERERS).await?;
    acting.with_password()?;
    if event.configuration.phase != Phase::Cancelled {
        return Err(Problem::new(Code::InvalidTransition).detail("only a cancelled event is refunded as a whole"));
    }
    let mut write = app.database.begin().await?;
    if refund_batches::begin(&mut write, id, &body.reason, now()).await? {
        audit::append(&mut write, &acting.act(role, "event.refund", id, &body.reason)).await?;
    }
    write.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(told(&app, &event).await?)))
}

#[utoipa::path(get, path = "/events/{event}/refunds", tag = "admin", params(("event" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = Progress), NotAllowed))]
pub async fn progress(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
) -> Result<Json<Progress>, Problem> {
    let (event, _) = steered(&app, &acting, id, &STEERERS).await?;
    Ok(Json(told(&app, &event).await?))
}

/// An event's refunds, newest first.
#[utoipa::path(get, path = "/events/{event}/refunds/list", tag = "admin", params(("event" = String, Path), PageQuery),
    security(("bearer" = [])), responses(
    (status = 200, body = Page<RefundRecord>),
    (status = 400, description = "invalid_query"),
    NotAllowed,
))]
pub async fn list(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<EventId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<RefundRecord>>, Problem> {
    steered(&app, &acting, id, &STEERERS).await?;
    let (cursor, limit) = query.checked()?;
    let page = refunds::of_event(&app.database, id, cursor.as_ref(), limit).await?;
    Ok(Json(Page::of(page, RefundRecord::from)))
}

async fn told(app: &App, event: &Event) -> Result<Progress, Problem> {
    let batch: Option<Batch> = refund_batches::of_event(&app.database, event.id).await?;
    let states = checks::orders_by_state(&app.database, event.id).await?;
    let count = |which: &[OrderState]| states.iter().filter(|(state, _)| which.contains(state)).map(|(_, n)| n).sum();
    let currency = event.configuration.currency;
    let refunds = refunds::counts(&app.database, event.id).await?;
    let refund = |(state, count, minor)| StateCount { state, count, amount: Price::new(minor, currency) };
    Ok(Progress {
        asked_at: batch.as_ref().map(|batch| batch.asked_at.into()),
        done_at: batch.and_then(|batch| batch.done_at).map(Timestamp::from),
        orders: OrderCounts {
            left: count(&refund_batches::LEFT),
            refunding: count(&[OrderState::Refunding]),
            refunded: count(&[OrderState::Refunded]),
        },
        refunds: refunds.into_iter().map(refund).collect(),
    })
}
