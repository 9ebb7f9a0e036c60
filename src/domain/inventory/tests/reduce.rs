//! Tickets given back: what is left of a sold order.

use super::{super::request::HoldState, *};

fn reduce(view: &HoldView, to: Vec<Line>) -> Command {
    Command::Reduce { order: view.order, to }
}

fn line_of(view: &HoldView, quantity: u32, seats: &[&str]) -> Vec<Line> {
    let line = view.lines.first().expect("a line").clone();
    vec![Line { quantity, seats: seats.iter().map(|seat| code(seat)).collect(), ..line }]
}

#[test]
fn only_what_was_given_back_is_free_again() {
    let mut sale = Sale::seated(&["sss"]);
    let seated = sale.hold(1, seats(&["A-1-1", "A-1-2"]));
    let general = sale.hold(2, quantity("GA", 3));
    let to = line_of(&general, 2, &[]);
    assert_eq!(sale.refused(reduce(&general, to.clone())), Refusal::NotSold { state: HoldState::Held });
    sale.confirm(&seated, 1);
    sale.confirm(&general, 2);
    assert_eq!(sale.ask(reduce(&seated, line_of(&seated, 1, &["A-1-2"]))), Ok(Answer::Reduced));
    assert_eq!(sale.ask(reduce(&general, to)), Ok(Answer::Reduced));
    assert_eq!((sale.counts("SEAT"), sale.counts("GA")), ((2, 0, 1, 0), (8, 0, 2, 0)));
    let other = sale.hold(3, seats(&["A-1-1"]));
    assert_eq!(sale.confirm(&other, 3), Answer::Confirmed);
    assert_eq!(sale.confirm(&seated, 1), Answer::Confirmed, "the same payment, the same answer");
    assert_eq!(sale.state.order(seated.order).map(|view| view.state), Some(HoldState::Sold));
    sale.check_replay();
}

#[test]
fn again_or_out_of_turn_the_smallest_counts() {
    let mut sale = Sale::seated(&[]);
    let view = sale.hold(1, quantity("GA", 4));
    sale.confirm(&view, 1);
    let entries = sale.journal.len();
    for (left, expected) in [(4, 4), (2, 2), (2, 2), (3, 2), (1, 1), (2, 1)] {
        assert_eq!(sale.ask(reduce(&view, line_of(&view, left, &[]))), Ok(Answer::Reduced));
        assert_eq!(sale.counts("GA"), (10 - expected, 0, expected, 0), "{left}");
    }
    assert_eq!(sale.journal.len(), entries + 2);
    sale.check_replay();
}

#[test]
fn nothing_left_is_a_voided_order() {
    let mut sale = Sale::seated(&["ss"]);
    let view = sale.hold(1, seats(&["A-1-1", "A-1-2"]));
    sale.confirm(&view, 1);
    for _ in 0..2 {
        assert_eq!(sale.ask(reduce(&view, Vec::new())), Ok(Answer::Reduced));
        assert_eq!(sale.state.order(view.order).map(|view| view.state), Some(HoldState::Voided));
    }
    assert_eq!(sale.counts("SEAT"), (2, 0, 0, 0));
    assert_eq!(sale.refused(Command::Reduce { order: order(1), to: Vec::new() }), Refusal::UnknownOrder);
    sale.check_replay();
}

#[test]
fn who_gave_tickets_back_may_have_others() {
    let mut sale = Sale::seated(&[]);
    let view = sale.hold(1, quantity("GA", 4));
    sale.confirm(&view, 1);
    let more = sale.hold_command(1, quantity("GA", 3));
    assert!(matches!(sale.refused(more.clone()), Refusal::FanLimit { .. }));
    sale.ask(reduce(&view, line_of(&view, 2, &[]))).expect("sold");
    assert!(matches!(sale.ask(more), Ok(Answer::Held(_))));
    sale.check_replay();
}
