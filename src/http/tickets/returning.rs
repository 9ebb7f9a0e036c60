//! A ticket that its holder offers to who waits for one, at face value: valid until somebody takes it.

use std::sync::Arc;

use axum::extract::State;

use super::Ticket;
use crate::{
    domain::{id::TicketId, inventory::configuration::ListMode},
    http::{
        app::App,
        extract::{Json, Path, SignedIn},
        now,
        problem::{Code, Problem},
        refusals::NotYours,
    },
    stores::database::{
        orders,
        returns::{self, NotReturned, State as Offered},
        tickets::{self, State as TicketState},
    },
};

/// Offers the ticket to who waits for one. It stays valid until somebody takes it: then it lets nobody in, and its whole price
/// goes back to who has paid it. Again: the same.
#[utoipa::path(put, path = "/tickets/{ticket}/return", tag = "orders", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = Ticket),
    NotYours,
    (status = 409, description = "not_returnable, `why`: closed (the event takes none back, or not any more), transferred (another has bought it, whose the money is), scanned or void"),
    (status = 503, description = "event_unavailable, store_unavailable or outcome_unknown"),
))]
pub async fn put_up(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<TicketId>,
) -> Result<Json<Ticket>, Problem> {
    let ticket = tickets::of_fan(&app.database, id, signed_in.account).await?.ok_or(Code::NotFound)?;
    let handles = app.directory.event(ticket.reference.event).await?;
    let settings = handles.inventory.configuration().waitlist;
    let is_open = settings.returns_until.is_some_and(|until| handles.inventory.clock().now() < until);
    if !is_open || settings.mode == ListMode::Off {
        return Err(not_returnable("closed"));
    }
    // The money would be somebody else's.
    if orders::of_fan(&app.database, ticket.reference, signed_in.account).await?.is_none() {
        return Err(not_returnable("transferred"));
    }
    match returns::put_up(&app.database, &ticket, now()).await? {
        Ok(()) => Ok(Json(Ticket::of(ticket, &[id]))),
        Err(NotReturned::Scanned) => Err(not_returnable("scanned")),
        Err(NotReturned::Void | NotReturned::Withdrawn) => Err(not_returnable("void")),
    }
}

/// The holder keeps it after all. Nothing happens if it was not offered.
#[utoipa::path(delete, path = "/tickets/{ticket}/return", tag = "orders", params(("ticket" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = Ticket),
    NotYours,
    (status = 409, description = "not_returnable, `why`: taken (somebody has it, and the money goes back) or void"),
    (status = 503, description = "store_unavailable or outcome_unknown"),
))]
pub async fn withdraw(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<TicketId>,
) -> Result<Json<Ticket>, Problem> {
    let own = async || Ok::<_, Problem>(tickets::of_fan(&app.database, id, signed_in.account).await?);
    own().await?.ok_or(Code::NotFound)?;
    if returns::withdraw(&app.database, id, now()).await? == Some(Offered::Taken) {
        return Err(not_returnable("taken"));
    }
    let ticket = own().await?.ok_or(Code::NotFound)?;
    if ticket.state == TicketState::Void {
        return Err(not_returnable("void"));
    }
    Ok(Json(Ticket::of(ticket, &[])))
}

fn not_returnable(why: &'static str) -> Problem {
    Problem::new(Code::NotReturnable).with("why", why)
}
