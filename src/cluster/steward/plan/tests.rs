//! Three nodes as one of them sees them.

use super::*;

const ME: &str = "n1";

/// What `n1` knows; each test changes what it is about.
struct World {
    began: Instant,
    plan: Plan,
    standing: Standing,
    is_sure: bool,
    running: Vec<Load>,
    /// For all events but those that are pinned.
    order: Vec<&'static str>,
    pinned: BTreeMap<EventId, String>,
    unreachable: Vec<&'static str>,
}

fn event(number: u128) -> EventId {
    EventId::from_u128(number)
}

fn load(number: u128) -> Load {
    Load { event: event(number), is_active: true, waiting: 1, commits_per_second: 1.0 }
}

fn claim(number: u128) -> Action {
    Action::Claim(event(number))
}

fn give(number: u128, to: &str) -> Action {
    Action::Give { event: event(number), to: Some(to.to_owned()) }
}

fn let_go(number: u128) -> Action {
    Action::Give { event: event(number), to: None }
}

impl World {
    fn new(order: &[&'static str]) -> Self {
        Self {
            began: Instant::now(),
            plan: Plan::new(ME),
            standing: Standing::Serving,
            is_sure: true,
            running: Vec::new(),
            order: order.to_vec(),
            pinned: BTreeMap::new(),
            unreachable: Vec::new(),
        }
    }

    /// Events that have run here for long, with this order.
    fn running(order: &[&'static str], loads: impl IntoIterator<Item = Load>) -> Self {
        let mut world = Self { running: loads.into_iter().collect(), ..Self::new(&[ME]) };
        assert_eq!(world.next(0), []);
        world.order = order.to_vec();
        world
    }

    fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    /// The list of active events with their owners, as of this moment.
    fn listed(&mut self, ms: u64, active: &[(u128, Option<&str>)]) {
        self.plan.listed(Lists {
            began: self.at(ms),
            active: active.iter().map(|(number, _)| event(*number)).collect(),
            owners: active.iter().filter_map(|(number, owner)| Some((event(*number), (*owner)?.to_owned()))).collect(),
        });
    }

    fn asked<T>(&mut self, ask: impl FnOnce(&mut Plan, &Sight<'_>) -> T) -> T {
        let order = |event| {
            let pin = self.pinned.get(&event).cloned();
            let others = self.order.iter().filter(|node| pin.as_deref() != Some(**node)).map(|node| (*node).to_owned());
            let others: Vec<_> = others.collect();
            pin.into_iter().chain(others).collect()
        };
        let sight = Sight {
            standing: self.standing,
            is_sure: self.is_sure,
            running: &self.running,
            order: &order,
            pinned: &self.pinned,
            reaches: &|node| !self.unreachable.contains(&node),
        };
        ask(&mut self.plan, &sight)
    }

    fn next(&mut self, ms: u64) -> Vec<Action> {
        let now = self.at(ms);
        self.asked(|plan, sight| plan.next(now, sight))
    }

    fn ended(&mut self, ms: u64, number: u128, outcome: Outcome) {
        self.plan.ended(self.at(ms), event(number), outcome);
    }

    fn gone(&mut self, ms: u64, number: u128) {
        self.ended(ms, number, Outcome::Done);
        self.running.retain(|load| load.event != event(number));
    }

    fn wakes_at(&self, ms: u64) -> bool {
        self.plan.wake() == Some(self.at(ms))
    }
}

#[test]
fn an_event_that_nobody_runs_is_claimed_at_home_and_later_by_the_next_ones_in_order() {
    for (order, from_ms) in [
        (vec![ME, "n2", "n3"], 0),
        (vec!["n2", ME, "n3"], 3_000),
        (vec!["n2", "n3", ME], 6_000),
        (vec!["n2", "n3"], u64::MAX),
    ] {
        let mut world = World::new(&order);
        for ms in [0, 1_000, 2_000, 2_999, 3_000, 5_999, 6_000, 60_000] {
            // Those that are somebody's are let be.
            world.listed(ms, &[(7, None), (8, Some("n2"))]);
            let expected = if ms >= from_ms { vec![claim(7)] } else { Vec::new() };
            assert_eq!(world.next(ms), expected, "{order:?} after {ms} ms");
            if ms >= from_ms {
                break;
            }
            assert!(from_ms == u64::MAX || world.wakes_at(from_ms));
        }
    }
}

#[test]
fn an_event_that_was_owned_meanwhile_is_waited_for_anew() {
    let mut world = World::new(&["n2", ME]);
    world.listed(0, &[(7, None)]);
    assert_eq!(world.next(0), []);
    world.listed(2_000, &[(7, Some("n2"))]);
    world.listed(2_500, &[(7, None)]);
    assert_eq!(world.next(5_499), []);
    assert_eq!(world.next(5_500), [claim(7)]);
}

#[test]
fn what_this_node_owns_and_does_not_run_is_claimed_again_even_if_it_is_to_run_nothing() {
    for standing in [Standing::Serving, Standing::Drained, Standing::Leaving] {
        let mut world = World { standing, running: vec![load(8)], ..World::new(&[]) };
        world.listed(0, &[(7, Some(ME)), (8, Some(ME))]);
        let expected = if standing == Standing::Leaving { Vec::new() } else { vec![claim(7)] };
        assert_eq!(world.next(0), expected, "{standing:?}");
    }
}

#[test]
fn sixteen_are_claimed_at_once_and_a_list_from_before_an_end_does_not_count() {
    let mut world = World::new(&[ME]);
    let unowned: Vec<_> = (0..20).map(|number| (number, None)).collect();
    world.listed(0, &unowned);
    assert_eq!(world.next(0), (0..16).map(claim).collect::<Vec<_>>());
    assert_eq!(world.next(10), []);
    world.ended(20, 3, Outcome::Done);
    // It may run by now, or not: the list is older.
    assert_eq!(world.next(20), [claim(16)]);
    world.ended(30, 4, Outcome::Done);
    world.listed(25, &unowned);
    assert_eq!(world.next(30), [claim(3)], "4 ended after the list was begun");
}

#[test]
fn what_cannot_be_claimed_is_tried_after_longer_and_longer_and_holds_nobody_up() {
    let mut world = World::new(&[ME]);
    let mut ms = 0;
    for pause_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        world.listed(ms, &[(7, None)]);
        assert_eq!(world.next(ms), [claim(7)], "at {ms}");
        world.ended(ms + 1, 7, Outcome::Failed);
        world.listed(ms + 2, &[(7, None)]);
        assert_eq!(world.next(ms + 2), []);
        ms += 1 + pause_ms;
        assert!(world.wakes_at(ms));
    }
    let mut world = World::new(&[ME]);
    let unowned: Vec<_> = (0..17).map(|number| (number, None)).collect();
    world.listed(0, &unowned);
    assert_eq!(world.next(0).len(), 16);
    for number in 0..16 {
        world.ended(10, number, if number == 0 { Outcome::Hopeless } else { Outcome::Failed });
    }
    world.listed(30_000, &unowned);
    let claims = world.next(30_000);
    assert_eq!((claims.len(), &claims[0]), (16, &claim(16)), "the one that never failed goes first");
    assert!(!claims.contains(&claim(0)), "one that does not exist is looked at once a minute");
}

#[test]
fn nothing_is_done_while_the_lease_is_unsure() {
    let mut world = World::running(&["n2"], [load(8)]);
    world.pinned.insert(event(8), "n2".into());
    world.listed(0, &[(7, None)]);
    for standing in [Standing::Serving, Standing::Drained, Standing::Leaving] {
        world.standing = standing;
        world.is_sure = false;
        assert_eq!(world.next(60_000), []);
    }
    world.is_sure = true;
    assert_eq!(world.next(60_000), [give(8, "n2")]);
}

#[test]
fn a_drained_node_gives_all_away_eight_at_once_those_that_fans_wait_for_first() {
    for standing in [Standing::Drained, Standing::Leaving] {
        let idle = Load { is_active: false, waiting: 0, ..load(0) };
        let hot = Load { waiting: 1_000_000, commits_per_second: 1_000.0, ..load(99) };
        let mut world = World::running(&[ME, "n2", "n3"], (1..10).map(load).chain([idle, hot]));
        world.standing = standing;
        // That this node takes nothing, its own placement learns later.
        let expected: Vec<_> = [99].into_iter().chain(1..8).map(|number| give(number, "n2")).collect();
        assert_eq!(world.next(0), expected);
        assert_eq!(world.next(1), []);
        world.gone(10, 99);
        world.gone(10, 1);
        assert_eq!(world.next(10), [give(8, "n2"), give(9, "n2")]);
        world.gone(20, 2);
        assert_eq!(world.next(20), [let_go(0)], "what nobody needs has nowhere to go");
        assert_eq!(world.asked(|plan, sight| plan.left_to_give(sight)), 8);
    }
}

#[test]
fn where_nobody_else_may_run_events_they_stay() {
    let mut world = World::running(&[ME], [load(7), Load { is_active: false, ..load(8) }]);
    for standing in [Standing::Drained, Standing::Leaving] {
        world.standing = standing;
        assert_eq!(world.next(0), []);
        assert_eq!(world.asked(|plan, sight| plan.left_to_give(sight)), 0);
    }
}

#[test]
fn without_a_link_a_drained_node_waits_and_one_that_is_stopping_does_not() {
    let mut world = World::running(&["n2"], [load(7)]);
    world.unreachable = vec!["n2"];
    for (standing, expected) in
        [(Standing::Serving, vec![]), (Standing::Drained, vec![]), (Standing::Leaving, vec![let_go(7)])]
    {
        world.standing = standing;
        assert_eq!(world.next(60_000), expected, "{standing:?}");
    }
}

#[test]
fn a_pinned_event_goes_at_once_however_hot_it_is_and_only_to_where_it_can_run() {
    let hot = Load { waiting: 1_000_000, commits_per_second: 1_000.0, ..load(7) };
    let idle = Load { is_active: false, waiting: 0, ..load(8) };
    // Both have just come.
    let mut world = World { running: vec![hot, idle], ..World::new(&[ME]) };
    world.pinned = [7, 8].map(|number| (event(number), "n3".to_owned())).into();
    assert_eq!(world.next(0), [give(7, "n3"), give(8, "n3")]);

    // Placement leaves out what is down, and the pin means nothing then.
    let mut world = World { running: vec![load(7)], ..World::new(&[ME]) };
    world.pinned.insert(event(7), "n3".into());
    let pinned = world.pinned.clone();
    let sight = Sight {
        standing: Standing::Serving,
        is_sure: true,
        running: &world.running,
        order: &|_| vec![ME.to_owned()],
        pinned: &pinned,
        reaches: &|_| true,
    };
    assert_eq!(world.plan.next(world.began, &sight), []);
}

#[test]
fn what_belongs_to_a_node_that_has_come_goes_there_one_by_one_the_coldest_first() {
    let warm = Load { waiting: 1_999, commits_per_second: 1.0, ..load(3) };
    let busy = Load { waiting: 5, commits_per_second: 19.0, ..load(2) };
    let calm = Load { waiting: 5, commits_per_second: 0.5, ..load(4) };
    let idle = Load { is_active: false, waiting: 0, commits_per_second: 0.0, ..load(5) };
    let queue = Load { waiting: 2_000, ..load(1) };
    let rush = Load { commits_per_second: 20.0, ..load(6) };
    let mut world = World::running(&["n2", ME], [queue, busy, warm, calm, idle, rush]);
    let mut ms = 60_000;
    for (number, action) in [(5, let_go(5)), (4, give(4, "n2")), (2, give(2, "n2")), (3, give(3, "n2"))] {
        assert_eq!(world.next(ms), [action]);
        assert_eq!(world.next(ms + 50), [], "one at a time");
        world.gone(ms + 50, number);
        assert_eq!(world.next(ms + 149), [], "a pause between");
        ms += 150;
    }
    assert_eq!(world.next(ms), [], "the hot ones stay");
    world.running[0].waiting = 1_999;
    assert_eq!(world.next(ms), [give(1, "n2")], "until they are hot no more");
}

#[test]
fn an_event_that_has_just_come_is_not_sent_on() {
    let mut world = World { running: vec![load(7)], ..World::new(&["n2", ME]) };
    assert_eq!(world.next(0), []);
    assert!(world.wakes_at(8_000));
    assert_eq!(world.next(7_999), []);
    assert_eq!(world.next(8_000), [give(7, "n2")]);
    // The other did not take it, and it runs here again.
    world.ended(9_000, 7, Outcome::Failed);
    assert_eq!(world.next(9_001), []);
    assert_eq!(world.next(17_000), []);
    assert_eq!(world.next(17_001), [give(7, "n2")]);
}

#[test]
fn an_event_that_no_other_node_took_is_offered_again_later() {
    let mut world = World::running(&["n2"], [load(7)]);
    world.standing = Standing::Drained;
    let mut ms = 0;
    for pause_ms in [1_000, 2_000, 4_000] {
        assert_eq!(world.next(ms), [give(7, "n2")]);
        world.ended(ms, 7, Outcome::Failed);
        assert_eq!(world.next(ms + pause_ms - 1), []);
        assert!(world.wakes_at(ms + pause_ms));
        ms += pause_ms;
    }
}
