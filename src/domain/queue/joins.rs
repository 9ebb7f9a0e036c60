//! Group commit of joins: what waits to be stored, what is being stored.
//!
//! A fan has a place only when the store has it. At most one batch is under way; whoever joins meanwhile goes into the
//! next. Places are given in the order of arrival and never again, whatever becomes of them; places that come back by a signed
//! ticket are stored with them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Class, Place};
use crate::domain::id::FanId;

/// A batch ends at this many joins.
pub(super) const MAX_JOINS: usize = 4_096;

#[derive(Debug)]
pub(super) struct Joins<Reply> {
    term: u32,
    /// Last place given within the term.
    last: u32,
    /// In the order of arrival, whatever their class; those up to `sent` are being stored.
    joining: BTreeMap<Place, Joining<Reply>>,
    sent: Option<Place>,
    /// Places of former terms that come back, not sent yet,
    restoring: BTreeMap<Place, Joining<Reply>>,
    /// and those that are being stored.
    restoring_sent: BTreeMap<Place, Joining<Reply>>,
    /// Of all of these, without those who have left meanwhile.
    by_fan: BTreeMap<FanId, Place>,
    /// Those who have left while they were being stored.
    leaving: BTreeSet<FanId>,
}

#[derive(Debug)]
pub(super) struct Joining<Reply> {
    pub(super) fan: FanId,
    pub(super) class: Class,
    /// One for each time that the fan has asked.
    pub(super) replies: Vec<Reply>,
    /// The fan gave up before the store answered: the place is to be forgotten.
    pub(super) left: bool,
    /// At a place that the fan had in a former term.
    pub(super) restored: bool,
}

impl<Reply> Joins<Reply> {
    /// `last` is the number of the last place known to be used in this term, [`Place::ARRIVALS`] if none is.
    pub(super) fn new(term: u32, last: u32) -> Self {
        Self {
            term,
            last,
            joining: BTreeMap::new(),
            sent: None,
            restoring: BTreeMap::new(),
            restoring_sent: BTreeMap::new(),
            by_fan: BTreeMap::new(),
            leaving: BTreeSet::new(),
        }
    }

    /// Those who have asked and not left; they count towards the limit.
    pub(super) fn len(&self) -> usize {
        self.by_fan.len()
    }

    /// Whether the fan's place is being stored, or waits for that.
    pub(super) fn has(&self, fan: FanId) -> bool {
        self.by_fan.contains_key(&fan)
    }

    /// Whether a place that the fan has given up is being stored all the same.
    pub(super) fn is_leaving(&self, fan: FanId) -> bool {
        self.leaving.contains(&fan)
    }

    /// The last place given, stored or not.
    pub(super) fn last(&self) -> Place {
        Place::new(self.term, self.last)
    }

    /// Whether a place up to this one is not decided yet.
    pub(super) fn waits_for(&self, place: Place) -> bool {
        self.joining.first_key_value().is_some_and(|(&first, _)| first <= place)
            || !self.restoring.is_empty()
            || !self.restoring_sent.is_empty()
    }

    /// Gives the reply back when the term has no places left.
    pub(super) fn add(&mut self, fan: FanId, class: Class, reply: Reply) -> Result<(), Reply> {
        if let Some(joining) = self.of(fan) {
            joining.replies.push(reply);
            return Ok(());
        }
        let Some(place) = self.reserve() else {
            return Err(reply);
        };
        self.joining.insert(place, Joining { fan, class, replies: vec![reply], left: false, restored: false });
        self.by_fan.insert(fan, place);
        Ok(())
    }

    /// A place for somebody else than who joins, not to be given to anybody else.
    pub(super) fn reserve(&mut self) -> Option<Place> {
        self.last = self.last.checked_add(1)?;
        Some(self.last())
    }

    /// Gives the reply back when the fan is just getting another place, or somebody else is getting this one.
    pub(super) fn restore(&mut self, place: Place, fan: FanId, reply: Reply) -> Result<(), Reply> {
        if let Some(&under_way) = self.by_fan.get(&fan) {
            return match self.of(fan).filter(|_| under_way == place) {
                Some(joining) => {
                    joining.replies.push(reply);
                    Ok(())
                }
                None => Err(reply),
            };
        }
        if self.restoring.contains_key(&place) || self.restoring_sent.contains_key(&place) {
            return Err(reply);
        }
        let class = place.class();
        self.restoring.insert(place, Joining { fan, class, replies: vec![reply], left: false, restored: true });
        self.by_fan.insert(fan, place);
        Ok(())
    }

    fn of(&mut self, fan: FanId) -> Option<&mut Joining<Reply>> {
        let place = self.by_fan.get(&fan)?;
        let restored = self.restoring.get_mut(place).or_else(|| self.restoring_sent.get_mut(place));
        restored.or_else(|| self.joining.get_mut(place))
    }

    /// The fan gives up: its askers, if there were any.
    pub(super) fn cancel(&mut self, fan: FanId) -> Option<Vec<Reply>> {
        let place = self.by_fan.remove(&fan)?;
        if let Some(joining) = self.restoring_sent.get_mut(&place) {
            joining.left = true;
            self.leaving.insert(fan);
            return Some(std::mem::take(&mut joining.replies));
        }
        if let Some(joining) = self.restoring.remove(&place) {
            return Some(joining.replies);
        }
        if self.sent.is_some_and(|sent| place <= sent) {
            let joining = self.joining.get_mut(&place)?;
            joining.left = true;
            self.leaving.insert(fan);
            return Some(std::mem::take(&mut joining.replies));
        }
        self.joining.remove(&place).map(|joining| joining.replies)
    }

    /// The first that is not decided yet.
    pub(super) fn first(&self) -> Option<Place> {
        self.joining.first_key_value().map(|(&place, _)| place)
    }

    /// What to store now, if nothing is under way: of those who join, whoever came before this place.
    pub(super) fn next_batch(&mut self, before: Option<Place>) -> Option<Vec<(Place, FanId)>> {
        if self.sent.is_some() || !self.restoring_sent.is_empty() {
            return None;
        }
        let later = self.restoring.keys().nth(MAX_JOINS).copied();
        let later = later.map(|place| self.restoring.split_off(&place)).unwrap_or_default();
        self.restoring_sent = std::mem::replace(&mut self.restoring, later);
        let mut batch: Vec<_> = self.restoring_sent.iter().map(|(&place, joining)| (place, joining.fan)).collect();
        let waiting = self.joining.iter().take_while(|(place, _)| before.is_none_or(|before| **place < before));
        for (&place, joining) in waiting.take(MAX_JOINS - batch.len()) {
            self.sent = Some(place);
            batch.push((place.in_class(joining.class), joining.fan));
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// The batch under way is decided: takes it out.
    pub(super) fn take_batch(&mut self) -> BTreeMap<Place, Joining<Reply>> {
        self.leaving.clear();
        let mut batch = std::mem::take(&mut self.restoring_sent);
        if let Some(sent) = self.sent.take() {
            let later = self.joining.split_off(&Place(sent.0.saturating_add(1)));
            batch.append(&mut std::mem::replace(&mut self.joining, later));
        }
        for joining in batch.values().filter(|joining| !joining.left) {
            self.by_fan.remove(&joining.fan);
        }
        batch
    }
}
