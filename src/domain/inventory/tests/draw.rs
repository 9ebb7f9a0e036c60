//! The draw's steps, each once and in order, whatever is repeated or cut off.

use super::{super::draw::DrawStage, *};
use crate::domain::{
    draw::{Digest, commitment},
    inventory::request::DrawCommand,
};

const SEED: Digest = Digest([7; 32]);
const ROOT: Digest = Digest([9; 32]);
const LAST: Place = Place::new(1, Place::ARRIVALS + 3);

fn commit(seed: Digest) -> Command {
    Command::Draw(DrawCommand::Commit { commitment: commitment(&seed) })
}

fn close(count: u128) -> Command {
    Command::Draw(DrawCommand::Close { root: ROOT, last: LAST, fans: (1..=count).map(fan).collect() })
}

fn beacon(value: &str) -> Command {
    Command::Draw(DrawCommand::Beacon { value: value.into() })
}

fn reveal(seed: Digest) -> Command {
    Command::Draw(DrawCommand::Reveal { seed })
}

const OPENS: EventTime = EventTime(8_000);

/// Not on sale yet.
fn sale(beacon: Option<&str>) -> Sale {
    let beacon = beacon.map(str::to_owned);
    Sale::of(Configuration { beacon, on_sale_at: OPENS, ..configuration(Vec::new()) })
}

fn stage(sale: &Sale) -> DrawStage {
    sale.state.draw().map(|draw| draw.stage()).unwrap_or_default()
}

#[test]
fn a_draw_is_committed_to_closed_and_revealed_once_each() {
    let mut sale = sale(None);
    assert!(matches!(sale.ask(close(3)), Err(Refusal::Draw(_))), "nothing was committed to");
    for seed in [SEED, Digest([8; 32])] {
        assert_eq!(sale.ask(commit(seed)), Ok(Answer::Drawn), "the first one stays");
    }
    assert_eq!(stage(&sale), DrawStage::Committed);
    sale.now = OPENS;
    assert!(matches!(sale.ask(reveal(SEED)), Err(Refusal::Draw(_))), "its entries are not closed");
    for count in [3, 5] {
        assert_eq!(sale.ask(close(count)), Ok(Answer::Drawn), "whoever comes later takes no part");
    }
    assert_eq!(sale.state.entrants().as_slice(), [1, 2, 3].map(fan));
    assert_eq!(stage(&sale), DrawStage::Closed { last: LAST, is_ready: true });
    assert!(matches!(sale.ask(beacon("x")), Err(Refusal::Draw(_))), "none was named");
    assert!(matches!(sale.ask(reveal(Digest([8; 32]))), Err(Refusal::Draw(_))), "another seed");
    for _ in 0..2 {
        assert_eq!(sale.ask(reveal(SEED)), Ok(Answer::Drawn));
    }
    assert_eq!(stage(&sale), DrawStage::Revealed { last: LAST });
}

#[test]
fn a_beacon_that_was_named_is_waited_for_and_told_once_after_the_closing() {
    let mut sale = sale(Some("the lottery of the day"));
    sale.ask(commit(SEED)).expect("committed");
    sale.now = OPENS;
    assert!(matches!(sale.ask(beacon("early")), Err(Refusal::Draw(_))), "it could choose who comes first");
    sale.ask(close(3)).expect("closed");
    assert_eq!(stage(&sale), DrawStage::Closed { last: LAST, is_ready: false });
    assert!(matches!(sale.ask(reveal(SEED)), Err(Refusal::Draw(_))));
    for _ in 0..2 {
        assert_eq!(sale.ask(beacon("8f0c")), Ok(Answer::Drawn));
    }
    assert!(matches!(sale.ask(beacon("another")), Err(Refusal::Draw(_))));
    sale.ask(reveal(SEED)).expect("revealed");
    let draw = sale.state.draw().expect("a draw");
    assert_eq!((draw.beacon.as_deref(), draw.seed), (Some("8f0c"), Some(SEED)));
}

#[test]
fn entries_are_not_closed_before_the_sale_opens() {
    let mut sale = sale(None);
    sale.ask(commit(SEED)).expect("committed");
    sale.now = OPENS - Millis(1);
    assert!(sale.state.decide(sale.now, &Request { identity: None, command: close(1) }).is_err());
    sale.now = OPENS;
    assert!(sale.state.decide(sale.now, &Request { identity: None, command: close(1) }).is_ok());
}

#[test]
fn nothing_is_committed_to_once_the_sale_has_opened() {
    let mut sale = sale(None);
    sale.now = OPENS;
    assert!(matches!(sale.ask(commit(SEED)), Err(Refusal::Draw(_))));
}

#[test]
fn nobody_goes_in_before_the_draw_and_everybody_does_without_one() {
    for (mode, admitted_before) in [(Mode::Draw, 0), (Mode::Fifo, 1)] {
        let mut sale = sale(None);
        let mut changed =
            Configuration { version: 2, ..Configuration::clone(sale.state.configuration().expect("one")) };
        changed.queue.mode = mode;
        sale.ask(Command::Configure(Box::new(changed))).expect("good");
        sale.ask(commit(SEED)).expect("committed");
        sale.now = OPENS;
        let admit =
            |place, who| Command::Admit(vec![Admittee { place, fan: fan(who), present: true, needs_more_time: false }]);
        let admitted = |answer| if let Ok(Answer::Admitted(all)) = answer { all.len() } else { 99 };
        assert_eq!(admitted(sale.ask(admit(Place(1), 1))), admitted_before, "{mode:?}");
        sale.ask(close(3)).expect("closed");
        sale.ask(reveal(SEED)).expect("revealed");
        assert_eq!(admitted(sale.ask(admit(Place(2), 2))), 1);
    }
}

#[test]
fn entries_that_were_cut_off_do_not_count() {
    let (mut sale, at) = (sale(None), EventTime(1 << 42));
    sale.ask(commit(SEED)).expect("committed");
    sale.state.apply(at, &Entry::DrawStaged { fans: vec![fan(1), fan(2)] }).expect("staged");
    let bytes = sale.state.to_snapshot();
    let mut back = Inventory::from_snapshot(&bytes).expect("its own bytes");
    assert!(back.clone().apply(at, &Entry::DrawClosed { root: ROOT, count: 2, last: LAST }).is_ok());
    back.apply(at, &Entry::Activated { term: back.term() + 1 }).expect("the next owner");
    assert!(back.apply(at, &Entry::DrawClosed { root: ROOT, count: 2, last: LAST }).is_err());
    back.apply(at, &Entry::DrawStaged { fans: vec![fan(3)] }).expect("staged anew");
    back.apply(at, &Entry::DrawClosed { root: ROOT, count: 1, last: LAST }).expect("closed");
    assert_eq!(back.entrants().as_slice(), [fan(3)]);
    assert_eq!(back.draw().and_then(|draw| draw.closed).map(|closed| closed.term), Some(back.term()));
}

#[test]
fn a_journal_whose_draw_contradicts_itself_is_refused() {
    let committed = Entry::DrawCommitted { commitment: commitment(&SEED), beacon_name: Some("b".into()) };
    let staged = Entry::DrawStaged { fans: vec![fan(1)] };
    let closed = Entry::DrawClosed { root: ROOT, count: 1, last: LAST };
    let (told, revealed) = (Entry::DrawBeacon { value: "8f0c".into() }, Entry::DrawRevealed { seed: SEED });
    let whole = [committed, staged, closed, told, revealed];
    let at = EventTime(1 << 42);
    let mut sale = sale(None);
    for (n, entry) in whole.iter().enumerate() {
        for (other, wrong) in whole.iter().enumerate().filter(|(other, _)| *other != n && (n, *other) != (2, 1)) {
            assert!(sale.state.clone().apply(at, wrong).is_err(), "{other} at step {n}");
        }
        sale.state.apply(at, entry).expect("in order");
    }
    let other = Entry::DrawRevealed { seed: Digest([8; 32]) };
    assert!(sale.state.apply(at, &other).is_err());
}
