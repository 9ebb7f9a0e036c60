//! A fan's own tickets. Their code is signed; the keys are published, so a door needs no network.

pub mod papers;
pub mod returning;

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    app::App,
    extract::{Json, Path, Query, SignedIn},
    page::{Page, PageQuery},
    problem::{Code as Refused, Problem},
    refusals::NotYours,
    shapes::{Price, Timestamp},
};
use crate::{
    domain::{
        code::{Code, SeatId},
        id::{EventId, OrderRef, TicketId},
    },
    stores::database::{returns, tickets},
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
    #[schema(value_type = Option<String>)]
    pub seat: Option<SeatId>,
    pub price: Price,
    pub state: TicketState,
    /// What the QR code says: signed with Ed25519, see `/ticket-keys`.
    pub code: String,
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
            seat: ticket.seat,
            price: ticket.price.into(),
            state: ticket.state.into(),
            code: ticket.code,
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
