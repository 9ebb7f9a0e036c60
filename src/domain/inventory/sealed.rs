//! The envelope of everything the journal keeps: `version u8 | postcard | CRC-32 (little endian) of all before`.
//!
//! Owns the envelope, not what is in it.

use serde::{Serialize, de::DeserializeOwned};

use super::entry::Unreadable;

const CHECKSUM_BYTES: usize = 4;

pub(super) fn seal(version: u8, body: &impl Serialize) -> Vec<u8> {
    seal_with(encode(body, vec![version]))
}

/// Appends the compact form of `value`.
pub(super) fn encode(value: &impl Serialize, bytes: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(value, bytes).expect("a vector takes any number of bytes, and our shapes have known lengths")
}

/// Appends the checksum to a version and a body.
pub(super) fn seal_with(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

pub(super) fn open<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, Unreadable> {
    let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Unreadable::Short)?;
    let (&found, body) = sealed.split_first().ok_or(Unreadable::Short)?;
    if crc32fast::hash(sealed) != u32::from_le_bytes(*checksum) {
        return Err(Unreadable::Checksum);
    }
    if found != version {
        return Err(Unreadable::Version(found));
    }
    let (value, rest) = postcard::take_from_bytes(body).map_err(|error| Unreadable::Body(error.to_string()))?;
    if !rest.is_empty() {
        return Err(Unreadable::Body(format!("{} bytes too many", rest.len())));
    }
    Ok(value)
}
