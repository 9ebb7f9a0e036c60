//! The draw of an event's entries, as far as its journal says: committed to, closed, given its beacon, revealed. Each once, in
//! that order, so that nobody can choose an order after seeing it.
//!
//! Owns what was said and the list of who takes part. What follows from them is `domain::draw`'s arithmetic; who does each
//! step, and when, is the waiting room's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Corrupt, Decision, Inventory,
    configuration::Mode,
    entry::Entry,
    request::{Answer, DrawCommand, Refusal},
};
use crate::domain::{
    draw::{Digest, commitment},
    event::Phase,
    id::FanId,
    queue::Place,
    time::EventTime,
};

/// Everything but who takes part: it is shown to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    pub commitment: Digest,
    /// The public value that the organizer has named, if any.
    pub beacon_name: Option<String>,
    pub closed: Option<Closed>,
    pub beacon: Option<String>,
    pub seed: Option<Digest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub root: Digest,
    pub count: u32,
    /// The last place of an entry: whoever has a later one stands behind all of them.
    pub last: Place,
    /// The term whose places the draw gives out.
    pub term: u32,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DrawStage {
    #[default]
    None,
    Committed,
    /// `is_ready`: nothing is missing for its order.
    Closed {
        last: Place,
        is_ready: bool,
    },
    Revealed {
        last: Place,
    },
}

impl Draw {
    pub fn stage(&self) -> DrawStage {
        match (self.closed, self.seed) {
            (None, _) => DrawStage::Committed,
            (Some(Closed { last, .. }), Some(_)) => DrawStage::Revealed { last },
            (Some(Closed { last, .. }), None) => DrawStage::Closed { last, is_ready: self.is_ready() },
        }
    }

    fn is_ready(&self) -> bool {
        self.closed.is_some() && self.beacon_name.is_some() == self.beacon.is_some()
    }
}

/// Who takes part, and who is staged to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Entrants {
    closed: Arc<Vec<FanId>>,
    staged: Vec<FanId>,
}

/// Fans in one entry: it stays far below the limit of a segment.
const STAGED_AT_ONCE: usize = 4_096;

fn refused<T>(why: &str) -> Result<T, Refusal> {
    Err(Refusal::Draw(why.to_owned()))
}

fn corrupt<T>(why: &str) -> Result<T, Corrupt> {
    Err(Corrupt(format!("draw: {why}")))
}

impl Inventory {
    pub fn draw(&self) -> Option<&Draw> {
        self.draw.as_ref()
    }

    /// In the order of their entries; empty until they are closed.
    pub fn entrants(&self) -> Arc<Vec<FanId>> {
        Arc::clone(&self.entrants.closed)
    }

    /// Whether fans may wait for it.
    pub(super) fn is_drawing(&self) -> bool {
        let lives = self.configuration.as_ref().is_some_and(|c| {
            matches!(c.phase, Phase::Published | Phase::Paused) && c.sale_ends_at.is_none_or(|end| self.last_at < end)
        });
        lives && self.awaits_draw()
    }

    /// Whether nobody may go in because the order is not known yet.
    pub(super) fn awaits_draw(&self) -> bool {
        let draws = self.configuration.as_ref().is_some_and(|configuration| configuration.queue.mode == Mode::Draw);
        draws && self.draw.as_ref().is_some_and(|draw| draw.seed.is_none())
    }

    pub(super) fn decide_draw(&self, now: EventTime, command: &DrawCommand) -> Result<Decision, Refusal> {
        let done = Ok(Decision { entries: Vec::new(), answer: Answer::Drawn });
        let one = |entry| Ok(Decision { entries: vec![entry], answer: Answer::Drawn });
        match (command, &self.draw) {
            (DrawCommand::Commit { .. }, Some(_)) => done,
            (DrawCommand::Commit { commitment }, None) => {
                let Some(configuration) = &self.configuration else { return refused("there is no event yet") };
                if now >= configuration.on_sale_at {
                    return refused("the sale has opened");
                }
                let beacon_name = configuration.beacon.clone();
                one(Entry::DrawCommitted { commitment: *commitment, beacon_name })
            }
            (_, None) => refused("there is no draw"),
            (DrawCommand::Close { .. }, Some(draw)) if draw.closed.is_some() => done,
            (DrawCommand::Close { root, last, fans }, Some(_)) => {
                if self.configuration.as_ref().is_none_or(|configuration| now < configuration.on_sale_at) {
                    return refused("the sale has not opened");
                }
                let count = u32::try_from(fans.len()).or_else(|_| refused("too many entries"))?;
                let mut entries: Vec<_> =
                    fans.chunks(STAGED_AT_ONCE).map(|fans| Entry::DrawStaged { fans: fans.to_vec() }).collect();
                entries.push(Entry::DrawClosed { root: *root, count, last: *last });
                Ok(Decision { entries, answer: Answer::Drawn })
            }
            (DrawCommand::Beacon { value }, Some(draw)) => match &draw.beacon {
                Some(before) if before == value => done,
                Some(_) => refused("the beacon's value has been told, and it was another one"),
                None if draw.beacon_name.is_none() => refused("no beacon was named before"),
                None if draw.closed.is_none() => refused("its entries are not closed"),
                None => one(Entry::DrawBeacon { value: value.clone() }),
            },
            (DrawCommand::Reveal { .. }, Some(draw)) if draw.seed.is_some() => done,
            (DrawCommand::Reveal { seed }, Some(draw)) => {
                if !draw.is_ready() {
                    return refused("its entries or its beacon are missing");
                }
                if commitment(seed) != draw.commitment {
                    return refused("this is not the seed that was committed to");
                }
                one(Entry::DrawRevealed { seed: *seed })
            }
        }
    }

    pub(super) fn draw_committed(&mut self, commitment: Digest, beacon_name: &Option<String>) -> Result<(), Corrupt> {
        if self.draw.is_some() {
            return corrupt("committed to twice");
        }
        let beacon_name = beacon_name.clone();
        self.draw = Some(Draw { commitment, beacon_name, closed: None, beacon: None, seed: None });
        Ok(())
    }

    pub(super) fn draw_staged(&mut self, fans: &[FanId]) -> Result<(), Corrupt> {
        if self.draw.as_ref().is_none_or(|draw| draw.closed.is_some()) {
            return corrupt("entries of a draw that is not open");
        }
        self.entrants.staged.extend_from_slice(fans);
        Ok(())
    }

    pub(super) fn draw_closed(&mut self, root: Digest, count: u32, last: Place) -> Result<(), Corrupt> {
        let staged = std::mem::take(&mut self.entrants.staged);
        let Some(draw) = self.draw.as_mut().filter(|draw| draw.closed.is_none()) else {
            return corrupt("closed, and not open");
        };
        if staged.len() != count as usize {
            return corrupt("not all of its entries are there");
        }
        draw.closed = Some(Closed { root, count, last, term: self.term });
        self.entrants.closed = Arc::new(staged);
        Ok(())
    }

    /// An owner that was lost amid the entries never said that they are closed.
    pub(super) fn forget_staged_entrants(&mut self) {
        self.entrants.staged.clear();
    }

    pub(super) fn draw_beacon(&mut self, value: &str) -> Result<(), Corrupt> {
        match &mut self.draw {
            Some(draw) if draw.closed.is_some() && draw.beacon_name.is_some() && draw.beacon.is_none() => {
                draw.beacon = Some(value.to_owned());
                Ok(())
            }
            _ => corrupt("a beacon that it does not wait for"),
        }
    }

    pub(super) fn draw_revealed(&mut self, seed: Digest) -> Result<(), Corrupt> {
        match &mut self.draw {
            Some(draw) if draw.is_ready() && draw.seed.is_none() && commitment(&seed) == draw.commitment => {
                draw.seed = Some(seed);
                Ok(())
            }
            _ => corrupt("a seed that it does not wait for, or another one"),
        }
    }
}
