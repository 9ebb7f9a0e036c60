//! Repeats: the same request gets the first answer, whatever has happened since, for a day.

use super::{
    super::{entry::Segment, request::REMEMBERED},
    *,
};

#[test]
fn a_repeat_gets_the_first_answer_and_does_nothing() {
    let mut sale = Sale::seated(&["sss"]);
    sale.reconfigure(|c| c.orphan_rule = OrphanRule::Warn).expect("allowed");
    let hold = sale.hold_command(1, seats(&["A-1-2"]));
    let held = sale.ask_as(Some(identity(1, 10)), hold.clone()).expect("a hold");
    let Answer::Held(view) = &held else { unreachable!() };
    assert_eq!(view.orphans, [code("A-1-1"), code("A-1-3")]);
    let extend = Command::Extend { fan: fan(1), order: view.order };
    let extended = sale.ask_as(Some(identity(2, 20)), extend.clone()).expect("once");
    let release = Command::Release { fan: fan(1), order: view.order };
    let released = sale.ask_as(Some(identity(3, 30)), release.clone()).expect("held");
    let mut next = Configuration::clone(sale.state.configuration().expect("configured"));
    next.version += 1;
    next.phase = Phase::Ended;
    let configure = Command::Configure(Box::new(next));
    let configured = sale.ask_as(Some(identity(4, 40)), configure.clone()).expect("allowed");
    sale.pass(Millis::minutes(60));

    let entries = sale.journal.len();
    let table = [(1, hold, held), (2, extend, extended), (3, release, released), (4, configure, configured)];
    for state in [sale.state.clone(), Inventory::from_snapshot(&sale.state.to_snapshot()).expect("its own bytes")] {
        sale.state = state;
        for (key, command, first) in &table {
            let body = *key as u64 * 10;
            assert_eq!(sale.ask_as(Some(identity(*key, body)), command.clone()).as_ref(), Ok(first));
            let other_body = sale.ask_as(Some(identity(*key, body + 1)), command.clone());
            assert_eq!(other_body, Err(Refusal::KeyReused));
        }
        // A retry that chose another order reference still gets the first one.
        let again = sale.hold_command(1, seats(&["A-1-2"]));
        assert_eq!(sale.ask_as(Some(identity(1, 10)), again).as_ref(), Ok(&table[0].2));
    }
    assert_eq!(sale.journal.len(), entries);
    sale.check_replay();
}

#[test]
fn a_refusal_is_not_remembered() {
    let mut sale = Sale::seated(&["s"]);
    let first = sale.hold(1, seats(&["A-1-1"]));
    let want = sale.hold_command(2, seats(&["A-1-1"]));
    assert_eq!(sale.ask_as(Some(identity(1, 1)), want.clone()), Err(Refusal::SeatTaken(code("A-1-1"))));
    sale.ask(Command::Release { fan: fan(1), order: first.order }).expect("held");
    assert!(sale.ask_as(Some(identity(1, 1)), want).is_ok());
}

#[test]
fn an_outcome_is_forgotten_after_a_day_of_event_time_and_not_before() {
    let mut sale = Sale::seated(&[]);
    let hold = sale.hold_command(1, quantity("GA", 1));
    let first = sale.ask_as(Some(identity(1, 1)), hold.clone());
    let at = sale.now;
    sale.pass(TTL);
    sale.now = EventTime((at + REMEMBERED).0 - 1);
    assert_eq!(sale.ask_as(Some(identity(1, 1)), hold.clone()), first);
    sale.now = at + REMEMBERED;
    assert_eq!(sale.ask_as(Some(identity(1, 1)), hold), Err(Refusal::NotAdmitted));
    sale.admit(20);
    let again = sale.hold_command(20, quantity("GA", 2));
    assert!(sale.ask_as(Some(identity(1, 2)), again).is_ok(), "the key is free again");
    sale.check_replay();
}

#[test]
fn memory_of_a_day_ago_goes_a_little_with_each_entry() {
    let mut sale = Sale::of(Configuration {
        limits: Limits { hold_ttl: Millis::seconds(1), ..configuration(Vec::new()).limits },
        ..configuration(Vec::new())
    });
    let empty = sale.state.to_snapshot().len();
    for n in 1..=200 {
        sale.admit(n);
        let hold = sale.hold_command(n, quantity("GA", 1));
        sale.ask_as(Some(identity(n.into(), 1)), hold).expect("free again each time");
        sale.pass(SESSION);
    }
    let full = sale.state.to_snapshot().len();
    sale.now = sale.now + REMEMBERED + TTL;
    for n in 201..=230 {
        sale.admit(n);
        sale.pass(SESSION);
    }
    // The facts stay until they are published, and every place ever admitted stays.
    sale.state.published(u64::MAX);
    let left = sale.state.to_snapshot().len();
    assert!(left < empty + 1_200 && full > left + 10_000, "{empty} {full} {left}");
    sale.check_replay_published();
}

impl Sale {
    fn check_replay_published(&self) {
        let mut replayed = Inventory::default();
        replayed.published(u64::MAX);
        for (at, entry) in &self.journal {
            let segment = Segment { seq: 1, epoch: 1, at: *at, tag: 0, entries: vec![entry.clone()] };
            for entry in Segment::from_bytes(&segment.to_bytes()).expect("its own bytes").entries {
                replayed.apply(*at, &entry).expect("an entry of the journal");
            }
        }
        assert!(replayed.to_snapshot() == self.state.to_snapshot());
    }
}
