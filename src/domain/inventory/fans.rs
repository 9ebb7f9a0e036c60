//! What each fan has: tickets held and sold, and the one live admission.
//!
//! A fan who has neither leaves no record.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{
    Corrupt,
    slab::{Keyed, Slab},
};
use crate::domain::{id::FanId, queue::Place};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fan {
    id: FanId,
    admission: Option<NonZeroU64>,
    /// Tickets held and sold.
    taken: u32,
}

impl Keyed for Fan {
    fn key(&self) -> u128 {
        self.id.as_u128()
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Fans {
    fans: Slab<Fan>,
}

impl Fans {
    fn get(&self, fan: FanId) -> Option<&Fan> {
        self.fans.by_key(fan.as_u128())
    }

    pub fn taken(&self, fan: FanId) -> u32 {
        self.get(fan).map_or(0, |fan| fan.taken)
    }

    pub fn admission(&self, fan: FanId) -> Option<Place> {
        self.get(fan)?.admission.map(|place| Place(place.get()))
    }

    pub fn take(&mut self, fan: FanId, quantity: u32) {
        self.change(fan, |fan| fan.taken = fan.taken.saturating_add(quantity));
    }

    pub fn give_back(&mut self, fan: FanId, quantity: u32) -> Result<(), Corrupt> {
        let taken = self.taken(fan);
        let left = taken
            .checked_sub(quantity)
            .ok_or_else(|| Corrupt(format!("fan {fan} gives back {quantity} of {taken} tickets")))?;
        self.change(fan, |fan| fan.taken = left);
        Ok(())
    }

    /// Places begin at one.
    pub fn set_admission(&mut self, fan: FanId, admission: Option<Place>) {
        self.change(fan, |fan| fan.admission = admission.and_then(|place| NonZeroU64::new(place.0)));
    }

    /// What a snapshot needs.
    pub fn frozen(&self) -> Self {
        Self { fans: self.fans.frozen() }
    }

    fn change(&mut self, id: FanId, change: impl FnOnce(&mut Fan)) {
        let slot = match self.fans.find(id.as_u128()) {
            Some(slot) => slot,
            None => self.fans.insert(Fan { id, admission: None, taken: 0 }),
        };
        let Some(fan) = self.fans.get_mut(slot) else { return };
        change(fan);
        if fan.taken == 0 && fan.admission.is_none() {
            self.fans.remove(slot);
        }
    }
}
