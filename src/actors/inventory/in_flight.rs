//! The one batch that is on its way to the journal, and what becomes true for others when it is durable.

use std::{collections::HashMap, sync::Arc, time::Instant};

use tokio_util::task::AbortOnDropHandle;

use super::message::AdmissionChange;
use crate::{
    domain::{
        id::FanId,
        inventory::{
            Inventory, View,
            configuration::Configuration,
            entry::{Entry, Segment},
        },
        queue::Place,
    },
    stores::crash_point::Step,
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
    pub _work: AbortOnDropHandle<()>,
}

/// Who has a live admission: an entry that ends one names the place only, and by then the state has forgotten it.
pub(super) struct Admitted {
    fans: HashMap<Place, FanId>,
}

impl Admitted {
    pub fn new(recovered: &Inventory) -> Self {
        Self { fans: recovered.admitted_fans().collect() }
    }

    /// What the waiting room has to hear of. `after` is the state with the segment in it.
    pub fn changes(&mut self, segment: &Segment, after: &Inventory) -> Vec<AdmissionChange> {
        let mut changes = Vec::new();
        for entry in &segment.entries {
            match *entry {
                Entry::Admitted { place, fan, .. } => {
                    self.fans.insert(place, fan);
                }
                // One that has ended since is told of as ended.
                Entry::Claimed { place, .. } | Entry::AdmissionExtended { place, .. } => {
                    let admission = self.fans.get(&place).and_then(|fan| after.admission_of(*fan));
                    let changed = admission.filter(|admission| admission.place == place);
                    changes.extend(changed.map(AdmissionChange::Changed));
                }
                Entry::AdmissionEnded { place, .. } => {
                    let fan = self.fans.remove(&place);
                    changes.extend(fan.map(|fan| AdmissionChange::Ended { fan, place }));
                }
                Entry::Offered { order, fan, expires_at, .. } => {
                    changes.push(AdmissionChange::Offered { fan, order, until: expires_at });
                }
                _ => {}
            }
        }
        changes
    }
}

/// Of the saga, if it moves an order.
pub(super) fn step(segment: &Segment) -> Option<Step> {
    segment.entries.iter().find_map(|entry| match entry {
        Entry::Held { .. } | Entry::Offered { .. } => Some(Step::Held),
        Entry::Released { .. } | Entry::Expired { .. } => Some(Step::Ended),
        Entry::PaymentAwaited { .. } => Some(Step::Awaited),
        Entry::Confirmed { taken_again: None, .. } => Some(Step::Decided),
        Entry::Confirmed { taken_again: Some(_), .. } => Some(Step::TakenAgain),
        Entry::ConfirmRefused { .. } => Some(Step::Refused),
        Entry::Reduced { .. } | Entry::Voided { .. } => Some(Step::Reduced),
        Entry::SeatAdded { .. } => Some(Step::SeatAdded),
        Entry::WaitlistJoined { .. } => Some(Step::WaitlistJoined),
        _ => None,
    })
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
