//! The signed queue ticket as a client shows it: the proof of a place that the queue's store may have lost.
//!
//! Owns where it is shown and whose it has to be. Whether the place comes back the waiting room decides.

use http::HeaderMap;

use crate::{
    domain::{
        id::{EventId, FanId},
        queue::Place,
    },
    http::{
        app::App,
        problem::{Code, Problem},
        tokens::Refused,
        websocket::protocols,
    },
};

pub const HEADER: &str = "onsale-queue-ticket";
/// The same among a socket's protocols.
const PROTOCOL_PREFIX: &str = "place.";

/// The place that the fan has a ticket of, if one is shown.
pub async fn shown(app: &App, event: EventId, fan: FanId, headers: &HeaderMap) -> Result<Option<Place>, Problem> {
    let by_header = headers.get(HEADER).map(|value| value.to_str().unwrap_or_default());
    let by_protocol = || protocols(headers).find_map(|offered| offered.strip_prefix(PROTOCOL_PREFIX));
    let Some(ticket) = by_header.or_else(by_protocol) else { return Ok(None) };
    let claims = match app.tokens.verify_queue_ticket(ticket).await {
        Ok(claims) => claims,
        Err(Refused::Unsure) => return Err(Code::StoreUnavailable.into()),
        Err(Refused::Expired) => return Err(Problem::new(Code::InvalidQueueTicket).detail("the ticket has expired")),
        Err(Refused::Invalid | Refused::Unknown(_)) => return Err(Code::InvalidQueueTicket.into()),
    };
    if claims.about.evt != event {
        return Err(Problem::new(Code::InvalidQueueTicket).detail("the ticket is for another event"));
    }
    if claims.sub != fan {
        return Err(Problem::new(Code::Forbidden).detail("the queue ticket is another's"));
    }
    Ok(Some(claims.about.plc))
}
