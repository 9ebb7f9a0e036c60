//! A draw that anybody can check: what is hashed, in which order, and what proves it.
//!
//! Owns the arithmetic, which `docs/queue.md` describes for those who check it by other means. Knows neither journal nor
//! queue, and makes no randomness: a seed arrives from outside.
//!
//! `||` joins bytes, `H` is SHA-256:
//!
//! - commitment = `H(seed)`
//! - entry = `H("onsale draw entry" || event || fan)`: tells nobody who took part but those who know the fan's id
//! - root = root of the Merkle tree over all entries in ascending order, as in RFC 9162: leaves are `H(0x00 || entry)`,
//!   nodes `H(0x01 || left || right)`
//! - lot = `H(seed || root || beacon || entry)`; the lowest lot comes first

mod book;
mod digest;
mod file;
mod tree;

use aws_lc_rs::digest::{Context, SHA256};

pub use self::{
    book::{Book, Proof},
    digest::Digest,
    file::{Beacon, DrawFile, DrawFormat, Found, ProofFile, ProofFormat},
    tree::{Path, Tree},
};
use super::id::{EventId, FanId};

const ENTRY: &[u8] = b"onsale draw entry";

fn hash(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest(bytes)
}

/// What is said of the seed before it is told.
pub fn commitment(seed: &Digest) -> Digest {
    hash(&[&seed.0])
}

/// Stands for the fan in everything that is published.
pub fn entry(event: EventId, fan: FanId) -> Digest {
    hash(&[ENTRY, event.as_bytes(), fan.as_bytes()])
}

/// What decides the order, once it is all known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lots<'a> {
    pub seed: Digest,
    pub root: Digest,
    /// Empty where none was named.
    pub beacon: &'a str,
}

impl Lots<'_> {
    pub fn of(&self, entry: &Digest) -> Digest {
        hash(&[&self.seed.0, &self.root.0, self.beacon.as_bytes(), &entry.0])
    }

    /// Of each entry, which one it is in the drawn order, from 1.
    pub fn ranks(&self, entries: &[Digest]) -> Vec<u32> {
        let mut lots: Vec<(Digest, u32)> = (0..).zip(entries).map(|(index, entry)| (self.of(entry), index)).collect();
        lots.sort_unstable();
        let mut ranks = vec![0; entries.len()];
        for (rank, (_, index)) in (1..).zip(lots) {
            if let Some(of_it) = ranks.get_mut(index as usize) {
                *of_it = rank;
            }
        }
        ranks
    }
}

/// The fans in the order of their entries, which is the tree's.
pub fn in_order(event: EventId, fans: impl IntoIterator<Item = FanId>) -> Vec<(Digest, FanId)> {
    let mut entries: Vec<_> = fans.into_iter().map(|fan| (entry(event, fan), fan)).collect();
    entries.sort_unstable();
    entries
}

#[cfg(test)]
mod tests;
