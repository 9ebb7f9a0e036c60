//! Fees and taxes: frozen with the hold, and whole whatever becomes of the order.

use super::*;
use crate::domain::price::{Fee, Parts, Per, Tax};

/// 150 and 2.5 % on each ticket, 99 on the order, 7 % tax on all of it.
fn charges() -> Charges {
    let fee = |per, minor, basis_points| Fee { name: "service".into(), per, minor, basis_points };
    Charges {
        fees: vec![fee(Per::Ticket, 150, 250), fee(Per::Order, 99, 0)],
        taxes: vec![Tax { name: "VAT".into(), basis_points: 700, included: false }],
    }
}

fn charged() -> Sale {
    Sale::open(Configuration { charges: charges(), ..configuration(rows("A", &["ssss"])) })
}

fn parts(face_minor: i64, fees_minor: i64, taxes_minor: i64) -> Parts {
    Parts { face_minor, fees_minor, taxes_minor, ..Parts::default() }
}

/// Of the parts of all its lines.
fn sum(view: &HoldView) -> i64 {
    view.lines.iter().map(|line| line.each().times(line.quantity).plus(line.once()).total_minor()).sum()
}

#[test]
fn a_hold_has_all_parts_and_what_is_asked_once_on_its_first_line() {
    let mut sale = charged();
    let view = sale.hold(1, Want::Quantities(vec![(code("GA"), 2), (code("CHEAP"), 1)]));
    assert_eq!(view.lines[0].each(), parts(2_500, 213, 190));
    assert_eq!(view.lines[1].each(), parts(1_000, 175, 82));
    assert_eq!((view.lines[0].once(), view.lines[1].once()), (parts(0, 99, 7), Parts::default()));
    assert_eq!((view.total_minor, sum(&view)), (2 * 2_903 + 1_257 + 106, view.total_minor));
    assert_eq!(sale.stock("GA").parts, parts(2_500, 213, 190), "seen before the hold");
    sale.check_replay();
}

#[test]
fn what_is_held_keeps_its_price_whatever_the_event_asks_since() {
    let mut sale = charged();
    let held = sale.hold(1, seats(&["A-1-1"]));
    let lapsed = sale.hold(2, quantity("GA", 2));
    let version = sale.state.view(sale.now).terms_version;
    sale.reconfigure(|c| c.charges.fees[0].minor = 9_999).expect("allowed");
    assert!(sale.state.view(sale.now).terms_version > version, "whoever looks again must be told");
    assert_eq!(sale.state.order(held.order).expect("held").lines, held.lines);
    sale.confirm(&held, 1);
    sale.pass(TTL);
    assert_eq!(sale.confirm(&lapsed, 2), Answer::Confirmed);
    for view in [&held, &lapsed] {
        let now = sale.state.order(view.order).expect("sold");
        assert_eq!(
            (now.state, &now.lines, now.total_minor),
            (super::super::request::HoldState::Sold, &view.lines, view.total_minor)
        );
    }
    // Long forgotten, and paid after all: what the lines say.
    let forgotten = sale.hold(3, quantity("GA", 1));
    for _ in 0..30 {
        sale.pass(Millis::minutes(60));
        sale.reconfigure(|c| c.queue.slots += 1).expect("allowed");
    }
    assert_eq!(sale.state.order(forgotten.order), None);
    assert_eq!(sale.confirm(&forgotten, 3), Answer::Confirmed);
    let sold = sale.state.order(forgotten.order).expect("sold");
    assert_eq!((sold.lines, sold.total_minor), (forgotten.lines, forgotten.total_minor));
    sale.check_replay();
}

#[test]
fn what_is_asked_once_stays_with_what_is_left_of_an_order() {
    let mut sale = charged();
    let sold = sale.hold(1, Want::Quantities(vec![(code("GA"), 1), (code("CHEAP"), 2)]));
    sale.confirm(&sold, 1);
    let left = vec![Line { quantity: 1, ..sold.lines[1].clone() }];
    sale.ask(Command::Reduce { order: sold.order, to: left }).expect("sold");
    let view = sale.state.order(sold.order).expect("sold");
    assert_eq!((view.lines.len(), view.lines[0].once()), (1, sold.lines[0].once()));
    assert_eq!(view.total_minor, 1_257 + 106);
    sale.check_replay();
}

#[test]
fn an_event_without_fees_has_lines_as_small_as_can_be() {
    let mut sale = Sale::open(configuration(rows("A", &["ssss"])));
    let view = sale.hold(1, Want::Quantities(vec![(code("GA"), 2), (code("CHEAP"), 1)]));
    assert!(view.lines.iter().all(|line| line.breakdown.is_none()));
    assert_eq!((sum(&view), view.total_minor), (6_000, 6_000));
}
