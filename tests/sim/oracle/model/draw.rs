//! The draw as the journal says it, reckoned a second time and as simply as possible, by the definition in `docs/queue.md`.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use onsale::domain::{
    draw::Digest,
    id::{EventId, FanId},
    inventory::{configuration::Mode, entry::Entry},
    queue::Place,
};

use crate::oracle::model::{Checked, Model, require};

/// Of the one event of this world.
pub const EVENT: EventId = EventId::from_u128(42);

#[derive(Default)]
pub struct Draw {
    commitment: Option<Digest>,
    beacon_name: Option<String>,
    staged: Vec<FanId>,
    pub entrants: BTreeSet<FanId>,
    pub closed: Option<(Digest, Place, u32)>,
    pub beacon: Option<String>,
    /// Once it is revealed: the fans, first one first.
    pub order: Option<Vec<FanId>>,
}

fn hash(parts: &[&[u8]]) -> Vec<u8> {
    digest(&SHA256, &parts.concat()).as_ref().to_vec()
}

fn entry(fan: FanId) -> Vec<u8> {
    hash(&[b"onsale draw entry", EVENT.as_bytes(), fan.as_bytes()])
}

fn root(entries: &[Vec<u8>]) -> Vec<u8> {
    match entries {
        [] => hash(&[]),
        [one] => hash(&[&[0], one]),
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            hash(&[&[1], &root(left), &root(right)])
        }
    }
}

impl Draw {
    /// The place that it gives to the fan.
    pub fn place(&self, fan: FanId) -> Option<Place> {
        let (_, _, term) = self.closed?;
        let rank = self.order.as_ref()?.iter().position(|other| *other == fan)? + 1;
        Some(Place::new(term, rank as u32))
    }

    pub fn waits_for_beacon(&self) -> bool {
        self.closed.is_some() && self.beacon_name.is_some() && self.beacon.is_none()
    }
}

impl Model {
    /// A new owner: what was staged does not count.
    pub fn draw_goes_on(&mut self) {
        self.draw.staged.clear();
        self.met.extend(match (self.draw.closed, &self.draw.order) {
            (Some(_), None) => Some("a new owner finds a draw that is closed and not revealed"),
            (Some(_), Some(order)) if !order.is_empty() => Some("a new owner makes the same draw again"),
            _ => None,
        });
    }

    pub fn apply_draw(&mut self, entry_: &Entry) -> Checked {
        let draw = &mut self.draw;
        match entry_ {
            Entry::DrawCommitted { commitment, beacon_name } => {
                require(draw.commitment.is_none(), || "S-31: a draw is committed to twice".into())?;
                (draw.commitment, draw.beacon_name) = (Some(*commitment), beacon_name.clone());
            }
            Entry::DrawStaged { fans } => draw.staged.extend(fans),
            Entry::DrawClosed { root: said, count, last } => {
                let open = draw.commitment.is_some() && draw.closed.is_none();
                require(open, || "S-31: a draw is closed that was not open".into())?;
                draw.entrants = std::mem::take(&mut draw.staged).into_iter().collect();
                require(draw.entrants.len() == *count as usize, || "S-31: some entries are there twice".into())?;
                let mut entries: Vec<_> = draw.entrants.iter().map(|&fan| entry(fan)).collect();
                entries.sort();
                require(root(&entries) == said.0, || "S-31: the entries have another root".into())?;
                draw.closed = Some((*said, *last, self.term));
                self.met.push("a draw is closed");
            }
            Entry::DrawBeacon { value } => {
                require(draw.waits_for_beacon(), || "S-31: a beacon that nobody waits for".into())?;
                draw.beacon = Some(value.clone());
                self.met.push("a beacon is told");
            }
            Entry::DrawRevealed { seed } => {
                let ready = draw.order.is_none() && !draw.waits_for_beacon();
                let Some((said, ..)) = draw.closed.filter(|_| ready) else {
                    return Err("S-31: a seed that nobody waits for".into());
                };
                let committed = draw.commitment.map(|commitment| commitment.0.to_vec());
                require(committed == Some(hash(&[&seed.0])), || "S-31: another seed was committed to".into())?;
                let beacon = draw.beacon.clone().unwrap_or_default();
                let lot = |fan: FanId| hash(&[&seed.0, &said.0, beacon.as_bytes(), &entry(fan)]);
                let mut order: Vec<_> = draw.entrants.iter().copied().collect();
                order.sort_by_key(|&fan| lot(fan));
                draw.order = Some(order);
                self.met.push("a draw is made");
            }
            _ => {}
        }
        Ok(())
    }

    /// By which place the fan goes in.
    pub fn check_drawn(&mut self, place: Place, fan: FanId) -> Checked {
        if place.is_drawn() {
            let expected = self.draw.place(fan);
            return require(expected == Some(place.arrival()), || {
                format!("S-31: {fan} goes in by {place}, drawn is {expected:?}")
            });
        }
        let mode = self.configuration.as_ref().map(|configuration| configuration.queue.mode);
        let awaits = mode == Some(Mode::Draw) && self.draw.commitment.is_some() && self.draw.order.is_none();
        require(!awaits || self.modes_changed, || format!("S-31: {place} is admitted before the draw"))
    }
}
