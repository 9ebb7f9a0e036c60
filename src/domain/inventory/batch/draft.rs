//! A segment in the making: entries and their bytes, within the limits.

use super::{
    super::{
        entry::{Entry, Segment},
        sealed::{encode, seal_with},
    },
    MAX_BYTES, MAX_ENTRIES,
};

/// More than version, four numbers, the count and the checksum take.
const ENVELOPE_BYTES: usize = 64;

#[derive(Default)]
pub(super) struct Draft {
    entries: Vec<Entry>,
    /// The entries, one after the other. Encoded as they come, so that the size is known and nothing is encoded twice.
    bytes: Vec<u8>,
}

impl Draft {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds all of them or, where there is no room, none. An empty draft takes anything.
    pub fn add(&mut self, entries: &[Entry]) -> bool {
        let room = MAX_ENTRIES - self.entries.len().min(MAX_ENTRIES);
        if !self.is_empty() && entries.len() > room {
            return false;
        }
        let before = self.bytes.len();
        for entry in entries {
            self.bytes = encode(entry, std::mem::take(&mut self.bytes));
        }
        if !self.is_empty() && self.bytes.len() + ENVELOPE_BYTES > MAX_BYTES {
            self.bytes.truncate(before);
            return false;
        }
        self.entries.extend_from_slice(entries);
        true
    }

    /// The same as [`Segment::to_bytes`] of the segment returned.
    pub fn seal(self, head: Segment) -> (Segment, Vec<u8>) {
        let mut bytes = Vec::with_capacity(self.bytes.len() + ENVELOPE_BYTES);
        bytes.push(Segment::VERSION);
        bytes = encode(&(head.seq, head.epoch, head.at, head.tag, self.entries.len() as u64), bytes);
        bytes.extend_from_slice(&self.bytes);
        (Segment { entries: self.entries, ..head }, seal_with(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::EventTime;

    #[test]
    fn a_draft_has_the_bytes_of_its_segment() {
        let mut draft = Draft::default();
        for term in [1, 128, u32::MAX] {
            assert!(draft.add(&[Entry::Activated { term }]));
        }
        let head = Segment { seq: 300, epoch: u64::MAX, at: EventTime(7), tag: 1 << 40, entries: Vec::new() };
        let (segment, bytes) = draft.seal(head);
        assert_eq!(segment.entries.len(), 3);
        assert_eq!(bytes, segment.to_bytes());
        assert_eq!(Segment::from_bytes(&bytes), Ok(segment));
    }

    #[test]
    fn a_draft_ends_at_its_limits_and_keeps_nothing_of_what_did_not_fit() {
        let mut draft = Draft::default();
        let one = [Entry::Activated { term: 1 }];
        while draft.add(&one) {}
        assert_eq!(draft.len(), MAX_ENTRIES);

        let mut draft = Draft::default();
        let large = [Entry::SeatsStaged { version: 1, seats: vec![seat(); 2_000] }];
        while draft.add(&large) {}
        let bytes = draft.bytes();
        assert!(bytes > MAX_BYTES / 2 && bytes <= MAX_BYTES, "{bytes}");
        let head = Segment { seq: 1, epoch: 1, at: EventTime(7), tag: 1, entries: Vec::new() };
        let (segment, bytes) = draft.seal(head);
        assert!(bytes.len() <= MAX_BYTES);
        assert_eq!(Segment::from_bytes(&bytes), Ok(segment));
    }

    fn seat() -> super::super::super::configuration::Seat {
        use super::super::super::configuration::{Kept, Seat, SeatKind};
        let code = |text: &str| text.parse().expect("a code");
        Seat {
            id: code("A-1-1"),
            zone: code("A"),
            row: code("1"),
            number: 1,
            ticket_type: code("VIP"),
            kind: SeatKind::Standard,
            kept: Kept::Free,
        }
    }
}
