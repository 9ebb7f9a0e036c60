//! Bugs of owners that make something else of the journal than it says.

use onsale::{
    actors::inventory::recovery::fold,
    domain::inventory::{
        Inventory,
        entry::{Entry, Segment},
    },
    stores::journal::Recovered,
};

use crate::{bug::Bug, world::World};

impl World {
    fn misreads(&self) -> Option<Bug> {
        use Bug::{HoldByWithdrawnCode, KeepUsesOfLapsed, SellOverCode};
        self.bug.filter(|bug| matches!(bug, HoldByWithdrawnCode | KeepUsesOfLapsed | SellOverCode))
    }

    pub fn note_for_misreading(&mut self, bytes: &[u8]) {
        if self.misreads().is_some() {
            self.log.extend(Segment::from_bytes(bytes));
        }
    }

    /// What an owner with such a bug recovers; `None` if there is none, or it would notice.
    pub fn misread(&self) -> Option<Inventory> {
        let bug = self.misreads()?;
        let misread = |segment: &Segment| {
            let mut segment = segment.clone();
            segment.entries.iter_mut().for_each(|entry| self.misread_entry(bug, entry));
            (segment.seq, segment.to_bytes())
        };
        let segments = self.log.iter().map(misread).collect();
        let recovered = Recovered { snapshot: None, segments, published: self.journal.published };
        fold(recovered).ok().map(|folded| folded.inventory)
    }

    fn misread_entry(&self, bug: Bug, entry: &mut Entry) {
        match (bug, entry) {
            (Bug::HoldByWithdrawnCode, Entry::CodesWithdrawn { codes }) => codes.clear(),
            (Bug::SellOverCode, Entry::CodesMade { terms, .. }) => (terms.max_uses, terms.per_fan) = (None, None),
            (Bug::KeepUsesOfLapsed, Entry::CodesMade { terms, codes }) => {
                let numbers = codes.iter().filter_map(|code| self.model.find_code(code)).map(|(number, _)| number);
                // They have their terms together: for all of them as for the one whose holds have lapsed most.
                let kept = numbers.map(|number| self.model.lapsed(number)).max().unwrap_or_default();
                terms.max_uses = terms.max_uses.map(|most| most.saturating_sub(kept));
            }
            _ => {}
        }
    }
}
