//! Short names given by people: ticket types, quotas, zones, channels, seats.
//!
//! Owns their form, so that they can stand in keys, URLs and logs without escaping.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// 1 to [`Code::MAX_LEN`] of `A-Z a-z 0-9 _ - .`, not starting with a dot; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(Arc<str>);

/// A seat's name such as `A-12-7`: unique within its event.
pub type SeatId = Code;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a code: 1 to 32 letters, digits, '_', '-' or '.' are expected")]
pub struct NotACode;

impl Code {
    pub const MAX_LEN: usize = 32;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = NotACode;
    fn from_str(text: &str) -> Result<Self, NotACode> {
        let good = (1..=Self::MAX_LEN).contains(&text.len())
            && !text.starts_with('.')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if good { Ok(Self(text.into())) } else { Err(NotACode) }
    }
}
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_needs_no_escaping_anywhere() {
        for good in ["VIP", "A-12-7", "a_b.c", "x"] {
            assert!(good.parse::<Code>().is_ok(), "{good}");
        }
        for wrong in ["", ".", "..", "a/b", "a b", "a\n", "é", &"x".repeat(33)] {
            assert_eq!(wrong.parse::<Code>(), Err(NotACode), "{wrong:?}");
        }
    }
}
