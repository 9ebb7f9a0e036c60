//! The queue as server-sent events: what a socket is told, for clients that have none. What a client has to say, it says by
//! HTTP.
//!
//! Owns the events. What is told is decided by the stream's Connection actor.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use http::HeaderMap;
use serde_json::json;
use tokio::{sync::mpsc, time::sleep};

use super::{open_event, state::Teller, ticket};
use crate::{
    actors::connection::{self, Outgoing},
    domain::id::EventId,
    http::{
        app::App,
        extract::{ClientAddress, Fan, Path},
        gates::{self, Comer},
        problem::{Code, Problem},
        shapes::Timestamp,
        sse::{self, Event, Events, event},
        tokens::unix_now,
        websocket::{Seat, code, goodbye},
    },
};

/// Messages between the connection's actor and the stream's task.
const WAITING: usize = 8;

/// Takes a place and tells where the fan stands, at once and on change, until the client goes. Events: `queue.update` (a state,
/// its `id` is `seq`), `queue.turn`, `queue.notice`, `waitlist.offer`, `goaway`, and as the last `close` with `{code, reason}` as of a socket. Claim,
/// extend and leave by HTTP.
#[utoipa::path(get, path = "/events/{event}/queue/stream", tag = "queue", params(("event" = String, Path),
        ("onsale-queue-ticket" = Option<String>, Header, description = "as for joining")),
    security(("bearer" = [])), responses(
    (status = 200, description = "a stream of events; the first one comes at once", content_type = "text/event-stream", body = String),
    (status = 400, description = "invalid_queue_ticket or invalid_invite"),
    (status = 401, description = "unauthenticated"),
    (status = 403, description = "forbidden: the queue ticket is another's; challenge_required: solve `challenge` with `bits`, and come again; captcha_required; invite_needed; invite_used; account_needed"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_on_sale: the event has ended or was cancelled; waits_elsewhere, with `event`"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "event_unavailable, captcha_unavailable"),
))]
pub async fn open(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    fan: Fan,
    Path(event): Path<EventId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    app.limits.joining(address, fan.id)?;
    let handles = open_event(&app, event).await?;
    let place = ticket::shown(&app, event, fan.id, &headers).await?;
    let comer = Comer { fan: fan.id, address, headers: &headers, had_place: place.is_some() };
    gates::pass(&app, &handles, event, comer).await?;
    let seat = app.sockets.take_seat(fan.id);
    let (say, outgoing) = mpsc::channel(WAITING);
    let started = connection::start_at(app.directory.clone(), event, fan.id, place, say).await;
    let connection = started.map_err(|error| {
        tracing::error!(%error, "a connection did not start");
        Problem::new(Code::Internal)
    })?;
    let more_time = app.database.needs_more_time(fan.id);
    let teller = Teller::new(app.tokens.clone(), event, fan.id).bound_to(fan.key).with_more_time(more_time);
    let teller = teller.telling_tickets_once();
    let (events, response) = sse::open();
    let stream = Stream { connection, teller, outgoing, events };
    app.tasks.spawn(stream.run(app.clone(), seat, fan.expires_at));
    Ok(response)
}

struct Stream {
    connection: connection::Handle,
    teller: Teller,
    outgoing: mpsc::Receiver<Outgoing>,
    events: Events,
}

impl Stream {
    async fn run(mut self, app: Arc<App>, seat: Seat, expires_at: u64) {
        let expiry = sleep(Duration::from_secs(expires_at.saturating_sub(unix_now())));
        let goodbye = goodbye(app.closing.clone(), app.operations.state());
        tokio::pin!(expiry, goodbye);
        let mut going = false;
        let last = loop {
            let outgoing = tokio::select! {
                biased;
                () = self.events.closed() => return,
                () = seat.displaced.cancelled() => break close(code::TOO_MANY_SOCKETS, "too_many_sockets"),
                () = &mut expiry => break close(code::TOKEN_EXPIRED, "token_expired"),
                () = &mut goodbye, if !going => {
                    going = true;
                    self.connection.goaway();
                    continue;
                }
                outgoing = self.outgoing.recv() => outgoing,
            };
            let event = match outgoing {
                None => break close(code::FAILED, "failed"),
                Some(Outgoing::Close(why)) => break close(why.code(), why.reason()),
                Some(Outgoing::Update(update)) => {
                    let state = self.teller.tell(update);
                    event("queue.update", &state).id(state.seq.to_string())
                }
                Some(Outgoing::Turn(admission)) => {
                    event("queue.turn", &json!({"claimBy": admission.claim_by.map(Timestamp::from)}))
                }
                Some(Outgoing::Notice(notice)) => {
                    let opens_at = notice.opens_at().map(Timestamp::from);
                    event("queue.notice", &json!({"code": notice.name(), "opensAt": opens_at}))
                }
                Some(Outgoing::Offer { reference, until }) => {
                    event("waitlist.offer", &json!({"reference": reference, "expiresAt": Timestamp::from(until)}))
                }
                Some(Outgoing::Goaway(_)) => event("goaway", &json!({})),
            };
            if self.events.tell(event).await.is_err() {
                return;
            }
        };
        // A client that takes nothing is not told why either.
        let _ = self.events.tell(last).await;
    }
}

fn close(code: u16, reason: &str) -> Event {
    event("close", &json!({"code": code, "reason": reason}))
}
