//! Holds: what may be taken, prolonged, given up; every reason why not.

use super::{super::request::HoldState, *};

#[test]
fn a_hold_takes_stock_and_tells_the_whole_order() {
    let mut sale = Sale::seated(&["sss"]);
    let view = sale.hold(1, Want::Quantities(vec![(code("GA"), 2), (code("CHEAP"), 1), (code("GA"), 1)]));
    let line = |name: &str, quantity, unit_price_minor| Line {
        ticket_type: code(name),
        quantity,
        unit_price_minor,
        breakdown: None,
        seats: Vec::new(),
    };
    assert_eq!(view.lines, [line("GA", 3, 2_500), line("CHEAP", 1, 1_000)]);
    assert_eq!((view.total_minor, view.currency, view.version), (8_500, Currency::EUR, 1));
    assert_eq!((view.expires_at, view.extended, view.state), (sale.now + TTL, false, HoldState::Held));
    assert_eq!(sale.counts("GA"), (7, 3, 0, 0));
    assert_eq!(sale.counts("CHEAP"), (9, 1, 0, 0));
    assert_eq!(sale.state.view(sale.now).quotas.iter().map(|quota| quota.taken).collect::<Vec<_>>(), [4, 1]);

    let view = sale.hold(2, seats(&["A-1-3", "A-1-1"]));
    assert_eq!(seat_names(&view), ["A-1-3", "A-1-1"]);
    assert_eq!(view.total_minor, 18_000);
    assert_eq!(sale.counts("SEAT"), (1, 2, 0, 0));
    sale.check_replay();
}

#[test]
fn each_refusal_of_a_hold_has_its_reason_and_changes_nothing() {
    let mut sale = Sale::seated(&["ssxps"]);
    let table: Vec<(&str, Want, Refusal)> = vec![
        ("none", quantity("GA", 0), Refusal::Quantity { max: 4 }),
        ("nothing at all", Want::Quantities(vec![]), Refusal::Quantity { max: 4 }),
        ("no seats", seats(&[]), Refusal::Quantity { max: 4 }),
        ("more than an order takes", quantity("GA", 5), Refusal::Quantity { max: 4 }),
        (
            "more than an order takes in all",
            Want::Quantities(vec![(code("GA"), 3), (code("CHEAP"), 2)]),
            Refusal::Quantity { max: 4 },
        ),
        (
            "so many that they wrap",
            Want::Quantities(vec![(code("GA"), u32::MAX), (code("GA"), 2)]),
            Refusal::Quantity { max: 4 },
        ),
        ("an unknown type", quantity("VIP", 1), Refusal::UnknownTicketType(code("VIP"))),
        (
            "an unknown type as best",
            Want::BestAvailable(BestAvailable { ticket_type: code("VIP"), ..best(1) }),
            Refusal::UnknownTicketType(code("VIP")),
        ),
        ("an unknown seat", seats(&["B-1-1"]), Refusal::UnknownSeat(code("B-1-1"))),
        ("seats by quantity", quantity("SEAT", 1), Refusal::SoldBySeat(code("SEAT"))),
        ("a seat twice", seats(&["A-1-1", "A-1-1"]), Refusal::SeatTwice(code("A-1-1"))),
        ("a blocked seat", seats(&["A-1-3"]), Refusal::SeatTaken(code("A-1-3"))),
        ("a seat kept for others", seats(&["A-1-4"]), Refusal::SeatTaken(code("A-1-4"))),
        (
            "best of what has no seats",
            Want::BestAvailable(BestAvailable { ticket_type: code("GA"), ..best(2) }),
            Refusal::NoSuchSeats { quantity: 2 },
        ),
        (
            "three together",
            Want::BestAvailable(BestAvailable { together: true, ..best(3) }),
            Refusal::NoSuchSeats { quantity: 3 },
        ),
        (
            "more accessible seats than seats",
            Want::BestAvailable(BestAvailable { accessible: 3, ..best(2) }),
            Refusal::Quantity { max: 2 },
        ),
        (
            "more seats than are free",
            Want::BestAvailable(best(4)),
            Refusal::SoldOut { ticket_type: code("SEAT"), left: 3 },
        ),
    ];
    for (what, want, refusal) in table {
        assert_eq!(sale.hold_refused(1, want), refusal, "{what}");
    }
}

#[test]
fn nothing_is_held_beyond_stock_or_any_quota() {
    let mut sale = Sale::seated(&[]);
    for n in [1, 2] {
        sale.hold(n, quantity("CHEAP", 4));
    }
    // Its own stock has two left, its quota none.
    assert_eq!(sale.hold_refused(3, quantity("CHEAP", 1)), Refusal::SoldOut { ticket_type: code("CHEAP"), left: 0 });
    // Ten of its own, but four in the hall.
    sale.hold(3, quantity("GA", 3));
    assert_eq!(sale.hold_refused(4, quantity("GA", 2)), Refusal::SoldOut { ticket_type: code("GA"), left: 1 });
    sale.hold(4, quantity("GA", 1));
    assert_eq!(sale.state.view(sale.now).status, crate::domain::event::Status::SoldOut);
    assert_eq!(sale.hold_refused(5, quantity("GA", 1)), Refusal::SoldOut { ticket_type: code("GA"), left: 0 });
    sale.check_replay();
}

#[test]
fn a_quota_counts_all_types_of_one_hold_together() {
    let mut sale = Sale::seated(&[]);
    sale.hold(1, quantity("GA", 4));
    sale.hold(2, quantity("GA", 4));
    sale.hold(3, quantity("GA", 2));
    let both = Want::Quantities(vec![(code("CHEAP"), 3), (code("GA"), 0)]);
    assert_eq!(sale.hold_refused(4, both), Refusal::Quantity { max: 4 });
    assert_eq!(sale.hold_refused(4, quantity("CHEAP", 3)), Refusal::SoldOut { ticket_type: code("CHEAP"), left: 2 });
    let mut sale = Sale::seated(&[]);
    sale.reconfigure(|c| c.quotas[0].capacity = 3).expect("nothing is taken");
    let both = Want::Quantities(vec![(code("CHEAP"), 2), (code("GA"), 2)]);
    assert_eq!(sale.hold_refused(4, both), Refusal::SoldOut { ticket_type: code("CHEAP"), left: 3 });
}

#[test]
fn of_several_seats_all_are_held_or_none() {
    let mut sale = Sale::seated(&["ssss"]);
    sale.hold(1, seats(&["A-1-2"]));
    assert_eq!(sale.hold_refused(2, seats(&["A-1-1", "A-1-2", "A-1-3"])), Refusal::SeatTaken(code("A-1-2")));
    assert_eq!(sale.counts("SEAT"), (3, 1, 0, 0));
}

#[test]
fn a_channel_gets_its_seats_and_gives_them_back_to_itself() {
    let mut sale = Sale::seated(&["sps"]);
    assert_eq!(sale.counts("SEAT"), (2, 0, 0, 1));
    let Command::Hold(hold) = sale.hold_command(1, seats(&["A-1-1", "A-1-2"])) else { unreachable!() };
    let other = Command::Hold(Hold { channel: Some(code("sponsor")), ..hold.clone() });
    assert_eq!(sale.refused(other), Refusal::SeatTaken(code("A-1-2")));
    sale.ask(Command::Hold(Hold { channel: Some(code("press")), ..hold })).expect("its own channel");
    assert_eq!(sale.counts("SEAT"), (1, 2, 0, 0));
    sale.check_replay();
    sale.pass(TTL);
    assert_eq!(sale.counts("SEAT"), (2, 0, 0, 1));
}

#[test]
fn a_fan_never_has_more_than_allowed_and_gets_it_back() {
    let mut sale = Sale::seated(&["ssssss"]);
    let first = sale.hold(1, quantity("GA", 4));
    assert_eq!(sale.hold_refused(1, quantity("GA", 3)), Refusal::FanLimit { allowed: 2 });
    sale.hold(1, seats(&["A-1-1", "A-1-2"]));
    assert_eq!(sale.hold_refused(1, quantity("GA", 1)), Refusal::FanLimit { allowed: 0 });
    sale.ask(Command::Release { fan: fan(1), order: first.order }).expect("own hold");
    let bought = sale.hold(1, quantity("GA", 3));
    sale.confirm(&bought, 1);
    // The seats lapse, what is bought stays.
    sale.pass(TTL);
    assert_eq!(sale.hold_refused(1, quantity("GA", 4)), Refusal::FanLimit { allowed: 3 });
    sale.ask(Command::Void { order: bought.order }).expect("sold");
    assert_eq!(sale.hold(1, quantity("GA", 4)).state, HoldState::Held);
    sale.check_replay();
}

#[test]
fn holds_are_given_only_while_the_event_sells() {
    let table: [(&str, Change); 5] = [
        ("before", |c| c.on_sale_at = EventTime(1_000_000)),
        ("after", |c| c.sale_ends_at = Some(EventTime(4_000))),
        ("paused", |c| c.phase = Phase::Paused),
        ("ended", |c| c.phase = Phase::Ended),
        ("cancelled", |c| c.phase = Phase::Cancelled),
    ];
    for (what, change) in table {
        let mut sale = Sale::seated(&[]);
        sale.reconfigure(change).expect("allowed");
        assert_eq!(sale.hold_refused(1, quantity("GA", 1)), Refusal::NotOnSale, "{what}");
    }
    assert_eq!(Sale::empty().hold_refused(1, quantity("GA", 1)), Refusal::NotOnSale);
}

#[test]
fn a_halt_stops_what_is_new_and_nothing_else() {
    let mut sale = Sale::seated(&[]);
    let held = sale.hold(1, quantity("GA", 1));
    let waits = Admittee { place: Place(77), fan: fan(77), present: true, needs_more_time: false };
    for all in [false, true] {
        sale.reconfigure(|c| c.halted = !all).expect("allowed");
        sale.state.halt_all(all);
        assert_eq!(sale.hold_refused(1, quantity("GA", 1)), Refusal::Halted);
        assert_eq!(sale.ask(Command::Admit(vec![waits])), Ok(Answer::Admitted(Vec::new())));
    }
    let extended = sale.ask(Command::Extend { fan: fan(1), order: held.order });
    assert!(matches!(extended, Ok(Answer::Held(view)) if view.extended));
    assert_eq!(sale.ask(Command::Release { fan: fan(1), order: held.order }), Ok(Answer::Released));
    sale.state.halt_all(false);
    assert_eq!(sale.hold(1, quantity("GA", 1)).state, HoldState::Held);
    assert!(matches!(sale.ask(Command::Admit(vec![waits])), Ok(Answer::Admitted(admitted)) if admitted.len() == 1));
    sale.check_replay();
}

#[test]
fn a_hold_needs_the_fans_own_claimed_live_admission() {
    let mut sale = Sale::seated(&[]);
    let hold = |n: u64, place: u64| {
        let want = quantity("GA", 1);
        let (order, fan, admission) = (order(7), fan(n.into()), Place(place));
        Command::Hold(Hold {
            order,
            fan,
            admission,
            want,
            channel: None,
            seen_version: None,
            code: None,
            rates: vec![],
        })
    };
    assert_eq!(sale.refused(hold(1, 2)), Refusal::NotAdmitted, "another's place");
    assert_eq!(sale.refused(hold(1, 99)), Refusal::NotAdmitted, "no such place");
    let called = Admittee { place: Place(20), fan: fan(20), present: false, needs_more_time: false };
    sale.ask(Command::Admit(vec![called])).expect("admits");
    assert_eq!(sale.refused(hold(20, 20)), Refusal::NotAdmitted, "called, not claimed");
    sale.ask(Command::Claim { place: Place(20), fan: fan(20), needs_more_time: false }).expect("in time");
    sale.ask(hold(20, 20)).expect("claimed");
    // Its end is not in the journal yet, but its time is up.
    sale.now = sale.now + SESSION;
    assert_eq!(sale.refused(hold(1, 1)), Refusal::NotAdmitted, "over");
}

#[test]
fn an_old_look_at_the_event_is_told_so_and_a_faster_queue_is_none_of_its_business() {
    let mut sale = Sale::seated(&[]);
    let seen = |sale: &mut Sale, version| {
        let Command::Hold(hold) = sale.hold_command(1, quantity("GA", 1)) else { unreachable!() };
        sale.ask(Command::Hold(Hold { seen_version: Some(version), ..hold }))
    };
    sale.reconfigure(|c| c.queue.rate_per_minute = 5).expect("allowed");
    assert!(seen(&mut sale, 1).is_ok());
    sale.reconfigure(|c| c.ticket_types[0].price_minor = 3_000).expect("allowed");
    assert_eq!(seen(&mut sale, 2), Err(Refusal::EventChanged { version: 3 }));
    assert!(seen(&mut sale, 3).is_ok());
}

#[test]
fn an_order_reference_is_used_once() {
    let mut sale = Sale::seated(&[]);
    let command = sale.hold_command(1, quantity("GA", 1));
    sale.ask(command.clone()).expect("a hold");
    assert_eq!(sale.refused(command), Refusal::KeyReused);
}

#[test]
fn a_hold_is_extended_once_and_by_its_fan() {
    let mut sale = Sale::seated(&[]);
    let view = sale.hold(1, quantity("GA", 1));
    let extend = |n: u128, order| Command::Extend { fan: fan(n), order };
    assert_eq!(sale.refused(extend(2, view.order)), Refusal::UnknownOrder);
    assert_eq!(sale.refused(extend(1, order(1))), Refusal::UnknownOrder);
    let Answer::Held(longer) = sale.ask(extend(1, view.order)).expect("once") else { unreachable!() };
    assert_eq!((longer.expires_at, longer.extended), (view.expires_at + Millis::minutes(5), true));
    assert_eq!(sale.refused(extend(1, view.order)), Refusal::AlreadyExtended);
    sale.pass(TTL);
    assert_eq!(sale.counts("GA"), (9, 1, 0, 0));
    sale.now = longer.expires_at;
    assert_eq!(sale.refused(extend(1, view.order)), Refusal::HoldEnded { state: HoldState::Expired });
    sale.pass(Millis(0));
    assert_eq!(sale.counts("GA"), (10, 0, 0, 0));
    assert_eq!(sale.refused(extend(1, view.order)), Refusal::HoldEnded { state: HoldState::Expired });
    sale.check_replay();
}

#[test]
fn a_cancelled_event_extends_nothing() {
    let mut sale = Sale::seated(&[]);
    let view = sale.hold(1, quantity("GA", 1));
    sale.reconfigure(|c| c.phase = Phase::Cancelled).expect("allowed");
    assert_eq!(sale.refused(Command::Extend { fan: fan(1), order: view.order }), Refusal::NotOnSale);
}

#[test]
fn a_hold_ends_at_its_deadline_and_not_before() {
    let mut sale = Sale::seated(&["s"]);
    let view = sale.hold(1, seats(&["A-1-1"]));
    sale.now = EventTime(view.expires_at.0 - 1);
    assert!(sale.state.due(sale.now, 10).is_empty());
    assert_eq!(sale.state.next_due(), Some(view.expires_at));
    sale.now = view.expires_at;
    assert_eq!(sale.state.due(sale.now, 10), [Entry::Expired { order: view.order }]);
    sale.pass(Millis(0));
    assert_eq!(sale.state.order(view.order).map(|view| view.state), Some(HoldState::Expired));
    assert_eq!(seat_names(&sale.hold(2, seats(&["A-1-1"]))), ["A-1-1"]);
}

#[test]
fn what_is_due_comes_earliest_first_and_no_more_than_asked_for() {
    let mut sale = Sale::seated(&[]);
    let mut expected = Vec::new();
    for n in 1..6 {
        expected.push(sale.hold(n, quantity("GA", 1)).order);
        sale.now = sale.now + Millis::seconds(1);
    }
    sale.now = sale.now + TTL;
    let due: Vec<_> = expected.iter().map(|&order| Entry::Expired { order }).collect();
    assert_eq!(sale.state.due(sale.now, 3), due[..3]);
    assert_eq!(sale.state.due(sale.now, 100), due);
}

#[test]
fn a_hold_is_given_up_by_its_fan_only_and_twice_is_as_good_as_once() {
    let mut sale = Sale::seated(&[]);
    let view = sale.hold(1, quantity("GA", 2));
    let release = |n: u128| Command::Release { fan: fan(n), order: view.order };
    assert_eq!(sale.refused(release(2)), Refusal::UnknownOrder);
    assert_eq!(sale.ask(release(1)), Ok(Answer::Released));
    assert_eq!(sale.counts("GA"), (10, 0, 0, 0));
    let entries = sale.journal.len();
    assert_eq!(sale.ask(release(1)), Ok(Answer::Released));
    assert_eq!(sale.journal.len(), entries);

    let sold = sale.hold(1, quantity("GA", 2));
    sale.confirm(&sold, 1);
    let state = HoldState::Sold;
    assert_eq!(sale.refused(Command::Release { fan: fan(1), order: sold.order }), Refusal::HoldEnded { state });
}
