//! The queue as server-sent events: what a socket is told, for clients that have none. What a client has to say, it says by
//! HTTP.
//!
//! Owns the events and their limits, which are those of sockets. What is told is decided by the stream's Connection actor.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::{
    open_event,
    state::{Teller, Told},
};
use crate::{
    actors::connection::{self, Notice, Outgoing, Shut},
    domain::id::EventId,
    http::{
        app::App,
        extract::{ClientAddress, Path, SignedIn},
        problem::{Code, Problem},
        shapes::Timestamp,
        tokens::unix_now,
        websocket::{Seat, goodbye},
    },
};

/// A comment when nothing else was said, so that nobody on the way takes the stream for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Messages between the connection's actor and the stream's task.
const WAITING: usize = 8;
/// A client that takes no event within this is cut.
const WRITE: Duration = Duration::from_secs(30);

/// Takes a place and tells where the fan stands, at once and on change, until the client goes. Events: `queue.update` (a state,
/// its `id` is `seq`), `queue.turn`, `queue.notice`, `goaway`, and as the last `close` with `{code, reason}` as of a socket. Claim,
/// extend and leave by HTTP.
#[utoipa::path(get, path = "/events/{event}/queue/stream", tag = "queue", params(("event" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 200, description = "a stream of events; the first one comes at once", content_type = "text/event-stream", body = String),
    (status = 401, description = "unauthenticated"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_on_sale: the event has ended or was cancelled"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "event_unavailable"),
))]
pub async fn open(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    signed_in: SignedIn,
    Path(event): Path<EventId>,
) -> Result<Response, Problem> {
    app.limits.join_address.check(address)?;
    app.limits.join_account.check(signed_in.account)?;
    open_event(&app, event).await?;
    let seat = app.sockets.take_seat(signed_in.account);
    let (say, outgoing) = mpsc::channel(WAITING);
    let started = connection::start(app.directory.clone(), event, signed_in.account, say).await;
    let connection = started.map_err(|error| {
        tracing::error!(%error, "a connection did not start");
        Problem::new(Code::Internal)
    })?;
    let teller = Teller::new(app.tokens.clone(), event, signed_in.account);
    let (events, body) = mpsc::channel(1);
    let stream = Stream { connection, teller, outgoing, events };
    app.tasks.spawn(stream.run(app.clone(), seat, signed_in.expires_at));
    Ok(told(body))
}

/// What comes over `body`, as an answer.
pub fn told(body: mpsc::Receiver<Event>) -> Response {
    let events =
        stream::unfold(
            body,
            |mut body| async move { body.recv().await.map(|event| (Ok::<_, Infallible>(event), body)) },
        );
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

pub fn event(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).expect("words are plain values"))
}

struct Stream {
    connection: connection::Handle,
    teller: Teller,
    outgoing: mpsc::Receiver<Outgoing>,
    events: mpsc::Sender<Event>,
}

impl Stream {
    async fn run(mut self, app: Arc<App>, seat: Seat, expires_at: u64) {
        let expiry = tokio::time::sleep(Duration::from_secs(expires_at.saturating_sub(unix_now())));
        let goodbye = goodbye(app.closing.clone(), app.operations.state());
        tokio::pin!(expiry, goodbye);
        let mut going = false;
        loop {
            let (event, last) = tokio::select! {
                biased;
                () = self.events.closed() => return,
                () = seat.displaced.cancelled() => (close(4409, "too_many_sockets"), true),
                () = &mut expiry => (close(4401, "token_expired"), true),
                () = &mut goodbye, if !going => {
                    going = true;
                    self.connection.goaway();
                    continue;
                }
                outgoing = self.outgoing.recv() => match outgoing {
                    None => (close(1011, "failed"), true),
                    Some(Outgoing::Close(why)) => (close(why.code(), why.reason()), true),
                    Some(outgoing) => (self.put(outgoing), false),
                },
            };
            let sent = timeout(WRITE, self.events.send(event)).await;
            if last || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// In words.
    fn put(&mut self, outgoing: Outgoing) -> Event {
        match outgoing {
            Outgoing::Update(update) => {
                let state = self.teller.tell(Told {
                    standing: update.standing,
                    position: update.position,
                    outflow_per_minute: update.outflow_per_minute,
                    conditions: update.conditions,
                    server_now: update.server_now,
                    seq: update.seq,
                });
                event("queue.update", &state).id(state.seq.to_string())
            }
            Outgoing::Turn(admission) => {
                event("queue.turn", &json!({"claimBy": admission.claim_by.map(Timestamp::from)}))
            }
            Outgoing::Notice(notice) => {
                let (code, opens_at) = in_words(notice);
                event("queue.notice", &json!({"code": code, "opensAt": opens_at}))
            }
            Outgoing::Goaway => event("goaway", &json!({})),
            Outgoing::Close(why) => close(why.code(), why.reason()),
        }
    }
}

fn close(code: u16, reason: &str) -> Event {
    event("close", &json!({"code": code, "reason": reason}))
}

/// A notice's code, and from when on something is possible.
pub fn in_words(notice: Notice) -> (&'static str, Option<Timestamp>) {
    match notice {
        Notice::AdmissionEndsSoon => ("admission_ends_soon", None),
        Notice::AdmissionEnded => ("admission_ended", None),
        Notice::NoExtension => ("no_extension", None),
        Notice::Refused(why @ Shut::NotOpen { from }) => (why.name(), Some(from.into())),
        Notice::Refused(why) => (why.name(), None),
        Notice::TryAgain => ("try_again", None),
    }
}
