//! Who opens a socket: by access token or device key, by a page's socket ticket, or by the resume ticket of a socket that had to end.
//!
//! Owns what each of them must fit, and the ticket with which a client goes on at another node.

use http::{HeaderMap, header::SEC_WEBSOCKET_PROTOCOL};

use crate::{
    domain::{
        claims::{Kind, ResumeClaim, SocketClaim},
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

pub struct Opener {
    pub fan: FanId,
    /// What the socket stands for: its page, its end, its session.
    socket: SocketClaim,
    /// To be used up.
    ticket: Option<String>,
    /// Told to come by a node that went away: not for the first time here, and not by its own choice.
    pub is_moving: bool,
}

impl Opener {
    pub async fn of(app: &App, event: EventId, fan: Option<Fan>, headers: &HeaderMap) -> Result<Self, Problem> {
        let org = app.origins.check(headers)?;
        if let Some(Fan { id: fan, expires_at, sv }) = fan {
            let socket = SocketClaim { org, end: expires_at, sv };
            return Ok(Self { fan, socket, ticket: None, is_moving: false });
        }
        let opener = match ticket(headers)? {
            Ticket::Socket(ticket) => {
                let claims = app.tokens.verify_socket(ticket).await?;
                Self { fan: claims.sub, socket: claims.about, ticket: Some(claims.jti), is_moving: false }
            }
            Ticket::Resume(ticket) => {
                let claims = app.tokens.verify_resume(ticket).await?;
                if claims.about.evt != event {
                    return Err(Code::InvalidToken.into());
                }
                Self { fan: claims.sub, socket: claims.about.socket, ticket: Some(claims.jti), is_moving: true }
            }
        };
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

    /// Opens the same socket elsewhere; and the seconds in which it must be used.
    pub fn resume_ticket(&self, tokens: &Tokens, event: EventId) -> (String, u64) {
        let now = unix_now();
        let life = RESUME_S.min(self.until_s().saturating_sub(now));
        let claim = ResumeClaim { evt: event, socket: self.socket.clone() };
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

/// That the client offers.
pub fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}
