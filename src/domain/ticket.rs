//! Tickets: the code that gets a person in, and what is signed.
//!
//! Owns the bytes of a code. Signing is done by whoever has the key.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

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

/// An Ed25519 signature.
pub type Signature = [u8; 64];

/// What was read from a text: worth nothing before the signature is verified over `signed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    pub code: TicketCode,
    pub signed: Vec<u8>,
    pub signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATicketCode {
    #[error("not a ticket code")]
    Malformed,
    #[error("a ticket code of a newer version ({0})")]
    Version(u8),
}

impl TicketCode {
    const VERSION: u8 = 1;
    /// A text longer than any code is not looked at.
    const MAX_TEXT: usize = (35 + Code::MAX_LEN + size_of::<Signature>()).div_ceil(3) * 4;

    /// The bytes that a signature stands for.
    pub fn signed_part(&self) -> Vec<u8> {
        let seat = self.seat.as_ref().map_or("", Code::as_str);
        let seat_len = u8::try_from(seat.len()).expect("a seat's code is at most 32 bytes long");
        let mut bytes = vec![Self::VERSION, self.key_id];
        bytes.extend(self.event.as_bytes());
        bytes.extend(self.ticket.as_bytes());
        bytes.push(seat_len);
        bytes.extend(seat.as_bytes());
        bytes
    }

    pub fn to_text(&self, signature: &Signature) -> String {
        let mut bytes = self.signed_part();
        bytes.extend(signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a code and does not verify it. A code has one spelling.
    pub fn from_text(text: &str) -> Result<Unverified, NotATicketCode> {
        if text.len() > Self::MAX_TEXT {
            return Err(NotATicketCode::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotATicketCode::Malformed)?;
        match bytes.first() {
            Some(&Self::VERSION) => {}
            Some(&newer) if newer > Self::VERSION => return Err(NotATicketCode::Version(newer)),
            _ => return Err(NotATicketCode::Malformed),
        }
        Self::read(&bytes).ok_or(NotATicketCode::Malformed)
    }

    fn read(bytes: &[u8]) -> Option<Unverified> {
        let (signed, signature) = bytes.split_last_chunk::<64>()?;
        let (&[_version, key_id], rest) = signed.split_first_chunk::<2>()?;
        let (&event, rest) = rest.split_first_chunk::<16>()?;
        let (&ticket, rest) = rest.split_first_chunk::<16>()?;
        let (&seat_len, seat) = rest.split_first()?;
        if usize::from(seat_len) != seat.len() {
            return None;
        }
        let seat = match seat {
            [] => None,
            seat => Some(std::str::from_utf8(seat).ok()?.parse().ok()?),
        };
        let code = Self {
            key_id,
            event: EventId::from_uuid(Uuid::from_bytes(event)),
            ticket: TicketId::from_uuid(Uuid::from_bytes(ticket)),
            seat,
        };
        Some(Unverified { code, signed: signed.to_vec(), signature: *signature })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNATURE: Signature = [7; 64];

    fn code(seat: Option<&str>) -> TicketCode {
        TicketCode {
            key_id: 3,
            event: EventId::from_u128(5),
            ticket: TicketId::from_u128(9),
            seat: seat.map(|seat| seat.parse().expect("code")),
        }
    }

    #[test]
    fn a_code_comes_back_as_it_was() {
        for seat in [None, Some("A-12-7"), Some("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345")] {
            let code = code(seat);
            let read = TicketCode::from_text(&code.to_text(&SIGNATURE)).expect("a code");
            assert_eq!(read, Unverified { signed: code.signed_part(), code, signature: SIGNATURE });
        }
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let mut expected = vec![1, 3];
        expected.extend(5u128.to_be_bytes());
        expected.extend(9u128.to_be_bytes());
        expected.extend(b"\x02A1");
        assert_eq!(code(Some("A1")).signed_part(), expected);
    }

    #[test]
    fn a_code_cut_short_or_with_something_added_is_refused() {
        let text = code(Some("A-12-7")).to_text(&SIGNATURE);
        for len in 0..text.len() {
            assert_eq!(TicketCode::from_text(&text[..len]), Err(NotATicketCode::Malformed), "{len}");
        }
        for more in ["A", "AAAA", "=", " ", "\n", "é"] {
            assert_eq!(TicketCode::from_text(&format!("{text}{more}")), Err(NotATicketCode::Malformed), "{more:?}");
        }
        assert_eq!(TicketCode::from_text(&"A".repeat(1_000_000)), Err(NotATicketCode::Malformed));
    }

    #[test]
    fn a_newer_version_and_a_wrong_seat_are_refused() {
        let altered = |index: usize, value: u8| {
            let mut bytes = code(Some("A-12-7")).signed_part();
            bytes[index] = value;
            bytes.extend(SIGNATURE);
            TicketCode::from_text(&URL_SAFE_NO_PAD.encode(bytes))
        };
        assert_eq!(altered(0, 2), Err(NotATicketCode::Version(2)));
        assert_eq!(altered(0, 0), Err(NotATicketCode::Malformed));
        assert_eq!(altered(34, 5), Err(NotATicketCode::Malformed), "length");
        assert_eq!(altered(34, 0), Err(NotATicketCode::Malformed), "length");
        assert_eq!(altered(35, b'/'), Err(NotATicketCode::Malformed), "not a seat");
        assert_eq!(altered(35, 0xFF), Err(NotATicketCode::Malformed), "not text");
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same_way(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = 1;
            }
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            if let Ok(read) = TicketCode::from_text(&text) {
                prop_assert_eq!(read.code.signed_part(), read.signed);
                prop_assert_eq!(read.code.to_text(&read.signature), text);
            }
        }
    }
}
