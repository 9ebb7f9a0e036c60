//! The arithmetic against a second, naive one, and files of which something was changed.

use proptest::prelude::*;

use super::*;
use crate::domain::queue::Place;

const EVENT: EventId = EventId::from_u128(0x0190_b5c2_a000_7000_8000_0000_0000_002a);

fn fans(count: u32) -> impl Iterator<Item = FanId> {
    (1..=u128::from(count)).map(FanId::from_u128)
}

fn entries(count: u32) -> Vec<Digest> {
    in_order(EVENT, fans(count)).into_iter().map(|(entry, _)| entry).collect()
}

fn draw(count: u32, beacon: Option<&str>) -> DrawFile {
    let (entries, seed) = (entries(count), Digest([7; 32]));
    let root = Tree::new(&entries).root();
    let ranks = Lots { seed, root, beacon: beacon.unwrap_or_default() }.ranks(&entries);
    let beacon = beacon.map(|value| Beacon { name: "a public one".into(), value: value.into() });
    DrawFile { format: DrawFormat::V1, event: EVENT, commitment: commitment(&seed), beacon, root, seed, entries, ranks }
}

fn proof(draw: &DrawFile, fan: FanId) -> ProofFile {
    let entry = entry(EVENT, fan);
    let index = draw.entries.binary_search(&entry).expect("took part");
    ProofFile {
        format: ProofFormat::V1,
        event: EVENT,
        fan,
        commitment: draw.commitment,
        beacon: draw.beacon.clone(),
        root: draw.root,
        count: draw.entries.len() as u32,
        index: index as u32,
        entry,
        path: Tree::new(&draw.entries).path(&draw.entries, index).expect("it is there"),
        seed: draw.seed,
        rank: draw.ranks[index],
    }
}

/// RFC 9162, section 2.1.1, as it is written there.
fn naive_root(entries: &[Digest]) -> Digest {
    match entries {
        [] => hash(&[]),
        [one] => hash(&[&[0], &one.0]),
        many => {
            let split = many.len().next_power_of_two() / 2;
            let (left, right) = many.split_at(split);
            hash(&[&[1], &naive_root(left).0, &naive_root(right).0])
        }
    }
}

#[test]
fn the_hashes_are_those_that_others_compute() {
    // By `printf … | sha256sum` and a few lines of another language; see docs/queue.md.
    assert_eq!(hash(&[]).to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let draw = draw(5, Some("8f0c"));
    assert_eq!(draw.commitment.to_string(), VECTOR.0);
    assert_eq!(entry(EVENT, FanId::from_u128(1)).to_string(), VECTOR.1);
    assert_eq!(draw.root.to_string(), VECTOR.2);
    let rank_of = |fan| proof(&draw, FanId::from_u128(fan)).rank;
    assert_eq!([1, 2, 3, 4, 5].map(rank_of), VECTOR.3);
}

const VECTOR: (&str, &str, &str, [u32; 5]) = (
    "4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0",
    "72c59273db390ec2dd80ac61dfe49a9a288fd26049f6b170404172e44b80e792",
    "44dd1afff66866a10766064bd950b4a7ff196fffff8fed8d0a9eb08a0503c971",
    [3, 1, 2, 4, 5],
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_root_is_that_of_the_definition_and_each_path_leads_to_it(count in 0u32..150, beacon in prop::option::of("[a-z]{0,9}")) {
        let draw = draw(count, beacon.as_deref());
        prop_assert_eq!(draw.root, naive_root(&draw.entries));
        prop_assert_eq!(draw.check(), Ok(()));
        let mut ranks = Vec::new();
        for fan in fans(count) {
            let proof = proof(&draw, fan);
            prop_assert_eq!(proof.check(Some(&draw)), Ok(()));
            ranks.push(proof.rank);
        }
        ranks.sort_unstable();
        prop_assert_eq!(ranks, (1..=count).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_else_is_in_the_tree(count in 1u32..100, other in 1_000u128..2_000, index in any::<prop::sample::Index>()) {
        let draw = draw(count, None);
        let mut forged = proof(&draw, FanId::from_u128(1));
        forged.fan = FanId::from_u128(other);
        prop_assert_eq!(forged.check(None), Err(Found::Entry));
        forged.entry = entry(EVENT, forged.fan);
        forged.index = index.index(count as usize) as u32;
        prop_assert_eq!(forged.check(None), Err(Found::Path));
    }
}

#[test]
fn a_draw_of_which_anything_was_changed_is_refused() {
    let good = draw(20, Some("8f0c"));
    assert_eq!(good.check(), Ok(()));
    let changed = |change: fn(&mut DrawFile)| {
        let mut file = good.clone();
        change(&mut file);
        file.check()
    };
    assert_eq!(changed(|file| file.seed = Digest([8; 32])), Err(Found::Commitment));
    assert_eq!(changed(|file| file.entries.swap(3, 4)), Err(Found::Order));
    assert_eq!(changed(|file| file.entries[4] = file.entries[3]), Err(Found::Order));
    assert_eq!(changed(|file| file.entries[19] = Digest([255; 32])), Err(Found::Root));
    assert_eq!(changed(|file| file.entries.truncate(19)), Err(Found::Root));
    assert_eq!(changed(|file| file.root = Digest([1; 32])), Err(Found::Root));
    assert_eq!(changed(|file| file.ranks.truncate(19)), Err(Found::Count));
    assert!(matches!(changed(|file| file.ranks.swap(0, 1)), Err(Found::Rank { index: 0, .. })));
    assert!(matches!(changed(|file| file.beacon = None), Err(Found::Rank { .. })));
}

#[test]
fn a_proof_of_which_anything_was_changed_is_refused() {
    let (good, fan) = (draw(20, None), FanId::from_u128(3));
    let changed = |change: fn(&mut ProofFile)| {
        let mut file = proof(&good, fan);
        change(&mut file);
        file.check(Some(&good))
    };
    assert_eq!(changed(|_| {}), Ok(()));
    assert_eq!(changed(|file| file.seed = Digest([8; 32])), Err(Found::Commitment));
    assert_eq!(changed(|file| file.index ^= 1), Err(Found::Path));
    assert_eq!(changed(|file| file.count += 13), Err(Found::Path));
    assert_eq!(changed(|file| file.path.truncate(4)), Err(Found::Path));
    assert_eq!(changed(|file| file.path.push(Digest([0; 32]))), Err(Found::Path));
    assert!(matches!(changed(|file| file.rank = 99), Err(Found::Rank { rank: 99, .. })));
    assert_eq!(proof(&good, fan).check(Some(&draw(21, None))), Err(Found::OtherDraw));
}

#[test]
fn the_order_hangs_on_seed_entries_and_beacon_alike() {
    let entries = entries(50);
    let root = Tree::new(&entries).root();
    let ranks = |seed, root, beacon| Lots { seed: Digest([seed; 32]), root, beacon }.ranks(&entries);
    let drawn = ranks(1, root, "");
    assert_eq!(drawn, ranks(1, root, ""), "it can be repeated");
    for other in [ranks(2, root, ""), ranks(1, Digest([0; 32]), ""), ranks(1, root, "x")] {
        assert_ne!(drawn, other);
    }
}

#[test]
fn a_book_gives_each_fan_the_place_and_the_proof_of_the_rank() {
    let file = draw(40, Some("8f0c"));
    let lots = Lots { seed: file.seed, root: file.root, beacon: "8f0c" };
    let in_order: Vec<_> = in_order(EVENT, fans(40)).into_iter().map(|(_, fan)| fan).collect();
    let book = Book::new(EVENT, &lots, std::sync::Arc::new(in_order));
    let places = book.places(3);
    assert!(places.is_sorted() && places.len() == 40);
    for (place, fan) in places {
        let found = book.proof(fan).expect("took part");
        let expected = proof(&file, fan);
        assert_eq!(Place::new(3, found.rank), place);
        assert_eq!((found.index, found.path, found.rank), (expected.index, expected.path, expected.rank));
        assert!(place.is_drawn() && place < Place::new(3, Place::ARRIVALS + 1));
    }
    assert_eq!(book.proof(FanId::from_u128(41)), None);
    assert_eq!(book.into_ranks(), (file.entries, file.ranks));
}

#[test]
fn a_digest_has_one_spelling() {
    let text = "00ff".repeat(16);
    let digest: Digest = text.parse().expect("a digest");
    assert_eq!(digest.to_string(), text);
    for wrong in ["", "00", &"00FF".repeat(16), &"00ff".repeat(17), &"0g".repeat(32)] {
        assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
    }
}
