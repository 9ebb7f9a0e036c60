//! The form of what crosses nodes: a version, then the message.
//!
//! The codec that ractor asks for cannot fail, and a panic while decoding is swallowed, so that the asker would only see that
//! nobody answers. Here decoding always gives something: the message, or why it cannot be read, which the receiver answers.

use std::fmt;

use ractor::BytesConvertable;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned};

const VERSION: u8 = 3;
/// A frame over the receiver's limit would tear the whole link down. Those who make messages stay far below.
pub const MOST_BYTES: usize = 512 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("an empty message: it was too large to be sent")]
    Empty,
    #[error("version {0}")]
    Version(u8),
    #[error("a body of another form: {0}")]
    Body(#[source] postcard::Error),
}

/// `Ok` on the sender's side.
#[derive(Debug)]
pub struct Wire<T>(pub Result<T, Unreadable>);

impl<T> From<T> for Wire<T> {
    fn from(message: T) -> Self {
        Self(Ok(message))
    }
}

impl<T: Serialize + DeserializeOwned> BytesConvertable for Wire<T> {
    fn into_bytes(self) -> Vec<u8> {
        let encode = |message| postcard::to_extend(&message, vec![VERSION]).ok();
        let encoded = self.0.ok().and_then(encode).filter(|bytes| bytes.len() <= MOST_BYTES);
        encoded.unwrap_or_default()
    }

    fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(match bytes.split_first() {
            None => Err(Unreadable::Empty),
            Some((&VERSION, body)) => postcard::from_bytes(body).map_err(Unreadable::Body),
            Some((&version, _)) => Err(Unreadable::Version(version)),
        })
    }
}

/// What is encoded within a message. As a list of numbers, which it would be otherwise, each byte is looked at on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque(pub Vec<u8>);

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Copied)
    }
}

struct Copied;

impl de::Visitor<'_> for Copied {
    type Value = Opaque;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Opaque, E> {
        Ok(Opaque(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossed(bytes: Vec<u8>) -> Result<(u32, String), Unreadable> {
        Wire::from_bytes(bytes).0
    }

    #[test]
    fn what_is_sent_arrives() {
        let sent = (7, "x".to_owned());
        assert_eq!(crossed(Wire::from(sent.clone()).into_bytes()), Ok(sent));
    }

    #[test]
    fn whatever_arrives_is_read_or_refused_and_never_a_panic() {
        let good = Wire::from((7_u32, "hello".to_owned())).into_bytes();
        assert_eq!(crossed(Vec::new()), Err(Unreadable::Empty));
        assert_eq!(crossed(vec![VERSION + 1, 0, 0]), Err(Unreadable::Version(VERSION + 1)));
        for length in 1..good.len() {
            assert!(matches!(crossed(good[..length].to_vec()), Err(Unreadable::Body(_))), "{length}");
        }
        // A length that no memory could hold.
        assert!(crossed(vec![VERSION, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
    }

    #[test]
    fn a_message_that_would_tear_the_link_down_arrives_empty() {
        let sent = Wire::from((7_u32, "x".repeat(MOST_BYTES)));
        assert_eq!(crossed(sent.into_bytes()), Err(Unreadable::Empty));
    }
}
