//! Seats that come in parts, each at its time.

use super::{
    super::{
        SeatState,
        configuration::{Invalid, ListMode, Part, Release, SeatRelease},
        waitlist::{WaitlistCommand, Wish},
    },
    *,
};
use crate::domain::event::Status;

fn zone(at: EventTime, zone: &str) -> SeatRelease {
    SeatRelease { at, part: Part::Zone(code(zone)) }
}

fn named(at: EventTime, seats: &[&str]) -> SeatRelease {
    SeatRelease { at, part: Part::Seats(seats.iter().map(|seat| code(seat)).collect()) }
}

fn later(minutes: u64) -> EventTime {
    EventTime(5_000) + Millis::minutes(minutes)
}

/// Zone A now but for two seats, which come in five minutes; zone B in ten, without what is blocked there.
fn plan() -> Configuration {
    let seats = [rows("A", &["ssss"]), rows("B", &["ssxp"])].concat();
    let mut configuration = configuration(seats);
    configuration.ticket_types[2].seat_releases = vec![named(later(5), &["A-1-3", "A-1-4"]), zone(later(10), "B")];
    configuration.ticket_types.remove(1);
    configuration.ticket_types.remove(0);
    configuration.limits.per_fan = 20;
    configuration
}

fn states(sale: &Sale) -> String {
    let letter = |state| match state {
        SeatState::Free => 'f',
        SeatState::Held => 'h',
        SeatState::Sold => 's',
        SeatState::Blocked => 'b',
    };
    sale.state.seats().into_iter().map(|(_, state)| letter(state)).collect()
}

fn edit(sale: &mut Sale, releases: Vec<SeatRelease>) -> Result<Answer, Refusal> {
    sale.reconfigure(|c| c.ticket_types[0].seat_releases = releases)
}

#[test]
fn each_part_can_be_had_from_its_time_on_and_that_is_seen() {
    let mut sale = Sale::open(plan());
    let next = |at, quantity| Some(Release { at, quantity });
    assert_eq!(states(&sale), "ffbbbbbb");
    assert_eq!((sale.counts("SEAT"), sale.stock("SEAT").next_release), ((2, 0, 0, 6), next(later(5), 2)));
    assert_eq!(sale.state.free_seats(), [true, true, false, false, false, false, false, false]);
    assert_eq!(sale.state.view(sale.now).available, 2, "whom the waiting room may call");
    assert_eq!(sale.state.next_due(), Some(later(5)));
    assert!(sale.state.is_active(), "somebody must be there to release them");
    assert_eq!(sale.hold_refused(1, seats(&["A-1-2", "A-1-3"])), Refusal::SeatTaken(code("A-1-3")));
    let all = Refusal::SoldOut { ticket_type: code("SEAT"), left: 2 };
    assert_eq!(sale.hold_refused(1, Want::BestAvailable(best(3))), all);
    sale.hold(1, Want::BestAvailable(best(2)));
    assert_eq!((sale.state.view(sale.now).status, states(&sale).as_str()), (Status::SoldOut, "hhbbbbbb"));
    sale.check_replay();

    let revision = sale.state.view(sale.now).seats_revision;
    sale.pass(Millis::minutes(5));
    assert!(sale.state.view(sale.now).seats_revision > revision, "viewers look again");
    assert_eq!((sale.counts("SEAT"), sale.stock("SEAT").next_release), ((2, 2, 0, 4), next(later(10), 2)));
    assert_eq!((sale.state.view(sale.now).status, states(&sale).as_str()), (Status::OnSale, "hhffbbbb"));
    let held = sale.hold(2, Want::BestAvailable(best(2)));
    assert_eq!(seat_names(&held), ["A-1-3", "A-1-4"]);
    sale.confirm(&held, 1);
    sale.check_replay();

    sale.pass(Millis::minutes(5));
    assert_eq!((sale.counts("SEAT"), sale.stock("SEAT").next_release), ((4, 0, 2, 2), None));
    assert_eq!(states(&sale), "ffssffbb", "what is blocked stays so");
    assert_eq!(seat_names(&sale.hold(2, seats(&["B-1-2"]))), ["B-1-2"]);
    assert_eq!(sale.state.due(sale.now, 10), []);
    sale.check_replay();
}

#[test]
fn nobody_gets_a_seat_before_its_release_by_another_way() {
    let mut sale = Sale::open(plan());
    // With its channel.
    let mut press = sale.hold_command(1, seats(&["B-1-4"]));
    if let Command::Hold(hold) = &mut press {
        hold.channel = Some(code("press"));
    }
    assert_eq!(sale.refused(press), Refusal::SeatTaken(code("B-1-4")));
    // Moved there by the organizer.
    let sold = sale.hold(1, seats(&["A-1-1"]));
    sale.confirm(&sold, 1);
    let (ticket_type, seat) = (code("SEAT"), code("B-1-1"));
    let moved = sale.refused(Command::AddSeat { order: sold.order, number: 1, ticket_type, rate: None, seat });
    assert_eq!(moved, Refusal::SeatTaken(code("B-1-1")));
    // Paid for after its hold has lapsed, and withheld since.
    let late = sale.hold(2, seats(&["A-1-2"]));
    sale.ask(Command::Release { fan: late.fan, order: late.order }).expect("released");
    edit(&mut sale, vec![zone(later(600), "A")]).expect_err("A-1-1 is sold");
    edit(&mut sale, vec![named(later(600), &["A-1-2"])]).expect("free");
    assert_eq!(sale.confirm(&late, 2), Answer::ConfirmRefused(ConfirmRefusal::Gone));
    sale.check_replay();
    // The channel has it from its time on.
    let mut sale = Sale::open(plan());
    sale.pass(Millis::minutes(10));
    let mut press = sale.hold_command(1, seats(&["B-1-4"]));
    if let Command::Hold(hold) = &mut press {
        hold.channel = Some(code("press"));
    }
    sale.ask(press).expect("it is there");
    sale.check_replay();
}

#[test]
fn who_waits_is_offered_what_is_released_and_nothing_before() {
    let mut configuration = plan();
    configuration.waitlist.mode = ListMode::Open;
    let mut sale = Sale::open(configuration);
    sale.hold(1, seats(&["A-1-1", "A-1-2"]));
    let (wish, ticket_types) = (Wish { quantity: 2, any_seat: false, fewer: false }, vec![code("SEAT")]);
    let join = WaitlistCommand::Join { order: order(111), fan: fan(11), ticket_types, wish };
    sale.ask(Command::Waitlist(join)).expect("joined");
    assert_eq!(sale.state.next_offer(sale.now), None);
    sale.pass(Millis::minutes(5));
    let offer = sale.state.next_offer(sale.now).expect("an offer");
    sale.apply(vec![offer]);
    let offered = sale.state.order(order(111)).expect("held");
    assert_eq!(seat_names(&offered), ["A-1-3", "A-1-4"]);
    sale.check_replay();
}

#[test]
fn an_edit_never_withholds_what_is_taken_and_forgets_what_is_over() {
    let mut sale = Sale::open(plan());
    let held = sale.hold(1, seats(&["A-1-1"]));
    let below = |seat| Err(Refusal::BelowTaken { code: code(seat), taken: 1 });
    assert_eq!(edit(&mut sale, vec![zone(later(5), "A")]), below("A-1-1"));
    assert_eq!(edit(&mut sale, vec![named(later(5), &["A-1-2", "A-1-1"])]), below("A-1-1"));
    assert_eq!(states(&sale), "hfbbbbbb");
    // A seat that a past release names is not one of those of its zone.
    let now = sale.now;
    edit(&mut sale, vec![named(now, &["A-1-1", "A-1-3"]), zone(later(5), "A")]).expect("that is now");
    assert_eq!((states(&sale).as_str(), sale.counts("SEAT")), ("hbfbffbb", (3, 1, 0, 4)));
    sale.check_replay();
    edit(&mut sale, Vec::new()).expect("taken back");
    assert_eq!((states(&sale).as_str(), sale.counts("SEAT")), ("hfffffbb", (5, 1, 0, 2)));
    assert_eq!((sale.stock("SEAT").next_release, sale.state.next_due()), (None, Some(held.expires_at)));
    sale.check_replay();
    // What is changed beside it leaves the seats as they are; so does another plan.
    edit(&mut sale, vec![zone(later(15), "B")]).expect("free");
    sale.confirm(&held, 1);
    sale.reconfigure(|c| c.queue.rate_per_minute = 7).expect("allowed");
    assert_eq!(states(&sale), "sfffbbbb");
    sale.reconfigure(|c| c.seats[4].kept = Kept::Blocked).expect("allowed");
    assert_eq!((states(&sale).as_str(), sale.stock("SEAT").next_release.map(|n| n.quantity)), ("sfffbbbb", Some(1)));
    sale.pass(Millis::minutes(15));
    assert_eq!((states(&sale).as_str(), sale.counts("SEAT")), ("sfffbfbb", (4, 0, 1, 3)));
    sale.check_replay();
}

#[test]
fn whoever_comes_late_releases_all_that_was_due_and_another_version_does_so_too() {
    let mut sale = Sale::open(plan());
    sale.now = later(11);
    let due = sale.state.due(sale.now, 1);
    assert_eq!(due, [Entry::StockReleased { until: sale.now }], "before all else");
    sale.apply(due);
    assert_eq!((states(&sale).as_str(), sale.counts("SEAT")), ("ffffffbb", (6, 0, 0, 2)));
    sale.check_replay();

    let mut sale = Sale::open(plan());
    sale.now = later(5);
    sale.reconfigure(|c| c.limits.per_fan = 19).expect("allowed");
    assert_eq!((states(&sale).as_str(), sale.stock("SEAT").next_release.map(|n| n.at)), ("ffffbbbb", Some(later(10))));
    sale.check_replay();
}

#[test]
fn a_release_names_seats_and_zones_of_its_type_once_and_in_order() {
    let (first, second) = (later(5), later(10));
    let twice = |name: &str| Err(Invalid::Duplicate(code(name)));
    let unknown = |name: &str| Err(Invalid::Unknown(code(name)));
    let releases = Err(Invalid::Releases(code("SEAT")));
    let table = [
        (vec![zone(second, "A"), zone(first, "B")], releases.clone()),
        (vec![named(first, &[])], releases),
        (vec![zone(first, "A"), zone(first, "B")], Ok(())),
        (vec![named(first, &["A-1-1"]), zone(second, "A")], Ok(())),
        (vec![zone(first, "A"), zone(second, "A")], twice("A")),
        (vec![named(first, &["A-1-1"]), named(second, &["A-1-2", "A-1-1"])], twice("A-1-1")),
        (vec![named(first, &["A-1-1", "A-1-1"])], twice("A-1-1")),
        (vec![zone(first, "C")], unknown("C")),
        (vec![named(first, &["A-1-9"])], unknown("A-1-9")),
        (
            (0..21).map(|n| zone(first, &format!("Z{n}"))).collect(),
            Err(Invalid::OutOfRange { field: "releases", min: 0, max: 20 }),
        ),
    ];
    for (releases, expected) in table {
        let mut configuration = plan();
        configuration.ticket_types[0].seat_releases = releases;
        assert_eq!(configuration.validate(), expected, "{:?}", configuration.ticket_types[0].seat_releases);
    }
    let many: Vec<String> = (0..=2_000).map(|n| format!("S{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut wrong = plan();
    wrong.ticket_types[0].seat_releases = vec![named(first, &many)];
    assert_eq!(wrong.validate(), Err(Invalid::OutOfRange { field: "seats named by releases", min: 0, max: 2_000 }));
    // Of another type, and of stock by quantity.
    let other = TicketType { code: code("VIP"), ..plan().ticket_types[0].clone() };
    let mut wrong = plan();
    wrong.ticket_types[0].seat_releases.clear();
    wrong.ticket_types.push(other);
    assert_eq!(wrong.validate(), unknown("A-1-3"));
    let mut wrong = configuration(rows("A", &["s"]));
    wrong.ticket_types[0].seat_releases = vec![zone(first, "A")];
    assert_eq!(wrong.validate(), Err(Invalid::Releases(code("GA"))));
    // A draft may say so before its plan is there.
    let mut draft = plan();
    (draft.phase, draft.seats) = (Phase::Draft, Vec::new());
    assert_eq!(draft.validate(), Ok(()));
}
