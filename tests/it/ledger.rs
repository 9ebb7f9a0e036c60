//! An event's journal as somebody reads it who runs nothing: whole, in order, and by one writer at a time.

use onsale::{
    domain::{
        id::EventId,
        inventory::{
            Inventory,
            entry::{Entry, Segment},
        },
    },
    stores::{self, config::Config},
};

pub struct Ledger {
    /// After the snapshot, if there is one.
    pub segments: Vec<Segment>,
    pub has_snapshot: bool,
    /// What all of it means.
    pub inventory: Inventory,
    /// Facts up to this number are published.
    pub published: u64,
}

impl Ledger {
    /// Beside whatever runs. No epoch is followed by an older one, and each begins with an activation.
    pub async fn read(config: &Config, event: EventId) -> Self {
        let journal = stores::open_journal(config).await.expect("the journal opens");
        let recovered = journal.recover(event).await.expect("the journal is whole");
        let mut inventory = match &recovered.snapshot {
            Some((_, bytes)) => Inventory::from_snapshot(bytes).expect("the snapshot is whole"),
            None => Inventory::default(),
        };
        let mut segments: Vec<Segment> = Vec::new();
        for (seq, bytes) in &recovered.segments {
            let segment = Segment::from_bytes(bytes).expect("the segment is whole");
            assert_eq!(segment.seq, *seq);
            let before = segments.last().map(|before| before.epoch).or((*seq == 1).then_some(0));
            if let Some(before) = before {
                assert!(before <= segment.epoch, "{before} before {}", segment.epoch);
                let activates = matches!(segment.entries.first(), Some(Entry::Activated { .. }));
                assert_eq!(before < segment.epoch, activates, "segment {seq} of epoch {}", segment.epoch);
            }
            for entry in &segment.entries {
                inventory.apply(segment.at, entry).expect("the journal does not contradict itself");
            }
            segments.push(segment);
        }
        let (published, has_snapshot) = (recovered.published, recovered.snapshot.is_some());
        Self { segments, has_snapshot, inventory, published }
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().flat_map(|segment| &segment.entries)
    }

    /// Of the newest fact that somebody must be told; 0 if there is none.
    pub fn last_fact(&self) -> u64 {
        self.inventory.outbox(0, usize::MAX).last().map_or(0, |fact| fact.number)
    }
}
