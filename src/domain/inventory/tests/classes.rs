//! Classes of the queue: their list, their members, and moves that are counted.

use super::{
    super::classes::{Classes, MAX_CLASS_MEMBERS, QueueClass},
    *,
};
use crate::domain::queue::{Class, Move, Precedence};

fn class(name: &str, weight: u8) -> QueueClass {
    QueueClass { code: code(name), name: name.to_lowercase(), weight }
}

fn classes(names: &[&str]) -> Arc<Classes> {
    Arc::new(Classes { list: names.iter().map(|name| class(name, 2)).collect(), ..Classes::default() })
}

fn sale() -> Sale {
    Sale::of(Configuration { classes: classes(&["VIP", "PRE"]), ..configuration(Vec::new()) })
}

fn classify(fans: &[u128], class: Option<&str>) -> Command {
    Command::Classify { fans: fans.iter().map(|&n| fan(n)).collect(), class: class.map(code) }
}

fn class_of(sale: &Sale, n: u128) -> Class {
    sale.state.view(sale.now).class_members.class(fan(n))
}

#[test]
fn a_list_of_classes_has_limits() {
    let with = |list: Vec<QueueClass>| Classes { list, ..Classes::default() };
    let many = |count: usize| with((0..count).map(|n| class(&format!("C{n}"), 1)).collect());
    for good in [many(0), many(8), with(vec![class("A", 1), class("B", 100)])] {
        assert_eq!(good.validate(), Ok(()), "{good:?}");
    }
    let unnamed = QueueClass { name: String::new(), ..class("A", 1) };
    for bad in [
        many(9),
        with(vec![class("A", 1), class("A", 1)]),
        with(vec![class("front", 1)]),
        with(vec![class("default", 1)]),
        with(vec![class("A", 0)]),
        with(vec![class("A", 101)]),
        with(vec![unnamed]),
        Classes { default_weight: 0, ..Classes::default() },
    ] {
        assert!(bad.validate().is_err(), "{bad:?}");
    }
}

#[test]
fn classes_have_numbers_codes_and_shares() {
    let classes = Classes { precedence: Precedence::Strict, default_weight: 3, list: vec![class("VIP", 5)] };
    let shares = classes.shares();
    assert_eq!((shares.precedence, &shares.weights[..3]), (Precedence::Strict, &[3, 5, 0][..]));
    assert_eq!((classes.by_code(&code("VIP")), classes.by_code(&code("X"))), (Some(Class(1)), None));
    assert_eq!(
        [Class(0), Class(1), Class(2), Class::FRONT].map(|class| classes.code(class).to_owned()),
        ["default", "VIP", "default", "front"]
    );
}

#[test]
fn fans_belong_to_one_class_or_to_none() {
    let mut sale = sale();
    assert_eq!(sale.ask(classify(&[1, 2, 2], Some("PRE"))), Ok(Answer::Classified));
    assert_eq!(sale.ask(classify(&[2, 3], Some("VIP"))), Ok(Answer::Classified));
    assert_eq!([1, 2, 3, 4].map(|n| class_of(&sale, n).0), [2, 1, 1, 0]);
    let again = sale.state.decide(sale.now, &Request { identity: None, command: classify(&[2, 3], Some("VIP")) });
    assert_eq!(again.map(|decision| decision.entries.len()), Ok(0), "what is so already needs no entry");
    assert_eq!(sale.ask(classify(&[2, 9], None)), Ok(Answer::Classified));
    assert_eq!([1, 2, 3].map(|n| class_of(&sale, n).0), [2, 0, 1]);
    let unknown = sale.ask(classify(&[1], Some("X")));
    assert_eq!(unknown, Err(Refusal::UnknownClass { code: code("X") }));
    assert_eq!(class_of(&sale, 1), Class(2));
}

#[test]
fn an_event_has_only_so_many_members() {
    let mut sale = sale();
    let all: Vec<u128> = (1..=MAX_CLASS_MEMBERS as u128).collect();
    for some in all.chunks(10_000) {
        assert_eq!(sale.ask(classify(some, Some("VIP"))), Ok(Answer::Classified));
    }
    assert!(matches!(sale.ask(classify(&[500_000], Some("VIP"))), Err(Refusal::TooManyMembers { .. })));
    assert_eq!(sale.ask(classify(&[1], Some("PRE"))), Ok(Answer::Classified), "who is one may become another");
}

#[test]
fn classes_that_fans_may_wait_by_stay_where_they_are() {
    let mut sale = sale();
    let mut change = |names: &[&str]| {
        let version = sale.state.configuration().map_or(0, |current| current.version) + 1;
        let next = Configuration { version, classes: classes(names), ..configuration(Vec::new()) };
        sale.ask(Command::Configure(Box::new(next)))
    };
    for bad in [&["VIP"][..], &["PRE", "VIP"], &[], &["VIP", "OTHER"]] {
        assert!(matches!(change(bad), Err(Refusal::InvalidConfiguration(_))), "{bad:?}");
    }
    assert!(change(&["VIP", "PRE", "LATE"]).is_ok());
}

#[test]
fn moves_are_counted_and_a_snapshot_keeps_the_count_and_the_members() {
    let mut sale = sale();
    let to = Place::new(1, 9).in_class(Class::FRONT);
    let moves = [1, 2].map(|n| Move { fan: fan(n), from: Place(n as u64), to });
    assert_eq!(sale.ask(Command::CountMoves(moves.to_vec())), Ok(Answer::MovesCounted));
    assert_eq!(sale.ask(Command::CountMoves(moves[..1].to_vec())), Ok(Answer::MovesCounted));
    sale.ask(classify(&[7], Some("VIP"))).expect("a class");
    let back = Inventory::from_snapshot(&sale.state.to_snapshot()).expect("readable");
    let view = back.view(sale.now);
    assert_eq!((view.manual_moves, view.class_members.class(fan(7))), (3, Class(1)));
    assert_eq!(view.class_members.count(Class(1)), 1);
}

#[test]
fn what_was_admitted_in_one_class_is_used_up_in_all() {
    let mut sale = sale();
    let place = Place::new(1, 9).in_class(Class(1));
    let admittee = Admittee { place, fan: fan(1), present: true, needs_more_time: false };
    sale.ask(Command::Admit(vec![admittee])).expect("admitted");
    assert!(Class::all().all(|class| sale.state.was_admitted(place.in_class(class))));
    assert!(!sale.state.was_admitted(Place::new(1, 10)));
}

#[test]
fn terms_end_before_places_run_into_classes() {
    let mut state = sale().state;
    let at = state.last_at();
    assert!(state.apply(at, &Entry::Activated { term: Place::MAX_TERM }).is_ok());
    assert!(state.apply(at, &Entry::Activated { term: Place::MAX_TERM + 1 }).is_err());
}
