//! A fan's own tickets as documents: PDF, QR code, calendar entry.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use crate::{
    documents::{ics, language::Language, qr::Qr},
    domain::id::{FanId, OrderRef, TicketId},
    http::{
        app::App,
        extract::{Path, SignedIn},
        now, orders,
        problem::{Code, Problem},
        refusals::NotYours,
        tickets::rotation,
    },
    stores::database::{
        accounts::{self, Account},
        tickets::{self, State as TicketState, Ticket},
    },
};

/// The ticket on paper, in the language of the account.
#[utoipa::path(get, path = "/tickets/{ticket}/pdf", tag = "tickets", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "one A4 page", content_type = "application/pdf", body = Vec<u8>),
    NotYours,
    (status = 409, description = "ticket_void"),
    (status = 503, description = "overloaded"),
))]
pub async fn pdf(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(ticket): Path<TicketId>,
) -> Result<Response, Problem> {
    let ticket = live(&app, signed_in.account, ticket).await?;
    let of = tickets::of_order(&app.database, ticket.reference).await?.len();
    let holder = holder(&app, signed_in.account).await?;
    let name = format!("ticket-{}.pdf", ticket.position);
    let pdf = app.papers.pdf(&[ticket], of, &holder, Language::of(&holder.language)).await?;
    Ok(document("application/pdf", &name, pdf))
}

/// Your tickets of an order, a page for each; void ones, and those that you gave away, are left out.
#[utoipa::path(get, path = "/orders/{reference}/tickets.pdf", tag = "tickets", params(("reference" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "A4 pages", content_type = "application/pdf", body = Vec<u8>),
    NotYours,
    (status = 409, description = "order_state: it has no tickets, or none any more"),
    (status = 503, description = "overloaded"),
))]
pub async fn of_order(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(reference): Path<OrderRef>,
) -> Result<Response, Problem> {
    orders::told(&app, signed_in.account, reference).await?;
    let mut tickets = tickets::of_order(&app.database, reference).await?;
    let of = tickets.len();
    // Some may be other people's by now.
    tickets.retain(|ticket| ticket.state == TicketState::Live && ticket.fan == signed_in.account);
    if tickets.is_empty() {
        return Err(Problem::new(Code::OrderState).detail("the order has no tickets"));
    }
    let holder = holder(&app, signed_in.account).await?;
    let pdf = app.papers.pdf(&tickets, of, &holder, Language::of(&holder.language)).await?;
    Ok(document("application/pdf", "tickets.pdf", pdf))
}

/// The ticket's code, for the screen of a telephone. Where codes change it is good for half a minute: ask again every 15 seconds.
#[utoipa::path(get, path = "/tickets/{ticket}/qr.svg", tag = "tickets", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "a QR code", content_type = "image/svg+xml", body = String),
    NotYours,
    (status = 409, description = "ticket_void"),
))]
pub async fn qr(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(ticket): Path<TicketId>,
) -> Result<Response, Problem> {
    let ticket = live(&app, signed_in.account, ticket).await?;
    let is_rotating = app.papers.billing(ticket.reference.event).await?.rules.rotating_codes;
    let code = if is_rotating { rotation::shown(&app, &ticket, now()) } else { ticket.code.clone() };
    let qr = Qr::of(&code).map_err(|error| {
        tracing::error!(ticket = %ticket.id, %error, "a code is not shown");
        Code::Internal
    })?;
    let name = format!("ticket-{}.svg", ticket.position);
    Ok(document("image/svg+xml", &name, qr.svg().into_bytes()))
}

/// The event, for a calendar: the same entry for each ticket to it.
#[utoipa::path(get, path = "/tickets/{ticket}/event.ics", tag = "tickets", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "RFC 5545", content_type = "text/calendar", body = String),
    NotYours,
))]
pub async fn event(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(ticket): Path<TicketId>,
) -> Result<Response, Problem> {
    let ticket = own(&app, signed_in.account, ticket).await?;
    let holder = holder(&app, signed_in.account).await?;
    let billing = app.papers.billing(ticket.reference.event).await?;
    let entry = ics::of(&billing.programme, Language::of(&holder.language));
    Ok(document("text/calendar; charset=utf-8", "event.ics", entry.into_bytes()))
}

async fn own(app: &App, fan: FanId, ticket: TicketId) -> Result<Ticket, Problem> {
    Ok(tickets::of_fan(&app.database, ticket, fan).await?.ok_or(Code::NotFound)?)
}

pub(super) async fn live(app: &App, fan: FanId, ticket: TicketId) -> Result<Ticket, Problem> {
    let ticket = own(app, fan, ticket).await?;
    if ticket.state == TicketState::Live { Ok(ticket) } else { Err(Code::TicketVoid.into()) }
}

pub(super) async fn holder(app: &App, fan: FanId) -> Result<Account, Problem> {
    Ok(accounts::by_id(&app.database, fan).await?.ok_or(Code::NotFound)?)
}

/// `name` is one of ours: nothing that people wrote is in it.
pub(super) fn document(kind: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("inline; filename=\"{name}\"");
    ([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, disposition)], bytes).into_response()
}
