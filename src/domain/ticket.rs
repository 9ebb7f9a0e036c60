//! Tickets: the code that gets a person in, and what is signed.
//!
//! Owns the bytes of a code. Signing is done by whoever has the key.

use super::{
    code::Code,
    id::{EventId, TicketId},
};

/// What a code says: `version u8 = 1 | key id u8 | event 16 B | ticket 16 B | seat length u8 | seat`, then the 64 bytes of an
/// Ed25519 signature over all of it; base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketCode {
    pub key_id: u8,
    pub event: EventId,
    pub ticket: TicketId,
    pub seat: Option<Code>,
}
