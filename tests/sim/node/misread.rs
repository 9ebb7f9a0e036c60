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
        use Bug::{CountUsesTwice, HoldByWithdrawnCode, KeepUsesOfLapsed, SellOverCode};
        self.bug.filter(|bug| matches!(bug, CountUsesTwice | HoldByWithdrawnCode | KeepUsesOfLapsed | SellOverCode))
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
            (_, Entry::CodesMade { terms, codes }) => {
                let number = codes.first().and_then(|code| self.model.find_code(code)).map(|(number, _)| number);
                let (Some(number), Some(most)) = (number, terms.max_uses) else { return };
                let used = match bug {
                    Bug::CountUsesTwice => self.model.uses(number, None),
                    Bug::KeepUsesOfLapsed => self.model.lapsed(number),
                    _ => 0,
                };
                terms.max_uses = Some(most.saturating_sub(used));
            }
            _ => {}
        }
    }
}
