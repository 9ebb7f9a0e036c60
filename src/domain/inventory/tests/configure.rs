//! Configurations: valid in themselves, allowed after the last one, never below what is taken.

use std::sync::Arc;

use super::{
    super::{configuration::Invalid, notice::Notice},
    *,
};
use crate::domain::{
    event::Status,
    queue::{Room, Tickets},
};

fn refused(sale: &mut Sale, change: impl FnOnce(&mut Configuration)) -> Refusal {
    let before = sale.state.to_snapshot();
    let refusal = sale.reconfigure(change).expect_err("a refusal");
    assert_eq!(sale.state.to_snapshot(), before);
    refusal
}

#[test]
fn each_mistake_in_a_configuration_is_named() {
    let range = |field, min, max| Invalid::OutOfRange { field, min, max };
    let table: Vec<(Change, Invalid)> = vec![
        (|c| c.version = 0, range("version", 1, u32::MAX.into())),
        (|c| c.sale_ends_at = Some(c.on_sale_at), Invalid::Schedule),
        (|c| c.limits.per_order = 0, range("per_order", 1, 20)),
        (|c| c.limits.per_order = 21, range("per_order", 1, 20)),
        (|c| c.limits.per_fan = 21, range("per_fan", 1, 20)),
        (|c| c.limits.hold_ttl = Millis(999), range("hold_ttl", 1_000, 3_600_000)),
        (|c| c.limits.hold_ttl = Millis(u64::MAX), range("hold_ttl", 1_000, 3_600_000)),
        (|c| c.limits.hold_extension = Millis::minutes(61), range("hold_extension", 0, 3_600_000)),
        (|c| c.queue.slots = u32::MAX, range("slots", 0, 10_000_000)),
        (|c| c.queue.rate_per_minute = u32::MAX, range("rate_per_minute", 0, 10_000_000)),
        (|c| c.queue.session = Millis(0), range("session", 1_000, 86_400_000)),
        (|c| c.queue.claim_window = Millis(0), range("claim_window", 1_000, 3_600_000)),
        (|c| c.queue.grace = Millis::minutes(24 * 61), range("grace", 0, 86_400_000)),
        (|c| c.quotas.push(c.quotas[0].clone()), Invalid::Duplicate(code("hall"))),
        (|c| c.quotas[0].capacity = u32::MAX, range("quota capacity", 0, 10_000_000)),
        (|c| c.quotas = vec![c.quotas[0].clone(); 201], range("quotas", 0, 200)),
        (|c| c.ticket_types[0].quotas = vec![code("attic")], Invalid::Unknown(code("attic"))),
        (|c| c.ticket_types[0].quotas = vec![code("hall"); 2], Invalid::Duplicate(code("hall"))),
        (|c| c.ticket_types.push(c.ticket_types[0].clone()), Invalid::Duplicate(code("GA"))),
        (|c| c.ticket_types = vec![c.ticket_types[0].clone(); 201], range("ticket types", 0, 200)),
        (|c| c.ticket_types[0].name = "x".repeat(101), range("name", 0, 100)),
        (|c| c.ticket_types[0].price_minor = -1, range("price", 0, 1_000_000_000)),
        (|c| c.ticket_types[0].price_minor = i64::MAX, range("price", 0, 1_000_000_000)),
        (|c| c.ticket_types[0].stock = Stock::Quantity(u32::MAX), range("stock", 0, 10_000_000)),
        (|c| c.seats[0].ticket_type = code("VIP"), Invalid::Unknown(code("VIP"))),
        (|c| c.seats[0].ticket_type = code("GA"), Invalid::Unknown(code("GA"))),
        (|c| c.seats[1].id = c.seats[0].id.clone(), Invalid::Duplicate(code("A-1-1"))),
        (|c| c.seats[1].number = c.seats[0].number, Invalid::Duplicate(code("A-1-2"))),
        (|c| c.seats = vec![c.seats[0].clone(); 200_001], range("seats", 0, 200_000)),
        (
            |c| c.seats = (0..1_001).map(|n| seat("A", "1", n, SeatKind::Standard, Kept::Free)).collect(),
            range("seats in a row", 0, 1_000),
        ),
        (|c| c.notice = Some(Arc::new(Notice { version: 1, at: EventTime(1), texts: [].into() })), Invalid::Notice),
        (|c| c.ticket_types.clear(), Invalid::Unknown(code("SEAT"))),
        (
            |c| {
                c.ticket_types.clear();
                c.seats.clear();
            },
            Invalid::Nothing,
        ),
    ];
    for (change, invalid) in table {
        let mut wrong = configuration(rows("A", &["ss"]));
        change(&mut wrong);
        assert_eq!(wrong.validate(), Err(invalid));
    }
    assert_eq!(configuration(rows("A", &["ss"])).validate(), Ok(()));
    let mut draft = configuration(Vec::new());
    draft.ticket_types.clear();
    draft.phase = Phase::Draft;
    assert_eq!(draft.validate(), Ok(()), "a draft need not sell anything yet");
}

#[test]
fn a_configuration_follows_the_current_one() {
    let mut sale = Sale::seated(&["s"]);
    assert_eq!(refused(&mut sale, |c| c.version = 1), Refusal::StaleVersion { version: 1 });
    assert_eq!(refused(&mut sale, |c| c.version = 3), Refusal::StaleVersion { version: 1 });
    assert_eq!(
        refused(&mut sale, |c| c.phase = Phase::Draft),
        Refusal::Transition { from: "published".into(), to: "draft".into() }
    );
    assert!(matches!(refused(&mut sale, |c| c.limits.per_fan = 0), Refusal::InvalidConfiguration(_)));
    let usd = "USD".parse().expect("a currency");
    assert!(matches!(refused(&mut sale, |c| c.currency = usd), Refusal::InvalidConfiguration(_)));
    assert_eq!(sale.reconfigure(|c| c.phase = Phase::Paused), Ok(Answer::Configured { version: 2 }));

    let mut sale = Sale::empty();
    let ended = Configuration { phase: Phase::Ended, ..configuration(Vec::new()) };
    assert_eq!(
        sale.refused(Command::Configure(Box::new(ended))),
        Refusal::Transition { from: "draft".into(), to: "ended".into() }
    );
    let mut sale = Sale::of(Configuration { phase: Phase::Draft, ..configuration(Vec::new()) });
    sale.reconfigure(|c| c.currency = usd).expect("a draft");
}

#[test]
fn capacity_never_goes_below_what_is_taken() {
    let mut sale = Sale::seated(&["ss"]);
    let sold = sale.hold(1, quantity("CHEAP", 2));
    sale.confirm(&sold, 1);
    sale.hold(2, quantity("CHEAP", 1));
    sale.hold(3, quantity("GA", 4));
    sale.hold(4, seats(&["A-1-1"]));
    let below = |name: &str, taken| Refusal::BelowTaken { code: code(name), taken };
    assert_eq!(refused(&mut sale, |c| c.ticket_types[1].stock = Stock::Quantity(2)), below("CHEAP", 3));
    assert_eq!(refused(&mut sale, |c| c.quotas[0].capacity = 6), below("hall", 7));
    assert_eq!(refused(&mut sale, |c| c.quotas[1].capacity = 2), below("cheap", 3));
    assert_eq!(refused(&mut sale, |c| drop(c.ticket_types.remove(0))), below("GA", 4));
    assert_eq!(refused(&mut sale, |c| c.ticket_types[0].stock = Stock::Seats), below("GA", 4));
    assert_eq!(refused(&mut sale, |c| drop(c.seats.remove(0))), below("A-1-1", 1));
    assert_eq!(
        refused(&mut sale, |c| {
            let vip = TicketType { code: code("VIP"), ..c.ticket_types[2].clone() };
            c.ticket_types.push(vip);
            c.seats[0].ticket_type = code("VIP");
        }),
        below("A-1-1", 1)
    );
    // Just enough is enough.
    sale.reconfigure(|c| {
        c.ticket_types[0].stock = Stock::Quantity(4);
        c.ticket_types[1].stock = Stock::Quantity(3);
        c.quotas[0].capacity = 7;
        c.quotas[1].capacity = 3;
        c.seats.remove(1);
    })
    .expect("nothing below what is taken");
    assert_eq!((sale.counts("GA"), sale.counts("CHEAP")), ((0, 4, 0, 0), (0, 1, 2, 0)));
    assert_eq!(sale.counts("SEAT"), (0, 1, 0, 0));
    sale.check_replay();
}

#[test]
fn a_quota_counts_what_its_types_have_taken_before_it_came() {
    let mut sale = Sale::seated(&[]);
    sale.hold(1, quantity("GA", 4));
    sale.hold(2, quantity("GA", 2));
    let change = |c: &mut Configuration, capacity| {
        c.quotas.push(Quota { code: code("late"), capacity });
        c.ticket_types[0].quotas = vec![code("late")];
    };
    assert_eq!(refused(&mut sale, |c| change(c, 5)), Refusal::BelowTaken { code: code("late"), taken: 6 });
    sale.reconfigure(|c| change(c, 7)).expect("enough");
    assert_eq!(sale.hold_refused(3, quantity("GA", 2)), Refusal::SoldOut { ticket_type: code("GA"), left: 1 });
    // What a dropped quota held back is free again.
    sale.reconfigure(|c| {
        c.quotas.clear();
        c.ticket_types.iter_mut().for_each(|t| t.quotas.clear());
    })
    .expect("allowed");
    sale.hold(3, quantity("GA", 4));
    sale.check_replay();
}

#[test]
fn a_notice_outlives_a_replay_and_changes_no_terms() {
    let mut sale = Sale::seated(&["s"]);
    let terms = sale.state.terms_version;
    sale.reconfigure(|c| {
        let texts = [("en".to_owned(), "The hall opens late.".to_owned())].into();
        c.notice = Some(Arc::new(Notice { version: c.version, at: EventTime(1), texts }));
    })
    .expect("allowed");
    assert_eq!(sale.state.terms_version, terms);
    sale.check_replay();
}

#[test]
fn restocking_is_sold_at_once() {
    let mut sale = Sale::seated(&["s"]);
    sale.hold(1, seats(&["A-1-1"]));
    sale.reconfigure(|c| {
        c.ticket_types[0].stock = Stock::Quantity(100);
        c.quotas[0].capacity = 100;
        c.seats.extend(rows("B", &["s"]));
    })
    .expect("more");
    assert_eq!(sale.counts("GA"), (100, 0, 0, 0));
    assert_eq!(seat_names(&sale.hold(2, seats(&["B-1-1"]))), ["B-1-1"]);
    sale.check_replay();
}

#[test]
fn numbers_of_seats_and_types_stay_theirs_for_ever() {
    let mut sale = Sale::seated(&["sss"]);
    let view = sale.hold(1, seats(&["A-1-3"]));
    sale.reconfigure(|c| {
        c.seats.reverse();
        c.seats.truncate(2);
        c.ticket_types.reverse();
        c.ticket_types.pop();
    })
    .expect("only free ones go");
    assert_eq!(sale.hold_refused(2, seats(&["A-1-1"])), Refusal::UnknownSeat(code("A-1-1")));
    assert_eq!(sale.hold_refused(2, quantity("GA", 1)), Refusal::UnknownTicketType(code("GA")));
    assert_eq!(sale.state.seats().iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(), ["A-1-3", "A-1-2"]);
    assert_eq!(sale.state.order(view.order).map(|order| seat_names(&order)), Some(vec!["A-1-3".to_owned()]));
    sale.reconfigure(|c| {
        c.seats = rows("A", &["sss"]);
        c.ticket_types.push(configuration(Vec::new()).ticket_types[0].clone());
    })
    .expect("they come back");
    assert_eq!(seat_names(&sale.hold(2, seats(&["A-1-1"]))), ["A-1-1"]);
    assert_eq!(sale.confirm(&view, 1), Answer::Confirmed);
    assert_eq!(sale.counts("SEAT"), (1, 1, 1, 0));
    sale.check_replay();
}

#[test]
fn a_plan_is_journalled_only_when_it_changes() {
    let mut sale = Sale::seated(&["ssss"]);
    let staged =
        |sale: &Sale| sale.journal.iter().filter(|(_, entry)| matches!(entry, Entry::SeatsStaged { .. })).count();
    assert_eq!(staged(&sale), 1);
    sale.reconfigure(|c| c.queue.slots = 7).expect("allowed");
    assert_eq!(staged(&sale), 1);
    assert_eq!(sale.state.configuration().map(|c| c.seats.len()), Some(4));
    sale.reconfigure(|c| c.seats[0].kept = Kept::Blocked).expect("allowed");
    assert_eq!(staged(&sale), 2);
    assert_eq!(sale.counts("SEAT"), (3, 0, 0, 1));
    sale.reconfigure(|c| c.seats.clear()).expect("nothing is taken");
    assert_eq!((staged(&sale), sale.counts("SEAT")), (2, (0, 0, 0, 0)));
    sale.check_replay();
}

#[test]
fn a_seat_withdrawn_while_held_is_blocked_once_it_comes_back() {
    let mut sale = Sale::seated(&["ss"]);
    sale.hold(1, seats(&["A-1-1"]));
    sale.reconfigure(|c| c.seats[0].kept = Kept::Blocked).expect("allowed");
    assert_eq!(sale.counts("SEAT"), (1, 1, 0, 0));
    sale.pass(TTL);
    assert_eq!(sale.counts("SEAT"), (1, 0, 0, 1));
    sale.check_replay();
}

#[test]
fn what_can_be_had_ends_with_the_room_that_types_share() {
    let mut sale = Sale::open(configuration(Vec::new()));
    let had = |sale: &Sale| {
        let view = sale.state.view(sale.now);
        (view.available, sale.stock("GA").available, sale.stock("CHEAP").available, view.status)
    };
    assert_eq!(had(&sale), (12, 10, 8, Status::OnSale));
    sale.hold(1, quantity("GA", 4));
    sale.hold(2, quantity("CHEAP", 4));
    assert_eq!(had(&sale), (4, 4, 4, Status::OnSale), "twelve are free, the hall has room for four");
    sale.hold(3, quantity("GA", 4));
    assert_eq!(had(&sale), (0, 0, 0, Status::SoldOut), "eight are free and nobody can have one");
    let room = Room::of(&sale.state.view(sale.now), sale.state.configuration().expect("configured"), 0);
    assert_eq!(room.tickets, Tickets { free: 0, held: 12 }, "nobody is called in to find nothing");
}
