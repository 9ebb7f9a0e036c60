//! Devices: a place before signing in, and whose it becomes.

use super::*;

/// The device 1 and the fans 2 to `count` wait, each at the place of the same number.
fn waiting(count: u32) -> Bench {
    let mut bench = Bench::new();
    bench.run(Input::Join { fan: device(1), reply: 1 });
    (2..=count).for_each(|number| drop(bench.join(number)));
    bench.run(Input::Stored);
    bench.run(Input::Stored);
    bench
}

/// Asked by the account `number`.
fn tie(bench: &mut Bench, number: u32) -> Vec<Effect<u32>> {
    bench.run(Input::Tie { device: device(1), account: fan(number), reply: 100 + number })
}

fn passes(number: u32) -> Effect<u32> {
    Effect::Tie { ties: vec![Tie { place: place(1), device: device(1), account: fan(number) }] }
}

fn told_tied() -> Effect<u32> {
    Effect::Tell { fan: device(1), news: News::Tied }
}

#[test]
fn a_place_passes_on_when_that_is_stored_and_not_before() {
    let mut bench = waiting(2);
    assert_eq!(tie(&mut bench, 9), [passes(9)]);
    assert_eq!(bench.room.standing(fan(9)), Standing::NotHere);
    assert_eq!(bench.join(9), [reply(9, Outcome::TryAgain)], "its place is on the way");
    let waits = Outcome::Waiting { place: place(1) };
    assert_eq!(bench.run(Input::Tied), [told_tied(), tell(9, News::Placed(place(1))), reply(109, waits.clone())]);
    assert_eq!(bench.room.standing(device(1)), Standing::NotHere);
    assert_eq!(tie(&mut bench, 9), [reply(109, waits.clone())], "again: the same");
    assert_eq!(bench.join(9), [reply(9, waits)]);
    assert_eq!(bench.proposed(1, ROOM), [1]);
}

#[test]
fn of_two_places_the_earlier_stays() {
    let mut bench = waiting(3);
    tie(&mut bench, 3);
    let told = [told_tied(), tell(3, News::Placed(place(1))), reply(103, Outcome::Waiting { place: place(1) })];
    assert_eq!(bench.run(Input::Tied), [&told[..], &[forget(&[3])]].concat());
    assert_eq!(bench.room.members(None, 9), [(place(1), fan(3)), (place(2), fan(2))]);

    let mut bench = Bench::new();
    bench.join(1);
    bench.run(Input::Join { fan: device(1), reply: 2 });
    bench.run(Input::Stored);
    bench.run(Input::Stored);
    let kept = reply(101, Outcome::Waiting { place: place(1) });
    assert_eq!(tie(&mut bench, 1), [told_tied(), kept, forget(&[2])], "its own, and nothing is to be stored");
    assert_eq!(bench.room.members(None, 9), [(place(1), fan(1))]);
}

#[test]
fn a_device_is_one_accounts_and_takes_no_second_place() {
    let mut bench = waiting(2);
    tie(&mut bench, 9);
    assert_eq!(tie(&mut bench, 2), [reply(102, Outcome::TryAgain)]);
    bench.run(Input::Tied);
    assert_eq!(tie(&mut bench, 2), [reply(102, Outcome::DeviceTied)]);
    assert_eq!(bench.run(Input::Join { fan: device(1), reply: 5 }), [reply(5, Outcome::DeviceTied)]);
}

#[test]
fn where_the_store_fails_everybody_is_where_they_were() {
    let mut bench = waiting(2);
    tie(&mut bench, 2);
    assert_eq!(bench.run(Input::TieFailed), [reply(102, Outcome::TryAgain)]);
    assert_eq!(bench.room.members(None, 9), [(place(1), device(1)), (place(2), fan(2))]);
    assert_eq!(tie(&mut bench, 2), [passes(2)]);
}

#[test]
fn devices_are_passed_over_and_keep_their_places() {
    let mut bench = waiting(3);
    for mode in [Mode::Fifo, Mode::Passthrough, Mode::Random] {
        let room = Room { settings: QueueSettings { mode, ..SETTINGS }, slots_free: 3, ..ROOM };
        let proposed = bench.proposed(1, room);
        assert!(proposed.iter().all(|&number| number == 2 || number == 3), "{proposed:?}");
        bench.run(Input::AdmitFailed);
    }
    assert_eq!(bench.room.standing(device(1)), Standing::Waiting(place(1)));
}

#[test]
fn a_place_that_passes_on_is_not_taken_away_and_nobody_leaves_meanwhile() {
    let mut bench = waiting(2);
    tie(&mut bench, 9);
    for fan in [device(1), fan(9)] {
        assert_eq!(bench.run(Input::Leave { fan, reply: 7 }), [reply(7, Outcome::TryAgain)]);
    }
    let removed = bench.run(Input::Clear { reply: 8 });
    assert_eq!(removed, [reply(8, Outcome::Removed { count: 1 }), forget(&[2])]);
    bench.run_at(1_000_000, Input::Tick { room: ROOM });
    bench.run(Input::Tied);
    assert_eq!(bench.room.members(None, 9), [(place(1), fan(9))]);
}

#[test]
fn an_account_is_not_called_while_a_better_place_is_on_the_way_and_keeps_one_that_it_is_called_at() {
    let mut bench = waiting(2);
    tie(&mut bench, 2);
    assert_eq!(bench.proposed(1, ROOM), NOBODY);
    bench.run(Input::Tied);
    assert_eq!(bench.proposed(2, ROOM), [1]);

    let mut bench = waiting(2);
    assert_eq!(bench.proposed(1, ROOM), [2]);
    let kept = reply(102, Outcome::Waiting { place: place(2) });
    assert_eq!(tie(&mut bench, 2), [told_tied(), kept, forget(&[1])]);
}

#[test]
fn a_place_that_two_have_after_a_loss_is_the_accounts() {
    for places in [[device(1), fan(9)], [fan(9), device(1)]] {
        let bench = Bench::restored(2, places.map(|fan| (place(1), fan)).to_vec(), Vec::new());
        assert_eq!(bench.room.members(None, 9), [(place(1), fan(9))]);
    }
}

#[test]
fn who_takes_part_in_a_draw_has_an_account() {
    let upcoming = Room {
        settings: QueueSettings { mode: Mode::Draw, ..SETTINGS },
        hours: Hours { join_from: EventTime(0), on_sale_at: EventTime(10_000) },
        selling: false,
        open: false,
        upcoming: true,
        draw: DrawStage::Committed,
        ..ROOM
    };
    let mut bench = Bench::restored_in(1, Vec::new(), Vec::new(), upcoming);
    let join = |bench: &mut Bench| bench.run(Input::Join { fan: device(1), reply: 1 });
    assert_eq!(join(&mut bench), [reply(1, Outcome::AccountNeeded)]);
    let closed =
        Room { open: true, upcoming: false, draw: DrawStage::Closed { last: place(0), is_ready: false }, ..upcoming };
    bench.run_at(10_000, Input::Tick { room: closed });
    assert_eq!(join(&mut bench).len(), 1, "those who come later are not drawn");
}
