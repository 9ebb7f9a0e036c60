//! What each kind of token says. Signing and verifying is `http::tokens`; here is only the content.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    account::Role,
    id::{EventId, FanId},
    queue::Place,
};

/// A kind of token: each has its own key, `typ` and `aud`, and none is taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Access,
    Admission,
    /// Opens one socket, for the page that asked for it.
    Socket,
    /// Proves a place in a queue.
    QueueTicket,
    /// Opens one socket at another node, in place of one that its node had to end.
    Resume,
    /// Stands for a person who has not signed in.
    Device,
    /// A proof of work to be done for a place.
    Challenge,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Access, Self::Admission, Self::Socket, Self::QueueTicket, Self::Resume, Self::Device, Self::Challenge];

    pub const fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Admission => "adm+jwt",
            Self::Socket => "ws+jwt",
            Self::QueueTicket => "qt+jwt",
            Self::Resume => "resume+jwt",
            Self::Device => "dev+jwt",
            Self::Challenge => "pow+jwt",
        }
    }

    pub const fn audience(self) -> &'static str {
        match self {
            Self::Access => "onsale:access",
            Self::Admission => "onsale:admission",
            Self::Socket => "onsale:socket",
            Self::QueueTicket => "onsale:queue",
            Self::Resume => "onsale:resume",
            Self::Device => "onsale:device",
            Self::Challenge => "onsale:challenge",
        }
    }
}

/// What every token says. Times in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims<T> {
    pub iss: String,
    pub aud: String,
    pub sub: FanId,
    pub jti: String,
    pub iat: u64,
    pub nbf: u64,
    pub exp: u64,
    #[serde(flatten)]
    pub about: T,
}

/// The key without which a token is worth nothing (RFC 7800, RFC 9449).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Its thumbprint: RFC 7638, SHA-256, base64url.
    pub jkt: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Must equal the account's: password change, logout and role change raise it.
    pub sv: u32,
    /// The account's, at that version.
    pub roles: Vec<Role>,
    /// When the password was given, in seconds since 1970; a refreshed token does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<u64>,
    /// Admission tokens that are given for this one are bound to this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

impl Access {
    /// Of who has just these.
    pub fn of(sv: u32, roles: Vec<Role>) -> Self {
        Self { sv, roles, auth_time: None, cnf: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionClaim {
    pub evt: EventId,
    pub plc: Place,
    /// Holds show that they have this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

impl AdmissionClaim {
    /// Bound to no key.
    pub fn of(evt: EventId, plc: Place) -> Self {
        Self { evt, plc, cnf: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketClaim {
    /// The browser's Origin that asked for it, if it was one.
    pub org: Option<String>,
    /// When the access token that asked for it ends, in seconds since 1970: the socket ends with it.
    pub end: u64,
    /// Of that access token.
    pub sv: u32,
    /// What its admission token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// What the socket stood for that is to be opened again. The place is not in it: that is the account's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeClaim {
    pub evt: EventId,
    #[serde(flatten)]
    pub socket: SocketClaim,
    /// What was told on it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<SeenClaim>,
}

/// From where a socket goes on that stands for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenClaim {
    /// Of the last state.
    pub seq: u64,
    /// A hash of what that said, beside time and outflow.
    pub dig: u64,
    /// The notice that was told, by its version.
    pub ntc: u32,
    /// The place whose ticket was told.
    pub plc: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueTicketClaim {
    pub evt: EventId,
    pub plc: Place,
}

/// All of it is whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceClaim {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeClaim {
    pub evt: EventId,
    /// With which the hash of the solution begins, all zero.
    pub bits: u32,
}
