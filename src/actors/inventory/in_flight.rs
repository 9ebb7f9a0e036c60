//! The one batch that is on its way to the journal, and what becomes true for others when it is durable.

use std::{collections::HashMap, sync::Arc, time::Instant};

use super::message::AdmissionChange;
use crate::domain::inventory::{
    View,
    configuration::Configuration,
    entry::{Entry, Segment},
};

/// Read from the state that includes the batch: none of it may be seen before the commit.
pub(super) struct InFlight {
    pub sent: Instant,
    pub size_bytes: u64,
    pub entries: usize,
    pub holds: u64,
    pub view: Arc<View>,
    pub configuration: Option<Arc<Configuration>>,
    pub active: bool,
    pub admissions: Vec<AdmissionChange>,
}

pub(super) fn admission_changes(segment: &Segment) -> Vec<AdmissionChange> {
    let change = |entry: &Entry| match *entry {
        Entry::Claimed { place, until } => Some(AdmissionChange::Claimed { place, until }),
        Entry::AdmissionEnded { place, .. } => Some(AdmissionChange::Ended { place }),
        _ => None,
    };
    segment.entries.iter().filter_map(change).collect()
}

pub(super) fn holds(segment: &Segment) -> u64 {
    segment.entries.iter().filter(|entry| matches!(entry, Entry::Held { .. })).count() as u64
}

/// The human-readable counters that changed since they were written last.
#[derive(Default)]
pub(super) struct Counters {
    written: HashMap<String, u32>,
}

impl Counters {
    pub fn changed(&mut self, view: &View) -> Vec<(String, u32)> {
        let mut changed = Vec::new();
        for ticket_type in &view.ticket_types {
            let code = ticket_type.code.as_str();
            if self.written.get(code) == Some(&ticket_type.free) {
                continue;
            }
            self.written.insert(code.to_owned(), ticket_type.free);
            changed.push((code.to_owned(), ticket_type.free));
        }
        changed
    }
}
