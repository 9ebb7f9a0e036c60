//! A ticket moves to another seat.

use super::{super::request::HoldState, *};

fn add(view: &HoldView, number: u32, seat: &str) -> Command {
    Command::AddSeat { order: view.order, number, ticket_type: code("SEAT"), seat: code(seat) }
}

fn keep(view: &HoldView, number: u32, seats: &[&str]) -> Command {
    let line = view.lines.first().expect("a line").clone();
    let seats: Vec<Code> = seats.iter().map(|seat| code(seat)).collect();
    Command::Keep { order: view.order, number, to: vec![Line { quantity: seats.len() as u32, seats, ..line }] }
}

#[test]
fn the_order_has_both_seats_until_it_is_told_which_stays() {
    let mut sale = Sale::seated(&["sss"]);
    let view = sale.hold(1, seats(&["A-1-1", "A-1-2"]));
    assert_eq!(sale.refused(add(&view, 1, "A-1-3")), Refusal::NotSold { state: HoldState::Held });
    sale.confirm(&view, 1);
    assert_eq!(sale.ask(add(&view, 1, "A-1-3")), Ok(Answer::SeatAdded));
    let entries = sale.journal.len();
    assert_eq!(sale.ask(add(&view, 1, "A-1-3")), Ok(Answer::SeatAdded), "again");
    assert_eq!(sale.journal.len(), entries);
    assert_eq!(sale.counts("SEAT"), (0, 0, 3, 0), "neither can be another's");
    assert_eq!(sale.ask(keep(&view, 1, &["A-1-2", "A-1-3"])), Ok(Answer::Reduced));
    assert_eq!(sale.counts("SEAT"), (1, 0, 2, 0));
    let order = sale.state.order(view.order).expect("sold");
    assert_eq!((seat_names(&order), order.total_minor), (vec!["A-1-2".into(), "A-1-3".into()], view.total_minor));
    assert_eq!(seat_names(&sale.hold(2, seats(&["A-1-1"]))), ["A-1-1"]);
    sale.check_replay();
}

#[test]
fn given_up_halfway_nothing_has_moved() {
    let mut sale = Sale::seated(&["ss"]);
    let view = sale.hold(1, seats(&["A-1-1"]));
    sale.confirm(&view, 1);
    sale.ask(add(&view, 1, "A-1-2")).expect("free");
    sale.ask(keep(&view, 1, &["A-1-1"])).expect("sold");
    assert_eq!(sale.counts("SEAT"), (1, 0, 1, 0));
    assert_eq!(seat_names(&sale.state.order(view.order).expect("sold")), ["A-1-1"]);
    sale.check_replay();
}

#[test]
fn only_a_free_seat_of_the_same_type_that_is_there() {
    let mut sale = Sale::seated(&["ssxp"]);
    let view = sale.hold(1, seats(&["A-1-1"]));
    let general = sale.hold(1, quantity("GA", 1));
    sale.confirm(&view, 1);
    sale.confirm(&general, 2);
    sale.hold(2, seats(&["A-1-2"]));
    assert_eq!(sale.refused(add(&view, 1, "A-1-2")), Refusal::SeatTaken(code("A-1-2")));
    assert_eq!(sale.refused(add(&view, 1, "A-9-9")), Refusal::UnknownSeat(code("A-9-9")));
    assert_eq!(sale.refused(add(&general, 1, "A-1-3")), Refusal::OtherTicketType(code("A-1-3")));
    let of_no_type = Command::AddSeat { order: view.order, number: 1, ticket_type: code("GA"), seat: code("A-1-3") };
    assert_eq!(sale.refused(of_no_type), Refusal::OtherTicketType(code("A-1-3")));
    // What is kept from the public is the organizer's to give.
    for (number, seat) in [(1, "A-1-3"), (2, "A-1-4")] {
        assert_eq!(sale.ask(add(&view, number, seat)), Ok(Answer::SeatAdded), "{seat}");
        assert_eq!(sale.counts("SEAT"), (0, 1, 2, 1));
        sale.ask(keep(&view, number, &["A-1-1"])).expect("sold");
        assert_eq!(sale.counts("SEAT"), (0, 1, 1, 2), "kept again");
    }
    sale.check_replay();
}

#[test]
fn who_does_not_know_of_the_last_move_frees_nothing_and_no_move_comes_twice() {
    let mut sale = Sale::seated(&["ssss"]);
    let view = sale.hold(1, seats(&["A-1-1", "A-1-2"]));
    sale.confirm(&view, 1);
    sale.ask(add(&view, 1, "A-1-3")).expect("free");
    let reduce = Command::Reduce { order: view.order, to: view.lines.clone() };
    for stale in [reduce, keep(&view, 0, &["A-1-1"])] {
        assert_eq!(sale.refused(stale), Refusal::OrderMoved);
    }
    assert_eq!(sale.refused(add(&view, 2, "A-1-3")), Refusal::SeatTaken(code("A-1-3")), "it goes with the first move");
    sale.ask(keep(&view, 1, &["A-1-1", "A-1-2"])).expect("given up");
    assert_eq!(sale.refused(add(&view, 1, "A-1-3")), Refusal::OrderMoved, "late");
    assert_eq!(sale.refused(add(&view, 2, "A-1-2")), Refusal::SeatTaken(code("A-1-2")), "another ticket has it");
    assert_eq!(sale.ask(add(&view, 2, "A-1-4")), Ok(Answer::SeatAdded));
    sale.check_replay();
}
