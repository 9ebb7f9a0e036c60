//! One rule of the modes a test.

use super::*;

fn room(mode: Mode) -> Room {
    Room { settings: QueueSettings { mode, ..SETTINGS }, ..ROOM }
}

fn numbers(effects: &[Effect<u32>]) -> Vec<u32> {
    effects.iter().flat_map(admitted_numbers).collect()
}

#[test]
fn anybody_of_the_accounts_is_picked_however_many_devices_wait() {
    let random = Room { settings: QueueSettings { mode: Mode::Random, ..SETTINGS }, slots_free: 1, ..ROOM };
    for devices in [3, 40, 4_000] {
        let mut hit = std::collections::BTreeSet::new();
        for dice in 0..40 {
            let mut bench = Bench::restored_in(2, Vec::new(), Vec::new(), random);
            for number in 1..=devices {
                bench.run(Input::Join { fan: device(number), reply: number });
            }
            for number in 1..=3 {
                bench.join(number);
            }
            while bench.room.waiting() < devices as usize + 3 {
                bench.run(Input::Stored);
            }
            let picked = bench.proposed(1_000, Room { dice, ..random });
            assert_eq!(picked.len(), 1, "{devices} {dice}");
            hit.extend(picked);
        }
        assert_eq!(hit.len(), 3, "each of the accounts: {hit:?} of {devices}");
    }
}

#[test]
fn while_admission_is_paused_no_pace_is_told() {
    let mut bench = Bench::with_waiting(30);
    let open = Room { settings: QueueSettings { rate_per_minute: 60_000, ..SETTINGS }, slots_free: 10, ..ROOM };
    bench.proposed(1_000, open);
    bench.run(Input::Admitted { admissions: (1..=10).map(admission).collect() });
    bench.now = EventTime(20_000);
    assert!(bench.room.publish(bench.now).outflow.is_some());
    let paused = Room { settings: QueueSettings { paused: true, ..open.settings }, ..open };
    bench.run(Input::Tick { room: paused });
    assert_eq!(bench.room.publish(bench.now).outflow, None);
}

#[test]
fn the_queue_cannot_be_joined_before_it_opens() {
    let hours = Hours { join_from: EventTime(1_000), on_sale_at: EventTime(5_000) };
    let before = Room { hours, selling: false, ..ROOM };
    let mut bench = Bench::new();
    bench.run(Input::Tick { room: before });
    assert_eq!(bench.join(1), [reply(1, Outcome::NotOpen { from: EventTime(1_000) })]);
    bench.now = EventTime(1_000);
    assert_eq!(bench.join(1), [store(&[1])], "it is open at that very moment");
    assert_eq!(bench.run(Input::Stored), [reply(1, Outcome::Waiting { place: place(1) })]);
    // Put off again: who has a place keeps it.
    let later = Hours { join_from: EventTime(9_000), on_sale_at: EventTime(9_500) };
    bench.run(Input::Tick { room: Room { hours: later, ..before } });
    assert_eq!(bench.join(1), [reply(1, Outcome::Waiting { place: place(1) })]);
    assert_eq!(bench.join(2), [reply(2, Outcome::NotOpen { from: EventTime(9_000) })]);
}

#[test]
fn a_queue_that_rejects_takes_nobody_new_and_goes_on_with_who_waits() {
    let mut bench = Bench::with_waiting(2);
    bench.join(3);
    let effects = bench.run(Input::Tick { room: room(Mode::Reject) });
    assert_eq!(numbers(&effects), [1], "who waits is let in");
    assert_eq!(bench.join(4), [reply(4, Outcome::Closed)]);
    assert_eq!(bench.join(2), [reply(2, Outcome::Waiting { place: place(2) })]);
    assert_eq!(bench.run(Input::Join { fan: fan(3), reply: 13 }), [], "was taken before");
    let told = Outcome::Waiting { place: place(3) };
    assert_eq!(bench.run(Input::Stored), [reply(3, told.clone()), reply(13, told)]);
    bench.run(Input::Admitted { admissions: vec![admission(1)] });
    assert_eq!(bench.join(1), [reply(1, Outcome::Admitted(admission(1)))], "who is admitted is told so");
}

#[test]
fn passthrough_lets_in_whoever_finds_slot_and_stock_whatever_the_rate() {
    let mut bench = Bench::with_waiting(30);
    assert_eq!(bench.proposed(0, Room { slots_free: 25, ..room(Mode::Passthrough) }), (1..=25).collect::<Vec<_>>());
    let mut bench = Bench::with_waiting(30);
    let few = Tickets { free: 2, held: 0 };
    assert_eq!(bench.proposed(0, Room { tickets: few, ..room(Mode::Passthrough) }), [1, 2]);
    let mut bench = Bench::with_waiting(3);
    let paused = QueueSettings { paused: true, ..room(Mode::Passthrough).settings };
    assert_eq!(bench.proposed(0, Room { settings: paused, ..ROOM }), NOBODY, "a pause is a pause");
    assert_eq!(bench.proposed(1, Room { selling: false, ..room(Mode::Passthrough) }), NOBODY);
}

#[test]
fn who_has_just_asked_and_is_let_through_need_not_claim() {
    let present = |mode, now| {
        let mut bench = Bench::new();
        bench.join(1);
        bench.run(Input::Stored);
        let effects = bench.run_at(now, Input::Tick { room: room(mode) });
        let [Effect::Admit { admittees }] = effects.as_slice() else { unreachable!("a proposal: {effects:?}") };
        admittees.iter().all(|admittee| admittee.present)
    };
    assert!(present(Mode::Passthrough, 9_999));
    assert!(!present(Mode::Passthrough, 10_000), "who waited is called");
    assert!(!present(Mode::Fifo, 0));
}

#[test]
fn at_random_anybody_is_called_and_the_dice_say_who() {
    let called = |dice| {
        let mut bench = Bench::with_waiting(50);
        bench.proposed(1_000, Room { dice, ..room(Mode::Random) })
    };
    assert_eq!(called(1).len(), 11, "the rate holds");
    assert_eq!(called(1), called(1));
    assert!((1..9).any(|dice| called(dice) != called(0)), "other dice, other fans");
    let last: std::collections::BTreeSet<_> = (0..99).filter_map(|dice| called(dice).last().copied()).collect();
    assert!(last.contains(&50), "the last one too");
}

#[test]
fn a_random_proposal_that_failed_is_repeated_with_the_same_places() {
    let mut bench = Bench::with_waiting(50);
    let first = bench.proposed(1_000, room(Mode::Random));
    bench.run(Input::AdmitFailed);
    assert_eq!(bench.proposed(2_000, Room { dice: 99, ..room(Mode::Random) }), first);
}

#[test]
fn a_change_of_mode_keeps_every_place() {
    let mut bench = Bench::with_waiting(40);
    let before = bench.room.members(None, 99);
    for mode in [Mode::Random, Mode::Reject, Mode::Passthrough, Mode::Fifo] {
        bench.run(Input::Tick { room: Room { slots_free: 0, ..room(mode) } });
        assert_eq!(bench.room.members(None, 99), before, "{mode:?}");
    }
    assert_eq!(bench.proposed(1_000, room(Mode::Fifo)).first(), Some(&1));
}

/// A safety net that spans from three to five shoppers.
fn net(slots_taken: u32) -> Room {
    let settings = QueueSettings { engage_above: 5, release_below: 3, ..SETTINGS };
    Room { settings, slots_taken, ..ROOM }
}

#[test]
fn the_queue_engages_at_its_threshold_and_lets_go_below_the_other_one() {
    let mut bench = Bench::restored(1, Vec::new(), Vec::new());
    let table =
        [(0, false), (4, false), (5, true), (4, true), (3, true), (2, false), (4, false), (9, true), (0, false)];
    for (at, (taken, engaged)) in (0..).zip(table) {
        bench.run_at(at, Input::Tick { room: net(taken) });
        let queue = bench.room.publish(EventTime(at));
        assert_eq!(queue.conditions.engaged, engaged, "{taken} shop at step {at}");
    }
}

#[test]
fn the_queue_does_not_let_go_while_somebody_waits() {
    let mut bench = Bench::with_waiting(2);
    let stands = Room { slots_free: 0, ..net(5) };
    bench.run(Input::Tick { room: stands });
    bench.run(Input::Tick { room: Room { slots_taken: 0, ..stands } });
    assert!(bench.room.publish(EventTime(1)).conditions.engaged);
    bench.leave(1);
    bench.leave(2);
    bench.run(Input::Tick { room: Room { slots_taken: 0, ..stands } });
    assert!(!bench.room.publish(EventTime(1)).conditions.engaged);
}

#[test]
fn below_the_threshold_as_many_go_in_as_it_has_room_for_and_then_the_rate_counts() {
    let mut bench = Bench::new();
    bench.run(Input::Tick { room: net(0) });
    for number in 1..=20 {
        bench.run(Input::Present { fan: fan(number) });
        bench.join(number);
    }
    while bench.room.waiting() < 20 {
        bench.run(Input::Stored);
    }
    assert_eq!(bench.proposed(0, net(1)), [1, 2, 3, 4], "up to five shop");
    bench.run(Input::Admitted { admissions: (1..=4).map(admission).collect() });
    assert_eq!(bench.proposed(1, net(5)), NOBODY, "the credit is spent");
    assert_eq!(bench.proposed(200, net(5)), [5, 6], "at the rate: two in a fifth of a second");
}

#[test]
fn without_a_threshold_there_is_always_a_queue() {
    let mut bench = Bench::new();
    for taken in [0, 7, 0] {
        bench.run(Input::Tick { room: Room { slots_taken: taken, ..ROOM } });
        assert!(bench.room.publish(EventTime(1)).conditions.engaged);
    }
}

#[test]
fn while_it_is_halted_nobody_comes_in_nobody_is_called_and_nobody_is_given_up() {
    let mut bench = Bench::with_waiting(2);
    bench.join(3);
    let halted = Room { halted: true, ..ROOM };
    assert_eq!(numbers(&bench.run(Input::Tick { room: halted })), NOBODY);
    assert_eq!(numbers(&bench.run(Input::AdmitNow { count: 2 })), NOBODY, "by hand neither");
    assert_eq!(bench.join(4), [reply(4, Outcome::Halted)]);
    assert_eq!(bench.join(2), [reply(2, Outcome::Waiting { place: place(2) })], "who has a place keeps it");
    assert_eq!(bench.run(Input::Stored), [reply(3, Outcome::Waiting { place: place(3) })], "was taken before");
    assert_eq!(bench.run(Input::Join { fan: fan(4), reply: 14 }), [reply(14, Outcome::Halted)]);
    for number in [1, 2] {
        bench.run(Input::Absent { fan: fan(number) });
    }
    bench.now = bench.now + SETTINGS.grace + SETTINGS.grace;
    bench.run(Input::Tick { room: halted });
    assert_eq!(bench.room.waiting(), 3, "nobody is here, and nobody can come");
    let full = Room { slots_free: 0, ..ROOM };
    bench.run(Input::Tick { room: full });
    assert_eq!(bench.room.waiting(), 3, "grace begins anew");
    bench.now = bench.now + SETTINGS.grace;
    bench.run(Input::Tick { room: full });
    assert_eq!(bench.room.waiting(), 0);
}
