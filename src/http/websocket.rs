//! The queue's socket: live positions, turns and admissions.
//!
//! Owns the handshake, the frames and their limits, and the words on the wire. Who may open one is [`opener`]'s. What is told is
//! decided by the socket's Connection actor.

pub mod first_version;
mod masked;
mod opener;
mod reader;
mod sockets;
mod writer;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use fastwebsockets::upgrade::IncomingUpgrade;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::sockets::{Seat, Sockets};
use self::{
    first_version::FirstVersion,
    opener::{Opener, protocols},
    writer::Writer,
};
use super::{
    app::App,
    extract::{ClientAddress, Path, SignedIn},
    problem::{Code, Problem},
    queue::{open_event, state::Teller},
};
use crate::{actors::connection, domain::id::EventId, stores::membership::State as NodeState};

/// The one protocol spoken here.
const PROTOCOL: &str = "onsale.v1";
/// The bytes of the handshake's answer must be through within this.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Messages between the connection's actor, the socket's reader and its writer.
const WAITING: usize = 8;
/// For all sockets of a node that is drained to be told.
const MOVING: Duration = Duration::from_secs(3);

/// Why a socket is closed: RFC 6455, and ours from 4000 on.
mod code {
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

/// Opens a socket and takes a place in the queue. By access token; or from a page by socket ticket: offer the protocols
/// `onsale.v1` and `ticket.TICKET`; or where another node said `goaway`: `onsale.v1` and `resume.TICKET`, from the same page.
#[utoipa::path(get, path = "/events/{event}/queue/socket", tag = "queue", params(("event" = String, Path),
        ("Sec-WebSocket-Protocol" = Option<String>, Header, description = "`onsale.v1, ticket.TICKET` or `onsale.v1, resume.TICKET`")),
    security(("bearer" = []), ()), responses(
    (status = 101, description = "a WebSocket; the first message comes at once"),
    (status = 401, description = "unauthenticated, invalid_token or token_expired"),
    (status = 403, description = "origin_not_allowed"),
    (status = 404, description = "not_found"),
    (status = 409, description = "not_on_sale: the event has ended or was cancelled"),
    (status = 426, description = "websocket_expected"),
    (status = 429, description = "rate_limited"),
    (status = 503, description = "event_unavailable; store_unavailable or outcome_unknown: by ticket only, come with a new one"),
))]
pub async fn open(
    State(app): State<Arc<App>>,
    address: ClientAddress,
    Path(event): Path<EventId>,
    signed_in: Option<SignedIn>,
    headers: HeaderMap,
    upgrade: Result<IncomingUpgrade, StatusCode>,
) -> Result<Response, Problem> {
    enter(app, address, event, signed_in, headers, upgrade, None).await
}

async fn enter(
    app: Arc<App>,
    ClientAddress(address): ClientAddress,
    event: EventId,
    signed_in: Option<SignedIn>,
    headers: HeaderMap,
    upgrade: Result<IncomingUpgrade, StatusCode>,
    first_version: Option<FirstVersion>,
) -> Result<Response, Problem> {
    let opener = Opener::of(&app, event, signed_in, &headers).await?;
    if !opener.is_moving {
        app.limits.join_address.check(address)?;
        app.limits.join_account.check(opener.account)?;
    }
    let upgrade = upgrade.ok().filter(|_| is_upgrade(&headers)).ok_or(Code::WebsocketExpected)?;
    open_event(&app, event).await?;
    // Last: a ticket is not lost to an event that is just moving.
    opener.use_ticket(&app).await?;
    let (response, upgraded) = upgrade.upgrade().map_err(|_| Problem::new(Code::WebsocketExpected))?;
    let mut response = response.into_response();
    // A browser drops the socket unless exactly one protocol that it offered comes back.
    if protocols(&headers).any(|offered| offered == PROTOCOL) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    let seat = app.sockets.take_seat(opener.account);
    app.tasks.spawn(serve(app.clone(), event, opener, first_version, seat, upgraded));
    Ok(response)
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
async fn serve(
    app: Arc<App>,
    event: EventId,
    opener: Opener,
    first_version: Option<FirstVersion>,
    seat: Seat,
    upgraded: fastwebsockets::upgrade::UpgradeFut,
) {
    let Ok(Ok(socket)) = tokio::time::timeout(HANDSHAKE, upgraded).await else { return };
    let (reading, writing) = tokio::io::split(socket.into_inner());
    let (say, outgoing) = mpsc::channel(WAITING);
    let connection = match connection::start(app.directory.clone(), event, opener.account, say).await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::error!(%error, "a connection did not start");
            return;
        }
    };
    let (hear, heard) = mpsc::channel(WAITING);
    let reader = tokio::spawn(reader::read(reading, hear));
    let teller = Teller::new(app.tokens.clone(), event, opener.account);
    let tokens = app.tokens.clone();
    let goodbye = goodbye(app.closing.clone(), app.operations.state());
    Writer { connection, teller, tokens, event, opener, first_version, outgoing, heard, reader }
        .run(writing, goodbye, &seat.displaced)
        .await;
}
