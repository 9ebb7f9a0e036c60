//! What a stored snapshot consists of: its chunks lie under a generation of their own, and nothing points to them until
//! the manifest does.

use serde::{Deserialize, Serialize};

use crate::stores::error::StoreError;

/// Small enough for one etcd request, and for three in a reply.
pub const CHUNK_BYTES: usize = 1024 * 1024;
/// No snapshot is longer, unless what is said about it is wrong.
const MOST_ROOM: usize = 1024 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// 16 hexadecimal digits; random, so that chunks of two attempts never mix.
    pub generation: String,
    /// The last segment that the snapshot covers.
    pub seq: u64,
    pub chunks: u32,
    pub length: u64,
    pub crc32: u32,
}

impl Manifest {
    pub fn new(seq: u64, bytes: &[u8]) -> Self {
        Self {
            generation: format!("{:016x}", rand::random::<u64>()),
            seq,
            chunks: u32::try_from(bytes.chunks(CHUNK_BYTES).len()).expect("no memory holds 2^32 chunks"),
            length: bytes.len() as u64,
            crc32: crc32fast::hash(bytes),
        }
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }

    pub fn from_json(json: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(json).map_err(|error| StoreError::Corrupt(format!("snapshot manifest: {error}")))
    }

    /// Room for the snapshot's bytes, of which none is touched before it is written: to grow step by step would take twice as
    /// much memory.
    pub fn room(&self) -> Vec<u8> {
        Vec::with_capacity(usize::try_from(self.length).unwrap_or(0).min(MOST_ROOM))
    }

    /// Whether these bytes are the snapshot.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() as u64 != self.length || crc32fast::hash(bytes) != self.crc32 {
            return Err(StoreError::Corrupt(format!("snapshot {} differs from its checksum", self.generation)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_differs_in_a_bit_or_in_length_is_refused() {
        let bytes = vec![7; CHUNK_BYTES + 1];
        let manifest = Manifest::new(9, &bytes);
        assert_eq!(manifest.chunks, 2);
        assert_eq!(Manifest::from_json(manifest.to_json().as_bytes()).expect("readable"), manifest);
        manifest.verify(&bytes).expect("whole");

        let mut flipped = bytes.clone();
        flipped[CHUNK_BYTES] ^= 1;
        for wrong in [&flipped[..], &bytes[..CHUNK_BYTES], &[]] {
            assert!(matches!(manifest.verify(wrong), Err(StoreError::Corrupt(_))), "{} bytes", wrong.len());
        }
    }
}
