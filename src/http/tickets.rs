//! A fan's own tickets. Their code is signed; the keys are published, so a door needs no network.

pub mod papers;
pub mod returning;
pub mod rotation;
pub mod transfers;
pub mod wallets;

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    app::App,
    extract::{IdempotencyKey, Json, Path, Query, SignedIn},
    idempotency::{Attempt, once},
    now,
    page::{Page, PageQuery},
    problem::{Code as Refused, Problem},
    refusals::NotYours,
    shapes::{Price, Timestamp, Wrong},
};
use crate::{
    actors::orders::issue,
    domain::{
        code::{Code, SeatId},
        id::{EventId, FanId, OrderRef, TicketId},
    },
    stores::database::{
        Write,
        orders::{self, Change, NotReplaced},
        returns, tickets,
    },
};

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Ticket {
    #[schema(value_type = String)]
    pub id: TicketId,
    #[schema(value_type = String)]
    pub event: EventId,
    #[schema(value_type = String)]
    pub order: OrderRef,
    /// Within the order, from 1.
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
    /// What the QR code says: signed with Ed25519, see `/ticket-keys`.
    pub code: String,
    /// The name on it; empty: the account's.
    pub holder: String,
    /// Of a void one: which took its place.
    #[schema(value_type = Option<String>)]
    pub replaced_by: Option<TicketId>,
    pub issued_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    Live,
    Void,
    /// Valid, and offered to who waits for one: see `/tickets/{ticket}/return`.
    Returning,
}

impl From<tickets::State> for TicketState {
    fn from(state: tickets::State) -> Self {
        match state {
            tickets::State::Live => Self::Live,
            tickets::State::Void => Self::Void,
        }
    }
}

impl From<tickets::Ticket> for Ticket {
    fn from(ticket: tickets::Ticket) -> Self {
        Self {
            id: ticket.id,
            event: ticket.reference.event,
            order: ticket.reference,
            position: ticket.position,
            ticket_type: ticket.ticket_type,
            rate: ticket.rate,
            seat: ticket.seat,
            price: ticket.price.into(),
            state: ticket.state.into(),
            code: ticket.code,
            holder: ticket.holder,
            replaced_by: ticket.replaced_by,
            issued_at: ticket.issued_at.into(),
        }
    }
}

impl Ticket {
    /// `offered`: those of its fan that are offered back.
    fn of(ticket: tickets::Ticket, offered: &[TicketId]) -> Self {
        let told = Self::from(ticket);
        let is_offered = told.state == TicketState::Live && offered.contains(&told.id);
        Self { state: if is_offered { TicketState::Returning } else { told.state }, ..told }
    }
}

/// Lists the fan's own tickets, newest first.
#[utoipa::path(get, path = "/tickets", tag = "orders", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Page<Ticket>),
    (status = 400, description = "invalid_query"),
    (status = 401, description = "unauthenticated"),
))]
pub async fn list(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Ticket>>, Problem> {
    let (cursor, limit) = query.checked()?;
    let page = tickets::list(&app.database, signed_in.account, cursor.as_ref(), limit).await?;
    let offered = returns::offered_of(&app.database, signed_in.account).await?;
    Ok(Json(Page::of(page, |ticket| Ticket::of(ticket, &offered))))
}

#[utoipa::path(get, path = "/tickets/{ticket}", tag = "orders", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = Ticket),
    NotYours,
))]
pub async fn read(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(ticket): Path<TicketId>,
) -> Result<Json<Ticket>, Problem> {
    let ticket = tickets::of_fan(&app.database, ticket, signed_in.account).await?.ok_or(Refused::NotFound)?;
    let offered = returns::offered_of(&app.database, signed_in.account).await?;
    Ok(Json(Ticket::of(ticket, &offered)))
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HolderBody {
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
}

/// Puts another name on the ticket: a new one takes its place, and the old code lets nobody in from then on.
#[utoipa::path(put, path = "/tickets/{ticket}/holder", tag = "tickets", request_body = HolderBody,
    params(("ticket" = String, Path), ("Idempotency-Key" = String, Header)), security(("bearer" = [])), responses(
    (status = 200, description = "the new one", body = Ticket),
    NotYours,
    (status = 400, description = "idempotency_key_missing or idempotency_key_invalid"),
    (status = 409, description = "ticket_void, ticket_used, not_transferable or request_running"),
    (status = 422, description = "invalid_body or idempotency_key_reused"),
))]
pub async fn rename(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<TicketId>,
    key: IdempotencyKey,
    Json(body): Json<HolderBody>,
) -> Result<Response, Problem> {
    let mut wrong = Wrong::default();
    wrong.text("name", &body.name, 1..=100, false);
    wrong.or(())?;
    let fan = signed_in.account;
    let ticket = tickets::of_fan(&app.database, id, fan).await?.ok_or(Refused::NotFound)?;
    transfers::allowed(&app, ticket.reference.event).await?;
    let route = format!("/tickets/{id}/holder");
    let work = {
        let (app, body) = (app.clone(), body.clone());
        move |attempt: Attempt| async move {
            let mut write = app.database.begin().await?;
            let new = replaced(&app, &mut write, (id, Some(fan)), Change::Holder(&body.name)).await?;
            attempt.finish(write, StatusCode::OK, &Ticket::from(new)).await
        }
    };
    once(&app, fan, &route, &key, &body, work).await
}

/// A new ticket in the place of this one. Counts when the transaction does.
pub async fn replaced(
    app: &App,
    write: &mut Write,
    which: (TicketId, Option<FanId>),
    change: Change<'_>,
) -> Result<tickets::Ticket, Problem> {
    let (now, keys) = (now(), app.keys.load());
    let issue = issue(keys.ticket_key(now));
    orders::replace_ticket(write, which, change, &issue, now).await?.map_err(not_replaced)
}

pub fn not_replaced(why: NotReplaced) -> Problem {
    Problem::new(match why {
        NotReplaced::NoSuchTicket => Refused::NotFound,
        NotReplaced::Void => Refused::TicketVoid,
        NotReplaced::Used => Refused::TicketUsed,
        NotReplaced::SeatTaken => Refused::SeatTaken,
    })
}
