//! Classes and moves, one rule a test.

use super::*;
use crate::domain::queue::{Move, place::Class};

const VIP: Class = Class(1);
const PRESALE: Class = Class(2);

fn shared(precedence: Precedence, weights: [u8; 3]) -> Room {
    let mut shares = Shares { precedence, weights: [0; Class::COUNT] };
    shares.weights[..3].copy_from_slice(&weights);
    Room { shares, ..ROOM }
}

/// Fans 1 to 6 in the default class, 11 to 16 in the first, 21 to 26 in the second, in turn.
fn three_lines(room: Room) -> Bench {
    let mut bench = Bench::restored_in(1, Vec::new(), Vec::new(), room);
    for number in 1..=6 {
        join(&mut bench, number, Class::DEFAULT);
        join(&mut bench, 10 + number, VIP);
        join(&mut bench, 20 + number, PRESALE);
    }
    bench
}

fn join(bench: &mut Bench, number: u32, class: Class) -> Place {
    bench.run(Input::Present { fan: fan(number) });
    bench.run(Input::JoinIn { fan: fan(number), class, reply: number });
    bench.run(Input::Stored);
    waits(bench, number)
}

fn waits(bench: &Bench, number: u32) -> Place {
    match bench.room.standing(fan(number)) {
        Standing::Waiting(place) => place,
        other => unreachable!("{number} does not wait: {other:?}"),
    }
}

/// Who is proposed at a tick `now` with so many slots.
fn called(bench: &mut Bench, now: u64, room: Room, slots_free: u32) -> Vec<u32> {
    let settings = QueueSettings { rate_per_minute: 60_000, ..SETTINGS };
    let effects = bench.run_at(now, Input::Tick { room: Room { slots_free, settings, ..room } });
    let admittees = effects.into_iter().flat_map(|effect| match effect {
        Effect::Admit { admittees } => admittees,
        _ => Vec::new(),
    });
    admittees.map(|admittee| admittee.fan.as_u128() as u32).collect()
}

fn ask_for_move(bench: &mut Bench, number: u32, class: Class) -> Vec<Effect<u32>> {
    bench.run(Input::Move { fan: fan(number), class, reply: number + 5_000 })
}

#[test]
fn classes_share_by_weight_and_each_is_first_come_first_served() {
    let room = shared(Precedence::Weighted, [1, 2, 1]);
    let mut bench = three_lines(room);
    assert_eq!(called(&mut bench, 1_000, room, 8), [11, 1, 12, 21, 13, 2, 14, 22]);
}

#[test]
fn under_strict_precedence_the_list_is_the_order_and_the_default_class_the_last() {
    let room = shared(Precedence::Strict, [100, 1, 1]);
    let mut bench = three_lines(room);
    let expected: Vec<u32> = (11..=16).chain(21..=26).chain(1..=6).collect();
    assert_eq!(called(&mut bench, 2_000, room, 18), expected);
}

#[test]
fn what_was_not_admitted_does_not_count() {
    let room = shared(Precedence::Weighted, [1, 2, 1]);
    let mut bench = three_lines(room);
    assert_eq!(called(&mut bench, 1_000, room, 4), [11, 1, 12, 21]);
    let place = waits(&bench, 11);
    let first = Admission { place, fan: fan(11), claim_by: None, until: EventTime(99_000), extended: false };
    bench.run(Input::Admitted { admissions: vec![first] });
    assert_eq!(called(&mut bench, 1_200, room, 3), [1, 12, 21], "as if only the first had been asked for");
}

#[test]
fn nobody_elses_class_changes_a_position() {
    let room = shared(Precedence::Weighted, [1, 100, 1]);
    let mut bench = three_lines(room);
    let ahead = |bench: &mut Bench, number| {
        let place = waits(bench, number);
        bench.room.publish(bench.now).ranks.ahead_in_class(place)
    };
    assert_eq!((ahead(&mut bench, 3), ahead(&mut bench, 13)), (2, 2));
    for number in 101..=150 {
        join(&mut bench, number, VIP);
    }
    ask_for_move(&mut bench, 5, VIP);
    bench.run(Input::Moved);
    assert_eq!((ahead(&mut bench, 3), ahead(&mut bench, 13), ahead(&mut bench, 5)), (2, 2, 56));
    assert_eq!(ahead(&mut bench, 6), 4, "who stood behind moves up");
    let ranks = bench.room.publish(bench.now).ranks;
    assert_eq!([Class::DEFAULT, VIP, PRESALE].map(|class| ranks.total_of(class)), [5, 57, 6]);
}

#[test]
fn a_move_is_told_when_it_is_counted_and_stored() {
    let mut bench = three_lines(ROOM);
    let (from, last) = (waits(&bench, 2), waits(&bench, 16));
    let effects = ask_for_move(&mut bench, 2, VIP);
    let [Effect::Move { moves }] = &effects[..] else { unreachable!("{effects:?}") };
    let [one @ Move { to, .. }] = moves[..] else { unreachable!("{moves:?}") };
    assert_eq!((one.fan, one.from, to.class()), (fan(2), from, VIP));
    assert!(to > last, "behind everybody who is there");
    assert_eq!(waits(&bench, 2), from);
    assert_eq!(ask_for_move(&mut bench, 2, PRESALE), [reply(5_002, Outcome::TryAgain)], "one at a time");
    assert_eq!(bench.leave(2), [reply(1_002, Outcome::TryAgain)]);
    assert!(!called(&mut bench, 1_000, ROOM, 18).contains(&2), "not while nobody knows where it stands");
    let told = bench.run(Input::Moved);
    assert_eq!(told, [tell(2, News::Placed(to)), reply(5_002, Outcome::Waiting { place: to })]);
    assert_eq!(ask_for_move(&mut bench, 2, VIP), [reply(5_002, Outcome::Waiting { place: to })], "it is there");
}

#[test]
fn a_move_that_failed_leaves_everybody_where_they_were_and_burns_its_place() {
    let mut bench = three_lines(ROOM);
    let from = waits(&bench, 2);
    let effects = ask_for_move(&mut bench, 2, VIP);
    let [Effect::Move { moves }] = &effects[..] else { unreachable!("{effects:?}") };
    let to = moves[0].to;
    let failed = bench.run(Input::MoveFailed);
    assert_eq!(failed, [reply(5_002, Outcome::TryAgain), Effect::Forget { places: vec![to] }]);
    assert_eq!(waits(&bench, 2), from);
    let effects = ask_for_move(&mut bench, 2, VIP);
    assert!(matches!(&effects[..], [Effect::Move { moves }] if moves[0].to > to), "never the same again");
}

#[test]
fn who_is_put_first_is_called_first_under_any_precedence() {
    for precedence in [Precedence::Weighted, Precedence::Strict] {
        let room = shared(precedence, [1, 1, 1]);
        let mut bench = three_lines(room);
        ask_for_move(&mut bench, 6, Class::FRONT);
        bench.run(Input::Moved);
        assert_eq!(called(&mut bench, 1_000, room, 2)[0], 6, "{precedence:?}");
    }
}

#[test]
fn only_who_waits_is_moved() {
    let mut bench = Bench::restored(2, Vec::new(), vec![admission(1)]);
    assert_eq!(ask_for_move(&mut bench, 1, VIP), [reply(5_001, Outcome::Admitted(admission(1)))]);
    assert_eq!(ask_for_move(&mut bench, 2, VIP), [reply(5_002, Outcome::NotHere)]);
    bench.run(Input::Join { fan: device(3), reply: 3 });
    bench.run(Input::Stored);
    let asked = bench.run(Input::Move { fan: device(3), class: VIP, reply: 3 });
    assert_eq!(asked, [reply(3, Outcome::AccountNeeded)]);
    let mut bench = three_lines(ROOM);
    let first = called(&mut bench, 1_000, ROOM, 1)[0];
    assert_eq!(ask_for_move(&mut bench, first, VIP), [reply(first + 5_000, Outcome::TryAgain)], "it is being called");
}

#[test]
fn of_two_places_that_a_copy_has_of_a_fan_the_last_one_given_is_theirs() {
    let (old, new) = (at(1, 9).in_class(PRESALE), at(2, 3).in_class(VIP));
    let bench = Bench::restored(3, vec![(old, fan(1)), (new, fan(1)), (at(2, 4), fan(2))], Vec::new());
    assert_eq!((waits(&bench, 1), bench.room.waiting()), (new, 2));
    let bench = Bench::restored(3, vec![(new.in_class(PRESALE), fan(1)), (at(2, 4).in_class(VIP), fan(1))], Vec::new());
    assert_eq!(waits(&bench, 1), at(2, 4).in_class(VIP), "whatever the numbers of the classes");
}

#[test]
fn a_member_who_has_a_place_in_the_own_class_keeps_it_when_a_device_is_tied() {
    let mut bench = Bench::new();
    bench.run(Input::Join { fan: device(1), reply: 1 });
    bench.run(Input::Stored);
    let own = join(&mut bench, 2, VIP);
    let tied = bench.run(Input::Tie { device: device(1), account: fan(2), reply: 7 });
    assert!(tied.contains(&reply(7, Outcome::Waiting { place: own })), "{tied:?}");
    assert_eq!(bench.room.standing(device(1)), Standing::NotHere);
}

#[test]
fn removing_the_first_goes_by_the_order_of_calling() {
    let room = shared(Precedence::Strict, [1, 1, 1]);
    let mut bench = three_lines(room);
    bench.run(Input::RemoveFirst { count: 7, reply: 1 });
    assert_eq!(called(&mut bench, 1_000, room, 3), [22, 23, 24]);
}

#[test]
fn moves_and_joins_are_decided_in_the_order_of_their_places() {
    let mut bench = three_lines(ROOM);
    let joined = Effect::Store { joins: vec![(place(19), fan(7))] };
    assert_eq!(bench.join(7), [joined], "before the move");
    assert_eq!(ask_for_move(&mut bench, 2, Class::DEFAULT), [reply(5_002, Outcome::Waiting { place: place(4) })]);
    assert_eq!(ask_for_move(&mut bench, 12, Class::DEFAULT), [], "it waits for who came before");
    assert_eq!(bench.join(8), [], "and who comes after it waits for it");
    let effects = bench.run(Input::Stored);
    assert!(matches!(&effects[..], [Effect::Reply { .. }, Effect::Move { .. }]), "{effects:?}");
    let effects = bench.run(Input::Moved);
    let joined = Effect::Store { joins: vec![(place(21), fan(8))] };
    assert!(effects.contains(&joined), "{effects:?}");
    assert_eq!(waits(&bench, 12), place(20));
}
