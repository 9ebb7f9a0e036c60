//! What a stored snapshot consists of: its chunks lie under a generation of their own, and nothing points to them until
//! the manifest does.

use serde::{Deserialize, Serialize};

use crate::stores::error::StoreError;

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
    /// Of no chunks yet.
    pub fn new(seq: u64) -> Self {
        Self::empty(format!("{:016x}", rand::random::<u64>()), seq)
    }

    fn empty(generation: String, seq: u64) -> Self {
        Self { generation, seq, chunks: 0, length: 0, crc32: 0 }
    }

    /// Returns the chunk's number.
    pub fn add(&mut self, chunk: &[u8]) -> u32 {
        let n = self.chunks;
        let mut checksum = crc32fast::Hasher::new_with_initial_len(self.crc32, self.length);
        checksum.update(chunk);
        (self.chunks, self.length, self.crc32) = (n + 1, self.length + chunk.len() as u64, checksum.finalize());
        n
    }

    /// What to count chunks with that are read back.
    pub fn begin_again(&self) -> Self {
        Self::empty(self.generation.clone(), self.seq)
    }

    /// Whether the chunks read back are the snapshot.
    pub fn compare(&self, found: &Self) -> Result<(), StoreError> {
        if found == self {
            return Ok(());
        }
        Err(StoreError::Corrupt(format!("snapshot {} differs from its checksum", self.generation)))
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }

    pub fn from_json(json: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(json).map_err(|error| StoreError::Corrupt(format!("snapshot manifest: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(mut manifest: Manifest, chunks: &[&[u8]]) -> Manifest {
        for (n, chunk) in (0..).zip(chunks) {
            assert_eq!(manifest.add(chunk), n);
        }
        manifest
    }

    #[test]
    fn a_snapshot_that_differs_in_a_bit_or_in_length_is_refused() {
        let bytes = b"some bytes of a snapshot";
        let (first, second) = bytes.split_at(10);
        let manifest = counted(Manifest::new(9), &[first, second]);
        assert_eq!((manifest.chunks, manifest.length), (2, 24));
        assert_eq!(manifest.crc32, crc32fast::hash(bytes), "of the whole, however it is cut");
        let stored = Manifest::from_json(manifest.to_json().as_bytes()).expect("readable");
        assert_eq!(stored, manifest);
        stored.compare(&counted(stored.begin_again(), &[first, second])).expect("whole");

        for wrong in [&[first, b"bytes of a snapshoT"][..], &[first], &[first, second, b"!"], &[]] {
            let compared = stored.compare(&counted(stored.begin_again(), wrong));
            assert!(matches!(compared, Err(StoreError::Corrupt(_))), "{} chunks", wrong.len());
        }
    }
}
