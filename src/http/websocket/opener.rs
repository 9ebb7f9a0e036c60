//! Who opens a socket: by access token or device key, by a page's socket ticket, or by the resume ticket of a socket that had to end.
//!
//! Owns what each of them must fit, and the ticket with which a client goes on at another node.

use http::{HeaderMap, header::SEC_WEBSOCKET_PROTOCOL};

use crate::{
    domain::{
        claims::{Confirmation, Kind, ResumeClaim, SeenClaim, SocketClaim},
        id::{EventId, FanId},
    },
    http::{
        app::App,
        extract::Fan,
        problem::{Code, Problem},
        tokens::{Tokens, lives::RESUME_S, unix_now},
    },
};

/// Stand before a ticket among the offered protocols: browsers can send one nowhere else.
const SOCKET_PREFIX: &str = "ticket.";
const RESUME_PREFIX: &str = "resume.";
/// Stands before the number of the last state that the client got on the socket before.
const LAST_PREFIX: &str = "last.";

pub struct Opener {
    pub fan: FanId,
    /// What the socket stands for: its page, its end, its session.
    socket: SocketClaim,
    /// To be used up.
    ticket: Option<String>,
    /// Told to come by a node that went away: not for the first time here, and not by its own choice.
    pub is_moving: bool,
    /// What was told on the socket that this one stands for, and whether the client got all of it.
    seen: Option<Box<SeenClaim>>,
    has_seen: bool,
    /// The fan has declared to need it.
    pub more_time: bool,
}

impl Opener {
    pub async fn of(app: &App, event: EventId, fan: Option<Fan>, headers: &HeaderMap) -> Result<Self, Problem> {
        let org = app.origins.check(headers)?;
        if let Some(Fan { id: fan, expires_at, sv, key }) = fan {
            let socket = SocketClaim { org, end: expires_at, sv, cnf: key };
            let more_time = app.database.needs_more_time(fan);
            return Ok(Self { fan, socket, ticket: None, is_moving: false, seen: None, has_seen: false, more_time });
        }
        let (fan, socket, ticket, seen, is_moving) = match ticket(headers)? {
            Ticket::Socket(ticket) => {
                let claims = app.tokens.verify_socket(ticket).await?;
                (claims.sub, claims.about, claims.jti, None, false)
            }
            Ticket::Resume(ticket) => {
                let claims = app.tokens.verify_resume(ticket).await?;
                if claims.about.evt != event {
                    return Err(Code::InvalidToken.into());
                }
                (claims.sub, claims.about.socket, claims.jti, claims.about.seen, true)
            }
        };
        let has_seen = seen.is_some_and(|seen| last(headers) == Some(seen.seq));
        let (ticket, seen, more_time) = (Some(ticket), seen.map(Box::new), app.database.needs_more_time(fan));
        let opener = Self { fan, socket, ticket, is_moving, seen, has_seen, more_time };
        // Bound to the page that asked for it.
        if opener.socket.org != org {
            return Err(Code::InvalidToken.into());
        }
        // A socket may have been open for long: its session may have ended meanwhile. A device has none.
        if !opener.fan.is_device() {
            app.sessions.stands(&app.database, opener.fan, opener.socket.sv).await?;
        }
        Ok(opener)
    }

    pub async fn use_ticket(&self, app: &App) -> Result<(), Problem> {
        let Some(ticket) = &self.ticket else { return Ok(()) };
        if app.used_tickets.use_once(ticket).await? {
            return Ok(());
        }
        Err(Problem::new(Code::InvalidToken).detail("the ticket has been used"))
    }

    /// When the socket ends, in seconds since 1970.
    pub fn until_s(&self) -> u64 {
        self.socket.end
    }

    /// States are counted on from here.
    pub fn seq(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.seq)
    }

    /// What the client knows already.
    pub fn seen(&self) -> Option<SeenClaim> {
        self.seen.as_deref().copied().filter(|_| self.has_seen)
    }

    /// What an admission token is bound to that is told on it.
    pub fn key(&self) -> Option<Confirmation> {
        self.socket.cnf.clone()
    }

    /// Opens the same socket elsewhere; and the seconds in which it must be used.
    pub fn resume_ticket(&self, tokens: &Tokens, event: EventId, seen: Option<SeenClaim>) -> (String, u64) {
        let now = unix_now();
        let life = RESUME_S.min(self.until_s().saturating_sub(now));
        let claim = ResumeClaim { evt: event, socket: self.socket.clone(), seen };
        (tokens.sign_until(Kind::Resume, self.fan, now, now + life, claim), life)
    }
}

enum Ticket<'a> {
    Socket(&'a str),
    Resume(&'a str),
}

/// The one that is offered.
fn ticket(headers: &HeaderMap) -> Result<Ticket<'_>, Problem> {
    let mut tickets = protocols(headers).filter_map(|offered| {
        let socket = offered.strip_prefix(SOCKET_PREFIX).map(Ticket::Socket);
        socket.or_else(|| offered.strip_prefix(RESUME_PREFIX).map(Ticket::Resume))
    });
    match (tickets.next(), tickets.next()) {
        (Some(ticket), None) => Ok(ticket),
        _ => Err(Code::Unauthenticated.into()),
    }
}

/// What the client says that it was told last.
fn last(headers: &HeaderMap) -> Option<u64> {
    protocols(headers).find_map(|offered| offered.strip_prefix(LAST_PREFIX)?.parse().ok())
}

/// That the client offers.
pub fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}
