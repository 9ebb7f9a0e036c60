//! Batches and plans larger than a segment.

use super::{
    super::super::{
        configuration::{Kept, Limits, SeatKind, Stock, TicketType},
        request::{Confirm, Line},
        tests::{payment, seat, seats},
    },
    *,
};

#[test]
fn a_segment_ends_at_its_limit_and_what_finishes_work_goes_first_within_its_own() {
    let mut large = configuration(Vec::new());
    large.ticket_types[0].stock = Stock::Quantity(10_000);
    large.quotas[0].capacity = 10_000;
    large.queue.slots = 10_000;
    let mut shell = Shell::open_with(100_000, large, 5_000);
    for n in 1..=2_000 {
        shell.ask(hold(n, quantity("GA", 1), order(n.into())));
    }
    shell.settle();
    let held = shell.hold(2_001, quantity("GA", 1));
    for n in 2_002..=5_000 {
        shell.hold(n, quantity("GA", 1));
    }
    for n in 1..=2_000u128 {
        let confirm = Confirm { order: order(n), payment: payment(n), fan: fan(n), lines: Vec::new() };
        shell.ask(Command::Confirm(confirm));
    }
    shell.form();
    let entries = shell.last_segment().entries;
    let sold = |entry: &&Entry| matches!(entry, Entry::Confirmed { .. });
    assert_eq!(entries.len(), MAX_ENTRIES);
    assert_eq!(entries.iter().take_while(sold).count(), MAX_FINISHING_ENTRIES);
    assert_eq!(entries.iter().filter(sold).count(), MAX_FINISHING_ENTRIES);
    shell.commit();
    assert!(is_held(shell.told(held)));
    shell.settle();
    assert_eq!(shell.batcher.inventory().view(shell.now).ticket_types[0].sold, 2_000);

    // Everything unsold expires at once, and yet a payment is not kept waiting behind it.
    shell.now = shell.now + Millis::minutes(10);
    let last = shell.facts.last().copied();
    let void = shell.ask(Command::Void { order: order(1) });
    shell.form();
    assert_eq!(shell.last_segment().entries.len(), MAX_DUE_ENTRIES + 1);
    shell.commit();
    assert_eq!(shell.told(void), Some(&Outcome::Answered(Answer::Voided)));
    shell.settle();
    assert_eq!(shell.facts.last().copied(), last.map(|last| last + 3_001));
    shell.check_replay();
}

#[test]
fn a_segment_ends_at_its_bytes() {
    let rows = (0..100).flat_map(|row| (0..100).map(move |number| (row, number)));
    let plan = rows
        .map(|(row, number)| seat("BALCONY-OF-THE-OPERA", &row.to_string(), number, SeatKind::Standard, Kept::Free));
    let mut large = configuration(plan.collect());
    large.limits.per_order = 20;
    large.limits.per_fan = 20;
    large.queue.slots = 1_000;
    let mut shell = Shell::open_with(100_000, large, 500);
    let name = |row: u64, number: u64| format!("BALCONY-OF-THE-OPERA-{row}-{number}");
    for n in 0..500u64 {
        let names: Vec<String> = (0..20).map(|m| name(n / 5, n % 5 * 20 + m)).collect();
        shell.hold(n + 1, seats(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    shell.settle();
    assert!(shell.told.iter().all(|(_, outcome, _)| is_held(Some(outcome))));
    let large_lines: Vec<_> = (1..=500u64)
        .map(|n| {
            let reply = n as usize - 1;
            let Outcome::Answered(Answer::Held(view)) = &shell.told[reply].1 else { unreachable!() };
            (view.fan, view.lines.clone())
        })
        .collect();
    // Refused again and again with all their lines: a few hundred bytes each.
    let segments = shell.journal.len();
    for (n, (fan, lines)) in (1..).zip(large_lines.iter().cycle().take(4_000)) {
        let confirm = Confirm { order: order(n), payment: payment(n), fan: *fan, lines: lines.clone() };
        shell.ask(Command::Confirm(confirm));
    }
    shell.settle();
    let sizes: Vec<usize> = shell.journal[segments..].iter().map(Vec::len).collect();
    assert!(sizes.len() > 3 && sizes[0] > MAX_FINISHING_BYTES - 1_000, "{sizes:?}");
    shell.check_replay();
}

/// About two megabytes.
fn large_plan() -> Configuration {
    let row = |n: u32| "R".repeat(20) + &n.to_string();
    let rows = (0..400).flat_map(|row| (0..50).map(move |number| (row, number)));
    configuration(rows.map(|(n, number)| seat("ZONE", &row(n), number, SeatKind::Standard, Kept::Free)).collect())
}

#[test]
fn a_large_plan_takes_several_segments_and_nothing_is_decided_in_between() {
    let mut shell = Shell::open(100);
    let segments = shell.journal.len();
    let configure = shell.ask(Command::Configure(Box::new(Configuration { version: 2, ..large_plan() })));
    let held = shell.hold(1, quantity("GA", 1));
    let second = shell.ask(Command::Release { fan: fan(1), order: order(1) });
    shell.form();
    let mut parts = 0;
    while shell.told(configure).is_none() {
        let entries = shell.last_segment().entries;
        let staged = entries.iter().filter(|entry| matches!(entry, Entry::SeatsStaged { .. })).count();
        assert!(staged > 0 && (staged == entries.len() || parts > 1));
        assert_eq!((shell.told(held), shell.told(second)), (None, None));
        assert_eq!(shell.batcher.inventory().seats().is_empty(), staged == entries.len());
        parts += 1;
        shell.commit();
        shell.form();
    }
    assert!(parts > 2 && shell.journal.len() >= segments + parts, "{parts}");
    assert_eq!(shell.told(configure), Some(&Outcome::Answered(Answer::Configured { version: 2 })));
    shell.settle();
    assert!(is_held(shell.told(held)));
    assert_eq!(shell.batcher.inventory().seats().len(), 20_000);
    shell.check_replay();
}

#[test]
fn a_large_plan_whose_owner_is_lost_halfway_was_not_attempted() {
    let mut shell = Shell::open(100);
    let configure = shell.ask(Command::Configure(Box::new(Configuration { version: 2, ..large_plan() })));
    shell.form();
    assert_eq!(shell.batcher.waiting(), 1);
    shell.step(Input::Fenced);
    assert_eq!(shell.told(configure), Some(&Outcome::NotAttempted));
}

#[test]
fn a_hold_for_which_a_segment_has_no_room_is_the_first_of_the_next() {
    let mut many = configuration(Vec::new());
    let ga = many.ticket_types.swap_remove(0);
    many.ticket_types = (0..20)
        .map(|n| {
            let code = format!("GA-{n}").parse().expect("a code");
            let stock = Stock::Quantity(10_000);
            TicketType { code, stock, price_minor: 1_000_000_000, quotas: Vec::new(), ..ga.clone() }
        })
        .collect();
    let want = Want::Quantities(many.ticket_types.iter().map(|t| (t.code.clone(), 1)).collect());
    many.limits = Limits { per_order: 20, per_fan: 20, ..many.limits };
    many.queue.slots = 5_000;
    let mut shell = Shell::open_with(100_000, many, 4_000);
    let line = Line {
        ticket_type: "GA-0".parse().expect("a code"),
        quantity: 20,
        unit_price_minor: 1,
        breakdown: None,
        seats: (0..20).map(|n| format!("A-SEAT-THAT-IS-NOT-THERE-{n}").parse().expect("a code")).collect(),
    };
    for n in 0..400u128 {
        let (order, payment) = (order(500_000 + n), payment(n));
        shell.ask(Command::Confirm(Confirm { order, payment, fan: fan(1), lines: vec![line.clone()] }));
    }
    for n in 1..=4_000 {
        shell.ask(hold(n, want.clone(), order(n.into())));
    }
    let segments = shell.journal.len();
    shell.settle();
    let read = |bytes: &Vec<u8>| Segment::from_bytes(bytes).expect("its own bytes").entries;
    let batches: Vec<Vec<Entry>> = shell.journal[segments..].iter().map(read).collect();
    assert!(batches[0].len() < MAX_ENTRIES, "its bytes end it");
    let held = batches.iter().flatten().filter_map(|entry| match entry {
        Entry::Held { order, .. } => Some(*order),
        _ => None,
    });
    assert_eq!(held.collect::<Vec<_>>(), (1..=4_000).map(order).collect::<Vec<_>>());
}
