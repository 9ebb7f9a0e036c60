//! What follows from signing in and out: hashes made anew, access that ends.

use super::Write;
use crate::{
    domain::{id::FanId, time::EventTime},
    stores::error::StoreError,
};

/// Ends every access token of an account, and nothing else.
pub async fn end(_write: &mut Write, _id: FanId, _now: EventTime) -> Result<(), StoreError> {
    todo!("waits for the accounts' tables")
}

/// Puts another hash of the same password in the place of `old`; `false` if that is not there any more. Sessions stay.
pub async fn replace_hash(
    _write: &mut Write,
    _id: FanId,
    _old: &str,
    _new: &str,
    _now: EventTime,
) -> Result<bool, StoreError> {
    todo!("waits for the accounts' tables")
}
