//! The orphan rule, for seats that fans choose themselves; and what is shown of seats.

use super::{super::SeatState, *};

fn with_rule(rule: OrphanRule, plan: &[&str]) -> Sale {
    let mut configuration = configuration(rows("A", plan));
    configuration.orphan_rule = rule;
    Sale::open(configuration)
}

/// (plan, seats already taken, seats wanted, seats left single)
type Row = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const TABLE: [Row; 10] = [
    ("sssss", &[], &["A-1-1", "A-1-2"], &[]),
    ("sssss", &[], &["A-1-2", "A-1-3"], &["A-1-1"]),
    ("sssss", &[], &["A-1-2", "A-1-4"], &["A-1-1", "A-1-3", "A-1-5"]),
    ("ssss", &["A-1-1"], &["A-1-3", "A-1-4"], &["A-1-2"]),
    ("sss", &["A-1-1", "A-1-3"], &["A-1-2"], &[]),
    ("ss s", &[], &["A-1-1"], &["A-1-2"]),
    ("ss s", &[], &["A-1-1", "A-1-2"], &[]),
    ("sxss", &[], &["A-1-3"], &["A-1-4"]),
    ("ssa", &[], &["A-1-1"], &[]),
    ("ssa", &["A-1-3"], &["A-1-1"], &["A-1-2"]),
];

#[test]
fn seats_left_single_are_told_or_refused_as_the_rule_says() {
    for (plan, taken, wanted, single) in TABLE {
        let single: Vec<Code> = single.iter().map(|name| code(name)).collect();
        for rule in [OrphanRule::Off, OrphanRule::Warn, OrphanRule::Block] {
            let mut sale = with_rule(OrphanRule::Off, &[plan]);
            if !taken.is_empty() {
                sale.hold(1, seats(taken));
            }
            sale.reconfigure(|c| c.orphan_rule = rule).expect("allowed");
            let held = sale.try_hold(2, seats(wanted)).map(|view| view.orphans);
            let expected = match (rule, single.first()) {
                (OrphanRule::Block, Some(first)) => Err(Refusal::Orphan(first.clone())),
                (OrphanRule::Off, _) => Ok(Vec::new()),
                _ => Ok(single.clone()),
            };
            assert_eq!(held, expected, "{plan} {wanted:?} {rule:?}");
        }
    }
}

#[test]
fn seats_show_what_they_are_to_the_public_and_each_change_shows() {
    let mut sale = Sale::seated(&["ssxp"]);
    let held = sale.hold(1, seats(&["A-1-1"]));
    let revision = sale.state.view(sale.now).seats_revision;
    sale.hold(2, quantity("GA", 1));
    assert_eq!(sale.state.view(sale.now).seats_revision, revision);
    sale.confirm(&held, 1);
    assert!(sale.state.view(sale.now).seats_revision > revision);
    sale.hold(2, seats(&["A-1-2"]));
    let shown: Vec<_> = sale.state.seats().into_iter().map(|(_, state)| state).collect();
    assert_eq!(shown, [SeatState::Sold, SeatState::Held, SeatState::Blocked, SeatState::Blocked]);
}
