//! What the draw makes of the line, rule by rule.

use super::{
    super::message::{
        DrawStep::{self, Commit, Order, Reveal},
        Entries,
    },
    *,
};
use crate::domain::queue::place::Class;

const BEFORE: Room = Room {
    settings: QueueSettings { mode: Mode::Draw, ..SETTINGS },
    hours: Hours { join_from: EventTime(0), on_sale_at: EventTime(10_000) },
    selling: false,
    open: false,
    upcoming: true,
    draw: DrawStage::Committed,
    ..ROOM
};

fn opened(draw: DrawStage) -> Room {
    Room { selling: true, open: true, upcoming: false, draw, ..BEFORE }
}

/// The place that the draw of a term gives to this rank.
fn drawn(rank: u32) -> Place {
    Place::new(1, rank)
}

fn revealed(last: u32) -> Room {
    opened(DrawStage::Revealed { last: place(last) })
}

/// Fans 1 to `count` have entered, each with a socket; the draw is revealed and its order asked for.
fn entered(count: u32) -> Bench {
    let mut bench = Bench::restored_in(1, Vec::new(), Vec::new(), BEFORE);
    for number in 1..=count {
        bench.run(Input::Present { fan: fan(number) });
        bench.join(number);
    }
    while bench.room.waiting() < count as usize {
        bench.run(Input::Stored);
    }
    bench
}

pub fn steps(effects: &[Effect<u32>]) -> Vec<&DrawStep> {
    effects.iter().filter_map(|effect| if let Effect::Draw(step) = effect { Some(step) } else { None }).collect()
}

fn line(bench: &Bench) -> Vec<(Place, FanId)> {
    bench.room.members(None, 99)
}

#[test]
fn the_seed_is_committed_to_before_anybody_enters() {
    let hours = Hours { join_from: EventTime(100_000), on_sale_at: EventTime(200_000) };
    let none = Room { hours, draw: DrawStage::None, ..BEFORE };
    let mut bench = Bench::restored_in(1, Vec::new(), Vec::new(), none);
    assert_eq!(steps(&bench.run_at(39_999, Input::Tick { room: none })), NO_STEP);
    assert_eq!(steps(&bench.run_at(40_000, Input::Tick { room: none })), [&Commit], "a minute before");
    assert_eq!(steps(&bench.run_at(40_200, Input::Tick { room: none })), NO_STEP, "it is under way");
    bench.now = EventTime(100_000);
    assert_eq!(bench.join(1), [reply(1, Outcome::TryAgain)]);
    assert_eq!(bench.room.publish(bench.now).conditions.entries, Entries::All, "nobody will have a number");
    bench.run(Input::DrawStepped);
    assert_eq!(steps(&bench.run(Input::Tick { room: none })), [&Commit], "it failed, and is tried again");
    bench.run(Input::DrawStepped);
    bench.run(Input::Tick { room: Room { draw: DrawStage::Committed, ..none } });
    assert_eq!(bench.join(1), [store(&[1])]);
}

const NO_STEP: [&DrawStep; 0] = [];

#[test]
fn an_event_that_was_on_sale_before_anybody_could_enter_has_no_draw() {
    let mut bench = Bench::restored_in(1, Vec::new(), Vec::new(), opened(DrawStage::None));
    bench.now = EventTime(10_000);
    bench.run(Input::Present { fan: fan(1) });
    assert_eq!(bench.join(1), [store(&[1])]);
    bench.run(Input::Stored);
    let effects = bench.run(Input::Tick { room: opened(DrawStage::None) });
    assert_eq!(effects.iter().flat_map(admitted_numbers).collect::<Vec<_>>(), [1]);
}

#[test]
fn whoever_has_asked_before_the_closing_takes_part_also_if_the_store_is_slow() {
    let mut bench = entered(2);
    bench.join(3);
    bench.join(4);
    assert_eq!(steps(&bench.run_at(10_000, Input::Tick { room: opened(DrawStage::Committed) })), NO_STEP);
    bench.join(5);
    bench.run(Input::Stored);
    assert_eq!(steps(&bench.run(Input::Tick { room: opened(DrawStage::Committed) })), NO_STEP, "four is not stored");
    bench.run(Input::Stored);
    let effects = bench.run(Input::Tick { room: opened(DrawStage::Committed) });
    let fans = (1..=5).map(fan).collect();
    assert_eq!(steps(&effects), [&DrawStep::Close { fans, last: place(5) }]);
    assert!(effects.iter().flat_map(admitted_numbers).next().is_none(), "nobody is called before the draw");
}

#[test]
fn entries_have_no_order_until_they_are_drawn_and_who_comes_later_stands_behind() {
    let mut bench = entered(3);
    assert_eq!(bench.room.publish(EventTime(1)).conditions.entries, Entries::All);
    let closed = opened(DrawStage::Closed { last: place(3), is_ready: false });
    assert_eq!(steps(&bench.run_at(10_000, Input::Tick { room: closed })), NO_STEP, "the beacon is waited for");
    assert_eq!(bench.room.publish(EventTime(1)).conditions.entries, Entries::UpTo(place(3)));
    bench.run(Input::Present { fan: fan(4) });
    bench.join(4);
    bench.run(Input::Stored);
    let ready = opened(DrawStage::Closed { last: place(3), is_ready: true });
    assert_eq!(steps(&bench.run(Input::Tick { room: ready })), [&Reveal]);
    bench.run(Input::DrawStepped);
    assert_eq!(steps(&bench.run(Input::Tick { room: revealed(3) })), [&Order]);
    bench.run(Input::Drawn { places: vec![(drawn(1), fan(3)), (drawn(2), fan(1)), (drawn(3), fan(2))] });
    let expected = [(drawn(1), fan(3)), (drawn(2), fan(1)), (drawn(3), fan(2)), (place(4), fan(4))];
    assert_eq!(line(&bench), expected);
    let queue = bench.room.publish(EventTime(1));
    assert_eq!(queue.conditions.entries, Entries::Drawn(place(3)));
    assert_eq!((queue.ranks.ahead(drawn(2)), queue.ranks.ahead(place(4))), (1, 3));

    let effects = bench.run_at(11_000, Input::Tick { room: revealed(3) });
    let told = [(3, 1), (1, 2), (2, 3)].map(|(number, rank)| tell(number, News::Placed(drawn(rank))));
    assert_eq!(effects[..3], told);
    let Some(Effect::Admit { admittees }) = effects.last() else { unreachable!("a proposal: {effects:?}") };
    let called: Vec<_> = admittees.iter().map(|admittee| admittee.place).collect();
    assert_eq!(called, [drawn(1), drawn(2), drawn(3), place(4)]);
    assert_eq!(steps(&bench.run(Input::Tick { room: revealed(3) })), NO_STEP, "once");
}

#[test]
fn who_left_after_the_closing_gets_no_place_and_the_others_keep_their_ranks() {
    let mut bench = entered(3);
    bench.run(Input::Tick { room: opened(DrawStage::Closed { last: place(3), is_ready: true }) });
    bench.leave(1);
    bench.run(Input::DrawStepped);
    bench.run(Input::Tick { room: revealed(3) });
    // One who left and came again stands behind.
    bench.join(1);
    bench.run(Input::Stored);
    bench.run(Input::Drawn { places: vec![(drawn(1), fan(3)), (drawn(2), fan(1)), (drawn(3), fan(2))] });
    assert_eq!(line(&bench), [(drawn(1), fan(3)), (drawn(3), fan(2)), (place(4), fan(1))]);
}

#[test]
fn a_drawn_place_that_is_used_up_is_forgotten_as_the_store_knows_it() {
    let mut bench = entered(3);
    bench.run(Input::Tick { room: revealed(3) });
    bench.run(Input::Drawn { places: vec![(drawn(1), fan(3)), (drawn(2), fan(1)), (drawn(3), fan(2))] });
    assert_eq!(bench.leave(3), [tell(3, News::Left), reply(1_003, Outcome::Left), forget(&[3])]);
    assert_eq!(bench.leave(2), [tell(2, News::Left), reply(1_002, Outcome::Left), forget(&[2])]);
    assert_eq!(line(&bench), [(drawn(2), fan(1))]);
}

#[test]
fn after_a_restart_the_same_order_is_made_of_what_the_store_gives_back() {
    let places =
        vec![(place(1), fan(1)), (place(2), fan(2)), (place(3), fan(3)), (at(2, 1), fan(4)), (place(4), fan(5))];
    let mut bench = Bench::restored_in(3, places, Vec::new(), revealed(3));
    let effects = bench.run(Input::Tick { room: revealed(3) });
    assert_eq!(steps(&effects), [&Order]);
    assert!(effects.iter().flat_map(admitted_numbers).next().is_none(), "nobody goes by the old order");
    // The first was admitted before; of the second the copy never heard that the join had failed.
    bench.run(Input::Drawn { places: vec![(drawn(2), fan(1))] });
    assert_eq!(line(&bench), [(drawn(2), fan(1)), (place(4), fan(5)), (at(2, 1), fan(4))]);
    assert_eq!(bench.room.standing(fan(2)), Standing::NotHere);
    assert_eq!(bench.leave(1), [reply(1_001, Outcome::Left), forget(&[1])]);
}

#[test]
fn a_draw_that_is_given_up_leaves_the_order_of_arrival() {
    let mut bench = entered(2);
    let fifo = Room { settings: SETTINGS, ..opened(DrawStage::Closed { last: place(2), is_ready: false }) };
    assert_eq!(bench.proposed(1_000, fifo), [1, 2]);
    assert_eq!(bench.room.publish(EventTime(1)).conditions.entries, Entries::Nobodys);
}

#[test]
fn a_place_is_an_entry_as_long_as_its_order_is_not_known() {
    let (early, late, won) = (place(3), place(9), drawn(1));
    for (entries, expected) in [
        (Entries::Nobodys, [false, false, false]),
        (Entries::All, [true, true, true]),
        (Entries::UpTo(place(5)), [true, false, true]),
        (Entries::Drawn(place(5)), [true, false, false]),
    ] {
        assert_eq!([early, late, won].map(|place| entries.has(place)), expected, "{entries:?}");
    }
}

#[test]
fn the_ranks_are_the_order_of_each_class() {
    let vip = Class(1);
    let mut shares = ROOM.shares;
    shares.weights[1] = 1;
    let with = |room: Room| Room { shares, ..room };
    let mut bench = Bench::restored_in(1, Vec::new(), Vec::new(), with(BEFORE));
    for number in 1..=4 {
        let class = if number > 2 { vip } else { Class::DEFAULT };
        bench.run(Input::Present { fan: fan(number) });
        bench.run(Input::JoinIn { fan: fan(number), class, reply: number });
        bench.run(Input::Stored);
    }
    // Moved before the closing: the place is another, the entry the same.
    bench.run(Input::Move { fan: fan(1), class: vip, reply: 9 });
    bench.run(Input::Moved);
    let closed = opened(DrawStage::Closed { last: place(5), is_ready: true });
    bench.run_at(10_000, Input::Tick { room: with(opened(DrawStage::Committed)) });
    bench.run(Input::DrawStepped);
    bench.run(Input::Tick { room: with(closed) });
    let asked = bench.run(Input::Move { fan: fan(2), class: vip, reply: 9 });
    assert_eq!(asked, [reply(9, Outcome::TryAgain)], "not while it is being drawn");
    bench.run(Input::DrawStepped);
    bench.run(Input::Tick { room: with(revealed(5)) });
    let order = [4, 2, 1, 3].into_iter().zip(1..).map(|(number, rank)| (drawn(rank), fan(number))).collect();
    bench.run(Input::Drawn { places: order });
    let in_class = |rank, class, number| (drawn(rank).in_class(class), fan(number));
    let expected = [in_class(2, Class::DEFAULT, 2), in_class(1, vip, 4), in_class(3, vip, 1), in_class(4, vip, 3)];
    assert_eq!(line(&bench), expected);
    assert_eq!(bench.room.stored_as(drawn(3).in_class(vip)), place(5).in_class(vip), "as the store has it");
    let ranks = bench.room.publish(bench.now).ranks;
    assert_eq!(ranks.ahead_in_class(drawn(4).in_class(vip)), 2);
    let told = bench.run_at(11_000, Input::Tick { room: with(revealed(5)) });
    for (place, fan) in expected {
        assert!(told.contains(&Effect::Tell { fan, news: News::Placed(place) }), "{fan} is told {place}");
    }
}
