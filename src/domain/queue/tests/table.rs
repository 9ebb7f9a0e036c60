//! One rule a test.

use super::*;

#[test]
fn joins_that_arrive_during_a_write_go_in_the_next_one_together() {
    let mut bench = Bench::new();
    assert_eq!(bench.join(1), [store(&[1])]);
    assert_eq!(bench.join(2), []);
    assert_eq!(bench.join(3), []);
    assert_eq!(bench.run(Input::Stored), [reply(1, Outcome::Waiting { place: place(1) }), store(&[2, 3])]);
    let told = [2, 3].map(|number| reply(number, Outcome::Waiting { place: place(number) }));
    assert_eq!(bench.run(Input::Stored), told);
}

#[test]
fn a_batch_of_joins_has_a_largest_size() {
    let mut bench = Bench::new();
    for number in 1..=MAX_JOINS as u32 + 3 {
        bench.join(number);
    }
    for expected in [MAX_JOINS, 2] {
        let effects = bench.run(Input::Stored);
        let sent = effects.iter().find_map(|effect| match effect {
            Effect::Store { joins } => Some(joins.len()),
            _ => None,
        });
        assert_eq!(sent, Some(expected));
    }
}

#[test]
fn a_fan_who_joins_again_gets_the_same_place() {
    let mut bench = Bench::new();
    bench.join(1);
    assert_eq!(bench.run(Input::Join { fan: fan(1), reply: 11 }), [], "while it is being stored");
    let waiting = Outcome::Waiting { place: place(1) };
    assert_eq!(bench.run(Input::Stored), [reply(1, waiting.clone()), reply(11, waiting.clone())]);
    assert_eq!(bench.run(Input::Join { fan: fan(1), reply: 12 }), [reply(12, waiting)], "when it is stored");
}

#[test]
fn an_admitted_fan_who_joins_gets_the_admission() {
    let mut bench = Bench::restored(2, Vec::new(), vec![admission(1)]);
    assert_eq!(bench.join(1), [reply(1, Outcome::Admitted(admission(1)))]);
    assert_eq!(bench.room.standing(fan(1)), Standing::Admitted(admission(1)));
}

#[test]
fn a_failed_write_burns_its_places() {
    let mut bench = Bench::new();
    bench.join(1);
    assert_eq!(bench.run(Input::StoreFailed), [reply(1, Outcome::TryAgain), forget(&[1])]);
    assert_eq!(bench.room.standing(fan(1)), Standing::NotHere);
    assert_eq!(bench.join(1), [Effect::Store { joins: vec![(place(2), fan(1))] }]);
    assert_eq!(bench.room.publish(EventTime(2_000)).newest, place(1), "who comes next has nobody before");
}

#[test]
fn whoever_leaves_while_joining_has_no_place() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.join(2);
    assert_eq!(bench.leave(1), [reply(1, Outcome::Left), reply(1_001, Outcome::Left)], "under way");
    assert_eq!(bench.leave(2), [reply(2, Outcome::Left), reply(1_002, Outcome::Left)], "not yet sent");
    assert_eq!(bench.run(Input::Stored), [forget(&[1])]);
    assert_eq!(bench.room.waiting(), 0);
    assert_eq!(bench.leave(1), [reply(1_001, Outcome::NotHere)]);
    assert_eq!(bench.join(1), [Effect::Store { joins: vec![(place(3), fan(1))] }], "places are not used twice");
}

#[test]
fn a_fan_who_left_while_joining_can_join_again_at_once() {
    let mut bench = Bench::new();
    bench.join(1);
    bench.leave(1);
    assert_eq!(bench.join(1), []);
    assert_eq!(bench.run(Input::Stored), [Effect::Store { joins: vec![(place(2), fan(1))] }, forget(&[1])]);
    assert_eq!(bench.run(Input::Stored), [reply(1, Outcome::Waiting { place: place(2) })]);
}

#[test]
fn the_place_of_a_fan_who_leaves_is_forgotten() {
    let mut bench = Bench::with_waiting(2);
    assert_eq!(bench.leave(1), [tell(1, News::Left), reply(1_001, Outcome::Left), forget(&[1])]);
    assert_eq!(bench.room.members(None, 9), [(place(2), fan(2))]);
}

#[test]
fn the_front_is_proposed_by_rate_slots_and_stock() {
    // After the first tick the bucket has its one admission; at 600 a minute it earns ten in a second.
    let cases = [
        (ROOM, 1_000, vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        (Room { slots_free: 3, ..ROOM }, 1_000, vec![1, 2, 3]),
        (Room { tickets: Tickets { free: 2, held: 0 }, ..ROOM }, 1_000, vec![1, 2]),
        (Room { slots_free: 0, ..ROOM }, 1_000, vec![]),
        (Room { tickets: Tickets { free: 0, held: 0 }, ..ROOM }, 1_000, vec![]),
        (Room { selling: false, ..ROOM }, 1_000, vec![]),
        (Room { settings: QueueSettings { paused: true, ..SETTINGS }, ..ROOM }, 1_000, vec![]),
        (Room { settings: QueueSettings { rate_per_minute: 0, ..SETTINGS }, ..ROOM }, 1_000, vec![]),
        (ROOM, 0, vec![1]),
        (ROOM, 60_000, (1..=20).collect()),
    ];
    for (room, at, expected) in cases {
        assert_eq!(Bench::with_waiting(30).proposed(at, room), expected, "{room:?} at {at}");
    }
}

#[test]
fn what_is_too_much_for_one_proposal_is_proposed_as_soon_as_that_is_answered() {
    let mut bench = Bench::with_waiting(1_300);
    let fast = Room { settings: QueueSettings { rate_per_minute: 1_000_000, slots: 5_000, ..SETTINGS }, ..ROOM };
    let plenty = Room { slots_free: 5_000, tickets: Tickets { free: 5_000, held: 0 }, ..fast };
    let mut proposed = bench.proposed(1_000, plenty);
    for expected in [1..=512, 513..=1_024, 1_025..=1_300] {
        assert_eq!(proposed, expected.collect::<Vec<_>>());
        let effects =
            bench.run_at(1_001, Input::Admitted { admissions: proposed.into_iter().map(admission).collect() });
        proposed = effects.iter().flat_map(admitted_numbers).collect();
    }
    assert_eq!(proposed, NOBODY);
}

#[test]
fn the_rate_is_kept_over_a_minute() {
    let mut bench = Bench::with_waiting(1_000);
    let mut admitted = 0;
    for tick in 1..=240 {
        let proposed = bench.proposed(tick * 250, ROOM);
        admitted += proposed.len();
        bench.run(Input::Admitted { admissions: proposed.into_iter().map(admission).collect() });
    }
    assert_eq!(admitted, 601, "six hundred, and the one that the bucket began with");
    assert_eq!(bench.room.publish(EventTime(60_000)).outflow.map(|outflow| outflow.per_minute), Some(601));
}

#[test]
fn one_proposal_is_under_way_at_a_time() {
    let mut bench = Bench::with_waiting(5);
    assert_eq!(bench.proposed(0, ROOM), [1]);
    assert_eq!(bench.proposed(1_000, ROOM), NOBODY);
    let effects = bench.run(Input::Admitted { admissions: vec![admission(1)] });
    assert_eq!(effects.iter().flat_map(admitted_numbers).collect::<Vec<_>>(), [2, 3, 4, 5], "the next one at once");
    assert!(effects.contains(&tell(1, News::Admitted(admission(1)))) && effects.contains(&forget(&[1])));
    assert_eq!(bench.room.standing(fan(1)), Standing::Admitted(admission(1)));
    assert_eq!(bench.proposed(1_100, ROOM), NOBODY);
}

#[test]
fn a_failed_proposal_is_repeated_with_the_same_places() {
    let mut bench = Bench::with_waiting(5);
    assert_eq!(bench.proposed(100, Room { slots_free: 2, ..ROOM }), [1, 2]);
    assert_eq!(bench.run(Input::AdmitFailed), []);
    let paused = Room { settings: QueueSettings { paused: true, ..SETTINGS }, slots_free: 0, ..ROOM };
    assert_eq!(bench.proposed(1_000, paused), [1, 2], "also when nobody would be proposed now");
    assert_eq!(bench.proposed(2_000, ROOM), NOBODY, "it is under way again");
}

#[test]
fn those_who_found_no_slot_stay_in_front() {
    let mut bench = Bench::with_waiting(4);
    assert_eq!(bench.proposed(200, ROOM), [1, 2, 3]);
    bench.run(Input::Admitted { admissions: vec![admission(1)] });
    assert_eq!(bench.room.members(None, 1), [(place(2), fan(2))]);
    assert_eq!(bench.proposed(300, ROOM), [2, 3, 4]);
}

#[test]
fn an_absent_fan_is_called_and_told_by_when_to_claim() {
    let mut bench = Bench::with_waiting(1);
    bench.run(Input::Absent { fan: fan(1) });
    let effects = bench.run(Input::Tick { room: ROOM });
    let [Effect::Admit { admittees }] = effects.as_slice() else { unreachable!("a proposal: {effects:?}") };
    assert!(admittees.iter().all(|admittee| !admittee.present));
    let called = Admission { claim_by: Some(EventTime(30_000)), ..admission(1) };
    assert_eq!(bench.run(Input::Admitted { admissions: vec![called] }), [tell(1, News::Turn(called)), forget(&[1])]);
    assert_eq!(bench.run(Input::Changed { admission: admission(1) }), [tell(1, News::Admitted(admission(1)))]);
    assert_eq!(bench.run(Input::Changed { admission: admission(1) }), [], "no news the second time");
    assert_eq!(bench.run(Input::Ended { fan: fan(1), place: place(1) }), [tell(1, News::AdmissionEnded)]);
    assert_eq!(bench.room.standing(fan(1)), Standing::NotHere);
}

#[test]
fn news_of_an_admission_that_is_over_changes_nothing() {
    let mut bench = Bench::with_waiting(1);
    bench.proposed(0, ROOM);
    bench.run(Input::Admitted { admissions: vec![admission(1)] });
    assert_eq!(bench.run(Input::Ended { fan: fan(1), place: place(9) }), []);
    bench.run(Input::Ended { fan: fan(1), place: place(1) });
    assert_eq!(bench.run(Input::Changed { admission: admission(1) }), []);
    assert_eq!(bench.run(Input::Ended { fan: fan(1), place: place(1) }), []);
    assert_eq!(bench.room.standing(fan(1)), Standing::NotHere);
}

#[test]
fn an_admission_that_ends_before_its_proposal_is_answered_uses_the_place_up() {
    let mut bench = Bench::with_waiting(1);
    bench.proposed(0, ROOM);
    bench.run(Input::AdmitFailed);
    bench.leave(1);
    let ended = bench.run(Input::Ended { fan: fan(1), place: place(1) });
    assert_eq!(ended, [reply(1_001, Outcome::Left), tell(1, News::AdmissionEnded), forget(&[1])]);
    assert_eq!(bench.proposed(1_000, ROOM), NOBODY);
    assert_eq!(bench.run(Input::Admitted { admissions: vec![admission(1)] }), [], "too late");
    assert_eq!(bench.room.standing(fan(1)), Standing::NotHere);
}

#[test]
fn whoever_leaves_while_proposed_is_answered_when_it_is_known() {
    let mut bench = Bench::with_waiting(2);
    assert_eq!(bench.proposed(100, ROOM), [1, 2]);
    assert_eq!(bench.leave(1), []);
    assert_eq!(bench.leave(2), []);
    let told = tell(1, News::Admitted(admission(1)));
    let effects = bench.run(Input::Admitted { admissions: vec![admission(1)] });
    let (first, second) = (reply(1_001, Outcome::Admitted(admission(1))), reply(1_002, Outcome::Left));
    assert_eq!(effects, [told, first, tell(2, News::Left), second, forget(&[1, 2])]);
}

#[test]
fn a_place_is_kept_for_the_grace_time() {
    let mut bench = Bench::with_waiting(2);
    let nothing = Room { selling: false, ..ROOM };
    bench.run_at(1_000, Input::Absent { fan: fan(1) });
    assert_eq!(bench.run_at(60_999, Input::Tick { room: nothing }), []);
    assert_eq!(bench.run_at(61_000, Input::Tick { room: nothing }), [forget(&[1])]);
    assert_eq!(bench.room.standing(fan(1)), Standing::NotHere);
    assert_eq!(bench.run_at(999_000, Input::Tick { room: nothing }), [], "the other is here");
}

#[test]
fn joining_again_is_a_sign_of_life() {
    let mut bench = Bench::with_waiting(1);
    bench.run_at(1_000, Input::Absent { fan: fan(1) });
    bench.run_at(50_000, Input::Join { fan: fan(1), reply: 2 });
    assert_eq!(bench.run_at(61_000, Input::Tick { room: Room { selling: false, ..ROOM } }), []);
}

#[test]
fn an_admin_admits_beyond_the_rate_and_within_the_slots() {
    let mut bench = Bench::with_waiting(9);
    let slow = Room { settings: QueueSettings { rate_per_minute: 0, ..SETTINGS }, slots_free: 3, ..ROOM };
    assert_eq!(bench.proposed(0, slow), NOBODY);
    let effects = bench.run(Input::AdmitNow { count: 5 });
    assert_eq!(effects.iter().flat_map(admitted_numbers).collect::<Vec<_>>(), [1, 2, 3]);
    let admissions = (1..=3).map(admission).collect();
    let effects = bench.run(Input::Admitted { admissions });
    assert!(effects.iter().flat_map(admitted_numbers).next().is_none(), "no slot is left: {effects:?}");
    assert_eq!(bench.proposed(1_000, slow), NOBODY, "and the wish does not wait for one");
}

#[test]
fn an_admins_admissions_do_not_use_up_the_rate() {
    let mut bench = Bench::with_waiting(9);
    let paused = Room { settings: QueueSettings { paused: true, ..SETTINGS }, ..ROOM };
    assert_eq!(bench.proposed(0, paused), NOBODY);
    bench.run(Input::AdmitNow { count: 2 });
    bench.run(Input::Admitted { admissions: vec![admission(1), admission(2)] });
    assert_eq!(bench.proposed(0, ROOM), [3], "the rate's one is still there");
}

#[test]
fn an_admin_admits_while_admission_is_paused() {
    let mut bench = Bench::with_waiting(2);
    let paused = Room { settings: QueueSettings { paused: true, ..SETTINGS }, ..ROOM };
    assert_eq!(bench.proposed(0, paused), NOBODY);
    let effects = bench.run(Input::AdmitNow { count: 1 });
    assert_eq!(effects.iter().flat_map(admitted_numbers).collect::<Vec<_>>(), [1]);
}

#[test]
fn an_admins_wish_waits_for_the_proposal_under_way() {
    let mut bench = Bench::with_waiting(4);
    assert_eq!(bench.proposed(0, ROOM), [1]);
    assert_eq!(bench.run(Input::AdmitNow { count: 2 }), []);
    let effects = bench.run(Input::Admitted { admissions: vec![admission(1)] });
    assert_eq!(effects.iter().flat_map(admitted_numbers).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn an_admin_removes_fans_by_name_by_number_or_all() {
    let mut bench = Bench::with_waiting(6);
    bench.run(Input::Absent { fan: fan(3) });
    let effects = bench.run(Input::Remove { fans: vec![fan(5), fan(5), fan(99)], reply: 1 });
    assert_eq!(effects, [tell(5, News::Removed), reply(1, Outcome::Removed { count: 1 }), forget(&[5])]);
    let effects = bench.run(Input::RemoveFirst { count: 1, reply: 2 });
    assert_eq!(effects, [tell(1, News::Removed), reply(2, Outcome::Removed { count: 1 }), forget(&[1])]);
    let effects = bench.run(Input::Clear { reply: 3 });
    let told = [2, 4, 6].map(|number| tell(number, News::Removed));
    assert_eq!(effects[..3], told);
    assert_eq!(effects[3..], [reply(3, Outcome::Removed { count: 4 }), forget(&[2, 3, 4, 6])]);
    assert_eq!(bench.room.waiting(), 0);
}

#[test]
fn an_admin_does_not_remove_who_is_being_admitted() {
    let mut bench = Bench::with_waiting(2);
    assert_eq!(bench.proposed(0, ROOM), [1]);
    let effects = bench.run(Input::Clear { reply: 3 });
    assert_eq!(effects, [tell(2, News::Removed), reply(3, Outcome::Removed { count: 1 }), forget(&[2])]);
    bench.run(Input::Admitted { admissions: vec![admission(1)] });
    assert_eq!(bench.room.standing(fan(1)), Standing::Admitted(admission(1)));
}

#[test]
fn a_new_term_keeps_the_order_and_the_burnt_places() {
    let places = vec![(at(2, 1), fan(3)), (at(1, 7), fan(1)), (at(1, 9), fan(2))];
    let mut bench = Bench::restored(3, places, Vec::new());
    bench.join(4);
    bench.run(Input::Stored);
    let order: Vec<_> = bench.room.members(None, 9).into_iter().map(|(_, fan)| fan).collect();
    assert_eq!(order, [1, 2, 3, 4].map(fan));
    assert_eq!(bench.room.standing(fan(4)), Standing::Waiting(at(3, 1)));

    let mut bench = Bench::restored(3, vec![(at(3, 5), fan(1))], Vec::new());
    assert_eq!(bench.join(2), [Effect::Store { joins: vec![(at(3, 6), fan(2))] }]);
}

#[test]
fn a_copy_with_too_much_in_it_is_set_right() {
    let places = vec![(place(1), fan(1)), (place(5), fan(1)), (place(3), fan(3)), (place(4), fan(4))];
    let mut bench = Bench::restored(2, places, vec![admission(3)]);
    assert_eq!(bench.room.members(None, 9), [(place(4), fan(4)), (place(5), fan(1))]);
    let effects = bench.run(Input::Tick { room: Room { selling: false, ..ROOM } });
    assert_eq!(effects, [forget(&[1, 3])], "one place a fan, none beside an admission");
}

#[test]
fn everybody_has_the_grace_time_to_come_back_after_a_restart() {
    let mut bench = Bench::restored(2, vec![(place(1), fan(1)), (place(2), fan(2))], Vec::new());
    bench.run_at(30_000, Input::Present { fan: fan(2) });
    let nothing = Room { selling: false, ..ROOM };
    assert_eq!(bench.run_at(59_999, Input::Tick { room: nothing }), []);
    assert_eq!(bench.run_at(60_000, Input::Tick { room: nothing }), [forget(&[1])]);
    assert_eq!(bench.room.members(None, 9), [(place(2), fan(2))]);
}

#[test]
fn members_are_read_page_by_page() {
    let bench = Bench::with_waiting(5);
    assert_eq!(bench.room.members(None, 2), [(place(1), fan(1)), (place(2), fan(2))]);
    assert_eq!(bench.room.members(Some(place(2)), 9).len(), 3);
}

#[test]
fn what_is_published_gives_everybody_their_position() {
    let mut bench = Bench::with_waiting(5);
    bench.leave(2);
    let queue = bench.room.publish(EventTime(5));
    assert_eq!((queue.ranks.total(), queue.ranks.ahead(place(4)), queue.outflow), (4, 2, None));
}

#[test]
fn a_shopper_is_told_a_minute_before_the_end_and_again_after_an_extension() {
    let mut bench = Bench::with_waiting(1);
    bench.proposed(0, ROOM);
    bench.run(Input::Admitted { admissions: vec![admission(1)] });
    let nobody_else = Room { selling: false, ..ROOM };
    assert_eq!(bench.run_at(939_999, Input::Tick { room: nobody_else }), []);
    let soon = |admission| [tell(1, News::AdmissionEndsSoon(admission))];
    assert_eq!(bench.run_at(940_000, Input::Tick { room: nobody_else }), soon(admission(1)));
    assert_eq!(bench.run_at(941_000, Input::Tick { room: nobody_else }), [], "once");
    let extended = Admission { until: EventTime(1_300_000), extended: true, ..admission(1) };
    assert_eq!(bench.run(Input::Changed { admission: extended }), [tell(1, News::Admitted(extended))]);
    assert_eq!(bench.run(Input::Changed { admission: admission(1) }), [], "what was before is no news");
    assert_eq!(bench.run_at(1_239_999, Input::Tick { room: nobody_else }), []);
    assert_eq!(bench.run_at(1_240_000, Input::Tick { room: nobody_else }), soon(extended));
    // Nobody is told of an admission that is over.
    let mut bench = Bench::restored(2, Vec::new(), vec![admission(1)]);
    bench.run(Input::Ended { fan: fan(1), place: place(1) });
    assert_eq!(bench.run_at(950_000, Input::Tick { room: nobody_else }), []);
}

#[test]
fn nobody_is_called_for_what_those_who_shop_will_take() {
    // (free, held, holds, shoppers) and how many more are let in.
    let cases = [
        ((10, 0, 0, 0), 10),
        ((10, 0, 0, 9), 1),
        ((10, 0, 0, 10), 0),
        // Those with a hold have what they want; the others will take as much each.
        ((10, 8, 4, 4), 5),
        ((10, 8, 4, 9), 0),
        ((10, 9, 4, 6), 1),
        // Too little for an average hold is still something for one.
        ((1, 8, 2, 2), 1),
        ((0, 8, 2, 2), 0),
    ];
    for ((free, held, holds, shoppers), expected) in cases {
        let room = Room { tickets: Tickets { free, held }, holds, ..ROOM };
        assert_eq!(room.served(shoppers), expected, "{free} free, {held} in {holds} holds, {shoppers} shoppers");
    }
}

#[test]
fn a_journal_that_takes_long_slows_admission_down() {
    let mut bench = Bench::with_waiting(9);
    assert_eq!(bench.room.publish(EventTime(0)).pace_percent, 100);
    assert_eq!(bench.proposed(0, ROOM), [1]);
    bench.run_at(1_001, Input::Admitted { admissions: vec![admission(1)] });
    assert_eq!(bench.room.publish(EventTime(1_001)).pace_percent, 50);
    assert_eq!(bench.proposed(2_000, ROOM), [2, 3, 4, 5, 6, 7, 8, 9], "of what was earned until now half");
    bench.run(Input::AdmitFailed);
    assert_eq!(bench.room.publish(EventTime(2_000)).pace_percent, 25);
}

#[test]
fn who_takes_nothing_within_the_claim_window_holds_nobody_up() {
    let mut bench = Bench::with_waiting(5);
    let last_two = Room { tickets: Tickets { free: 2, held: 0 }, ..ROOM };
    assert_eq!(bench.proposed(1_000, last_two), [1, 2]);
    bench.run(Input::Admitted { admissions: vec![admission(1), admission(2)] });
    assert_eq!(bench.proposed(30_999, last_two), NOBODY, "these two may be about to take the last two");
    assert_eq!(bench.proposed(31_000, last_two), [3, 4]);
}

#[test]
fn whoever_leaves_is_told_so_on_every_socket() {
    let mut bench = Bench::with_waiting(2);
    assert_eq!(bench.leave(1), [tell(1, News::Left), reply(1_001, Outcome::Left), forget(&[1])]);
    assert_eq!(bench.proposed(0, ROOM), [2]);
    assert_eq!(bench.leave(2), []);
    let none = bench.run(Input::Admitted { admissions: Vec::new() });
    assert_eq!(none, [tell(2, News::Left), reply(1_002, Outcome::Left), forget(&[2])]);
}
