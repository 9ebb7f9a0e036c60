//! Requests that must have one effect: what each key was used for, and what it answered.
//!
//! A key is *running* until its answer is there. One that has run for a minute belongs to a request that died: whoever asks
//! next takes it over and must continue under the same keys at others.

use super::{Database, Write};
use crate::{
    domain::time::{EventTime, Millis},
    stores::error::StoreError,
};

/// A running request older than this may be resumed.
pub const RESUMABLE: Millis = Millis::seconds(60);
/// How long an answer is kept.
pub const KEPT: Millis = Millis::minutes(24 * 60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Do it, then [`finish`] or [`abandon`]. `resumed`: somebody had begun, and it may be half done.
    Yours {
        resumed: bool,
    },
    Running {
        since: EventTime,
    },
    /// The key was used for another request.
    OtherBody,
    Done {
        status: u16,
        response: String,
    },
}

/// `key`: SHA-256 over principal, route and Idempotency-Key, `body`: over the request's body, both hexadecimal.
pub async fn begin(_database: &Database, _key: &str, _body: &str, _now: EventTime) -> Result<Begun, StoreError> {
    todo!("database helper")
}

/// Best in the transaction of the effect. [`StoreError::Conflict`] if the key is not running: somebody resumed it and was
/// first.
pub async fn finish(_write: &mut Write, _key: &str, _status: u16, _response: &str) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Nothing was done: the key is free again. Does nothing to a finished one.
pub async fn abandon(_database: &Database, _key: &str) -> Result<(), StoreError> {
    todo!("database helper")
}

/// Forgets what is older than [`KEPT`]; says how many.
pub async fn purge(_database: &Database, _now: EventTime) -> Result<u64, StoreError> {
    todo!("database helper")
}
