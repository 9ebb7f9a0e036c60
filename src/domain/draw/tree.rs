//! The Merkle tree over all entries, which shows that one of them was there without showing the others.
//!
//! As in RFC 9162: a node without a neighbour goes up as it is. Kept from the fourth level on, which is an eighth of the
//! entries; what is below is reckoned anew when it is asked for.

use super::{Digest, hash};

/// Below this level nothing is kept.
const KEPT_FROM: u32 = 4;
const BLOCK: usize = 1 << KEPT_FROM;

pub struct Tree {
    /// Nodes of the level [`KEPT_FROM`], of the one above, and so on to the root.
    kept: Vec<Vec<Digest>>,
    count: usize,
}

/// From one entry to the root: its neighbours, lowest first.
pub type Path = Vec<Digest>;

fn leaf(entry: &Digest) -> Digest {
    hash(&[&[0], &entry.0])
}

fn node(left: &Digest, right: &Digest) -> Digest {
    hash(&[&[1], &left.0, &right.0])
}

fn above(level: &[Digest]) -> Vec<Digest> {
    let pair = |pair: &[Digest]| match pair {
        [left, right] => Some(node(left, right)),
        [alone] => Some(*alone),
        _ => None,
    };
    level.chunks(2).filter_map(pair).collect()
}

/// The levels of a part of the tree, from its leaves on, until one node is left or this many levels are there.
fn levels(mut level: Vec<Digest>, most: u32) -> Vec<Vec<Digest>> {
    let mut levels = Vec::new();
    for _ in 0..most {
        let next = above(&level);
        levels.push(std::mem::replace(&mut level, next));
    }
    levels.push(level);
    levels
}

impl Tree {
    /// The entries must be in ascending order.
    pub fn new(entries: &[Digest]) -> Self {
        let block = |block: &[Digest]| {
            let leaves = block.iter().map(leaf).collect();
            levels(leaves, KEPT_FROM).pop().and_then(|level| level.first().copied())
        };
        let mut kept = vec![entries.chunks(BLOCK).filter_map(block).collect::<Vec<_>>()];
        while let Some(level) = kept.last().filter(|level| level.len() > 1) {
            kept.push(above(level));
        }
        Self { kept, count: entries.len() }
    }

    /// Of no entries at all, the hash of nothing.
    pub fn root(&self) -> Digest {
        self.kept.last().and_then(|level| level.first()).copied().unwrap_or_else(|| hash(&[]))
    }

    /// `entries` must be those that the tree was made of.
    pub fn path(&self, entries: &[Digest], index: usize) -> Option<Path> {
        if index >= self.count {
            return None;
        }
        let from = index / BLOCK * BLOCK;
        let block = entries.get(from..entries.len().min(from + BLOCK))?;
        let below = levels(block.iter().map(leaf).collect(), KEPT_FROM);
        let mut path = Path::new();
        let mut at = index - from;
        for level in below.iter().take(KEPT_FROM as usize) {
            path.extend(level.get(at ^ 1));
            at /= 2;
        }
        at = index / BLOCK;
        for level in &self.kept {
            path.extend(level.get(at ^ 1));
            at /= 2;
        }
        Some(path)
    }
}

/// Whether the path leads from the entry, which is the one of this index among so many, to the root.
pub(super) fn leads(entry: &Digest, index: usize, count: usize, path: &[Digest], root: &Digest) -> bool {
    if index >= count {
        return false;
    }
    let (mut at, mut width, mut found, mut path) = (index, count, leaf(entry), path.iter());
    while width > 1 {
        let is_alone = at.is_multiple_of(2) && at + 1 == width;
        if !is_alone {
            let Some(neighbour) = path.next() else { return false };
            found = if at.is_multiple_of(2) { node(&found, neighbour) } else { node(neighbour, &found) };
        }
        at /= 2;
        width = width.div_ceil(2);
    }
    path.next().is_none() && found == *root
}
