//! The provider has the fan's word, and the money is under way: the hold stays for a while.

use super::{
    super::request::{HoldState, MOST_AWAITED},
    *,
};

const MORE: Millis = Millis::minutes(5);

fn wait(view: &HoldView, more: Millis) -> Command {
    Command::AwaitPayment { order: view.order, fan: view.fan, more }
}

fn expires_at(answer: Result<Answer, Refusal>) -> EventTime {
    match answer {
        Ok(Answer::Held(view)) => view.expires_at,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_hold_lasts_longer_once_beside_the_fans_own_extension() {
    let mut sale = Sale::seated(&[]);
    let view = sale.hold(1, quantity("GA", 2));
    let expected = view.expires_at + MORE;
    assert_eq!(expires_at(sale.ask(wait(&view, MORE))), expected);
    let entries = sale.journal.len();
    assert_eq!(expires_at(sale.ask(wait(&view, MORE))), expected, "once");
    assert_eq!(sale.journal.len(), entries);
    let extended = expires_at(sale.ask(Command::Extend { order: view.order, fan: view.fan }));
    assert_eq!(extended, expected + EXTENSION, "the fan has the own one still");
    sale.pass(Millis(TTL.0 + MORE.0));
    assert_eq!(sale.counts("GA"), (8, 2, 0, 0));
    sale.pass(EXTENSION);
    assert_eq!(sale.counts("GA"), (10, 0, 0, 0));
    assert_eq!(sale.refused(wait(&view, MORE)), Refusal::HoldEnded { state: HoldState::Expired });
    sale.check_replay();
}

#[test]
fn it_is_bounded_and_only_for_a_live_hold_of_that_fan() {
    let mut sale = Sale::seated(&[]);
    let view = sale.hold(1, quantity("GA", 1));
    assert_eq!(
        sale.refused(Command::AwaitPayment { order: view.order, fan: fan(2), more: MORE }),
        Refusal::UnknownOrder
    );
    assert_eq!(expires_at(sale.ask(wait(&view, Millis::minutes(600)))), view.expires_at + MOST_AWAITED);
    let late = sale.hold(2, quantity("GA", 1));
    // Nobody has noted yet that it is over.
    sale.now = late.expires_at;
    assert_eq!(sale.refused(wait(&late, MORE)), Refusal::HoldEnded { state: HoldState::Expired });
    let sold = sale.hold(3, quantity("GA", 1));
    sale.confirm(&sold, 3);
    assert_eq!(sale.refused(wait(&sold, MORE)), Refusal::HoldEnded { state: HoldState::Sold });
    let cancelled = sale.hold(4, quantity("GA", 1));
    sale.reconfigure(|c| c.phase = Phase::Cancelled).expect("allowed");
    assert!(sale.ask(wait(&cancelled, MORE)).is_err());
    sale.check_replay();
}
