//! What handlers take from a request, each with its refusal.
//!
//! Owns the strictness: a body that a handler sees has been checked for type, size, depth and unknown fields.

mod fan;
pub mod json;
mod nothing;
mod parts;
mod signed_in;

pub use self::{
    fan::Fan,
    json::Json,
    nothing::Nothing,
    parts::{ClientAddress, IdempotencyKey, Path, Query, RequestId},
    signed_in::{Privileged, SignedIn},
};
