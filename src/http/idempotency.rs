//! One effect for one `Idempotency-Key`.
//!
//! For what an event's inventory decides, the key travels as the request's [`Identity`] and the journal remembers it. For
//! database commands, a row remembers key, body and answer.

use aws_lc_rs::digest;
use serde::Serialize;

use super::extract::IdempotencyKey;
use crate::domain::{id::FanId, inventory::request::Identity};

/// The identity of an inventory command: `route` is its path with parameters filled in, `body` the parsed body, so that
/// spaces and the order of fields do not matter.
pub fn identity(account: FanId, route: &str, key: &IdempotencyKey, body: &impl Serialize) -> Identity {
    let key = key_hash(account, route, key);
    let body = body_hash(body);
    let (key, _) = key.as_ref().split_first_chunk::<16>().expect("SHA-256 has 32 bytes");
    let (body, _) = body.as_ref().split_first_chunk::<8>().expect("SHA-256 has 32 bytes");
    Identity { key: u128::from_be_bytes(*key), body: u64::from_be_bytes(*body) }
}

/// Lengths stand before the parts, so that no two lists of parts give the same bytes.
fn key_hash(account: FanId, route: &str, key: &IdempotencyKey) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(account.as_bytes());
    for part in [route, &key.0] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish()
}

fn body_hash(body: &impl Serialize) -> digest::Digest {
    let bytes = serde_json::to_vec(body).expect("a body is plain values");
    digest::digest(&digest::SHA256, &bytes)
}
