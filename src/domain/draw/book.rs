//! A draw as it was made: every entry, its rank, and what proves that it was there.
//!
//! About 60 bytes for each fan who took part.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Digest, Lots, Path, Tree, entry};
use crate::domain::{
    id::{EventId, FanId},
    queue::Place,
};

pub struct Book {
    event: EventId,
    /// In the order of their entries.
    fans: Arc<Vec<FanId>>,
    entries: Vec<Digest>,
    tree: Tree,
    ranks: Vec<u32>,
}

/// That one fan took part, and as which one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub index: u32,
    pub entry: Digest,
    pub path: Path,
    pub rank: u32,
}

impl Book {
    /// Costs some hashes for each fan. `fans` are in the order of their entries.
    pub fn new(event: EventId, lots: &Lots<'_>, fans: Arc<Vec<FanId>>) -> Self {
        let entries: Vec<_> = fans.iter().map(|&fan| entry(event, fan)).collect();
        let (tree, ranks) = (Tree::new(&entries), lots.ranks(&entries));
        Self { event, fans, entries, tree, ranks }
    }

    /// The places that the draw gives, front first.
    pub fn places(&self, term: u32) -> Vec<(Place, FanId)> {
        let place = |(&rank, &fan): (&u32, &FanId)| (Place::new(term, rank), fan);
        let mut places: Vec<_> = self.ranks.iter().zip(self.fans.iter()).map(place).collect();
        places.sort_unstable();
        places
    }

    /// `None`: did not take part.
    pub fn proof(&self, fan: FanId) -> Option<Proof> {
        let entry = entry(self.event, fan);
        let index = self.entries.binary_search(&entry).ok()?;
        let (path, rank) = (self.tree.path(&self.entries, index)?, *self.ranks.get(index)?);
        Some(Proof { index: u32::try_from(index).ok()?, entry, path, rank })
    }

    /// Every entry and its rank.
    pub fn into_ranks(self) -> (Vec<Digest>, Vec<u32>) {
        (self.entries, self.ranks)
    }
}
