//! What comes back by tickets after the store has lost it, rule by rule and under random play.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    super::{Class, Loss},
    draw::steps,
    *,
};
use crate::domain::{inventory::AdmittedPlaces, queue::DrawStep};

const GRACE: Millis = Millis::seconds(15);
const OVER: u64 = 15_000;

fn loss() -> Loss {
    Loss { before_term: 2, grace: GRACE, ..Loss::default() }
}

/// The second term, whose store has kept nothing.
fn lost(loss: Loss) -> Bench {
    lost_in(ROOM, loss)
}

fn lost_in(room: Room, loss: Loss) -> Bench {
    let Bench { room, now } = Bench::restored_in(2, Vec::new(), Vec::new(), room);
    Bench { room: room.with_loss(now, loss), now }
}

impl Bench {
    /// Shows the ticket of the first term's place of the fan's number.
    fn show(&mut self, number: u32) -> Vec<Effect<u32>> {
        self.run(Input::Restore { fan: fan(number), place: place(number), class: Class::DEFAULT, reply: number })
    }

    fn come_back(&mut self, number: u32) {
        self.run(Input::Present { fan: fan(number) });
        self.show(number);
        assert_eq!(self.run(Input::Stored), [waits(number, place(number))]);
    }
}

fn waits(number: u32, place: Place) -> Effect<u32> {
    reply(number, Outcome::Waiting { place })
}

#[test]
fn tickets_stand_where_they_say_and_nobody_is_called_before_all_had_their_time() {
    let mut bench = lost(loss());
    assert_eq!(bench.show(3), [store(&[3])], "stored before it is told");
    // Meanwhile others come, with tickets and without.
    assert_eq!(bench.show(1), []);
    assert_eq!(bench.join(9), []);
    let next = Effect::Store { joins: vec![(place(1), fan(1)), (at(2, 1), fan(9))] };
    assert_eq!(bench.run(Input::Stored), [waits(3, place(3)), next]);
    assert_eq!(bench.run(Input::Stored), [waits(1, place(1)), waits(9, at(2, 1))]);
    let line = vec![(place(1), fan(1)), (place(3), fan(3)), (at(2, 1), fan(9))];
    assert_eq!(bench.room.members(None, 9), line);
    assert_eq!(bench.proposed(OVER - 1, ROOM), NOBODY);
    assert!(bench.room.publish(bench.now).conditions.rebuilding);
    bench.run(Input::AdmitNow { count: 1 });
    assert_eq!(bench.proposed(OVER - 1, ROOM), NOBODY, "by hand neither");
    assert_eq!(bench.proposed(OVER, Room { slots_free: 1, ..ROOM }), [1]);
    assert!(!bench.room.publish(bench.now).conditions.rebuilding);
}

#[test]
fn a_ticket_of_what_was_not_lost_or_is_used_up_is_as_good_as_none() {
    let mut admitted = AdmittedPlaces::default();
    admitted.insert(place(1));
    let used = Loss { admitted, spent: [place(2)].into(), ..loss() };
    let newer = |bench: &mut Bench, number: u32| {
        bench.run(Input::Restore { fan: fan(number), place: at(2, number), class: Class::DEFAULT, reply: number })
    };
    type Show = fn(&mut Bench, u32) -> Vec<Effect<u32>>;
    let cases: [(Bench, u32, Show); 5] = [
        (lost(used.clone()), 1, Bench::show),
        (lost(used), 2, Bench::show),
        (Bench::restored(2, Vec::new(), Vec::new()), 3, Bench::show),
        (lost(Loss { before_term: 1, ..loss() }), 4, Bench::show),
        (lost(loss()), 5, newer),
    ];
    for (mut bench, number, show) in cases {
        let end = Effect::Store { joins: vec![(at(2, 1), fan(number))] };
        assert_eq!(show(&mut bench, number), [end], "{number}");
        assert_eq!(bench.run(Input::Stored), [waits(number, at(2, 1))]);
    }
}

#[test]
fn whoever_is_let_in_or_leaves_does_not_come_back_by_the_ticket() {
    let mut bench = lost(loss());
    bench.come_back(1);
    bench.come_back(2);
    assert_eq!(bench.leave(2)[0], tell(2, News::Left));
    assert_eq!(bench.proposed(OVER, ROOM), [1]);
    bench.run(Input::Admitted { admissions: vec![admission(1)] });
    assert_eq!(bench.show(1), [reply(1, Outcome::Admitted(admission(1)))]);
    bench.run(Input::Ended { fan: fan(1), place: place(1) });
    for number in [1, 2] {
        assert_eq!(bench.show(number), [Effect::Store { joins: vec![(at(2, number), fan(number))] }]);
        bench.run(Input::Stored);
    }
}

#[test]
fn who_comes_late_stands_before_those_behind_and_their_numbers_do_not_rise() {
    let mut bench = lost(loss());
    bench.come_back(2);
    bench.come_back(4);
    bench.now = EventTime(OVER);
    bench.come_back(3);
    let ranks = bench.room.publish(bench.now).ranks;
    assert_eq!([2, 3, 4].map(|number| ranks.ahead(place(number))), [0, 1, 1]);
    bench.come_back(1);
    let slots = Room { slots_free: 100, settings: QueueSettings { rate_per_minute: 60_000, ..SETTINGS }, ..ROOM };
    bench.now = EventTime(OVER + 60_000);
    assert_eq!(bench.proposed(OVER + 60_000, slots), [1, 2, 3, 4]);
    bench.run(Input::Admitted { admissions: [1, 2, 3].map(admission).to_vec() });
    assert_eq!(bench.room.publish(bench.now).ranks.ahead(place(4)), 0);
}

#[test]
fn who_came_without_the_ticket_moves_forward_by_it_once_the_store_has_it_so() {
    let mut bench = lost(loss());
    bench.join(7);
    assert_eq!(bench.show(7), [reply(7, Outcome::TryAgain)], "a place is just being given");
    bench.run(Input::Stored);
    assert_eq!(bench.show(7), [store(&[7])]);
    assert_eq!(bench.room.standing(fan(7)), Standing::Waiting(at(2, 1)));
    let moved = [tell(7, News::Placed(place(7))), waits(7, place(7)), Effect::Forget { places: vec![at(2, 1)] }];
    assert_eq!(bench.run(Input::Stored), moved);
    assert_eq!(bench.room.members(None, 9), [(place(7), fan(7))]);
    // The better of two tickets counts, once.
    let worse = bench.run(Input::Restore { fan: fan(7), place: place(8), class: Class::DEFAULT, reply: 7 });
    assert_eq!(worse, [waits(7, place(7))]);
    let others = bench.run(Input::Restore { fan: fan(8), place: place(7), class: Class::DEFAULT, reply: 8 });
    assert_eq!(others, [Effect::Store { joins: vec![(at(2, 2), fan(8))] }], "a place has one fan");
}

#[test]
fn a_store_that_fails_costs_no_ticket_and_who_leaves_meanwhile_has_left() {
    let mut bench = lost(loss());
    bench.show(1);
    assert_eq!(bench.show(1), [], "asked twice");
    assert_eq!(bench.run(Input::StoreFailed), [reply(1, Outcome::TryAgain), reply(1, Outcome::TryAgain)]);
    bench.come_back(1);
    bench.show(2);
    bench.show(3);
    assert_eq!(bench.leave(2), [reply(2, Outcome::Left), reply(1_002, Outcome::Left)]);
    assert_eq!(bench.leave(3), [reply(3, Outcome::Left), reply(1_003, Outcome::Left)]);
    assert_eq!(bench.run(Input::Stored), [forget(&[2])]);
    assert_eq!(bench.show(2), [Effect::Store { joins: vec![(at(2, 1), fan(2))] }], "used up");
    bench.run(Input::Stored);
    bench.come_back(3);
}

const DRAW: Room = Room {
    settings: QueueSettings { mode: Mode::Draw, ..SETTINGS },
    hours: Hours { join_from: EventTime(0), on_sale_at: EventTime(1_000) },
    ..ROOM
};

#[test]
fn entries_close_when_those_that_were_lost_had_their_time() {
    let committed = Room { draw: DrawStage::Committed, ..DRAW };
    let mut bench = lost_in(committed, loss());
    bench.come_back(2);
    bench.come_back(1);
    assert!(steps(&bench.run_at(OVER - 1, Input::Tick { room: committed })).is_empty());
    let close = DrawStep::Close { fans: vec![fan(1), fan(2)], last: at(2, 0) };
    assert_eq!(steps(&bench.run_at(OVER, Input::Tick { room: committed })), [&close]);
}

#[test]
fn who_was_drawn_comes_back_to_the_drawn_place_by_either_ticket_or_by_none() {
    let drawn = |rank| Place::new(1, rank);
    let room = Room { draw: DrawStage::Revealed { last: place(4) }, ..DRAW };
    let order: Vec<_> = (1..=5).map(|rank| (drawn(rank), fan(6 - rank))).collect();
    let restore = |bench: &mut Bench, number: u32, place: Place| {
        bench.run(Input::Restore { fan: fan(number), place, class: Class::DEFAULT, reply: number });
        bench.run(Input::Stored)
    };
    let mut bench = lost_in(room, Loss { spent: [drawn(5)].into(), ..loss() });
    bench.run(Input::Join { fan: fan(3), reply: 3 });
    bench.run(Input::Stored);
    bench.run_at(1_000, Input::Tick { room });
    assert_eq!(bench.show(2), [reply(2, Outcome::TryAgain)], "the order is not known yet");
    bench.run(Input::Drawn { places: order });
    // The first's drawn place is used up: the ticket is as good as none.
    restore(&mut bench, 1, place(1));
    restore(&mut bench, 2, drawn(4));
    bench.run(Input::Join { fan: fan(9), reply: 9 });
    bench.run(Input::Stored);
    restore(&mut bench, 4, place(4));
    let line: Vec<_> = bench.room.members(None, 9).into_iter().map(|(_, fan)| fan).collect();
    assert_eq!(line, [4, 3, 2, 1, 9].map(fan));
    let gone = bench.leave(4);
    let forgotten = |effect: &Effect<u32>| matches!(effect, Effect::Forget { places } if places.contains(&drawn(2)));
    assert!(gone.iter().any(forgotten), "{gone:?}");
    restore(&mut bench, 4, place(4));
    assert_ne!(bench.room.standing(fan(4)), Standing::Waiting(drawn(2)), "used up");
}

#[test]
fn who_comes_back_while_entries_close_does_not_stand_among_those_who_are_drawn() {
    let committed = Room { draw: DrawStage::Committed, ..DRAW };
    let mut bench = lost_in(committed, loss());
    bench.come_back(2);
    assert_eq!(steps(&bench.run_at(OVER, Input::Tick { room: committed })).len(), 1);
    assert_eq!(bench.show(1), [reply(1, Outcome::TryAgain)]);
    let room = Room { draw: DrawStage::Revealed { last: at(2, 0) }, ..DRAW };
    bench.run(Input::DrawStepped);
    bench.run_at(OVER + 1, Input::Tick { room });
    bench.run(Input::Drawn { places: vec![(Place::new(2, 1), fan(2))] });
    bench.show(1);
    bench.run(Input::Stored);
    assert_eq!(bench.room.members(None, 9), [(Place::new(2, 1), fan(2)), (at(2, 1), fan(1))]);
}

#[derive(Debug, Clone)]
enum Play {
    Show(u32),
    Join(u32),
    Leave(u32),
    StoreReturns { done: bool },
    Tick { millis: u64 },
    AdmitReturns { done: bool },
}

fn play() -> impl Strategy<Value = Play> {
    prop_oneof![
        6 => (1u32..30).prop_map(Play::Show),
        3 => (1u32..40).prop_map(Play::Join),
        1 => (1u32..40).prop_map(Play::Leave),
        6 => prop::bool::weighted(0.8).prop_map(|done| Play::StoreReturns { done }),
        3 => (0u64..3_000).prop_map(|millis| Play::Tick { millis }),
        2 => any::<bool>().prop_map(|done| Play::AdmitReturns { done }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// I-21 and I-26 after a loss: the front is always called, by places of tickets; numbers do not rise; nothing before its time.
    #[test]
    fn tickets_shown_in_any_order_make_the_old_line_again(plays in prop::collection::vec(play(), 1..200)) {
        let mut bench = lost(loss());
        let (mut storing, mut proposed) = (None::<Vec<(Place, FanId)>>, None::<Vec<(Place, FanId)>>);
        let mut numbers: BTreeMap<Place, usize> = BTreeMap::new();
        let (mut let_in, mut restored) = (BTreeSet::new(), BTreeMap::new());
        let room = Room { settings: QueueSettings { grace: Millis::minutes(10_000), ..SETTINGS }, ..ROOM };
        for play in plays {
            let effects = match play {
                Play::Show(number) => bench.show(number),
                Play::Join(number) => bench.join(number),
                Play::Leave(number) => {
                    restored.remove(&fan(number));
                    bench.leave(number)
                }
                Play::StoreReturns { done } if storing.take().is_some() => {
                    bench.run(if done { Input::Stored } else { Input::StoreFailed })
                }
                Play::AdmitReturns { done } => match proposed.take() {
                    None => continue,
                    Some(_) if !done => bench.run(Input::AdmitFailed),
                    Some(places) => {
                        let admission = |&(place, fan): &(Place, FanId)| Admission { place, fan, ..admission(1) };
                        let_in.extend(places.iter().map(|(place, _)| *place));
                        restored.retain(|_, place| !let_in.contains(place));
                        bench.run(Input::Admitted { admissions: places.iter().map(admission).collect() })
                    }
                },
                Play::Tick { millis } => bench.run_at(bench.now.0 + millis, Input::Tick { room }),
                Play::StoreReturns { .. } => continue,
            };
            for effect in effects {
                match effect {
                    Effect::Store { joins } => {
                        prop_assert!(storing.is_none(), "two writes at once");
                        storing = Some(joins);
                    }
                    Effect::Admit { admittees } => {
                        prop_assert!(bench.now.0 >= OVER, "called too early");
                        let places: Vec<_> = admittees.iter().map(|one| (one.place, one.fan)).collect();
                        prop_assert!(places.iter().all(|(place, _)| !let_in.contains(place)), "called twice");
                        proposed = Some(places);
                    }
                    Effect::Reply { reply: number, outcome: Outcome::Waiting { place } } if number < 1_000 => {
                        prop_assert!(!let_in.contains(&place), "{place} is used up");
                        restored.insert(fan(number), place);
                    }
                    _ => {}
                }
            }
            let members = bench.room.members(None, usize::MAX);
            prop_assert!(members.is_sorted());
            let fans: BTreeSet<_> = members.iter().map(|(_, fan)| *fan).collect();
            prop_assert_eq!(fans.len(), members.len(), "a fan has two places");
            for (place, whose) in &members {
                prop_assert!(place.term() == 2 || *place == at(1, whose.as_u128() as u32), "another's place");
                prop_assert!(!let_in.contains(place));
            }
            let told = restored.iter().filter(|(fan, _)| !fans.contains(fan)).count();
            prop_assert_eq!(told, 0, "told a place, and it is gone");
            let queue = bench.room.publish(bench.now);
            if !queue.conditions.rebuilding {
                let now: BTreeMap<_, _> = members.iter().map(|(place, _)| (*place, queue.ranks.ahead(*place))).collect();
                for (place, ahead) in &now {
                    let before = numbers.get(place);
                    prop_assert!(before.is_none_or(|before| ahead <= before), "{place}: {before:?}, then {ahead}");
                }
                numbers = now;
            }
        }
    }
}
