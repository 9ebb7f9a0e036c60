//! Histories made by hand, each with one thing wrong in it: the checker has to find just that.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    checker::{calls, check, longest_stop, shares},
    history::{Fact, FactKind, Fan, Seen, Time, What},
};

type Spoil = fn(&mut Vec<Seen>, &mut Vec<Fact>);

fn seen(at: Time, fan: Fan, what: What) -> Seen {
    Seen { at, fan, what }
}

fn fact(batch: u64, at: Time, what: FactKind) -> Fact {
    Fact { batch, at, what }
}

fn admitted(place: u64, fan: Fan) -> FactKind {
    FactKind::Admitted { place, fan, claimed: true, until: 9_000 }
}

fn position(ahead: u64, connection: u32, seq: u64) -> What {
    What::Position { place: 12, ahead, connection, seq }
}

/// Two fans, the first before the second; one slot.
fn good() -> (Vec<Seen>, Vec<Fact>) {
    let history = vec![
        seen(100, 1, What::Asked),
        seen(110, 1, What::Told { place: 11 }),
        seen(120, 2, What::Asked),
        seen(130, 2, What::Told { place: 12 }),
        seen(131, 2, position(1, 1, 1)),
        seen(210, 1, What::Admitted { place: 11, until: 9_000 }),
        seen(230, 2, What::TriedAnothers { allowed: false }),
        seen(300, 1, What::Left),
        seen(310, 2, position(0, 2, 1)),
        seen(410, 2, What::Admitted { place: 12, until: 9_000 }),
    ];
    let facts = vec![
        fact(1, 10, FactKind::Slots { count: 1 }),
        fact(2, 200, admitted(11, 1)),
        fact(3, 220, FactKind::Held { place: 11, fan: 1 }),
        fact(4, 300, FactKind::Ended { place: 11, by_time: false }),
        fact(5, 400, admitted(12, 2)),
    ];
    (history, facts)
}

/// Each changes the good one, and the checker names the invariant.
#[test]
fn each_bad_history_is_refused_by_the_invariant_that_it_breaks() {
    let (history, facts) = good();
    assert_eq!(check(&history, &facts), Vec::<String>::new());
    assert_eq!(longest_stop(&history, &facts), 100);
    // Where it was announced, a number may rise.
    let (mut announced, rebuilding) = (history.clone(), seen(315, 2, What::Rebuilding { connection: 2 }));
    announced.extend([rebuilding, seen(320, 2, position(1, 2, 2))]);
    assert_eq!(check(&announced, &facts), Vec::<String>::new());
    let cases: [(&str, &str, Spoil); 15] = [
        ("I-21", "overtaken", |_, facts| {
            facts.swap(1, 4);
            (facts[1].batch, facts[1].at, facts[4].batch, facts[4].at) = (2, 200, 5, 400);
            facts.remove(3);
            facts.remove(2);
            facts.insert(2, fact(3, 300, FactKind::Ended { place: 12, by_time: false }));
        }),
        ("I-21", "waits for ever", |seen, facts| {
            facts.drain(1..4);
            seen.retain(|seen| seen.what != What::Left);
        }),
        ("I-22", "one more than slots", |_, facts| {
            facts.remove(3);
        }),
        ("I-22", "ends before its time", |_, facts| facts[3].what = FactKind::Ended { place: 11, by_time: true }),
        ("I-23", "let in twice", |_, facts| facts.push(fact(6, 500, admitted(12, 2)))),
        ("I-23", "a place of two", |seen, _| seen[3].what = What::Told { place: 11 }),
        ("I-23", "another's token", |seen, _| seen[6].what = What::TriedAnothers { allowed: true }),
        ("I-24", "never let in", |_, facts| facts[2].what = FactKind::Held { place: 12, fan: 2 }),
        ("I-24", "after the end", |_, facts| facts.push(fact(6, 500, FactKind::Held { place: 11, fan: 1 }))),
        ("I-24", "not claimed", |_, facts| {
            facts[1].what = FactKind::Admitted { place: 11, fan: 1, claimed: false, until: 9_000 };
        }),
        ("I-25", "not in the journal", |seen, _| seen.push(self::seen(500, 3, What::Admitted { place: 13, until: 1 }))),
        ("I-25", "told too early", |seen, _| seen[5].at = 199),
        ("I-25", "outlives it", |seen, _| seen[5].what = What::Admitted { place: 11, until: 9_001 }),
        ("I-26", "rises", |seen, _| seen.push(self::seen(320, 2, position(1, 2, 2)))),
        ("I-26", "rebuilt again and again", |seen, _| {
            let rebuilding = |at| self::seen(at, 2, What::Rebuilding { connection: 2 });
            seen.extend([rebuilding(320), self::seen(330, 2, position(1, 2, 2)), rebuilding(340)]);
        }),
    ];
    for (invariant, what, spoil) in cases {
        let (mut history, mut facts) = good();
        spoil(&mut history, &mut facts);
        let wrong = check(&history, &facts);
        assert!(wrong.iter().any(|wrong| wrong.starts_with(invariant)), "{what}: {wrong:?}");
    }
}

#[test]
fn a_class_that_waits_and_gets_less_than_its_share_is_found() {
    let weights: BTreeMap<u8, f64> = [(0, 0.75), (1, 0.25)].into();
    let both: BTreeSet<u8> = [0, 1].into();
    let fair: Vec<_> = (0..40).map(|n| (u8::from(n % 4 == 3), both.clone())).collect();
    assert_eq!(shares(&fair, &weights), Vec::<String>::new());
    let starved: Vec<_> = (0..40).map(|_| (0, both.clone())).collect();
    assert!(shares(&starved, &weights).iter().all(|wrong| wrong.contains("class 1")));
    assert!(!shares(&starved, &weights).is_empty());
    // Nobody of the class waits: nothing is owed.
    let alone: Vec<_> = (0..40).map(|_| (0, BTreeSet::from([0]))).collect();
    assert_eq!(shares(&alone, &weights), Vec::<String>::new());
}

/// Of two lines: nobody overtakes within one, anybody may who is in the other, and who is moved by hand has a new place.
#[test]
fn lines_of_classes_are_looked_at_apart_and_moves_are_facts() {
    let vip = |n: u64| 1 << 49 | n;
    let history = vec![
        seen(100, 1, What::Asked),
        seen(110, 1, What::Told { place: 11 }),
        seen(120, 2, What::Asked),
        seen(130, 2, What::Told { place: vip(12) }),
        seen(140, 3, What::Asked),
        seen(150, 3, What::Told { place: 13 }),
        seen(160, 3, What::Told { place: vip(14) }),
    ];
    let facts = vec![
        fact(1, 10, FactKind::Slots { count: 3 }),
        fact(2, 155, FactKind::Moved { fan: 3, to: vip(14) }),
        fact(3, 2_000, admitted(vip(12), 2)),
        fact(4, 2_100, admitted(vip(14), 3)),
        fact(5, 2_200, admitted(11, 1)),
    ];
    assert_eq!(check(&history, &facts), Vec::<String>::new());
    let expected: Vec<(u8, BTreeSet<u8>)> = vec![(1, [0, 1].into()), (1, [0].into()), (0, [0].into())];
    assert_eq!(calls(&history, &facts), expected);
    let mut uncounted = facts.clone();
    uncounted.remove(1);
    assert!(check(&history, &uncounted).iter().any(|wrong| wrong.starts_with("I-23")), "a move that nobody counted");
    let mut overtaken = facts;
    overtaken[2].what = admitted(12, 2);
    let in_line = |seen: Seen| match seen.what {
        What::Told { place } if seen.fan == 2 => Seen { what: What::Told { place: place & 0xff }, ..seen },
        _ => seen,
    };
    let history: Vec<Seen> = history.into_iter().map(in_line).collect();
    assert!(check(&history, &overtaken).iter().any(|wrong| wrong.starts_with("I-21")), "in one line");
}
