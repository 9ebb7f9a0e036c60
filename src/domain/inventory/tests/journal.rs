//! Bytes of segments and snapshots, and journals that contradict themselves.

use super::{
    super::{
        entry::{EntryLine, SeatPlan, Unreadable},
        request::{AdmissionEnd, HoldState},
    },
    *,
};
use crate::domain::{
    draw::Digest,
    price::{Breakdown, Parts},
    queue::Class,
};

/// One of each kind.
fn entries() -> Vec<Entry> {
    let breakdown = Some(Box::new(Breakdown { each: Parts::face(-1), once: Parts::face(i64::MAX), code: Some(7) }));
    let (ticket_type, quantity, unit_price_minor) = (2, 2, -1);
    let line =
        EntryLine { ticket_type, quantity, unit_price_minor, seats: vec![1, u32::MAX], breakdown: breakdown.clone() };
    let public = Line { ticket_type: code("GA"), quantity, unit_price_minor, breakdown, seats: vec![code("A-1")] };
    let (order, fan, payment) = (order(u128::MAX), fan(3), payment(4));
    let (place, at, identity) = (Place::new(7, 9), EventTime(1 << 41), Some(identity(u128::MAX, u64::MAX)));
    vec![
        Entry::Activated { term: 3 },
        Entry::SeatsStaged { version: 2, seats: rows("A", &["sacxp"]) },
        Entry::Configured { configuration: Box::new(configuration(vec![])), seats: SeatPlan::Staged, identity },
        Entry::Admitted { place, fan, claim_by: Some(at), until: at },
        Entry::Claimed { place, until: at },
        Entry::AdmissionEnded { place, why: AdmissionEnd::Revoked },
        Entry::Held {
            order,
            fan,
            admission: place,
            lines: vec![line.clone()],
            expires_at: at,
            orphans: vec![5],
            identity,
        },
        Entry::Extended { order, expires_at: at, identity: None },
        Entry::Released { order, identity },
        Entry::Expired { order },
        Entry::Confirmed { order, payment, fan, taken_again: Some(vec![line.clone()]) },
        Entry::ConfirmRefused { order, payment, fan, lines: vec![public], why: ConfirmRefusal::LimitReached },
        Entry::Voided { order },
        Entry::DrawCommitted { commitment: Digest([1; 32]), beacon_name: Some("a beacon".into()) },
        Entry::DrawStaged { fans: vec![fan, super::fan(4)] },
        Entry::DrawClosed { root: Digest([2; 32]), count: 2, last: place },
        Entry::DrawBeacon { value: "8f0c".into() },
        Entry::DrawRevealed { seed: Digest([3; 32]) },
        Entry::Classified { fans: vec![fan, super::fan(4)], class: Class(8) },
        Entry::QueueMoved { fan, from: place, to: place.in_class(Class::FRONT) },
        Entry::Reduced { order, back: vec![line.clone()] },
        Entry::PaymentAwaited { order, expires_at: at },
        Entry::SeatAdded { order, number: 3, line },
        Entry::CodesMade { terms: Box::new(super::codes::half_price()), codes: vec![code("HALF")] },
        Entry::CodesWithdrawn { codes: vec![0, 7] },
        Entry::StockReleased { until: at },
    ]
}

fn segment() -> Segment {
    Segment { seq: 300, epoch: u64::MAX, at: EventTime(1 << 41), tag: 0xdead_beef, entries: entries() }
}

#[test]
fn a_segment_comes_back_from_its_bytes() {
    assert_eq!(Segment::from_bytes(&segment().to_bytes()), Ok(segment()));
}

#[test]
fn a_shortened_or_lengthened_segment_is_refused() {
    let bytes = segment().to_bytes();
    for length in 0..bytes.len() {
        assert!(Segment::from_bytes(&bytes[..length]).is_err(), "{length}");
    }
    assert_eq!(Segment::from_bytes(&bytes[..4]), Err(Unreadable::Short));
    for extra in [0, 1, 255] {
        let longer: Vec<u8> = bytes.iter().copied().chain([extra]).collect();
        assert!(Segment::from_bytes(&longer).is_err());
    }
}

#[test]
fn a_segment_with_any_bit_flipped_is_refused() {
    let mut bytes = segment().to_bytes();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Segment::from_bytes(&bytes), Err(Unreadable::Checksum), "{bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

fn resealed(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    bytes.truncate(bytes.len() - 4);
    change(&mut bytes);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn what_another_version_wrote_is_refused_and_never_skipped() {
    for version in [0, 1, 2, 3, 4, 5, 7, 255] {
        let other = resealed(segment().to_bytes(), |bytes| bytes[0] = version);
        assert_eq!(Segment::from_bytes(&other), Err(Unreadable::Version(version)));
    }
    let more = resealed(segment().to_bytes(), |bytes| bytes.push(0));
    assert!(matches!(Segment::from_bytes(&more), Err(Unreadable::Body(_))));
    let voided = Segment { entries: vec![Entry::Voided { order: order(1) }], ..segment() };
    let kind = voided.to_bytes().len() - 4 - 16 - 1;
    let unknown_kind = resealed(voided.to_bytes(), |bytes| bytes[kind] = 99);
    assert!(matches!(Segment::from_bytes(&unknown_kind), Err(Unreadable::Body(_))));
}

#[test]
fn a_damaged_snapshot_or_one_of_another_version_is_refused() {
    let mut sale = Sale::seated(&["ss"]);
    sale.hold(1, seats(&["A-1-1"]));
    let mut bytes = sale.state.to_snapshot();
    for length in 0..bytes.len() {
        assert!(Inventory::from_snapshot(&bytes[..length]).is_err(), "{length}");
    }
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Inventory::from_snapshot(&bytes).is_err(), "{bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for version in [5, 7] {
        let other = resealed(bytes.clone(), |bytes| bytes[0] = version);
        assert_eq!(Inventory::from_snapshot(&other).err(), Some(Unreadable::Version(version)));
    }
    assert!(Inventory::from_snapshot(&bytes).is_ok());
}

/// A journal with one order held and one sold, and its state.
fn sale() -> (Sale, HoldView, HoldView) {
    let mut sale = Sale::seated(&["sss"]);
    let held = sale.hold(1, seats(&["A-1-1"]));
    let sold = sale.hold(2, quantity("GA", 4));
    sale.confirm(&sold, 1);
    (sale, held, sold)
}

#[test]
fn an_entry_that_contradicts_the_state_stops_the_event() {
    let (sale, held, sold) = sale();
    let line = |ticket_type, quantity, seats: &[u32]| {
        vec![EntryLine { ticket_type, quantity, unit_price_minor: 1, seats: seats.to_vec(), breakdown: None }]
    };
    let hold = |n: u128, admission, lines| Entry::Held {
        order: order(n),
        fan: fan(3),
        admission: Place(admission),
        lines,
        expires_at: sale.now + TTL,
        orphans: vec![],
        identity: None,
    };
    let until = sale.now + SESSION;
    let configured = |version, seats| Entry::Configured {
        configuration: Box::new(Configuration { version, ..configuration(vec![]) }),
        seats,
        identity: None,
    };
    let confirmed = |order, fan, taken_again| Entry::Confirmed { order, payment: payment(9), fan, taken_again };
    let reduced = |order, back| Entry::Reduced { order, back };
    let all = sale.state.orders.get(sold.order).expect("sold").lines.to_entry();
    let table = vec![
        ("an old term", Entry::Activated { term: 1 }),
        ("a release of nothing", Entry::StockReleased { until: sale.now }),
        ("a code that was never made", Entry::CodesWithdrawn { codes: vec![0] }),
        ("seats of another version", Entry::SeatsStaged { version: 3, seats: vec![] }),
        ("a version again", configured(1, SeatPlan::Unchanged)),
        ("a version left out", configured(3, SeatPlan::Unchanged)),
        ("a plan without a held seat", configured(2, SeatPlan::Staged)),
        ("a place again", Entry::Admitted { place: Place(1), fan: fan(77), claim_by: None, until }),
        ("a fan again", Entry::Admitted { place: Place(77), fan: fan(1), claim_by: None, until }),
        ("a claim of nothing", Entry::Claimed { place: Place(77), until }),
        ("an end of nothing", Entry::AdmissionEnded { place: Place(77), why: AdmissionEnd::Expired }),
        ("a hold of no admission", hold(50, 77, line(0, 1, &[]))),
        ("an order again", hold(1_001, 3, line(0, 1, &[]))),
        ("a type that is not there", hold(50, 3, line(9, 1, &[]))),
        ("more than is free", hold(50, 3, line(0, 7, &[]))),
        ("more than the quota", hold(50, 3, line(1, 9, &[]))),
        ("a seat that is held", hold(50, 3, line(2, 1, &[0]))),
        ("a seat that is not there", hold(50, 3, line(2, 1, &[9]))),
        ("a seat twice", hold(50, 3, line(2, 2, &[1, 1]))),
        ("fewer seats than tickets", hold(50, 3, line(2, 2, &[1]))),
        ("seats of general admission", hold(50, 3, line(0, 1, &[1]))),
        ("an unknown order extended", Entry::Extended { order: order(50), expires_at: until, identity: None }),
        ("a sold order extended", Entry::Extended { order: sold.order, expires_at: until, identity: None }),
        ("a sold order released", Entry::Released { order: sold.order, identity: None }),
        ("a sold order expired", Entry::Expired { order: sold.order }),
        ("a sold order sold", confirmed(sold.order, fan(2), None)),
        ("another fan's order sold", confirmed(held.order, fan(2), None)),
        ("a held order taken again", confirmed(held.order, fan(1), Some(line(2, 1, &[0])))),
        ("taken again what is taken", confirmed(order(50), fan(1), Some(line(2, 1, &[0])))),
        ("a held order voided", Entry::Voided { order: held.order }),
        ("a held order reduced", reduced(held.order, line(2, 1, &[0]))),
        ("more given back than was sold", reduced(sold.order, line(0, 5, &[]))),
        ("all of it given back, and still sold", reduced(sold.order, all)),
        ("a type given back that was not sold", reduced(sold.order, line(1, 1, &[]))),
        ("nothing given back", reduced(sold.order, line(0, 0, &[]))),
    ];
    for (what, entry) in table {
        let mut state = sale.state.clone();
        assert!(state.apply(sale.now, &entry).is_err(), "{what}");
    }
    let mut state = sale.state.clone();
    let earlier = EventTime(sale.now.0 - 1);
    assert!(state.apply(earlier, &Entry::Activated { term: 2 }).is_err(), "time runs back");
    let mut state = Inventory::default();
    assert!(state.apply(sale.now, &hold(1, 1, vec![])).is_err(), "an order of nothing");
}

#[test]
fn a_plan_whose_owner_was_lost_leaves_nothing() {
    let mut sale = Sale::seated(&["ss"]);
    sale.apply(vec![Entry::SeatsStaged { version: 2, seats: rows("Z", &["ssss"]) }]);
    assert_eq!(sale.counts("SEAT"), (2, 0, 0, 0));
    sale.check_replay();
    sale.apply(vec![Entry::Activated { term: 2 }]);
    assert_eq!(sale.state.term(), 2);
    sale.reconfigure(|c| c.seats = rows("A", &["sss"])).expect("allowed");
    assert_eq!(sale.state.seats().len(), 3);
    sale.check_replay();
}

#[test]
fn somebody_must_run_an_event_with_anything_alive() {
    let (mut sale, held, _) = sale();
    assert!(sale.state.is_active());
    sale.pass(SESSION);
    assert_eq!(sale.state.order(held.order).map(|view| view.state), Some(HoldState::Expired));
    assert!(sale.state.admissions().is_empty() && sale.state.next_due().is_none());
    assert!(sale.state.is_active(), "facts to publish");
    sale.state.published(u64::MAX);
    assert!(!sale.state.is_active());
    sale.reconfigure(|c| {
        c.on_sale_at = EventTime(10_000_000_000);
        c.sale_ends_at = None;
    })
    .expect("allowed");
    assert!(sale.state.is_active(), "it opens later");
    sale.reconfigure(|c| c.phase = Phase::Ended).expect("allowed");
    assert!(!sale.state.is_active());
}
