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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        inventory::request::{Admission, AdmissionEnd},
        time::EventTime,
    };

    const AT: EventTime = EventTime(10);
    const CLAIMED_UNTIL: EventTime = EventTime(300);
    const EXTENDED_UNTIL: EventTime = EventTime(500);

    fn called(place: Place, fan: FanId) -> Entry {
        Entry::Admitted { place, fan, claim_by: Some(EventTime(100)), until: EventTime(100) }
    }

    #[test]
    fn the_waiting_room_hears_of_each_admission_as_it_is_after_the_batch() {
        let (ann, ben, cem) = (FanId::from_u128(1), FanId::from_u128(2), FanId::from_u128(3));
        let mut state = Inventory::default();
        state.apply(AT, &called(Place(1), ann)).expect("applies");
        let mut admitted = Admitted::new(&state);
        let mut told = |entries: Vec<Entry>| {
            for entry in &entries {
                state.apply(AT, entry).expect("applies");
            }
            admitted.changes(&Segment { seq: 1, epoch: 1, at: AT, tag: 0, entries }, &state)
        };
        let claimed = |place| Entry::Claimed { place, until: CLAIMED_UNTIL };
        let ended = |place| Entry::AdmissionEnded { place, why: AdmissionEnd::Finished };
        let changed = |place, fan, until, extended| {
            AdmissionChange::Changed(Admission { place, fan, claim_by: None, until, extended })
        };

        // Recovered, and called in the same batch.
        let first = told(vec![called(Place(2), ben), claimed(Place(1)), claimed(Place(2))]);
        let expected = [(Place(1), ann), (Place(2), ben)];
        assert_eq!(first, expected.map(|(place, fan)| changed(place, fan, CLAIMED_UNTIL, false)));
        let extended = told(vec![Entry::AdmissionExtended { place: Place(1), until: EXTENDED_UNTIL }]);
        assert_eq!(extended, [changed(Place(1), ann, EXTENDED_UNTIL, true)]);

        // Claimed, ended, and called again by another place: the first place's end is all there is to hear.
        let again = told(vec![called(Place(3), cem), claimed(Place(3)), ended(Place(3)), called(Place(4), cem)]);
        assert_eq!(again, [AdmissionChange::Ended { fan: cem, place: Place(3) }]);
        assert_eq!(told(vec![ended(Place(1))]), [AdmissionChange::Ended { fan: ann, place: Place(1) }]);
    }
}
