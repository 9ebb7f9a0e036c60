//! What is published of a draw, and how it is checked with nothing else at hand.

use serde::{Deserialize, Serialize};

use super::{Digest, Lots, Path, Tree, commitment, entry, tree::leads};
use crate::domain::id::{EventId, FanId};

/// A public value that nobody could know before the entries were closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beacon {
    /// Which one it would be was said together with the commitment.
    pub name: String,
    pub value: String,
}

/// The whole draw, once it is revealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawFile {
    pub format: DrawFormat,
    pub event: EventId,
    pub commitment: Digest,
    pub beacon: Option<Beacon>,
    pub root: Digest,
    pub seed: Digest,
    /// In ascending order,
    pub entries: Vec<Digest>,
    /// and of each its rank, from 1.
    pub ranks: Vec<u32>,
}

/// One fan's part in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    pub format: ProofFormat,
    pub event: EventId,
    pub fan: FanId,
    pub commitment: Digest,
    pub beacon: Option<Beacon>,
    pub root: Digest,
    pub count: u32,
    /// Which one it is among all entries, from 0.
    pub index: u32,
    pub entry: Digest,
    pub path: Path,
    pub seed: Digest,
    /// From 1. That it is this one only the whole draw can show.
    pub rank: u32,
}

/// Marks the file, and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DrawFormat {
    #[default]
    #[serde(rename = "onsale.draw.v1")]
    V1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ProofFormat {
    #[default]
    #[serde(rename = "onsale.draw-proof.v1")]
    V1,
}

/// What does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Found {
    #[error("the seed is not the one that was committed to")]
    Commitment,
    #[error("the entries are not in ascending order, or one is there twice")]
    Order,
    #[error("the entries do not have this root")]
    Root,
    #[error("there is not one rank for each entry")]
    Count,
    #[error("entry {index} has rank {rank}, it should have {expected}")]
    Rank { index: usize, rank: u32, expected: u32 },
    #[error("the entry is not this fan's")]
    Entry,
    #[error("the path does not lead from the entry to the root")]
    Path,
    #[error("the proof is of another draw")]
    OtherDraw,
}

fn value(beacon: &Option<Beacon>) -> &str {
    beacon.as_ref().map_or("", |beacon| &beacon.value)
}

impl DrawFile {
    pub fn check(&self) -> Result<(), Found> {
        if commitment(&self.seed) != self.commitment {
            return Err(Found::Commitment);
        }
        if !self.entries.is_sorted_by(|a, b| a < b) {
            return Err(Found::Order);
        }
        if Tree::new(&self.entries).root() != self.root {
            return Err(Found::Root);
        }
        if self.ranks.len() != self.entries.len() {
            return Err(Found::Count);
        }
        let lots = Lots { seed: self.seed, root: self.root, beacon: value(&self.beacon) };
        let expected = lots.ranks(&self.entries);
        let wrong = self.ranks.iter().zip(&expected).enumerate().find(|(_, (rank, expected))| rank != expected);
        match wrong {
            Some((index, (&rank, &expected))) => Err(Found::Rank { index, rank, expected }),
            None => Ok(()),
        }
    }
}

impl ProofFile {
    /// That the fan took part, in what was committed to; with the whole draw, which has to be checked itself, also the rank.
    pub fn check(&self, draw: Option<&DrawFile>) -> Result<(), Found> {
        if commitment(&self.seed) != self.commitment {
            return Err(Found::Commitment);
        }
        if entry(self.event, self.fan) != self.entry {
            return Err(Found::Entry);
        }
        if !leads(&self.entry, self.index as usize, self.count as usize, &self.path, &self.root) {
            return Err(Found::Path);
        }
        let Some(draw) = draw else { return Ok(()) };
        let index = self.index as usize;
        let same = (draw.event, draw.seed, draw.root, &draw.beacon) == (self.event, self.seed, self.root, &self.beacon)
            && draw.entries.get(index) == Some(&self.entry);
        let Some(&expected) = draw.ranks.get(index).filter(|_| same) else { return Err(Found::OtherDraw) };
        if self.rank != expected {
            return Err(Found::Rank { index, rank: self.rank, expected });
        }
        Ok(())
    }
}
