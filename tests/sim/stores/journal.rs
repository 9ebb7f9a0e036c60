//! The simulated journal: linearizable, fenced by the epoch, with snapshots. What gets lost or late is decided on the way.

use std::{collections::BTreeMap, rc::Rc};

use onsale::stores::journal::Recovered;

use crate::bug::Bug;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    Committed,
    /// The same bytes were there already.
    Already,
    Fenced,
    Overwritten,
    /// Nothing done: the segment before is missing.
    TooEarly,
}

#[derive(Default)]
pub struct Journal {
    /// Of the last claim.
    pub epoch: u64,
    pub last: u64,
    segments: BTreeMap<u64, Rc<[u8]>>,
    snapshot: Option<(u64, Vec<u8>)>,
    pub published: u64,
    pub down_until: u64,
}

impl Journal {
    pub fn claim(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    /// One transaction: if the epoch is the owner's and the segment is the next one, it is written.
    pub fn land(&mut self, epoch: u64, seq: u64, bytes: &Rc<[u8]>, bug: Option<Bug>) -> Landed {
        if let Some(there) = self.segments.get(&seq) {
            return match there == bytes {
                true => Landed::Already,
                false if epoch == self.epoch => Landed::Overwritten,
                false => Landed::Fenced,
            };
        }
        if epoch != self.epoch && bug != Some(Bug::SkipEpochCompare) {
            return Landed::Fenced;
        }
        if seq != self.last + 1 {
            return Landed::TooEarly;
        }
        self.segments.insert(seq, Rc::clone(bytes));
        self.last = seq;
        Landed::Committed
    }

    pub fn recover(&self) -> Recovered {
        let covered = self.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
        Recovered {
            snapshot: self.snapshot.clone(),
            segments: self.segments.range(covered + 1..).map(|(&seq, bytes)| (seq, bytes.to_vec())).collect(),
            published: self.published,
        }
    }

    /// Replaces what it covers, but for the last segment; says whether it was let in.
    pub fn put_snapshot(&mut self, epoch: u64, seq: u64, bytes: Vec<u8>) -> bool {
        let newer = self.snapshot.as_ref().is_none_or(|&(covered, _)| covered < seq);
        let stored = epoch == self.epoch && newer && self.segments.contains_key(&seq);
        if stored {
            self.snapshot = Some((seq, bytes));
            self.segments.retain(|&other, _| other >= seq);
        }
        stored
    }

    pub fn mark_published(&mut self, epoch: u64, number: u64) {
        if epoch == self.epoch {
            self.published = self.published.max(number);
        }
    }
}
