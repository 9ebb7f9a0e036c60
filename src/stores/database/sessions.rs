//! Refresh tokens, as hashes, in families: a family is one login, and each use of a token makes its one successor.

use super::{Database, Write};
use crate::{
    domain::{
        id::FanId,
        time::{EventTime, Millis},
    },
    stores::error::StoreError,
};

/// The first token of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFamily {
    /// Names the login; random.
    pub family: String,
    pub account: FanId,
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// Of the client, hexadecimal.
    pub fingerprint: String,
    /// Unused until here, the token is void.
    pub expires_at: EventTime,
    /// Nothing of the family outlives this.
    pub family_expires_at: EventTime,
}

/// A token is presented for its successor, which whoever asks has derived from it: always the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented<'a> {
    pub hash: &'a str,
    pub successor_hash: &'a str,
    pub fingerprint: &'a str,
    /// Of the successor, unless the family ends before.
    pub idle_ttl: Millis,
    /// How long after its use a token still gives the same successor to the same client.
    pub grace: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The successor is now the family's token.
    Rotated {
        account: FanId,
        family: String,
        expires_at: EventTime,
    },
    /// It was used a moment ago by the same client: here is the same successor.
    SameSuccessor {
        account: FanId,
        family: String,
        expires_at: EventTime,
    },
    /// It was used before: stolen, or the client is confused. The whole family is revoked now.
    Reused {
        account: FanId,
        family: String,
    },
    Unknown,
    Expired,
    Revoked,
}

pub async fn start(_write: &mut Write, _family: &NewFamily, _now: EventTime) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Of any number at once, one rotates.
pub async fn rotate(_database: &Database, _presented: &Presented<'_>, _now: EventTime) -> Result<Rotation, StoreError> {
    todo!("database helper")
}

/// Revokes the family of this token, if there is one; the answer is whose.
pub async fn revoke(_write: &mut Write, _hash: &str, _now: EventTime) -> Result<Option<FanId>, StoreError> {
    todo!("database helper")
}

/// Revokes all of an account, but one family if named.
pub async fn revoke_all(
    _write: &mut Write,
    _account: FanId,
    _but_family: Option<&str>,
    _now: EventTime,
) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Forgets families that ended before `before`; says how many tokens.
pub async fn purge(_database: &Database, _before: EventTime) -> Result<u64, StoreError> {
    todo!("database helper")
}
