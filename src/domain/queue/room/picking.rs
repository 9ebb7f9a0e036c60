//! Who is let in next where anybody may be.

use std::collections::BTreeSet;

use super::{Class, Place, WaitingRoom};

/// So often it is tried again after hits that cannot be called; then all are looked at.
const ROUNDS: usize = 16;

impl<Reply> WaitingRoom<Reply> {
    /// Anybody of this class who can be called, each as likely; in order.
    pub(super) fn picked(&mut self, class: Class, count: usize) -> Vec<Place> {
        let (before, len) = (self.line.len_before(class), self.line.len_of(class));
        let mut picked = BTreeSet::new();
        for _ in 0..ROUNDS {
            let missing = count - picked.len();
            if missing == 0 {
                break;
            }
            let indices = self.dice.pick(missing, len);
            let hit = self.line.at(indices.into_iter().map(|index| before + index));
            picked.extend(hit.into_iter().filter(|&place| self.is_callable_at(place)));
        }
        // Few of many: a round hits nobody most of the time.
        if picked.is_empty() && count > 0 && len > 0 && self.line.accounts() > 0 {
            let callable: Vec<Place> =
                self.line.iter_class(class).filter(|&(_, fan)| self.is_callable(fan)).map(|(place, _)| place).collect();
            let indices = self.dice.pick(count, callable.len());
            picked.extend(indices.into_iter().filter_map(|index| callable.get(index)));
        }
        picked.into_iter().collect()
    }

    fn is_callable_at(&self, place: Place) -> bool {
        self.line.get(place).is_some_and(|fan| self.is_callable(fan))
    }
}
