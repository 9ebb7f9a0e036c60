//! The queue's socket: live positions, turns and admissions.
//!
//! Owns the handshake, the frames and their limits, and the words on the wire. Who may open one is [`opener`]'s. What is told is
//! decided by the socket's Connection actor.

pub mod first_version;
mod line;
mod masked;
mod opener;
mod reader;
mod sockets;
mod speaker;
pub mod watcher;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use fastwebsockets::{
    Frame, OpCode, Payload,
    upgrade::{IncomingUpgrade, UpgradeFut},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub use self::{
    line::{Line, encoded},
    opener::protocols,
    sockets::{Seat, Sockets},
};
use self::{
    opener::Opener,
    reader::{Said, Stop},
    speaker::Speaker,
};
use super::{
    app::App,
    extract::{ClientAddress, Fan, Path},
    gates::{self, Comer},
    problem::{Code, Problem},
    queue::{open_event, ticket},
    server::Connection,
    tokens::unix_now,
};
use crate::{
    actors::connection::{self, Outlet},
    domain::{id::EventId, queue::Place},
    stores::membership::State as NodeState,
};

/// The one protocol spoken here.
const PROTOCOL: &str = "onsale.v1";
/// The bytes of the handshake's answer must be through within this.
const HANDSHAKE: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(20);
/// For all sockets of a node that is drained to be told.
const MOVING: Duration = Duration::from_secs(3);

/// Why a socket is closed: RFC 6455, and ours from 4000 on.
pub mod code {
    pub const PROTOCOL: u16 = 1002;
    pub const UNSUPPORTED: u16 = 1003;
    pub const NOT_UTF8: u16 = 1007;
    pub const TOO_LARGE: u16 = 1009;
    pub const FAILED: u16 = 1011;
    pub const TOKEN_EXPIRED: u16 = 4401;
    pub const SILENT: u16 = 4408;
    pub const TOO_MANY_SOCKETS: u16 = 4409;
    pub const TOO_MANY_MESSAGES: u16 = 4429;
}

/// Opens a socket and takes a place in the queue. By access token or device key; or from a page by socket ticket: offer the protocols
/// `onsale.v1` and `ticket.TICKET`; or where another node said `goaway`: `onsale.v1` and `resume.TICKET`, from the same page. Whoever had a place
/// shows its queue ticket, as the header `Onsale-Queue-Ticket` or as a protocol `place.TICKET`.
#[utoipa::path(get, path = "/events/{event}/queue/socket", tag = "queue", params(("event" = String, Path),
        ("Sec-WebSocket-Protocol" = Option<String>, Header, description = "`onsale.v1, ticket.TICKET` or `onsale.v1, resume.TICKET`, and `place.TICKET` beside it"),
        ("onsale-queue-ticket" = Option<String>, Header, description = "as for joining")),
    security(("bearer" = []), ()), responses(
    (status = 101, description = "a WebSocket; the first message comes at once"),
    (status = 400, description = "invalid_queue_ticket or invalid_invite"),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 403, description = "forbidden: the queue ticket is another's; origin_not_allowed; challenge_required, captcha_required, invite_needed: what is asked is a protocol, `challenge.CHALLENGE.NONCE`, `captcha.RESPONSE`, `invite.TOKEN`; invite_used, account_needed"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_on_sale: the event has ended or was cancelled; waits_elsewhere, with `event`"),
    (status = 426, description = "websocket_expected"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "event_unavailable, captcha_unavailable; store_unavailable or outcome_unknown: by ticket only, come with a new one"),
))]
pub async fn open(
    State(app): State<Arc<App>>,
    address: ClientAddress,
    Path(event): Path<EventId>,
    fan: Option<Fan>,
    headers: HeaderMap,
    upgrade: Result<IncomingUpgrade, StatusCode>,
) -> Result<Response, Problem> {
    let (response, entry) = enter(&app, address, event, fan, headers, upgrade).await?;
    app.tasks.spawn(serve(app.clone(), entry));
    Ok(response)
}

/// A socket whose handshake is answered.
struct Entry {
    event: EventId,
    opener: Arc<Opener>,
    /// By the queue ticket that was shown.
    place: Option<Place>,
    seat: Seat,
    upgraded: UpgradeFut,
}

async fn enter(
    app: &App,
    ClientAddress(address): ClientAddress,
    event: EventId,
    fan: Option<Fan>,
    headers: HeaderMap,
    upgrade: Result<IncomingUpgrade, StatusCode>,
) -> Result<(Response, Entry), Problem> {
    let opener = Opener::of(app, event, fan, &headers).await?;
    if !opener.is_moving {
        app.limits.joining(address, opener.fan)?;
    }
    let upgrade = upgrade.ok().filter(|_| is_upgrade(&headers)).ok_or(Code::WebsocketExpected)?;
    let handles = open_event(app, event).await?;
    let place = ticket::shown(app, event, opener.fan, &headers).await?;
    let had_place = opener.is_moving || place.is_some();
    let comer = Comer { fan: opener.fan, address, headers: &headers, had_place };
    gates::pass(app, &handles, event, comer).await?;
    // Last: a ticket is not lost to an event that is just moving.
    opener.use_ticket(app).await?;
    let (response, upgraded) = upgrade.upgrade().map_err(|_| Problem::new(Code::WebsocketExpected))?;
    let response = agreed(response.into_response(), &headers);
    let seat = app.sockets.take_seat(opener.fan);
    Ok((response, Entry { event, opener: Arc::new(opener), place, seat, upgraded }))
}

/// A browser drops the socket unless exactly one protocol that it offered comes back.
fn agreed(mut response: Response, headers: &HeaderMap) -> Response {
    if protocols(headers).any(|offered| offered == PROTOCOL) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    response
}

/// When a socket is to say goodbye: at once if the node goes down; one by one if it is drained, for then it goes on serving. Who
/// opens one at a node that is drained has been told before, or has no choice.
pub async fn goodbye(closing: CancellationToken, mut state: watch::Receiver<NodeState>) {
    state.mark_unchanged();
    let drained = async {
        loop {
            if state.changed().await.is_err() {
                // It never changes.
                return std::future::pending().await;
            }
            if *state.borrow_and_update() == NodeState::Draining {
                return tokio::time::sleep(MOVING.mul_f64(rand::random())).await;
            }
        }
    };
    tokio::select! {
        () = closing.cancelled() => {}
        () = drained => {}
    }
}

/// The extractor looks at neither of these.
fn is_upgrade(headers: &HeaderMap) -> bool {
    let has = |name, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    has(CONNECTION, "upgrade") && has(UPGRADE, "websocket")
}

/// The socket's life after the handshake.
async fn serve(app: Arc<App>, Entry { event, opener, place, seat, upgraded }: Entry) {
    // What is large and over at once is boxed: this task lives as long as the socket.
    let begun = Box::pin(begin(&app, event, &opener, place, upgraded, |speaker, _| speaker)).await;
    let Some((line, connection)) = begun else { return };
    let goodbye = goodbye(app.closing.clone(), app.operations.state());
    let mut watching = None;
    let mut hear = |said| {
        if let Said::Stock(seen) = said {
            watching = Some(app.stations.station(&app.directory, event).watch(&line, seen.mark()));
            return true;
        }
        heard_by(&connection, said)
    };
    let is_told = attend(&line, &connection, &opener, goodbye, &seat.displaced, &mut hear).await;
    // The room learns at once that the fan is gone.
    drop(connection);
    if is_told {
        part(&line).await;
    }
}

/// Takes the socket over, and starts the connection that is told on it.
async fn begin<O: Outlet>(
    app: &App,
    event: EventId,
    opener: &Arc<Opener>,
    place: Option<Place>,
    upgraded: UpgradeFut,
    outlet: impl FnOnce(Speaker, &Arc<Line>) -> O,
) -> Option<(Arc<Line>, connection::Handle)> {
    let line = Arc::new(line(upgraded).await?);
    let speaker = Speaker::new(line.clone(), app.tokens.clone(), event, opener.clone());
    let outlet = outlet(speaker, &line);
    match connection::start_at(app.directory.clone(), event, opener.fan, place, outlet).await {
        Ok(connection) => Some((line, connection)),
        Err(error) => {
            tracing::error!(%error, "a connection did not start");
            None
        }
    }
}

/// After the last frame: the client reads why, then the end, and closes too.
async fn part(line: &Line) {
    if line.tend().await.is_ok() {
        line.shutdown().await;
        Box::pin(reader::drain(line)).await;
    }
}

async fn line(upgraded: UpgradeFut) -> Option<Line> {
    let socket = tokio::time::timeout(HANDSHAKE, upgraded).await.ok()?.ok()?;
    match downcast::<TokioIo<Connection>>(socket.into_inner().into_inner()) {
        // Copied: an empty slice would keep the whole buffer of the request's head.
        Ok(parts) => Some(Line::new(parts.io.into_inner(), Bytes::copy_from_slice(&parts.read_buf))),
        Err(_) => {
            tracing::error!("a socket came by another listener");
            None
        }
    }
}

/// Until the socket has to end. Whether the client is told why.
async fn attend(
    line: &Line,
    connection: &connection::Handle,
    opener: &Opener,
    goodbye: impl Future<Output = ()>,
    displaced: &CancellationToken,
    hear: &mut impl FnMut(Said) -> bool,
) -> bool {
    let expiry = tokio::time::sleep(Duration::from_secs(opener.until_s().saturating_sub(unix_now())));
    let (reading, tending) = (reader::read(line, hear), line.tend());
    tokio::pin!(expiry, goodbye, reading, tending);
    let mut ping = interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    let mut going = false;
    loop {
        let (code, reason) = tokio::select! {
            biased;
            () = displaced.cancelled() => (code::TOO_MANY_SOCKETS, "too_many_sockets"),
            () = &mut expiry => (code::TOKEN_EXPIRED, "token_expired"),
            () = &mut goodbye, if !going => {
                going = true;
                connection.goaway();
                continue;
            }
            stop = &mut reading => match stop {
                Stop::Closed => return true,
                Stop::Gone => return false,
                Stop::Refused(code) => (code, ""),
            },
            // The connection has said the last word, or the client takes nothing.
            tended = &mut tending => return tended.is_ok(),
            _ = ping.tick() => {
                send_ping(line);
                continue;
            }
        };
        line.close(code, reason);
        return true;
    }
}

/// Whether it is for the connection.
fn heard_by(connection: &connection::Handle, said: Said) -> bool {
    match said {
        Said::Claim {} => connection.claim(),
        Said::Extend {} => connection.extend(),
        Said::Leave {} => connection.leave(),
        Said::Ping {} | Said::Stock(_) => return false,
    }
    true
}

/// A line that is broken ends by itself.
fn send_ping(line: &Line) {
    let _ = line.send(Frame::new(true, OpCode::Ping, None, Payload::Borrowed(b"")));
}
