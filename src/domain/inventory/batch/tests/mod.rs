//! Group commit: what is sent, what is told, and when.

mod limits;

use super::{
    super::{
        configuration::Configuration,
        request::{Admittee, Hold, Identity, Want},
        tests::{configuration, fan, identity, order, quantity},
    },
    *,
};
use crate::domain::{queue::Place, time::Millis};

/// A batcher with a journal that commits when told to.
struct Shell {
    batcher: Batcher<u32>,
    now: EventTime,
    effects: Vec<Effect<u32>>,
    journal: Vec<Vec<u8>>,
    told: Vec<(u32, Outcome, bool)>,
    facts: Vec<u64>,
    active: Vec<bool>,
    stepped_down: bool,
    next_reply: u32,
}

impl Shell {
    fn new(outbox_limit: u64) -> Self {
        let mut shell = Self {
            batcher: Batcher::new(Inventory::default(), 0, 7, 1, outbox_limit),
            now: EventTime(5_000),
            effects: Vec::new(),
            journal: Vec::new(),
            told: Vec::new(),
            facts: Vec::new(),
            active: Vec::new(),
            stepped_down: false,
            next_reply: 0,
        };
        shell.batcher.activate(shell.now, &mut shell.effects).expect("the first entry");
        shell.run();
        shell.commit();
        shell
    }

    /// On sale, fans 1 to 9 admitted at the places of their numbers.
    fn open(outbox_limit: u64) -> Self {
        Self::open_with(outbox_limit, configuration(Vec::new()), 9)
    }

    fn open_with(outbox_limit: u64, configuration: Configuration, fans: u64) -> Self {
        let mut shell = Self::new(outbox_limit);
        shell.ask(Command::Configure(Box::new(configuration)));
        shell.settle();
        for first in (1..=fans).step_by(500) {
            let present =
                |n: u64| Admittee { place: Place(n), fan: fan(n.into()), present: true, needs_more_time: false };
            shell.ask(Command::Admit((first..=fans.min(first + 499)).map(present).collect()));
        }
        shell.settle();
        shell.told.clear();
        shell
    }

    fn run(&mut self) {
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Commit { seq, bytes, active } => {
                    assert_eq!(seq as usize, self.journal.len() + 1);
                    assert!(bytes.len() <= MAX_BYTES);
                    self.journal.push(bytes);
                    self.active.push(active);
                }
                Effect::Reply { reply, outcome, covered } => self.told.push((reply, outcome, covered)),
                Effect::Committed { facts } => self.facts.extend(facts.map(|fact| fact.number)),
                Effect::StepDown => self.stepped_down = true,
            }
        }
    }

    fn step(&mut self, input: Input<u32>) {
        self.batcher.step(input, &mut self.effects).expect("a sound state");
        self.run();
    }

    fn form(&mut self) {
        self.batcher.form(self.now, &mut self.effects).expect("a sound state");
        self.run();
    }

    fn commit(&mut self) {
        self.step(Input::Committed);
    }

    /// Commits until nothing is in flight and nothing waits.
    fn settle(&mut self) {
        self.form();
        while self.batcher.in_flight().is_some() {
            self.commit();
            self.form();
        }
        assert_eq!(self.batcher.waiting(), 0);
    }

    fn queue(&mut self, identity: Option<Identity>, command: Command, deadline: EventTime) -> u32 {
        self.next_reply += 1;
        let reply = self.next_reply;
        self.step(Input::Ask { request: Request { identity, command }, reply, deadline });
        reply
    }

    fn ask(&mut self, command: Command) -> u32 {
        self.queue(None, command, EventTime(u64::MAX))
    }

    fn hold(&mut self, n: u64, want: Want) -> u32 {
        let order = order(10_000 + u128::from(self.next_reply));
        self.ask(hold(n, want, order))
    }

    fn told(&self, reply: u32) -> Option<&Outcome> {
        self.told.iter().find(|(to, _, _)| *to == reply).map(|(_, outcome, _)| outcome)
    }

    fn last_segment(&self) -> Segment {
        Segment::from_bytes(self.journal.last().expect("a segment")).expect("its own bytes")
    }

    fn check_replay(&self) {
        let mut replayed = Inventory::default();
        for (seq, bytes) in (1..).zip(&self.journal) {
            let segment = Segment::from_bytes(bytes).expect("its own bytes");
            assert_eq!((segment.seq, segment.epoch), (seq, 7));
            for entry in &segment.entries {
                replayed.apply(segment.at, entry).expect("an entry of the journal");
            }
        }
        assert!(replayed.to_snapshot() == self.batcher.inventory().to_snapshot());
    }
}

fn hold(n: u64, want: Want, order: crate::domain::id::OrderId) -> Command {
    let fan = fan(n.into());
    Command::Hold(Hold {
        order,
        fan,
        admission: Place(n),
        want,
        channel: None,
        seen_version: None,
        code: None,
        rates: vec![],
    })
}

fn is_held(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Answered(Answer::Held(_))))
}

#[test]
fn one_batch_is_in_flight_and_what_comes_meanwhile_is_the_next() {
    let mut shell = Shell::open(100);
    let segments = shell.journal.len();
    let first = shell.hold(1, quantity("GA", 1));
    shell.form();
    assert_eq!(shell.journal.len(), segments + 1);
    let others = [2, 3].map(|n| shell.hold(n, quantity("GA", 1)));
    shell.form();
    assert_eq!(
        (shell.journal.len(), shell.told.len()),
        (segments + 1, 0),
        "depth one, and no answer before the commit"
    );
    assert!(shell.facts.is_empty());
    shell.commit();
    assert!(is_held(shell.told(first)) && shell.told[0].2, "covered by the commit");
    assert_eq!(shell.facts, [1]);
    assert!(shell.batcher.in_flight().is_none(), "the state is as it is durable until the next is formed");
    assert_eq!(shell.batcher.waiting(), 2);
    shell.form();
    assert_eq!(shell.last_segment().entries.len(), 2);
    shell.commit();
    assert!(others.iter().all(|reply| is_held(shell.told(*reply))));
    assert_eq!(shell.facts, [1, 2, 3]);
    shell.check_replay();
}

#[test]
fn refusals_and_repeats_alone_are_answered_at_once_and_with_others_after_the_commit() {
    let mut shell = Shell::open(100);
    let want = hold(1, quantity("GA", 1), order(1));
    shell.queue(Some(identity(1, 1)), want.clone(), EventTime(u64::MAX));
    shell.settle();
    let first = shell.told[0].1.clone();
    let segments = shell.journal.len();

    let repeat = shell.queue(Some(identity(1, 1)), want.clone(), EventTime(u64::MAX));
    let refused = shell.hold(1, quantity("VIP", 1));
    shell.form();
    assert_eq!(shell.journal.len(), segments);
    assert_eq!(shell.told(repeat), Some(&first));
    assert!(matches!(shell.told(refused), Some(Outcome::Refused(Refusal::UnknownTicketType(_)))));
    assert!(shell.told[1..].iter().all(|(_, _, covered)| !covered));

    let refused = shell.hold(1, quantity("VIP", 1));
    let held = shell.hold(2, quantity("GA", 1));
    shell.form();
    assert_eq!((shell.told(refused), shell.told(held)), (None, None));
    shell.commit();
    assert!(shell.told(refused).is_some() && is_held(shell.told(held)));
}

#[test]
fn a_duplicate_in_the_same_batch_gets_the_same_answer() {
    let mut shell = Shell::open(100);
    let [first, second] =
        [1, 2].map(|n| shell.queue(Some(identity(1, 1)), hold(1, quantity("GA", 1), order(n)), EventTime(u64::MAX)));
    shell.settle();
    assert!(is_held(shell.told(first)));
    assert_eq!(shell.told(first), shell.told(second));
    assert_eq!(shell.facts, [1]);
}

#[test]
fn the_last_ticket_goes_to_the_first_who_asked() {
    let mut shell = Shell::open(100);
    for n in [1, 2] {
        shell.hold(n, quantity("GA", 4));
    }
    let replies: Vec<u32> = (3..=9).map(|n| shell.hold(n, quantity("GA", 1))).collect();
    shell.settle();
    let held: Vec<bool> = replies.iter().map(|reply| is_held(shell.told(*reply))).collect();
    assert_eq!(held, [true, true, false, false, false, false, false]);
    shell.check_replay();
}

#[test]
fn whose_deadline_has_passed_is_not_attempted() {
    let mut shell = Shell::open(100);
    let deadline = shell.now + Millis(5);
    let command = |n| hold(n, quantity("GA", 1), order(n.into()));
    let in_flight = shell.hold(9, quantity("GA", 1));
    shell.form();
    let late = shell.queue(None, command(1), deadline);
    shell.now = deadline;
    shell.commit();
    let in_time = shell.queue(None, command(2), deadline);
    shell.form();
    shell.commit();
    shell.now = deadline + Millis(1);
    let later = shell.queue(None, command(3), deadline);
    shell.form();
    assert!(is_held(shell.told(in_flight)) && is_held(shell.told(late)) && is_held(shell.told(in_time)));
    assert_eq!(shell.told(later), Some(&Outcome::TooLate));
    assert!(shell.batcher.in_flight().is_none());
}

#[test]
fn an_owner_that_lost_the_event_tells_the_truth_and_does_nothing_more() {
    let mut shell = Shell::open(100);
    let sent = shell.hold(1, quantity("GA", 1));
    let refused = shell.hold(1, quantity("VIP", 1));
    shell.form();
    let waiting = shell.hold(2, quantity("GA", 1));
    shell.step(Input::Read { reply: 1_000 });
    shell.step(Input::Fenced);
    assert_eq!(shell.told(sent), Some(&Outcome::Unknown));
    assert_eq!(shell.told(refused), Some(&Outcome::Unknown));
    assert_eq!(shell.told(waiting), Some(&Outcome::NotAttempted));
    assert_eq!(shell.told(1_000), Some(&Outcome::NotAttempted));
    assert!(shell.stepped_down && shell.facts.is_empty());
    let segments = shell.journal.len();
    let after = shell.hold(3, quantity("GA", 1));
    shell.now = shell.now + Millis::minutes(60);
    shell.form();
    assert_eq!(shell.told(after), Some(&Outcome::NotAttempted));
    assert_eq!((shell.journal.len(), shell.batcher.next_tick()), (segments, None));
}

#[test]
fn a_strong_read_rides_with_the_batch_or_is_free_at_once() {
    let mut shell = Shell::open(100);
    shell.step(Input::Read { reply: 1_000 });
    shell.form();
    assert_eq!(shell.told, [(1_000, Outcome::Readable, false)]);
    shell.hold(1, quantity("GA", 1));
    shell.form();
    shell.step(Input::Read { reply: 1_001 });
    shell.form();
    assert_eq!(shell.told.len(), 1, "the state holds what is not durable");
    shell.commit();
    shell.form();
    assert_eq!(shell.told(1_001), Some(&Outcome::Readable));
}

#[test]
fn new_holds_are_refused_while_messages_lag_and_everything_else_goes_on() {
    let mut shell = Shell::open(1);
    let first = hold(1, quantity("GA", 1), order(1));
    let reply = shell.queue(Some(identity(1, 1)), first.clone(), EventTime(u64::MAX));
    shell.hold(2, quantity("GA", 1));
    shell.settle();
    let lagging = shell.hold(3, quantity("GA", 1));
    let sold_out = shell.hold(3, quantity("VIP", 1));
    let repeat = shell.queue(Some(identity(1, 1)), first, EventTime(u64::MAX));
    let released = shell.ask(Command::Release { fan: fan(1), order: order(1) });
    shell.settle();
    assert_eq!(shell.told(lagging), Some(&Outcome::Refused(Refusal::OrdersLagging)));
    assert!(matches!(shell.told(sold_out), Some(Outcome::Refused(Refusal::UnknownTicketType(_)))));
    assert_eq!(shell.told(repeat), shell.told(reply));
    assert_eq!(shell.told(released), Some(&Outcome::Answered(Answer::Released)));
    shell.step(Input::Published { number: 2 });
    let again = shell.hold(3, quantity("GA", 1));
    shell.settle();
    assert!(is_held(shell.told(again)));
}

#[test]
fn time_ends_holds_without_being_asked_and_the_event_may_rest_when_nothing_is_left() {
    let mut shell = Shell::open(100);
    shell.hold(1, quantity("GA", 1));
    shell.form();
    assert_eq!(shell.batcher.next_tick(), None, "the commit comes first");
    shell.commit();
    let deadline = shell.now + Millis::minutes(10);
    assert_eq!(shell.batcher.next_tick(), Some(deadline));
    let segments = shell.journal.len();
    shell.now = EventTime(deadline.0 - 1);
    shell.step(Input::Tick);
    shell.form();
    assert_eq!(shell.journal.len(), segments);
    shell.now = deadline;
    shell.step(Input::Tick);
    shell.form();
    assert!(matches!(shell.last_segment().entries[..], [Entry::Expired { .. }]));
    shell.settle_after(Millis::minutes(5));
    assert_eq!(shell.batcher.next_tick(), None);
    assert_eq!(shell.active.last(), Some(&true), "facts are unpublished");
    let segments = shell.journal.len();
    shell.step(Input::Published { number: u64::MAX });
    shell.settle();
    assert_eq!((shell.journal.len(), shell.active.last()), (segments + 1, Some(&false)));
    assert!(shell.last_segment().entries.is_empty());
    shell.settle();
    assert_eq!(shell.journal.len(), segments + 1, "once");
}

impl Shell {
    fn settle_after(&mut self, span: Millis) {
        self.commit();
        self.now = self.now + span;
        self.settle();
    }
}

#[test]
fn what_was_recovered_unpublished_is_handed_out_with_the_first_commit() {
    let mut shell = Shell::open(100);
    for n in 1..=3 {
        shell.hold(n, quantity("GA", 1));
    }
    shell.settle();
    let mut recovered = shell.batcher.inventory().clone();
    recovered.published(1);
    let last = shell.journal.len() as u64;
    let mut next: Batcher<u32> = Batcher::new(recovered, last, 8, 2, 100);
    let mut effects = Vec::new();
    // A clock that is behind does not turn time back.
    next.activate(EventTime(1), &mut effects).expect("a sound state");
    next.step(Input::Committed, &mut effects).expect("a sound state");
    let (mut committed, mut handed_out) = (None, Vec::new());
    for effect in effects {
        match effect {
            Effect::Commit { seq, bytes, .. } => committed = Some((seq, bytes)),
            Effect::Committed { facts } => handed_out.extend(facts.map(|fact| fact.number)),
            _ => {}
        }
    }
    let (seq, bytes) = committed.expect("a segment");
    let segment = Segment::from_bytes(&bytes).expect("its own bytes");
    assert_eq!((seq, segment.epoch, segment.at), (last + 1, 8, shell.now));
    assert_eq!(segment.entries, [Entry::Activated { term: 2 }]);
    assert_eq!(handed_out, [2, 3]);
    assert!(next.step(Input::Committed, &mut Vec::new()).is_err(), "nothing is in flight");
}
