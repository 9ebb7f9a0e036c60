//! The money is here: one decision for each order, for ever.

use super::{
    super::{fact::FactKind, request::HoldState},
    *,
};

fn paid(view: &HoldView, by: u128) -> Command {
    Command::Confirm(Confirm { order: view.order, payment: payment(by), fan: view.fan, lines: view.lines.clone() })
}

#[test]
fn what_is_held_is_sold_once_and_the_same_payment_is_told_the_same() {
    let mut sale = Sale::seated(&["ss"]);
    let view = sale.hold(1, seats(&["A-1-1"]));
    assert_eq!(sale.confirm(&view, 1), Answer::Confirmed);
    assert_eq!(sale.counts("SEAT"), (1, 0, 1, 0));
    let entries = sale.journal.len();
    assert_eq!(sale.confirm(&view, 1), Answer::Confirmed);
    assert_eq!(sale.journal.len(), entries);
    let refused = Answer::ConfirmRefused(ConfirmRefusal::AlreadyPaid);
    assert_eq!(sale.confirm(&view, 2), refused);
    assert_eq!(sale.journal.len(), entries + 1);
    assert_eq!(sale.confirm(&view, 2), refused);
    assert_eq!(sale.journal.len(), entries + 1, "once");
    assert_eq!(sale.confirm(&view, 1), Answer::Confirmed, "the sale is not touched");
    assert_eq!(sale.state.order(view.order).map(|view| view.state), Some(HoldState::Sold));
    sale.check_replay();
}

#[test]
fn a_lapsed_hold_is_taken_again_if_its_very_stock_is_free() {
    for forgotten in [false, true] {
        let mut sale = Sale::seated(&["sss"]);
        let seated = sale.hold(1, seats(&["A-1-2"]));
        let general = sale.hold(1, quantity("GA", 4));
        sale.ask(Command::Release { fan: fan(1), order: general.order }).expect("held");
        sale.pass(TTL);
        if forgotten {
            // Long enough for the records to go, a few with each entry.
            sale.pass(Millis::minutes(25 * 60));
            sale.reconfigure(|c| c.queue.slots = 51).expect("allowed");
            assert_eq!(sale.state.order(seated.order), None);
        }
        sale.reconfigure(|c| c.ticket_types.iter_mut().for_each(|t| t.price_minor = 1)).expect("allowed");
        assert_eq!(sale.confirm(&seated, 1), Answer::Confirmed);
        assert_eq!(sale.confirm(&general, 2), Answer::Confirmed);
        assert_eq!(sale.counts("SEAT"), (2, 0, 1, 0));
        assert_eq!(sale.counts("GA"), (6, 0, 4, 0));
        let order = sale.state.order(seated.order).expect("sold");
        assert_eq!((order.lines, order.total_minor), (seated.lines.clone(), 9_000), "the frozen price");
        assert_eq!(sale.confirm(&seated, 1), Answer::Confirmed, "again");
        sale.admit(30);
        sale.check_replay();
    }
}

#[test]
fn what_went_to_others_is_refused_for_ever_to_every_payment() {
    for forgotten in [false, true] {
        let mut sale = Sale::seated(&["sss"]);
        let lapsed = sale.hold(1, seats(&["A-1-1", "A-1-2"]));
        sale.pass(TTL);
        if forgotten {
            sale.pass(Millis::minutes(25 * 60));
            sale.admit(20);
        }
        sale.admit(21);
        let other = sale.hold(21, seats(&["A-1-2"]));
        let gone = Answer::ConfirmRefused(ConfirmRefusal::Gone);
        assert_eq!(sale.confirm(&lapsed, 1), gone);
        sale.ask(Command::Release { fan: fan(21), order: other.order }).expect("held");
        assert_eq!(sale.confirm(&lapsed, 1), gone, "free again, but decided");
        assert_eq!(sale.confirm(&lapsed, 2), gone, "another payment");
        assert_eq!(sale.counts("SEAT"), (3, 0, 0, 0));
        let facts = sale.state.outbox(0, 100);
        let refused = facts.iter().filter(|fact| matches!(fact.what, FactKind::ConfirmRefused { .. }));
        let told: Vec<_> = refused.map(|fact| (fact.lines.clone(), fact.total_minor)).collect();
        assert_eq!(told, [(lapsed.lines.clone(), 18_000), (lapsed.lines.clone(), 18_000)]);
        sale.check_replay();
    }
}

#[test]
fn seats_that_the_organizer_withdrew_or_removed_are_gone() {
    let table: [(&str, Change); 4] = [
        ("blocked", |c| c.seats[0].kept = Kept::Blocked),
        ("removed", |c| drop(c.seats.remove(0))),
        ("of another type", |c| {
            c.ticket_types[0].stock = Stock::Seats;
            c.seats[0].ticket_type = code("GA");
        }),
        ("of a type no longer sold", |c| {
            c.seats.clear();
            c.ticket_types.truncate(2);
        }),
    ];
    for (what, change) in table {
        for forgotten in [false, true] {
            let mut sale = Sale::seated(&["sss"]);
            let lapsed = sale.hold(1, seats(&["A-1-1"]));
            sale.pass(TTL);
            if forgotten {
                sale.pass(Millis::minutes(25 * 60));
                sale.reconfigure(|c| c.queue.slots = 51).expect("allowed");
            }
            sale.reconfigure(change).expect("nothing is taken");
            assert_eq!(sale.confirm(&lapsed, 1), Answer::ConfirmRefused(ConfirmRefusal::Gone), "{what}");
            sale.check_replay();
        }
    }
}

#[test]
fn lines_that_no_order_can_have_are_never_sold() {
    let mut sale = Sale::seated(&["ss"]);
    let line = |name: &str, quantity, unit_price_minor, names: &[&str]| Line {
        ticket_type: code(name),
        quantity,
        unit_price_minor,
        breakdown: None,
        seats: names.iter().map(|name| code(name)).collect(),
    };
    let table = vec![
        vec![],
        vec![line("GA", 0, 1, &[])],
        vec![line("GA", 1, -1, &[])],
        vec![line("GA", 1, 1, &["A-1-1"])],
        vec![line("SEAT", 1, 1, &[])],
        vec![line("SEAT", 2, 1, &["A-1-1", "A-1-1"])],
        vec![line("SEAT", 1, 1, &["A-1-1"]), line("SEAT", 1, 1, &["A-1-1"])],
        vec![line("GA", 11, 1, &[])],
        vec![line("GA", 6, 1, &[]), line("GA", 6, 1, &[])],
        vec![line("VIP", 1, 1, &[])],
    ];
    for (n, lines) in (1..).zip(table) {
        let confirm = Confirm { order: order(n), payment: payment(1), fan: fan(1), lines: lines.clone() };
        let gone = Ok(Answer::ConfirmRefused(ConfirmRefusal::Gone));
        assert_eq!(sale.ask(Command::Confirm(confirm)), gone, "{lines:?}");
    }
    let many = Confirm { order: order(99), payment: payment(1), fan: fan(1), lines: vec![line("GA", 21, 1, &[])] };
    assert_eq!(sale.refused(Command::Confirm(many)), Refusal::Quantity { max: 20 });
    assert_eq!(sale.counts("GA"), (10, 0, 0, 0));
    sale.check_replay();
}

#[test]
fn taking_again_keeps_the_fans_limit() {
    let mut sale = Sale::seated(&[]);
    let lapsed = sale.hold(1, quantity("GA", 4));
    sale.pass(TTL);
    let second = sale.hold(1, quantity("GA", 4));
    assert_eq!(sale.confirm(&lapsed, 1), Answer::ConfirmRefused(ConfirmRefusal::LimitReached));
    assert_eq!(sale.confirm(&second, 2), Answer::Confirmed);
    sale.check_replay();
}

#[test]
fn a_cancelled_event_sells_nothing_and_lets_go_of_the_hold() {
    let mut sale = Sale::seated(&[]);
    let held = sale.hold(1, quantity("GA", 2));
    let lapsed = sale.hold(2, quantity("GA", 2));
    sale.ask(Command::Release { fan: fan(2), order: lapsed.order }).expect("held");
    let sold = sale.hold(3, quantity("GA", 2));
    sale.confirm(&sold, 3);
    sale.reconfigure(|c| c.phase = Phase::Cancelled).expect("allowed");
    for view in [&held, &lapsed] {
        assert_eq!(sale.confirm(view, 1), Answer::ConfirmRefused(ConfirmRefusal::EventCancelled));
        assert_eq!(sale.state.order(view.order).map(|view| view.state), Some(HoldState::Refused));
    }
    assert_eq!(sale.confirm(&sold, 3), Answer::Confirmed, "decided before");
    assert_eq!(sale.counts("GA"), (8, 0, 2, 0));
    sale.pass(TTL);
    let expired = sale.journal.iter().filter(|(_, entry)| matches!(entry, Entry::Expired { .. })).count();
    assert_eq!(expired, 0, "a refused hold does not end twice");
    sale.check_replay();
}

#[test]
fn sold_stock_comes_back_when_voided_and_only_then() {
    let mut sale = Sale::seated(&["sp"]);
    let Command::Hold(hold) = sale.hold_command(1, seats(&["A-1-1", "A-1-2"])) else { unreachable!() };
    let channel = Some(code("press"));
    let Ok(Answer::Held(view)) = sale.ask(Command::Hold(Hold { channel, ..hold })) else { unreachable!() };
    let void = Command::Void { order: view.order };
    assert_eq!(sale.refused(void.clone()), Refusal::NotSold { state: HoldState::Held });
    assert_eq!(sale.refused(Command::Void { order: order(1) }), Refusal::UnknownOrder);
    sale.confirm(&view, 1);
    assert_eq!(sale.ask(void.clone()), Ok(Answer::Voided));
    assert_eq!(sale.counts("SEAT"), (1, 0, 0, 1));
    let entries = sale.journal.len();
    assert_eq!(sale.ask(void), Ok(Answer::Voided));
    assert_eq!(sale.journal.len(), entries);
    assert_eq!(sale.confirm(&view, 1), Answer::Confirmed, "the same payment, the same answer");
    assert_eq!(sale.confirm(&view, 2), Answer::ConfirmRefused(ConfirmRefusal::Voided));
    assert_eq!(sale.counts("SEAT"), (1, 0, 0, 1));
    sale.check_replay();
}

#[test]
fn another_fans_payment_confirms_nothing() {
    let mut sale = Sale::seated(&[]);
    let view = sale.hold(1, quantity("GA", 1));
    let foreign = HoldView { fan: fan(2), ..view };
    assert_eq!(sale.refused(paid(&foreign, 1)), Refusal::UnknownOrder);
    assert_eq!(Sale::empty().refused(paid(&foreign, 1)), Refusal::UnknownOrder);
}

#[test]
fn each_change_of_an_order_is_one_numbered_fact_with_the_whole_order() {
    let mut sale = Sale::seated(&[]);
    let view = sale.hold(1, quantity("GA", 2));
    sale.ask(Command::Extend { fan: fan(1), order: view.order }).expect("once");
    sale.confirm(&view, 1);
    sale.confirm(&view, 2);
    sale.ask(Command::Void { order: view.order }).expect("sold");
    let released = sale.hold(1, quantity("GA", 1));
    sale.ask(Command::Release { fan: fan(1), order: released.order }).expect("held");
    let expired = sale.hold(1, quantity("GA", 1));
    sale.pass(TTL);
    let refused = FactKind::ConfirmRefused { payment: payment(2), why: ConfirmRefusal::AlreadyPaid };
    let (created, confirmed) = (FactKind::Created, FactKind::Confirmed { payment: payment(1) });
    let expected = [
        (1, view.order, created),
        (2, view.order, FactKind::Extended),
        (3, view.order, confirmed),
        (4, view.order, refused),
        (5, view.order, FactKind::Voided),
        (6, released.order, created),
        (7, released.order, FactKind::Released),
        (8, expired.order, created),
        (9, expired.order, FactKind::Expired),
    ];
    let facts = sale.state.outbox(0, 100);
    assert_eq!(facts.iter().map(|f| (f.number, f.order, f.what)).collect::<Vec<_>>(), expected);
    for fact in facts.iter().filter(|fact| fact.order == view.order) {
        assert_eq!((&fact.lines, fact.total_minor, fact.fan, fact.version), (&view.lines, 5_000, fan(1), 1));
    }
    assert_eq!(facts[1].expires_at, view.expires_at + Millis::minutes(5));
    sale.check_replay();
}

#[test]
fn published_facts_leave_the_outbox_and_recovery_never_keeps_them() {
    let mut sale = Sale::seated(&[]);
    for n in 1..6 {
        sale.hold(n, quantity("GA", 1));
    }
    sale.state.published(3);
    let numbers = |state: &Inventory, after, limit| -> Vec<u64> {
        state.outbox(after, limit).iter().map(|fact| fact.number).collect()
    };
    assert_eq!(numbers(&sale.state, 0, 100), [4, 5]);
    assert_eq!(numbers(&sale.state, 4, 100), [5]);
    assert_eq!(numbers(&sale.state, 0, 1), [4]);
    assert!(numbers(&sale.state, 5, 100).is_empty() && numbers(&sale.state, 99, 100).is_empty());
    let mut recovered = Inventory::default();
    recovered.published(3);
    for (at, entry) in &sale.journal {
        recovered.apply(*at, entry).expect("an entry of the journal");
    }
    assert_eq!(recovered.outbox(0, 100), sale.state.outbox(0, 100));
    assert_eq!(recovered.to_snapshot(), sale.state.to_snapshot());
    assert_eq!(recovered.unpublished(), 2);
}
