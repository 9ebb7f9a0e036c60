//! What viewers are shown of an event's stock: which seats are free, section by section, and how much of each type without seats.
//!
//! Owns the map, what has changed between two maps, and the [`Feed`] that numbers changes, so that whoever has seen some needs only
//! the others. Decides nothing about stock.

mod feed;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub use self::feed::{Delta, Feed, Mark, Update};
use super::{code::Code, inventory::configuration::Seat};

/// Bytes that lie between two changed ones are sent along where that is shorter than beginning anew.
const GAP: usize = 6;

/// All of it, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Map {
    /// The event's: names of seats are those of its plan in this version.
    pub version: u32,
    pub sections: Vec<Section>,
    /// Of each ticket type without seats: how many anybody can have.
    pub counts: Vec<(Code, u32)>,
}

/// A zone of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub zone: Code,
    pub seats: u32,
    /// Seat n, counted in the plan's order from 0, is bit n % 8 (the lowest is 0) of byte n / 8; set: free. What is beyond the last
    /// seat is not set.
    pub bits: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    Bits {
        zone: Code,
        runs: Vec<Run>,
    },
    /// So many are left.
    Count {
        ticket_type: Code,
        free: u32,
    },
}

/// These bytes of a section are other ones now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub from: u32,
    pub bytes: Vec<u8>,
}

/// The change is of another map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the change is of another map")]
pub struct Misfit;

/// Where a plan's seats lie in a map.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    version: u32,
    sections: Vec<(Code, u32)>,
    /// Of each seat, in the plan's order.
    section_of: Vec<u32>,
}

impl Layout {
    /// A section for each zone, in the order in which the plan first names them.
    pub fn of(version: u32, plan: &[Seat]) -> Self {
        let mut layout = Self { version, ..Self::default() };
        let mut by_zone = HashMap::new();
        for seat in plan {
            let section = *by_zone.entry(&seat.zone).or_insert_with(|| {
                layout.sections.push((seat.zone.clone(), 0));
                layout.sections.len() - 1
            });
            if let Some((_, seats)) = layout.sections.get_mut(section) {
                *seats += 1;
            }
            layout.section_of.push(u32::try_from(section).unwrap_or(u32::MAX));
        }
        layout
    }

    pub fn version(&self) -> u32 {
        self.version
    }

    /// `free`: of each seat in the plan's order.
    pub fn map(&self, free: impl IntoIterator<Item = bool>, counts: Vec<(Code, u32)>) -> Map {
        let section =
            |(zone, seats): &(Code, u32)| Section { zone: zone.clone(), seats: *seats, bits: vec![0; bytes(*seats)] };
        let mut sections: Vec<Section> = self.sections.iter().map(section).collect();
        let mut next = vec![0_usize; sections.len()];
        for (&section, free) in self.section_of.iter().zip(free) {
            let section = section as usize;
            let (Some(at), Some(Section { bits, .. })) = (next.get_mut(section), sections.get_mut(section)) else {
                continue;
            };
            if let Some(byte) = bits.get_mut(*at / 8) {
                *byte |= u8::from(free) << (*at % 8);
            }
            *at += 1;
        }
        Map { version: self.version, sections, counts }
    }
}

/// So many hold the bits of so many seats.
fn bytes(seats: u32) -> usize {
    seats.div_ceil(8) as usize
}

impl Map {
    /// What makes `later` of this one; `None`: nothing does, for it has another plan or other ticket types.
    pub fn changes(&self, later: &Self) -> Option<Vec<Change>> {
        let same_section = |(a, b): (&Section, &Section)| a.zone == b.zone && a.seats == b.seats;
        let is_alike = self.version == later.version
            && self.sections.len() == later.sections.len()
            && self.sections.iter().zip(&later.sections).all(same_section)
            && self.counts.len() == later.counts.len()
            && self.counts.iter().zip(&later.counts).all(|(a, b)| a.0 == b.0);
        if !is_alike {
            return None;
        }
        let sections = self.sections.iter().zip(&later.sections).filter(|(before, after)| before.bits != after.bits);
        let bits = sections
            .map(|(before, after)| Change::Bits { zone: after.zone.clone(), runs: runs(&before.bits, &after.bits) });
        let counts = self.counts.iter().zip(&later.counts).filter(|(before, after)| before != after);
        let counts = counts.map(|(_, (code, free))| Change::Count { ticket_type: code.clone(), free: *free });
        Some(bits.chain(counts).collect())
    }

    /// A change that does not fit leaves the map as it is.
    pub fn apply(&mut self, change: &Change) -> Result<(), Misfit> {
        match change {
            Change::Bits { zone, runs } => {
                let section = self.sections.iter_mut().find(|section| section.zone == *zone).ok_or(Misfit)?;
                section.apply(runs)
            }
            Change::Count { ticket_type, free } => {
                let count = self.counts.iter_mut().find(|(code, _)| code == ticket_type).ok_or(Misfit)?;
                count.1 = *free;
                Ok(())
            }
        }
    }

    /// About the bytes that it takes to tell all of it.
    pub fn cost(&self) -> usize {
        let sections: usize = self.sections.iter().map(|section| section.bits.len() + GAP + Code::MAX_LEN).sum();
        sections + self.counts.len() * Code::MAX_LEN
    }
}

impl Section {
    pub fn is_free(&self, seat: u32) -> bool {
        self.bits.get(seat as usize / 8).is_some_and(|byte| byte & (1 << (seat % 8)) != 0)
    }

    fn apply(&mut self, runs: &[Run]) -> Result<(), Misfit> {
        let end = |run: &Run| run.from as usize + run.bytes.len();
        if runs.iter().any(|run| end(run) > self.bits.len()) {
            return Err(Misfit);
        }
        for run in runs {
            if let Some(bits) = self.bits.get_mut(run.from as usize..end(run)) {
                bits.copy_from_slice(&run.bytes);
            }
        }
        Ok(())
    }
}

impl Change {
    /// About the bytes that it takes to tell it.
    pub fn cost(&self) -> usize {
        match self {
            Self::Bits { runs, .. } => Code::MAX_LEN + runs.iter().map(|run| GAP + run.bytes.len()).sum::<usize>(),
            Self::Count { .. } => Code::MAX_LEN,
        }
    }
}

/// The changed bytes; as one run of all where that is not longer.
fn runs(before: &[u8], after: &[u8]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let changed = before.iter().zip(after).enumerate().filter(|(_, (before, after))| before != after);
    for (at, (_, &byte)) in changed {
        if let Some(last) = runs.last_mut() {
            let end = last.from as usize + last.bytes.len();
            if at - end <= GAP {
                last.bytes.extend_from_slice(after.get(end..=at).unwrap_or_default());
                continue;
            }
        }
        runs.push(Run { from: u32::try_from(at).unwrap_or(u32::MAX), bytes: vec![byte] });
    }
    let told: usize = runs.iter().map(|run| GAP + run.bytes.len()).sum();
    if told < after.len() + GAP { runs } else { vec![Run { from: 0, bytes: after.to_vec() }] }
}
