//! Ticket codes that change, so that a picture of one is worth nothing: behind the signed code a step of time, and a tag that only the
//! shop, its doors and the ticket's holder can make.
//!
//! Owns the bytes, and how old a code may be. Making tags is done by whoever has the key.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::time::{EventTime, Millis};

/// How long a code is shown.
pub const PERIOD: Millis = Millis::seconds(15);
/// By how many steps the clocks of telephone and door may differ.
pub const WINDOW: u32 = 2;

/// The first bytes of an HMAC-SHA-256 over the step.
pub type Tag = [u8; 8];

/// `SIGNED CODE.` and then, base64url without padding: `version u8 = 1 | step u32 (big endian) | tag 8 B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    pub step: u32,
    pub tag: Tag,
}

const VERSION: u8 = 1;
const BYTES: usize = 1 + size_of::<u32>() + size_of::<Tag>();

/// The step of a moment.
pub fn step_at(at: EventTime) -> u32 {
    u32::try_from(at.0 / PERIOD.0).unwrap_or(u32::MAX)
}

impl Rotation {
    pub fn to_text(self, code: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.step.to_be_bytes());
        bytes.extend(self.tag);
        format!("{code}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The signed code and what is behind it; `None` of a text that is not such a pair.
    pub fn split(text: &str) -> Option<(&str, Self)> {
        let (code, rotation) = text.split_once('.')?;
        let bytes = URL_SAFE_NO_PAD.decode(rotation).ok()?;
        let bytes: [u8; BYTES] = bytes.try_into().ok()?;
        let (&version, rest) = bytes.split_first()?;
        let (&step, rest) = rest.split_first_chunk()?;
        let tag = *rest.first_chunk()?;
        (version == VERSION).then_some((code, Self { step: u32::from_be_bytes(step), tag }))
    }

    /// Whether it can have been shown at this moment.
    pub fn is_of(self, at: EventTime) -> bool {
        self.step.abs_diff(step_at(at)) <= WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_comes_back_as_it_was_and_nothing_else_is_one() {
        let rotation = Rotation { step: 0x0102_0304, tag: [9; 8] };
        let text = rotation.to_text("AQN");
        assert_eq!(text, "AQN.AQECAwQJCQkJCQkJCQ");
        assert_eq!(Rotation::split(&text), Some(("AQN", rotation)));
        for wrong in ["", "AQN", "AQN.", "AQN.AQ", &format!("{text}A"), &format!("{text}."), "AQN.AgECAwQJCQkJCQkJCQ"] {
            assert_eq!(Rotation::split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_good_for_half_a_minute_before_and_after() {
        let shown = EventTime(1_000_000_000);
        let rotation = Rotation { step: step_at(shown), tag: [0; 8] };
        let at = |seconds: i64| EventTime(shown.0.saturating_add_signed(seconds * 1_000));
        assert!([-30, -15, 0, 14, 30].iter().all(|&seconds| rotation.is_of(at(seconds))));
        assert!([-60, 60, 3_600].iter().all(|&seconds| !rotation.is_of(at(seconds))));
        assert!(!rotation.is_of(EventTime(0)));
    }
}
