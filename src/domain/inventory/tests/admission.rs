//! Admissions: slots, claims, ends.

use super::{
    super::request::{Admission, AdmissionEnd},
    *,
};

fn admittee(n: u64, present: bool) -> Admittee {
    Admittee { place: Place(n), fan: fan(n.into()), present, needs_more_time: false }
}

fn admit(sale: &mut Sale, admittees: Vec<Admittee>) -> Vec<Admission> {
    let Ok(Answer::Admitted(admissions)) = sale.ask(Command::Admit(admittees)) else {
        unreachable!("admit answers so")
    };
    admissions
}

fn places(admissions: &[Admission]) -> Vec<u64> {
    admissions.iter().map(|admission| admission.place.0).collect()
}

fn with_slots(slots: u32) -> Sale {
    let mut configuration = configuration(Vec::new());
    configuration.queue.slots = slots;
    Sale::of(configuration)
}

#[test]
fn no_more_are_admitted_than_slots_are_free() {
    let mut sale = with_slots(2);
    let three = vec![admittee(5, true), admittee(3, false), admittee(4, true)];
    let admitted = admit(&mut sale, three.clone());
    assert_eq!(places(&admitted), [5, 3]);
    assert_eq!((admitted[0].claim_by, admitted[0].until), (None, sale.now + SESSION));
    assert_eq!(admitted[1].claim_by, Some(sale.now + CLAIM_WINDOW));
    assert_eq!(sale.state.view(sale.now).slots_taken, 2);
    // Asked again, the same admissions, and no entry.
    let entries = sale.journal.len();
    sale.now = sale.now + Millis::seconds(1);
    assert_eq!(admit(&mut sale, three), admitted);
    assert_eq!(sale.journal.len(), entries);
    sale.check_replay();
}

#[test]
fn a_place_is_admitted_once_and_a_fan_has_one_admission() {
    let mut sale = with_slots(9);
    let twice = admittee(1, true);
    let same_fan = Admittee { place: Place(2), ..twice };
    assert_eq!(places(&admit(&mut sale, vec![twice, twice, same_fan])), [1]);
    assert_eq!(sale.state.view(sale.now).slots_taken, 1);
    let same_place = Admittee { place: Place(1), ..admittee(7, true) };
    assert!(admit(&mut sale, vec![same_place, same_fan]).is_empty());
    assert_eq!(sale.state.admission_of(fan(1)).map(|admission| admission.place), Some(Place(1)));

    sale.ask(Command::EndAdmission { place: Place(1), why: AdmissionEnd::Finished }).expect("live");
    assert_eq!(sale.state.admission_of(fan(1)), None);
    assert!(sale.state.was_admitted(Place(1)) && !sale.state.was_admitted(Place(2)));
    assert_eq!(places(&admit(&mut sale, vec![twice, same_fan])), [2]);
    sale.check_replay();
}

#[test]
fn nobody_is_admitted_while_nothing_is_sold() {
    for phase in [Phase::Paused, Phase::Ended, Phase::Cancelled] {
        let mut sale = with_slots(9);
        let before = admit(&mut sale, vec![admittee(1, true)]);
        sale.reconfigure(|c| c.phase = phase).expect("allowed");
        assert_eq!(admit(&mut sale, vec![admittee(1, true), admittee(2, true)]), before, "{phase}");
    }
    assert!(admit(&mut Sale::empty(), vec![admittee(1, true)]).is_empty());
}

#[test]
fn a_called_fan_claims_in_time_or_loses_the_turn() {
    let mut sale = with_slots(9);
    admit(&mut sale, vec![admittee(1, false), admittee(2, false)]);
    let claim = |n: u64, who: u128| Command::Claim { place: Place(n), fan: fan(who), needs_more_time: false };
    assert_eq!(sale.refused(claim(1, 2)), Refusal::NotAdmitted);
    assert_eq!(sale.refused(claim(3, 3)), Refusal::NotAdmitted);
    sale.now = sale.now + Millis(CLAIM_WINDOW.0 - 1);
    let until = sale.now + SESSION;
    let claimed = Admission { place: Place(1), fan: fan(1), claim_by: None, until, extended: false };
    assert_eq!(sale.ask(claim(1, 1)), Ok(Answer::Claimed(claimed)));
    sale.now = sale.now + Millis(1);
    assert_eq!(sale.ask(claim(1, 1)), Ok(Answer::Claimed(claimed)), "again");
    assert_eq!(sale.refused(claim(2, 2)), Refusal::NotAdmitted, "too late");
    let ended = Entry::AdmissionEnded { place: Place(2), why: AdmissionEnd::Unclaimed };
    assert_eq!(sale.state.due(sale.now, 9), [ended]);
    sale.pass(Millis(0));
    assert_eq!(sale.state.next_due(), Some(until));
    let ended = Entry::AdmissionEnded { place: Place(1), why: AdmissionEnd::Expired };
    assert_eq!(sale.state.due(until, 9), [ended]);
    sale.check_replay();
}

#[test]
fn an_unpaid_hold_keeps_the_slot_of_its_ended_admission() {
    for (how, frees) in [("sold", 0), ("released", 1), ("expired", 2)] {
        let mut sale = with_slots(1);
        admit(&mut sale, vec![admittee(1, true)]);
        let view = sale.hold(1, quantity("GA", 1));
        sale.ask(Command::EndAdmission { place: Place(1), why: AdmissionEnd::Revoked }).expect("live");
        assert_eq!(sale.hold_refused(1, quantity("GA", 1)), Refusal::NotAdmitted);
        assert_eq!(sale.state.view(sale.now).slots_taken, 1, "{how}");
        assert!(admit(&mut sale, vec![admittee(2, true)]).is_empty(), "{how}");
        sale.check_replay();
        match frees {
            0 => drop(sale.confirm(&view, 1)),
            1 => drop(sale.ask(Command::Release { fan: fan(1), order: view.order }).expect("held")),
            _ => sale.pass(TTL),
        }
        assert_eq!(sale.state.view(sale.now).slots_taken, 0, "{how}");
        assert_eq!(places(&admit(&mut sale, vec![admittee(2, true)])), [2], "{how}");
    }
}

#[test]
fn an_admission_ends_once() {
    let mut sale = with_slots(9);
    let end = |n| Command::EndAdmission { place: Place(n), why: AdmissionEnd::Finished };
    assert_eq!(sale.refused(end(1)), Refusal::NotAdmitted);
    admit(&mut sale, vec![admittee(1, true)]);
    assert_eq!(sale.ask(end(1)), Ok(Answer::AdmissionEnded));
    let entries = sale.journal.len();
    assert_eq!(sale.ask(end(1)), Ok(Answer::AdmissionEnded));
    assert_eq!(sale.journal.len(), entries);
    assert!(!sale.state.is_active());
}

#[test]
fn an_admission_is_extended_once_while_it_is_live_and_claimed() {
    let mut sale = with_slots(9);
    admit(&mut sale, vec![admittee(1, true), admittee(2, false)]);
    let extend = |n: u64, who: u128| Command::ExtendAdmission { place: Place(n), fan: fan(who) };
    assert_eq!(sale.refused(extend(1, 2)), Refusal::NotAdmitted, "another fan's");
    assert_eq!(sale.refused(extend(2, 2)), Refusal::NotAdmitted, "not claimed");
    assert_eq!(sale.refused(extend(3, 3)), Refusal::NotAdmitted, "none");
    let until = sale.now + SESSION + EXTENSION;
    let extended = Admission { place: Place(1), fan: fan(1), claim_by: None, until, extended: true };
    assert_eq!(sale.ask(extend(1, 1)), Ok(Answer::AdmissionExtended(extended)));
    let entries = sale.journal.len();
    assert_eq!(sale.ask(extend(1, 1)), Ok(Answer::AdmissionExtended(extended)), "the same again");
    assert_eq!(sale.journal.len(), entries);
    sale.check_replay();
    sale.pass(SESSION);
    assert_eq!(sale.state.admission_of(fan(1)), Some(extended), "it lives beyond the session");
    sale.pass(EXTENSION);
    assert_eq!(sale.state.admission_of(fan(1)), None);
    assert_eq!(sale.refused(extend(1, 1)), Refusal::NotAdmitted, "too late");

    sale.reconfigure(|c| c.queue.extension = Millis(0)).expect("allowed");
    admit(&mut sale, vec![admittee(4, true)]);
    assert_eq!(sale.refused(extend(4, 4)), Refusal::NoExtension);
}

#[test]
fn who_needs_more_time_has_twice_as_long_to_claim_and_to_shop() {
    let mut sale = with_slots(9);
    let more = |n, present| Admittee { needs_more_time: true, ..admittee(n, present) };
    let twice = |time: Millis| Millis(time.0 * 2);
    let admitted = admit(&mut sale, vec![more(1, true), more(2, false), admittee(3, true)]);
    assert_eq!(admitted[0].until, sale.now + twice(SESSION));
    assert_eq!(admitted[1].claim_by, Some(sale.now + twice(CLAIM_WINDOW)));
    assert_eq!(admitted[2].until, sale.now + SESSION);
    // What counts for the session is what is known when it begins.
    let claim = |needs_more_time| Command::Claim { place: Place(2), fan: fan(2), needs_more_time };
    let Ok(Answer::Claimed(claimed)) = sale.ask(claim(true)) else { unreachable!("in time") };
    assert_eq!(claimed.until, sale.now + twice(SESSION));
    // Again it is the same, whatever is said.
    assert_eq!(sale.ask(claim(false)), Ok(Answer::Claimed(claimed)));
    sale.check_replay();
}
