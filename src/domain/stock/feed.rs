//! The changes of one event's stock in one activation, numbered from 1, the last of them kept.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Change, Map};

/// Changes that are kept, and about how many bytes they take together.
const KEPT: usize = 4_096;
const KEPT_BYTES: usize = 256 * 1024;

/// How far somebody has seen the stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Of the activation: numbers of another one say nothing.
    pub epoch: u64,
    /// Of the last change.
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    pub seq: u64,
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Update {
    /// What comes after the mark, in order; perhaps nothing.
    Since(Vec<Delta>),
    /// All of it, and the changes by which it became so, as far as they are kept.
    Whole { mark: Mark, map: Map, recent: Vec<Delta> },
}

/// Invariant: `recent` ends with `seq`, without gaps, and leads to `map`.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    epoch: u64,
    seq: u64,
    map: Map,
    recent: VecDeque<Delta>,
    recent_bytes: usize,
}

impl Feed {
    pub fn new(epoch: u64, map: Map) -> Self {
        Self { epoch, map, ..Self::default() }
    }

    pub fn mark(&self) -> Mark {
        Mark { epoch: self.epoch, seq: self.seq }
    }

    pub fn map(&self) -> &Map {
        &self.map
    }

    /// As it is now.
    pub fn take(&mut self, map: Map) {
        match self.map.changes(&map) {
            Some(changes) => {
                for change in changes {
                    self.seq += 1;
                    self.recent_bytes += change.cost();
                    self.recent.push_back(Delta { seq: self.seq, change });
                }
            }
            None => {
                // Nobody's changes lead there.
                self.seq += 1;
                self.recent.clear();
                self.recent_bytes = 0;
            }
        }
        self.map = map;
        while self.recent.len() > KEPT || self.recent_bytes > KEPT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { return };
            self.recent_bytes -= oldest.change.cost();
        }
    }

    /// What somebody needs who has seen so much. All of it where the changes are not kept, or would be longer.
    pub fn since(&self, mark: Option<Mark>) -> Update {
        let known = mark.filter(|mark| mark.epoch == self.epoch && mark.seq <= self.seq);
        // The mark of one who needs every change that is kept.
        let oldest = self.seq - self.recent.len() as u64;
        let Some(known) = known.filter(|known| known.seq >= oldest) else { return self.whole() };
        let missed = || self.recent.iter().skip(usize::try_from(known.seq - oldest).unwrap_or(usize::MAX));
        if missed().map(|delta| delta.change.cost()).sum::<usize>() > self.map.cost() {
            return self.whole();
        }
        Update::Since(missed().cloned().collect())
    }

    fn whole(&self) -> Update {
        Update::Whole { mark: self.mark(), map: self.map.clone(), recent: self.recent.iter().cloned().collect() }
    }
}
