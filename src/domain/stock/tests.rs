//! Maps, changes and the feed; and that whoever goes by them sees what there is.

use proptest::prelude::*;

use super::*;
use crate::domain::inventory::configuration::{Kept, SeatKind};

fn code(text: &str) -> Code {
    text.parse().expect("a code")
}

fn seat(zone: &str, number: u16) -> Seat {
    Seat {
        id: code(&format!("{zone}-{number}")),
        zone: code(zone),
        row: code("1"),
        number,
        ticket_type: code("VIP"),
        kind: SeatKind::Standard,
        kept: Kept::Free,
    }
}

/// Zones whose seats come in turns.
fn plan(seats: u16, zones: u16) -> Vec<Seat> {
    (0..seats).map(|number| seat(&format!("Z{}", number % zones), number)).collect()
}

/// The map of a plan of some seats in three zones, all of them free but those.
fn without(seats: u16, taken: &[u16]) -> Map {
    let free = (0..seats).map(|number| !taken.contains(&number));
    Layout::of(1, &plan(seats, 3)).map(free, vec![(code("GA"), 50)])
}

#[test]
fn a_seat_is_found_by_its_number_within_its_zone() {
    let map = without(50, &[0, 4, 49]);
    let sizes: Vec<(String, u32, usize)> =
        map.sections.iter().map(|one| (one.zone.to_string(), one.seats, one.bits.len())).collect();
    assert_eq!(sizes, [("Z0".into(), 17, 3), ("Z1".into(), 17, 3), ("Z2".into(), 16, 2)]);
    for number in 0..50 {
        let section = &map.sections[number as usize % 3];
        assert_eq!(section.is_free(number / 3), ![0, 4, 49].contains(&number), "{number}");
    }
    assert_eq!(map.sections[0].bits, [0xfe, 0xff, 0x01], "what is beyond the last seat is not set");
}

#[test]
fn few_changes_travel_alone_and_many_as_a_whole_section() {
    let before = Layout::of(1, &plan(3_000, 1)).map((0..3_000).map(|_| true), Vec::new());
    let after = |taken: &dyn Fn(u32) -> bool| {
        Layout::of(1, &plan(3_000, 1)).map((0..3_000).map(|number| !taken(number)), Vec::new())
    };
    let told = |taken: &dyn Fn(u32) -> bool| {
        let changes = before.changes(&after(taken)).expect("alike");
        let [Change::Bits { runs, .. }] = &changes[..] else { unreachable!("one section: {changes:?}") };
        runs.iter().map(|run| (run.from, run.bytes.len())).collect::<Vec<_>>()
    };
    assert_eq!(told(&|number| number == 0), [(0, 1)]);
    assert_eq!(told(&|number| number == 80 || number == 2_999), [(10, 1), (374, 1)]);
    assert_eq!(told(&|number| number == 80 || number == 100), [(10, 3)], "near each other");
    assert_eq!(told(&|number| number % 40 == 0), [(0, 371)], "about as many bytes as there are");
    assert!(before.changes(&before).expect("alike").is_empty());
}

#[test]
fn another_version_and_other_types_are_told_as_a_whole() {
    let map = without(30, &[]);
    let mut feed = Feed::new(7, map.clone());
    let seen = feed.mark();
    feed.take(Map { version: 2, ..map.clone() });
    assert!(
        matches!(feed.since(Some(seen)), Update::Whole { map, recent, .. } if map.version == 2 && recent.is_empty())
    );
    let seen = feed.mark();
    feed.take(Map { counts: Vec::new(), version: 2, ..map.clone() });
    assert!(matches!(feed.since(Some(seen)), Update::Whole { .. }));
    let seen = feed.mark();
    feed.take(Layout::of(2, &plan(31, 3)).map((0..31).map(|_| true), Vec::new()));
    assert!(matches!(feed.since(Some(seen)), Update::Whole { .. }));
}

#[test]
fn who_has_seen_something_gets_what_is_missed_and_whoever_comes_from_elsewhere_gets_all() {
    let mut feed = Feed::new(7, without(300, &[]));
    let mut marks = vec![feed.mark()];
    for taken in 1..=3 {
        feed.take(without(300, &(0..taken).collect::<Vec<_>>()));
        marks.push(feed.mark());
    }
    assert_eq!(marks.last().map(|mark| mark.seq), Some(3));
    for (missed, mark) in marks.iter().rev().enumerate() {
        let Update::Since(deltas) = feed.since(Some(*mark)) else { unreachable!("kept") };
        let numbers: Vec<u64> = deltas.iter().map(|delta| delta.seq).collect();
        assert_eq!(numbers, (mark.seq + 1..=3).collect::<Vec<_>>(), "{missed} missed");
    }
    for strange in [None, Some(Mark { epoch: 6, seq: 3 }), Some(Mark { epoch: 7, seq: 4 })] {
        let Update::Whole { mark, map, recent } = feed.since(strange) else { unreachable!("strange") };
        assert_eq!((mark, &map, recent.len()), (Mark { epoch: 7, seq: 3 }, feed.map(), 3));
    }
}

#[test]
fn no_more_changes_are_kept_than_the_limit_and_older_marks_get_all() {
    let mut feed = Feed::new(1, without(60, &[]));
    let first = feed.mark();
    for turn in 0..5_000_u16 {
        feed.take(without(60, &[turn % 60, (turn + 1) % 60]));
    }
    let Update::Whole { recent, .. } = feed.since(None) else { unreachable!("all was asked for") };
    assert!(recent.len() <= 4_096 && recent.last().map(|delta| delta.seq) == Some(feed.mark().seq));
    assert!(matches!(feed.since(Some(first)), Update::Whole { .. }));
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let mut map = without(30, &[1]);
    let same = map.clone();
    let run = Run { from: 1, bytes: vec![0, 0] };
    for change in [
        Change::Bits { zone: code("Z9"), runs: vec![] },
        Change::Bits { zone: code("Z0"), runs: vec![Run { from: 0, bytes: vec![0] }, run] },
        Change::Count { ticket_type: code("VIP"), free: 1 },
    ] {
        assert_eq!(map.apply(&change), Err(Misfit));
        assert_eq!(map, same);
    }
}

proptest! {
    /// Whoever goes by snapshot and deltas, with whatever breaks, sees what there is.
    #[test]
    fn a_map_kept_by_changes_is_the_one_that_they_were_made_of(
        steps in prop::collection::vec((prop::collection::vec(0..900_u16, 0..60), 0..60_u32, 0..20_u8), 1..40),
    ) {
        let mut feed = Feed::new(3, without(900, &[]));
        let mut viewers: Vec<(Option<Mark>, Map)> = vec![(None, Map::default()); 3];
        for (taken, count, what) in steps {
            let mut map = without(900, &taken);
            map.counts[0].1 = count;
            // Now and then another version of the event.
            map.version = feed.map().version + u32::from(what == 0);
            feed.take(map);
            for (number, (mark, seen)) in viewers.iter_mut().enumerate() {
                // One looks each time, one seldom, one comes anew now and then.
                if (number == 1 && what % 3 != 0) || (number == 2 && what % 5 == 0) {
                    if number == 2 { *mark = None; }
                    continue;
                }
                match feed.since(*mark) {
                    Update::Whole { mark: now, map, .. } => { *mark = Some(now); *seen = map; }
                    Update::Since(deltas) => for delta in deltas {
                        let mark = mark.as_mut().expect("it had seen something");
                        prop_assert_eq!(delta.seq, mark.seq + 1);
                        seen.apply(&delta.change).expect("it fits");
                        mark.seq = delta.seq;
                    },
                }
                prop_assert_eq!(*mark, Some(feed.mark()));
                prop_assert_eq!(&*seen, feed.map());
            }
        }
    }

    /// What is kept leads to the map from wherever it begins.
    #[test]
    fn any_part_of_what_is_kept_leads_to_the_map(
        steps in prop::collection::vec(prop::collection::vec(0..200_u16, 0..9), 1..20), from in 0..20_usize,
    ) {
        let mut feed = Feed::new(3, without(200, &[]));
        let mut seen = vec![(feed.mark(), feed.map().clone())];
        for taken in steps {
            feed.take(without(200, &taken));
            seen.push((feed.mark(), feed.map().clone()));
        }
        let (mark, mut map) = seen[from % seen.len()].clone();
        let Update::Whole { recent, .. } = feed.since(None) else { unreachable!("all was asked for") };
        for delta in recent.iter().filter(|delta| delta.seq > mark.seq) {
            map.apply(&delta.change).expect("it fits");
        }
        prop_assert_eq!(&map, feed.map());
    }
}
