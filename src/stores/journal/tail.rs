//! The segments after a snapshot, as an adapter reads them: in order, without gaps.

use crate::stores::error::StoreError;

/// Reading begins with the last segment that the snapshot covers, which trimming leaves: so a journal that ends there is
/// told apart from one that has lost its end.
pub struct Tail {
    covered: Option<u64>,
    next: u64,
}

impl Tail {
    pub fn after(covered: Option<u64>) -> Self {
        Self { covered, next: covered.unwrap_or(1) }
    }

    /// The number of the segment that must come next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Those of the next page that are not in the snapshot; an error if one is missing.
    pub fn follow(&mut self, mut page: Vec<(u64, Vec<u8>)>) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        for (seq, _) in &page {
            if *seq != self.next {
                return Err(self.missing());
            }
            self.next += 1;
        }
        page.retain(|(seq, _)| Some(*seq) != self.covered);
        Ok(page)
    }

    /// There are no more.
    pub fn end(&self) -> Result<(), StoreError> {
        if self.covered == Some(self.next) { Err(self.missing()) } else { Ok(()) }
    }

    fn missing(&self) -> StoreError {
        StoreError::Corrupt(format!("segment {} is missing", self.next))
    }
}
