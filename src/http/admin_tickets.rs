//! Tickets in the hands of the organizer and of operators: seen, made anew, moved to other seats.
//!
//! Owns the order of a move: written first, then both seats are the order's, then the ticket is another one; the intake frees what
//! is left over, whatever became of it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    acting::Acting,
    admin_queue::STEERERS,
    app::App,
    events::steered,
    extract::{IdempotencyKey, Json, Path},
    idempotency::{Attempt, Finished, once},
    now,
    problem::{Code as Refused, Problem},
    refusals::NotAllowed,
    shapes::{Price, Timestamp, Wrong},
    tickets::{TicketState, replaced},
};
use crate::{
    actors::inventory::AskError,
    domain::{
        account::Role,
        code::{Code, SeatId},
        id::{FanId, OrderRef, TicketId},
        inventory::request::{Answer, Command, Request},
        time::Millis,
    },
    stores::database::{
        audit::{self, Act},
        orders::Change,
        seat_moves::{self, SeatMove},
        tickets::{self, State as Stored},
    },
};

/// A move that nobody goes on with is given up after so long: longer than the inventory may take to answer.
const GIVEN_UP_AFTER: Millis = Millis::seconds(60);

/// Without its code, which is nobody's but the holder's.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketRecord {
    #[schema(value_type = String)]
    pub id: TicketId,
    #[schema(value_type = String)]
    pub order: OrderRef,
    #[schema(value_type = String)]
    pub fan: FanId,
    pub position: u32,
    #[schema(value_type = String)]
    pub ticket_type: Code,
    /// At which it was bought, if it was not at the price of all.
    #[schema(value_type = Option<String>)]
    pub rate: Option<Code>,
    #[schema(value_type = Option<String>)]
    pub seat: Option<SeatId>,
    pub price: Price,
    pub state: TicketState,
    /// The name on it; empty: the account's.
    pub holder: String,
    /// Of a void one: which took its place.
    #[schema(value_type = Option<String>)]
    pub replaced_by: Option<TicketId>,
    pub issued_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReissueBody {
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveBody {
    /// Free, or kept from the public, and of the same ticket type.
    #[schema(value_type = String)]
    pub seat: SeatId,
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// An order's tickets, void ones too, by position.
#[utoipa::path(get, path = "/orders/{reference}/tickets", tag = "admin", params(("reference" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = Vec<TicketRecord>), NotAllowed))]
pub async fn of_order(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(reference): Path<OrderRef>,
) -> Result<Json<Vec<TicketRecord>>, Problem> {
    steered(&app, &acting, reference.event, &STEERERS).await?;
    let tickets = tickets::of_order(&app.database, reference).await?;
    Ok(Json(tickets.into_iter().map(TicketRecord::from).collect()))
}

/// Makes a ticket anew, for its code was lost, or seen by others: the old code lets nobody in from then on.
#[utoipa::path(post, path = "/tickets/{ticket}/reissue", tag = "admin", request_body = ReissueBody,
    params(("ticket" = String, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])), responses(
    (status = 200, description = "the new one", body = TicketRecord),
    NotAllowed,
    (status = 400, description = "idempotency_key_missing or idempotency_key_invalid"),
    (status = 409, description = "ticket_void, ticket_used or request_running"),
    (status = 422, description = "invalid_body or idempotency_key_reused"),
))]
pub async fn reissue(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<TicketId>,
    key: IdempotencyKey,
    Json(body): Json<ReissueBody>,
) -> Result<Response, Problem> {
    Wrong::reason(&body.reason)?;
    let (_, role) = of_steered_event(&app, &acting, id).await?;
    let act = acting.act(role, "ticket.reissue", id, &body.reason);
    let route = format!("/tickets/{id}/reissue");
    let work = {
        let app = app.clone();
        move |attempt: Attempt| async move {
            let mut write = app.database.begin().await?;
            let new = replaced(&app, &mut write, (id, None), Change::Code).await?;
            audit::append(&mut write, &act).await?;
            attempt.finish(write, StatusCode::OK, &TicketRecord::from(new)).await
        }
    };
    once(&app, acting.signed_in.account, &route, &key, &body, work).await
}

/// Moves a ticket to another seat: a new ticket takes its place, and the old seat is free.
#[utoipa::path(post, path = "/tickets/{ticket}/seat", tag = "admin", request_body = MoveBody,
    params(("ticket" = String, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])), responses(
    (status = 200, description = "the new one", body = TicketRecord),
    NotAllowed,
    (status = 400, description = "idempotency_key_missing or idempotency_key_invalid"),
    (status = 409, description = "seat_taken, other_ticket_type, ticket_void, ticket_used, order_state or request_running"),
    (status = 422, description = "unknown_seat, invalid_body or idempotency_key_reused"),
    (status = 503, description = "event_unavailable, store_unavailable or outcome_unknown"),
))]
pub async fn move_to(
    State(app): State<Arc<App>>,
    acting: Acting,
    Path(id): Path<TicketId>,
    key: IdempotencyKey,
    Json(body): Json<MoveBody>,
) -> Result<Response, Problem> {
    Wrong::reason(&body.reason)?;
    let (ticket, role) = of_steered_event(&app, &acting, id).await?;
    let act = acting.act(role, "ticket.move", id, &body.reason);
    let route = format!("/tickets/{id}/seat");
    let work = {
        let (app, body) = (app.clone(), body.clone());
        move |attempt| move_now(app, ticket, body.seat, act, attempt)
    };
    once(&app, acting.signed_in.account, &route, &key, &body, work).await
}

async fn move_now(
    app: Arc<App>,
    ticket: tickets::Ticket,
    seat: SeatId,
    act: Act,
    attempt: Attempt,
) -> Result<Finished, Problem> {
    if ticket.state != Stored::Live {
        return Err(Refused::TicketVoid.into());
    }
    if ticket.seat.is_none() {
        return Err(Problem::new(Refused::OtherTicketType).detail("the ticket has no seat"));
    }
    let handles = app.directory.event(ticket.reference.event).await?;
    let began = now();
    let begun =
        seat_moves::begin(&app.database, (ticket.reference, ticket.id, &seat), began + GIVEN_UP_AFTER, began).await?;
    let command = Command::AddSeat {
        order: ticket.reference.order,
        number: begun.number,
        ticket_type: ticket.ticket_type.clone(),
        rate: ticket.rate.clone(),
        seat: seat.clone(),
    };
    let outcome = match handles.inventory.ask(Request { identity: None, command }).await {
        Ok(Answer::SeatAdded) => moved(&app, &ticket, &seat, &begun, act, attempt).await,
        Ok(other) => {
            tracing::error!(?other, "a seat was asked for, and this is no answer");
            return Err(Refused::Internal.into());
        }
        Err(AskError::Refused(refusal)) => Err(refusal.into()),
        // It may come about yet: its time has to be up first.
        Err(error) => return Err(error.into()),
    };
    if outcome.is_err() {
        give_up(&app, &begun).await;
    }
    outcome
}

/// The order has both seats.
async fn moved(
    app: &App,
    ticket: &tickets::Ticket,
    seat: &SeatId,
    begun: &SeatMove,
    act: Act,
    attempt: Attempt,
) -> Result<Finished, Problem> {
    let mut write = app.database.begin().await?;
    let new = replaced(app, &mut write, (ticket.id, None), Change::Seat(seat)).await?;
    // From here on the old seat is what is left over.
    if !seat_moves::put(&mut write, begun, now()).await? {
        return Err(Refused::OutcomeUnknown.into());
    }
    audit::append(&mut write, &act).await?;
    attempt.finish(write, StatusCode::OK, &TicketRecord::from(new)).await
}

/// The new seat is what is left over, at once, unless the ticket has got there after all.
async fn give_up(app: &App, begun: &SeatMove) {
    let put = async {
        let mut write = app.database.begin().await?;
        seat_moves::put(&mut write, begun, now()).await?;
        write.commit().await
    };
    if let Err(error) = put.await {
        tracing::debug!(reference = %begun.reference, %error, "a move is given up when its time is up");
    }
}

/// The ticket, and as which role this account may steer its event.
async fn of_steered_event(app: &App, acting: &Acting, id: TicketId) -> Result<(tickets::Ticket, Role), Problem> {
    let ticket = tickets::by_id(&app.database, id).await?.ok_or(Refused::NotFound)?;
    let (_, role) = steered(app, acting, ticket.reference.event, &STEERERS).await?;
    Ok((ticket, role))
}

impl From<tickets::Ticket> for TicketRecord {
    fn from(ticket: tickets::Ticket) -> Self {
        Self {
            id: ticket.id,
            order: ticket.reference,
            fan: ticket.fan,
            position: ticket.position,
            ticket_type: ticket.ticket_type,
            rate: ticket.rate,
            seat: ticket.seat,
            price: ticket.price.into(),
            state: ticket.state.into(),
            holder: ticket.holder,
            replaced_by: ticket.replaced_by,
            issued_at: ticket.issued_at.into(),
        }
    }
}
