//! Money that comes too late for its seats, from a fan who takes others.

use super::{
    super::{fact::FactKind, request::HoldState},
    *,
};

fn as_seats(answer: &Answer) -> Vec<String> {
    let Answer::ConfirmedAs(lines) = answer else { unreachable!("{answer:?}") };
    lines.iter().flat_map(|line| &line.seats).map(ToString::to_string).collect()
}

/// The fan's seats A-1-1 and A-1-2 are another fan's by now.
fn too_late(plan: &[&str], forgotten: bool) -> (Sale, HoldView) {
    let mut sale = Sale::seated(plan);
    let late = sale.hold(1, seats(&["A-1-1", "A-1-2"]));
    sale.pass(TTL);
    if forgotten {
        sale.pass(Millis::minutes(25 * 60));
    }
    sale.admit(21);
    let other = sale.hold(21, seats(&["A-1-2"]));
    sale.confirm(&other, 21);
    (sale, late)
}

#[test]
fn other_seats_of_the_type_are_taken_at_the_frozen_price_and_the_answer_stays() {
    for forgotten in [false, true] {
        let (mut sale, late) = too_late(&["ss", "sss"], forgotten);
        sale.reconfigure(|c| c.ticket_types.iter_mut().for_each(|t| t.price_minor = 1)).expect("allowed");
        let answer = sale.confirm_or_others(&late, 1);
        assert_eq!(as_seats(&answer), ["A-2-1", "A-2-2"], "together");
        assert_eq!(sale.confirm_or_others(&late, 1), answer, "again");
        let order = sale.state.order(late.order).expect("sold");
        assert_eq!((order.state, order.total_minor), (HoldState::Sold, late.total_minor));
        assert_eq!(sale.counts("SEAT"), (2, 0, 3, 0));
        let told = sale.state.outbox(0, 100).into_iter().rfind(|fact| fact.order == late.order).expect("a fact");
        assert!(matches!(told.what, FactKind::Confirmed { .. }));
        assert_eq!(told.lines, order.lines, "those that are the fan's now");
        assert_eq!(sale.confirm_or_others(&late, 2), Answer::ConfirmRefused(ConfirmRefusal::AlreadyPaid));
        sale.check_replay();
    }
}

#[test]
fn the_very_seats_are_preferred_and_who_did_not_agree_gets_no_others() {
    let mut sale = Sale::seated(&["sss", "sss"]);
    let late = sale.hold(1, seats(&["A-2-2"]));
    let disagrees = sale.hold(2, seats(&["A-1-1"]));
    sale.pass(TTL);
    sale.admit(21);
    sale.hold(21, seats(&["A-1-1"]));
    assert_eq!(as_seats(&sale.confirm_or_others(&late, 1)), ["A-2-2"]);
    assert_eq!(sale.confirm(&disagrees, 2), Answer::ConfirmRefused(ConfirmRefusal::Gone));
    assert_eq!(sale.confirm_or_others(&disagrees, 3), Answer::ConfirmRefused(ConfirmRefusal::Gone), "decided before");
    sale.check_replay();
}

#[test]
fn without_enough_seats_for_all_of_it_the_money_goes_back() {
    for plan in [&["ss"][..], &["ss", "x"], &["ss", "p"], &["ss", "a"]] {
        let (mut sale, late) = too_late(plan, false);
        assert_eq!(sale.confirm_or_others(&late, 1), Answer::ConfirmRefused(ConfirmRefusal::Gone), "{plan:?}");
        sale.check_replay();
    }
}

#[test]
fn a_seat_for_a_wheelchair_is_replaced_by_one() {
    let mut sale = Sale::seated(&["ac", "sss", "ca"]);
    let want = Want::BestAvailable(BestAvailable { accessible: 1, ..best(2) });
    let late = sale.hold(1, want);
    assert_eq!(seat_names(&late), ["A-1-1", "A-1-2"]);
    sale.pass(TTL);
    sale.admit(21);
    sale.hold(21, seats(&["A-1-1"]));
    assert_eq!(as_seats(&sale.confirm_or_others(&late, 1)), ["A-3-1", "A-3-2"]);
    sale.check_replay();
}

#[test]
fn what_is_held_in_time_is_sold_as_it_is() {
    let mut sale = Sale::seated(&["sss"]);
    let view = sale.hold(1, seats(&["A-1-3"]));
    let general = sale.hold(1, quantity("GA", 2));
    assert_eq!(as_seats(&sale.confirm_or_others(&view, 1)), ["A-1-3"]);
    assert_eq!(sale.confirm_or_others(&general, 2), Answer::ConfirmedAs(general.lines.clone()));
    sale.check_replay();
}

#[test]
fn a_card_that_has_bought_enough_buys_nothing_and_what_was_decided_before_stays() {
    let refuse = |view: &HoldView, by| {
        let confirm = Confirm { order: view.order, payment: payment(by), fan: view.fan, lines: view.lines.clone() };
        Command::RefuseInstrument(confirm)
    };
    let refused = Ok(Answer::ConfirmRefused(ConfirmRefusal::InstrumentLimit));
    let mut sale = Sale::seated(&["sss"]);
    let held = sale.hold(1, seats(&["A-1-1"]));
    assert_eq!(sale.ask(refuse(&held, 1)), refused);
    assert_eq!(sale.counts("SEAT"), (3, 0, 0, 0), "the hold has ended");
    assert_eq!(sale.ask(refuse(&held, 1)), refused, "again");
    let lapsed = sale.hold(2, seats(&["A-1-2"]));
    sale.pass(TTL);
    assert_eq!(sale.ask(refuse(&lapsed, 2)), refused, "not taken again");
    let sold = sale.hold(3, seats(&["A-1-3"]));
    sale.confirm(&sold, 3);
    assert_eq!(sale.ask(refuse(&sold, 3)), Ok(Answer::Confirmed), "it was sold for this very payment");
    let second = Answer::ConfirmRefused(ConfirmRefusal::AlreadyPaid);
    assert_eq!(sale.ask(refuse(&sold, 4)), Ok(second));
    sale.check_replay();
}
