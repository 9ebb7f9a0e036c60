//! Places that pass from a device to the account of its person.
//!
//! A place passes only when the store has it so. At most one batch is under way, and an account takes part in one tie at a time:
//! so the store never hears of two places of one fan in an order that this room does not know.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;
use crate::domain::id::FanId;

/// A batch ends at this many.
const MAX_TIES: usize = 1_024;
/// A term remembers no more devices than this; those tied afterwards may join again, which gives nobody a second turn.
const MAX_KNOWN: usize = 10_000_000;

/// The place is the device's, and is to be the account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    pub place: Place,
    pub device: FanId,
    pub account: FanId,
}

#[derive(Debug)]
pub(super) struct Ties<Reply> {
    /// Devices whose person this term knows.
    known: BTreeMap<FanId, FanId>,
    /// To be stored, by the device's place.
    next: BTreeMap<Place, (Tie, Reply)>,
    under_way: BTreeMap<Place, (Tie, Reply)>,
    /// Of both.
    accounts: BTreeSet<FanId>,
}

impl<Reply> Default for Ties<Reply> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), next: BTreeMap::new(), under_way: BTreeMap::new(), accounts: BTreeSet::new() }
    }
}

impl<Reply> Ties<Reply> {
    pub(super) fn account_of(&self, device: FanId) -> Option<FanId> {
        self.known.get(&device).copied()
    }

    pub(super) fn remember(&mut self, device: FanId, account: FanId) {
        if self.known.len() < MAX_KNOWN {
            self.known.insert(device, account);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty() && self.under_way.is_empty()
    }

    /// Whether the place is passing on, and so has to stay.
    pub(super) fn has(&self, place: Place) -> bool {
        self.next.contains_key(&place) || self.under_way.contains_key(&place)
    }

    /// Whether a place is on its way to the account.
    pub(super) fn wait_for(&self, account: FanId) -> bool {
        self.accounts.contains(&account)
    }

    pub(super) fn add(&mut self, tie: Tie, reply: Reply) {
        self.accounts.insert(tie.account);
        self.next.insert(tie.place, (tie, reply));
    }

    /// What to store now, if nothing is under way.
    pub(super) fn next_batch(&mut self) -> Option<Vec<Tie>> {
        if !self.under_way.is_empty() || self.next.is_empty() {
            return None;
        }
        let later = self.next.keys().nth(MAX_TIES).copied();
        let later = later.map(|place| self.next.split_off(&place)).unwrap_or_default();
        self.under_way = std::mem::replace(&mut self.next, later);
        Some(self.under_way.values().map(|(tie, _)| *tie).collect())
    }

    /// The batch under way is decided: takes it out.
    pub(super) fn take_batch(&mut self) -> impl Iterator<Item = (Tie, Reply)> + use<Reply> {
        let batch = std::mem::take(&mut self.under_way);
        for (tie, _) in batch.values() {
            self.accounts.remove(&tie.account);
        }
        batch.into_values()
    }
}
