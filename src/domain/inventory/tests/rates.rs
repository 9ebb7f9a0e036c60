//! What some pay instead of the price of all, for which of their tickets.

use super::{
    super::{
        codes::CodeTerms,
        configuration::Rate,
        request::{AtRate, HoldState, Which},
    },
    codes::half_price,
    *,
};
use crate::domain::price::{Fee, Per};

fn rate(name: &str, price_minor: i64) -> Rate {
    Rate { code: code(name), name: name.to_uppercase(), price_minor }
}

/// Children pay less, and less of a fee of ten percent; helpers nothing.
fn family(plan: &[&str]) -> Sale {
    let mut configuration = configuration(rows("A", plan));
    for ticket_type in &mut configuration.ticket_types {
        ticket_type.rates = vec![rate("child", 500), rate("helper", 0)];
    }
    configuration.charges.fees = vec![Fee { name: "service".into(), per: Per::Ticket, minor: 0, basis_points: 1_000 }];
    Sale::open(configuration)
}

fn some(rate: &str, ticket_type: &str, quantity: u32) -> AtRate {
    AtRate { rate: code(rate), which: Which::Some { ticket_type: code(ticket_type), quantity } }
}

fn at(rate: &str, seat: &str) -> AtRate {
    AtRate { rate: code(rate), which: Which::Seat(code(seat)) }
}

fn command(sale: &mut Sale, n: u64, want: Want, rates: Vec<AtRate>) -> Command {
    let Command::Hold(hold) = sale.hold_command(n, want) else { unreachable!("a hold") };
    Command::Hold(Hold { rates, ..hold })
}

fn hold(sale: &mut Sale, n: u64, want: Want, rates: Vec<AtRate>) -> HoldView {
    let command = command(sale, n, want, rates);
    let Ok(Answer::Held(view)) = sale.ask(command) else { unreachable!("a hold") };
    *view
}

/// Rate, quantity, price of each, seats.
fn told(view: &HoldView) -> Vec<(Option<&str>, u32, i64, Vec<&str>)> {
    view.lines
        .iter()
        .map(|line| {
            let seats = line.seats.iter().map(Code::as_str).collect();
            (line.rate().map(Code::as_str), line.quantity, line.unit_price_minor, seats)
        })
        .collect()
}

#[test]
fn each_ticket_is_held_at_the_rate_that_it_is_wanted_at() {
    let mut sale = family(&["ssss"]);
    let view = hold(&mut sale, 1, quantity("GA", 4), vec![some("child", "GA", 2), some("helper", "GA", 1)]);
    let expected = [(None, 1, 2_750, vec![]), (Some("child"), 2, 550, vec![]), (Some("helper"), 1, 0, vec![])];
    assert_eq!(told(&view), expected);
    assert_eq!(view.total_minor, 2_750 + 2 * 550);
    assert_eq!(sale.counts("GA"), (6, 4, 0, 0), "of one stock");

    let wish = seats(&["A-1-1", "A-1-2", "A-1-3"]);
    let view = hold(&mut sale, 2, wish, vec![at("child", "A-1-3"), at("child", "A-1-1")]);
    assert_eq!(told(&view), [(None, 1, 9_900, vec!["A-1-2"]), (Some("child"), 2, 550, vec!["A-1-3", "A-1-1"])]);

    let view = hold(&mut sale, 3, quantity("CHEAP", 2), vec![some("child", "CHEAP", 2)]);
    assert_eq!(told(&view), [(Some("child"), 2, 550, vec![])], "nobody pays the price of all");
    sale.check_replay();
}

#[test]
fn the_best_seats_are_together_whoever_pays_what() {
    let mut sale = family(&["ss", "ssss"]);
    let view = hold(&mut sale, 1, Want::BestAvailable(best(3)), vec![some("child", "SEAT", 2)]);
    assert_eq!(seat_names(&view), ["A-2-1", "A-2-2", "A-2-3"]);
    assert_eq!(view.total_minor, 9_900 + 2 * 550);
    sale.check_replay();
}

#[test]
fn a_rate_that_is_not_there_is_refused_and_so_are_more_than_are_wanted() {
    let mut sale = family(&["ssss"]);
    let unknown = |ticket_type: &str| Refusal::UnknownRate { ticket_type: code(ticket_type), rate: code("senior") };
    for (want, rates, refusal) in [
        (quantity("GA", 1), vec![some("senior", "GA", 1)], unknown("GA")),
        (seats(&["A-1-1"]), vec![at("senior", "A-1-1")], unknown("SEAT")),
        (quantity("GA", 1), vec![some("child", "GA", 2)], Refusal::Quantity { max: 1 }),
        (quantity("GA", 1), vec![some("child", "GA", 1), some("helper", "GA", 1)], Refusal::Quantity { max: 0 }),
        (quantity("GA", 1), vec![some("child", "GA", 0)], Refusal::Quantity { max: 1 }),
        (quantity("GA", 1), vec![some("child", "CHEAP", 1)], Refusal::Quantity { max: 0 }),
        (quantity("GA", 1), vec![some("child", "NONE", 1)], Refusal::UnknownTicketType(code("NONE"))),
        (seats(&["A-1-1"]), vec![at("child", "A-1-2")], Refusal::SeatTwice(code("A-1-2"))),
        (seats(&["A-1-1"]), vec![at("child", "A-1-1"), at("helper", "A-1-1")], Refusal::SeatTwice(code("A-1-1"))),
        (seats(&["A-1-1"]), vec![at("child", "B-9-9")], Refusal::UnknownSeat(code("B-9-9"))),
    ] {
        let command = command(&mut sale, 1, want, rates);
        assert_eq!(sale.refused(command), refusal);
    }
}

#[test]
fn what_is_held_at_a_rate_keeps_it_when_the_event_has_it_no_more() {
    let mut sale = family(&["ssss"]);
    let view = hold(&mut sale, 1, seats(&["A-1-1", "A-1-2"]), vec![at("child", "A-1-2")]);
    let version = sale.state.view(sale.now).terms_version;
    sale.reconfigure(|c| c.ticket_types.iter_mut().for_each(|t| t.rates.clear())).expect("allowed");
    assert!(sale.state.view(sale.now).terms_version > version, "whoever looks again must be told");
    sale.pass(TTL);
    assert_eq!(sale.confirm(&view, 1), Answer::Confirmed);
    assert_eq!(sale.state.order(view.order).expect("sold").lines, view.lines);
    sale.check_replay();
}

#[test]
fn a_code_takes_its_discount_off_what_each_rate_costs() {
    let mut sale = family(&["ssss"]);
    let terms = CodeTerms { max_uses: Some(2), ..half_price() };
    sale.ask(Command::MakeCodes { terms: Box::new(terms), codes: vec![code("HALF")] }).expect("good terms");
    let with_code = |sale: &mut Sale, wanted| {
        let Command::Hold(hold) = command(sale, 1, quantity("GA", wanted), vec![some("child", "GA", 1)]) else {
            unreachable!("a hold")
        };
        Command::Hold(Hold { code: Some(code("HALF")), ..hold })
    };
    let three = with_code(&mut sale, 3);
    assert_eq!(sale.refused(three), Refusal::CodeUsedUp { left: 2 }, "each ticket is a use, at whichever rate");
    let two = with_code(&mut sale, 2);
    let Ok(Answer::Held(view)) = sale.ask(two) else { unreachable!("a hold") };
    assert_eq!(told(&view), [(None, 1, 1_375, vec![]), (Some("child"), 1, 275, vec![])]);
    sale.check_replay();
}

#[test]
fn what_is_left_of_an_order_is_left_at_its_rate() {
    let mut sale = family(&["ssss"]);
    let view = hold(&mut sale, 1, quantity("GA", 4), vec![some("child", "GA", 2)]);
    sale.confirm(&view, 1);
    // One child's ticket was given back.
    let left = vec![view.lines[0].clone(), Line { quantity: 1, ..view.lines[1].clone() }];
    sale.ask(Command::Reduce { order: view.order, to: left.clone() }).expect("sold");
    assert_eq!(sale.state.order(view.order).expect("sold").lines, left);
    assert_eq!(sale.counts("GA"), (7, 0, 3, 0));
    // And both of the others.
    let left = vec![left[1].clone()];
    sale.ask(Command::Reduce { order: view.order, to: left.clone() }).expect("sold");
    assert_eq!(sale.state.order(view.order).expect("sold").lines, left);
    assert_eq!(sale.counts("GA"), (9, 0, 1, 0));
    sale.check_replay();
}

#[test]
fn a_ticket_that_moves_stays_at_its_rate() {
    let mut sale = family(&["ssss"]);
    let view = hold(&mut sale, 1, seats(&["A-1-1", "A-1-2"]), vec![at("child", "A-1-2")]);
    sale.confirm(&view, 1);
    let add = |rate: Option<&str>, number, seat: &str| Command::AddSeat {
        order: view.order,
        number,
        ticket_type: code("SEAT"),
        rate: rate.map(code),
        seat: code(seat),
    };
    assert_eq!(sale.refused(add(Some("helper"), 1, "A-1-3")), Refusal::OtherTicketType(code("A-1-3")));
    sale.ask(add(Some("child"), 1, "A-1-3")).expect("free");
    let now = sale.state.order(view.order).expect("sold");
    assert_eq!(told(&now)[1], (Some("child"), 2, 550, vec!["A-1-2", "A-1-3"]));
    let to = vec![view.lines[0].clone(), Line { seats: vec![code("A-1-3")], ..view.lines[1].clone() }];
    sale.ask(Command::Keep { order: view.order, number: 1, to: to.clone() }).expect("sold");
    assert_eq!(sale.state.order(view.order).expect("sold").lines, to);
    sale.check_replay();
}

#[test]
fn money_that_comes_too_late_takes_other_seats_for_all_rates_together() {
    let mut sale = family(&["ss", "sss"]);
    let late = hold(&mut sale, 1, seats(&["A-1-1", "A-1-2"]), vec![at("child", "A-1-2")]);
    sale.pass(TTL);
    sale.admit(21);
    let other = sale.hold(21, seats(&["A-1-2"]));
    sale.confirm(&other, 21);
    let answer = sale.confirm_or_others(&late, 1);
    assert!(matches!(answer, Answer::ConfirmedAs(_)), "{answer:?}");
    let order = sale.state.order(late.order).expect("sold");
    assert_eq!((order.state, order.total_minor), (HoldState::Sold, late.total_minor));
    assert_eq!(told(&order), [(None, 1, 9_900, vec!["A-2-1"]), (Some("child"), 1, 550, vec!["A-2-2"])]);
    sale.check_replay();
}

#[test]
fn rates_have_limits() {
    let twice = vec![rate("child", 1), rate("child", 2)];
    let many = (0..11).map(|n| rate(&format!("r{n}"), 1)).collect();
    for rates in [twice, many, vec![rate("child", -1)], vec![rate("child", i64::MAX)]] {
        let mut sale = family(&["s"]);
        let refused = sale.reconfigure(move |c| c.ticket_types[0].rates = rates);
        assert!(matches!(refused, Err(Refusal::InvalidConfiguration(_))), "{refused:?}");
    }
}
