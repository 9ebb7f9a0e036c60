//! How a client of the first version of this service is spoken to: it knows states and nothing else, says nothing, and goes
//! shopping when its socket is closed with 1000.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use fastwebsockets::upgrade::IncomingUpgrade;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::{sync::watch, time::sleep};
use utoipa::IntoParams;

use super::{Entry, attend, begin, enter, goodbye, heard_by, line::Line, part, speaker::Speaker};
use crate::{
    actors::connection::{Handle, Outgoing, Outlet, Put},
    domain::{id::EventId, queue::Standing},
    http::{
        app::App,
        extract::{ClientAddress, Fan, Query},
        problem::Problem,
    },
};

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Joined {
    #[param(value_type = String)]
    event_id: EventId,
}

/// The queue's socket as the first version of this service had it: states only, the turn is claimed by the socket, and after the
/// one with `acceptedTokenId` it is closed with 1000. Opened as the other one.
#[utoipa::path(get, path = "/ws", tag = "first version", params(Joined,
        ("Sec-WebSocket-Protocol" = Option<String>, Header, description = "`onsale.v1, ticket.TICKET`")),
    security(("bearer" = []), ()), responses(
    (status = 101, description = "a WebSocket; the first message comes at once"),
    (status = 400, description = "invalid_query"),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 403, description = "origin_not_allowed or challenge_required"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_on_sale: the event has ended or was cancelled"),
    (status = 426, description = "websocket_expected"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "event_unavailable; store_unavailable or outcome_unknown: by ticket only"),
))]
pub async fn open(
    State(app): State<Arc<App>>,
    address: ClientAddress,
    fan: Option<Fan>,
    Query(Joined { event_id }): Query<Joined>,
    headers: HeaderMap,
    upgrade: Result<IncomingUpgrade, StatusCode>,
) -> Result<Response, Problem> {
    let (response, entry) = enter(&app, address, event_id, fan, headers, upgrade).await?;
    app.tasks.spawn(serve(app.clone(), entry));
    Ok(response)
}

/// Between two claims of one turn: the first may have failed.
const AGAIN: Duration = Duration::from_secs(2);

/// The life of such a socket after the handshake.
async fn serve(app: Arc<App>, Entry { event, opener, place, seat, upgraded }: Entry) {
    let (called, is_called) = watch::channel(false);
    let outlet = |speaker, line: &Arc<Line>| FirstVersion { speaker, line: line.clone(), called };
    let begun = Box::pin(begin(&app, event, &opener, place, upgraded, outlet)).await;
    let Some((line, connection)) = begun else { return };
    let goodbye = goodbye(app.closing.clone(), app.operations.state());
    let mut hear = |said| heard_by(&connection, said);
    let is_told = tokio::select! {
        is_told = attend(&line, &connection, &opener, goodbye, &seat.displaced, &mut hear) => is_told,
        () = claim(is_called, &connection) => true,
    };
    drop(connection);
    if is_told {
        part(&line).await;
    }
}

/// Claims each turn until it is claimed or over; ends with the outlet.
async fn claim(mut is_called: watch::Receiver<bool>, connection: &Handle) {
    while is_called.wait_for(|is_called| *is_called).await.is_ok() {
        connection.claim();
        sleep(AGAIN).await;
    }
}

/// Lets the speaker say states, and the last word.
struct FirstVersion {
    speaker: Speaker,
    line: Arc<Line>,
    called: watch::Sender<bool>,
}

impl Outlet for FirstVersion {
    fn put(&self, outgoing: Outgoing) -> Put {
        let standing = match &outgoing {
            Outgoing::Update(update) => update.standing,
            Outgoing::Close(_) => return self.speaker.put(outgoing),
            Outgoing::Turn(_) | Outgoing::Notice(_) | Outgoing::Offer { .. } | Outgoing::Goaway(_) => {
                return Put::Taken;
            }
        };
        let put = self.speaker.put(outgoing);
        if let (Put::Taken, Some((code, reason))) = (put, last_word(standing)) {
            self.line.close(code, reason);
        }
        self.called.send_replace(is_called(standing));
        put
    }
}

fn is_called(standing: Standing) -> bool {
    matches!(standing, Standing::Admitted(admission) if admission.claim_by.is_some())
}

/// Where nothing more comes: the client goes shopping, or it has no place and does not know the word for it, so it has to come
/// again.
fn last_word(standing: Standing) -> Option<(u16, &'static str)> {
    match standing {
        Standing::Admitted(_) if is_called(standing) => None,
        Standing::Admitted(_) => Some((1000, "accepted")),
        Standing::NotHere => Some((1013, "not_in_queue")),
        Standing::Waiting(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{id::FanId, inventory::request::Admission, queue::Place, time::EventTime};

    #[test]
    fn only_who_is_in_or_has_no_place_hears_a_last_word() {
        let (place, fan, until) = (Place(3), FanId::from_u128(9), EventTime(9_000));
        let admission = |claim_by| Admission { place, fan, claim_by, until, extended: false };
        let (called, admitted) = (admission(Some(EventTime(5_000))), admission(None));
        for (standing, word, claims) in [
            (Standing::Waiting(place), None, false),
            (Standing::Admitted(called), None, true),
            (Standing::Admitted(admitted), Some((1000, "accepted")), false),
            (Standing::NotHere, Some((1013, "not_in_queue")), false),
        ] {
            assert_eq!((last_word(standing), is_called(standing)), (word, claims), "{standing:?}");
        }
    }
}
