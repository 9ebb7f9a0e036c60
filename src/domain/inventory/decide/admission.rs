//! Who may shop, as far as slots go.

use std::collections::BTreeSet;

use super::super::{
    Decision, Inventory,
    entry::Entry,
    request::{Admission, AdmissionEnd, Admittee, Answer, Refusal},
};
use crate::domain::{
    id::FanId,
    queue::Place,
    time::{EventTime, Millis},
};

/// More admittees of one request than this are left for the next.
pub const ADMITTED_AT_ONCE: usize = 512;

impl Inventory {
    pub(super) fn decide_admit(&self, now: EventTime, admittees: &[Admittee]) -> Decision {
        let mut entries = Vec::new();
        let mut admitted = Vec::new();
        let mut places = BTreeSet::new();
        let mut fans = BTreeSet::new();
        let mut slots_free = self.slots_free(now);
        for admittee in admittees {
            if let Some(live) = self.admissions.live(admittee.place) {
                // The same place is the same admission, whoever asks again.
                if live.fan == admittee.fan {
                    admitted.push(live);
                }
                continue;
            }
            // Places begin at one.
            let taken = admittee.place == Place(0)
                || self.admissions.was_admitted(admittee.place)
                || self.fans.admission(admittee.fan).is_some();
            let named_before = places.contains(&admittee.place) || fans.contains(&admittee.fan);
            if taken || named_before || slots_free == 0 || entries.len() == ADMITTED_AT_ONCE {
                continue;
            }
            let Some(admission) = self.new_admission(now, admittee) else { continue };
            places.insert(admittee.place);
            fans.insert(admittee.fan);
            let Admission { place, fan, claim_by, until, extended: _ } = admission;
            entries.push(Entry::Admitted { place, fan, claim_by, until });
            admitted.push(admission);
            slots_free -= 1;
        }
        Decision { entries, answer: Answer::Admitted(admitted) }
    }

    /// None while nothing can be bought, or nobody knows whose turn it is.
    fn slots_free(&self, now: EventTime) -> u32 {
        let Some(configuration) = &self.configuration else { return 0 };
        if !self.is_selling(now) || self.awaits_draw() {
            return 0;
        }
        configuration.queue.slots.saturating_sub(self.admissions.slots_taken())
    }

    fn new_admission(&self, now: EventTime, admittee: &Admittee) -> Option<Admission> {
        let queue = &self.configuration.as_ref()?.queue;
        let Admittee { place, fan, present, needs_more_time } = *admittee;
        if present {
            return Some(Admission {
                place,
                fan,
                claim_by: None,
                until: now + queue.session_of(needs_more_time),
                extended: false,
            });
        }
        let claim_by = now + queue.claim_window_of(needs_more_time);
        // Claiming it moves the end; unclaimed, it ends with the window.
        Some(Admission { place, fan, claim_by: Some(claim_by), until: claim_by, extended: false })
    }

    pub(super) fn decide_claim(
        &self,
        now: EventTime,
        place: Place,
        fan: FanId,
        needs_more_time: bool,
    ) -> Result<Decision, Refusal> {
        let admission = self.admissions.live(place).filter(|admission| admission.fan == fan);
        let admission = admission.ok_or(Refusal::NotAdmitted)?;
        if now >= admission.until {
            return Err(Refusal::NotAdmitted);
        }
        if admission.claim_by.is_none() {
            return Ok(Decision::already(Answer::Claimed(admission)));
        }
        let configuration = self.configuration.as_ref().ok_or(Refusal::NotAdmitted)?;
        let until = now + configuration.queue.session_of(needs_more_time);
        let claimed = Admission { claim_by: None, until, ..admission };
        Ok(Decision::one(Entry::Claimed { place, until }, Answer::Claimed(claimed)))
    }

    pub(super) fn decide_extend_admission(
        &self,
        now: EventTime,
        place: Place,
        fan: FanId,
    ) -> Result<Decision, Refusal> {
        let admission = self.may_shop(now, place, fan).ok_or(Refusal::NotAdmitted)?;
        if admission.extended {
            return Ok(Decision::already(Answer::AdmissionExtended(admission)));
        }
        let extension = self.configuration.as_ref().map_or(Millis(0), |configuration| configuration.queue.extension);
        if extension == Millis(0) {
            return Err(Refusal::NoExtension);
        }
        let until = admission.until + extension;
        let extended = Admission { until, extended: true, ..admission };
        Ok(Decision::one(Entry::AdmissionExtended { place, until }, Answer::AdmissionExtended(extended)))
    }

    pub(super) fn decide_end_admission(&self, place: Place, why: AdmissionEnd) -> Result<Decision, Refusal> {
        if self.admissions.live(place).is_some() {
            return Ok(Decision::one(Entry::AdmissionEnded { place, why }, Answer::AdmissionEnded));
        }
        if self.admissions.was_admitted(place) {
            return Ok(Decision::already(Answer::AdmissionEnded));
        }
        Err(Refusal::NotAdmitted)
    }

    /// The admission, if the fan may take holds by it now.
    pub(super) fn may_hold(&self, now: EventTime, place: Place, fan: FanId) -> bool {
        self.may_shop(now, place, fan).is_some()
    }

    fn may_shop(&self, now: EventTime, place: Place, fan: FanId) -> Option<Admission> {
        let admission = self.admissions.live(place)?;
        (admission.fan == fan && admission.claim_by.is_none() && now < admission.until).then_some(admission)
    }
}
