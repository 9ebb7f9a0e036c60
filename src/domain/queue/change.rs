//! What makes the queue published before into the one published now: for nodes that keep a copy.
//!
//! Chunks of places that did not change are shared between two publications, so finding the others costs a look at each
//! pointer, and only those are told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Queue, Ranks,
    rank::{Bits, Chunk},
};
use crate::domain::inventory::notice::Notice;

/// Since the empty queue, it is all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueChange {
    /// All but ranks and notice.
    rest: Queue,
    /// Chunks that differ, by number, ascending.
    changed: Vec<(u64, Bits)>,
    /// Chunks without live places any more, ascending.
    emptied: Vec<u64>,
    /// The notice, or that it was taken away; `None`: as before.
    notice: Option<Option<Arc<Notice>>>,
}

impl Queue {
    pub fn change_since(&self, before: &Self) -> QueueChange {
        let (old, new) = (before.ranks.chunks(), self.ranks.chunks());
        let of = |chunks: &[Chunk], number: u64| {
            let found = chunks.binary_search_by_key(&number, |chunk| chunk.number).ok()?;
            chunks.get(found).map(|chunk| Arc::clone(&chunk.live))
        };
        let same = |chunk: &Chunk| {
            of(old, chunk.number).is_some_and(|live| Arc::ptr_eq(&live, &chunk.live) || live == chunk.live)
        };
        let changed = new.iter().filter(|chunk| !same(chunk)).map(|chunk| (chunk.number, Bits::clone(&chunk.live)));
        let emptied = old.iter().map(|chunk| chunk.number).filter(|&number| of(new, number).is_none());
        let notice = (self.notice != before.notice).then(|| self.notice.clone());
        let rest = Self { ranks: Arc::default(), notice: None, ..self.clone() };
        QueueChange { rest, changed: changed.collect(), emptied: emptied.collect(), notice }
    }

    /// `change` must be since this one.
    pub fn changed_by(&self, change: QueueChange) -> Self {
        let QueueChange { rest, changed, emptied, notice } = change;
        let is_told = |number: u64| {
            emptied.binary_search(&number).is_ok()
                || changed.binary_search_by_key(&number, |&(number, _)| number).is_ok()
        };
        let kept = self.ranks.chunks().iter().filter(|chunk| !is_told(chunk.number));
        let mut chunks: Vec<_> = kept.map(|chunk| (chunk.number, Arc::clone(&chunk.live))).collect();
        chunks.extend(changed.iter().map(|(number, live)| (*number, Arc::new(live.clone()))));
        chunks.sort_by_key(|&(number, _)| number);
        let counted = chunks.into_iter().map(|(number, live)| {
            let len = live.count();
            (number, live, len)
        });
        let notice = notice.unwrap_or_else(|| self.notice.clone());
        Self { ranks: Arc::new(Ranks::of(counted)), notice, ..rest }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        queue::{Place, rank::SPAN},
        time::EventTime,
    };

    fn queue(at: u64, places: &BTreeSet<u64>) -> Queue {
        let ranks = Arc::new(Ranks::new(places.iter().copied().map(Place).collect()));
        let newest = Place(places.last().copied().unwrap_or_default());
        Queue { at: EventTime(at), ranks, newest, ..Queue::default() }
    }

    fn places() -> impl Strategy<Value = BTreeSet<u64>> {
        prop::collection::btree_set(0u64..6 * SPAN, 0..40)
    }

    fn notice(version: u32) -> Option<Arc<Notice>> {
        let texts = [("en".to_owned(), format!("text {version}"))].into();
        (version > 0).then(|| Arc::new(Notice { version, at: EventTime(1), texts }))
    }

    proptest! {
        #[test]
        fn a_copy_that_is_told_the_changes_is_the_queue(all in prop::collection::vec((places(), 0u32..3), 1..6)) {
            let (mut before, mut copy) = (Queue::default(), Queue::default());
            for (at, (places, version)) in (1..).zip(&all) {
                let now = queue(at, places).with_notice(notice(*version));
                let bytes = postcard::to_allocvec(&now.change_since(&before)).expect("encodes");
                copy = copy.changed_by(postcard::from_bytes(&bytes).expect("decodes"));
                prop_assert_eq!(&copy, &now);
                before = now;
            }
        }
    }

    #[test]
    fn what_has_not_changed_is_not_told() {
        let all: BTreeSet<u64> = (1..100_000).collect();
        let before = queue(1, &all);
        let mut fewer = all;
        fewer.remove(&5);
        let before = before.with_notice(notice(1));
        let now = Queue { ranks: queue(2, &fewer).ranks, ..before.clone() };
        let change = now.change_since(&before);
        assert_eq!((change.changed.len(), change.emptied.len(), change.notice), (1, 0, None));
        assert_eq!(now.clone().with_notice(None).change_since(&now).notice, Some(None), "taken away");
        let first: BTreeSet<u64> = (1..SPAN).collect();
        let change = queue(3, &(SPAN..2 * SPAN).collect()).change_since(&queue(2, &first));
        assert_eq!((change.changed.len(), change.emptied.len()), (1, 1));
    }
}
