//! Best available, as a clerk would choose.

use proptest::prelude::*;

use super::*;

fn found(sale: &mut Sale, wish: BestAvailable) -> Result<String, Refusal> {
    let view = sale.try_hold(9, Want::BestAvailable(wish))?;
    let names = seat_names(&view);
    Ok(names.iter().map(|name| name.trim_start_matches("A-")).collect::<Vec<_>>().join(" "))
}

/// What is shown, the plan with taken seats as dots, the wish, the seats.
type Row<'a> = (&'a str, &'a [&'a str], BestAvailable, Result<&'a str, Refusal>);

#[test]
fn the_first_run_that_leaves_nobody_single_is_best() {
    let together = |n| BestAvailable { together: true, ..best(n) };
    let accessible = |n, accessible| BestAvailable { accessible, ..best(n) };
    let none = |quantity| Err(Refusal::NoSuchSeats { quantity });
    let table: Vec<Row<'_>> = vec![
        ("front and low first", &["ssss", "ssss"], best(2), Ok("1-1 1-2")),
        ("a whole run beside a cut one", &["sss", "ss"], best(2), Ok("2-1 2-2")),
        ("not the middle", &["s.ssss"], best(2), Ok("1-3 1-4")),
        ("a run that fits exactly", &["sss.ss"], best(2), Ok("1-5 1-6")),
        ("if need be, one is left single", &["sss"], best(2), Ok("1-1 1-2")),
        ("further back for a run", &["s.s.s", "ssss"], best(3), Ok("2-1 2-2 2-3")),
        ("a gap in the numbers is no run", &["ss ss"], together(4), none(4)),
        ("in pieces, the largest first", &["ss.sss.s"], best(4), Ok("1-4 1-5 1-6 1-8")),
        ("no pieces for those who stay together", &["ss.sss.s"], together(4), none(4)),
        ("accessible seats are kept for who needs them", &["aassc"], best(2), Ok("1-3 1-4")),
        ("and not given otherwise", &["aacc.s"], best(2), none(2)),
        ("with the companion beside", &["ssacss"], accessible(2, 1), Ok("1-3 1-4")),
        ("companions before others", &["sscacss"], accessible(3, 1), Ok("1-3 1-4 1-5")),
        ("a companion seat elsewhere is none", &["a.c.ss"], accessible(2, 1), Ok("1-1 1-5")),
        ("two accessible ones", &["ac", "acac"], accessible(4, 2), Ok("2-1 2-2 2-3 2-4")),
        ("apart if need be", &["ac.", "ac."], accessible(4, 2), Ok("1-1 1-2 2-1 2-2")),
        ("too few accessible ones", &["acss"], accessible(2, 2), none(2)),
        ("blocked and kept seats are no seats", &["xp.ss"], best(2), Ok("1-4 1-5")),
    ];
    for (what, rows_of, wish, expected) in table {
        let mut sale = plan_with_taken(rows_of);
        let got = found(&mut sale, wish);
        assert_eq!(got, expected.map(str::to_owned), "{what}");
    }
}

/// A dot is a seat that somebody has.
fn plan_with_taken(rows_of: &[&str]) -> Sale {
    let plan: Vec<String> = rows_of.iter().map(|row| row.replace('.', "s")).collect();
    let mut configuration = configuration(rows("A", &plan.iter().map(String::as_str).collect::<Vec<_>>()));
    configuration.limits = Limits { per_order: 20, per_fan: 20, ..configuration.limits };
    let mut sale = Sale::open(configuration);
    for (row, letters) in (1..).zip(rows_of) {
        for (number, _) in (1..).zip(letters.chars()).filter(|(_, letter)| *letter == '.') {
            sale.hold(1, seats(&[&format!("A-{row}-{number}")]));
        }
    }
    sale
}

#[test]
fn a_zone_is_kept_to() {
    let mut seats = rows("A", &["ss"]);
    seats.extend(rows("B", &["ss"]));
    let mut sale = Sale::open(configuration(seats));
    let in_zone = |zone: &str| Want::BestAvailable(BestAvailable { zone: Some(code(zone)), ..best(2) });
    assert_eq!(seat_names(&sale.hold(1, in_zone("B"))), ["B-1-1", "B-1-2"]);
    assert_eq!(sale.hold_refused(1, in_zone("B")), Refusal::NoSuchSeats { quantity: 2 });
    assert_eq!(sale.hold_refused(1, in_zone("C")), Refusal::NoSuchSeats { quantity: 2 });
}

#[test]
fn where_single_seats_are_blocked_none_is_left() {
    for (plan, quantity, expected) in [
        (&["sss"][..], 2, None),
        (&["sss", "sss"], 2, Some(vec!["A-1-1", "A-2-1"])),
        (&["sss", "ssss"], 2, Some(vec!["A-2-1", "A-2-2"])),
        (&["sss"], 3, Some(vec!["A-1-1", "A-1-2", "A-1-3"])),
    ] {
        let mut configuration = configuration(rows("A", plan));
        configuration.orphan_rule = OrphanRule::Block;
        let mut sale = Sale::open(configuration);
        match expected {
            Some(names) => assert_eq!(seat_names(&sale.hold(1, Want::BestAvailable(best(quantity)))), names),
            None => {
                let refusal = sale.hold_refused(1, Want::BestAvailable(best(quantity)));
                assert_eq!(refusal, Refusal::NoSuchSeats { quantity });
            }
        }
    }
}

#[test]
fn what_comes_back_is_found_again_and_a_channels_own_seats_take_nothing_from_others() {
    let mut sale = plan_with_taken(&["ps"]);
    let Command::Hold(hold) = sale.hold_command(2, seats(&["A-1-1"])) else { unreachable!() };
    sale.ask(Command::Hold(Hold { channel: Some(code("press")), ..hold })).expect("its own channel");
    let first = sale.hold(3, Want::BestAvailable(best(1)));
    assert_eq!(seat_names(&first), ["A-1-2"]);
    sale.pass(TTL);
    assert_eq!(seat_names(&sale.hold(4, Want::BestAvailable(best(1)))), ["A-1-2"]);
    assert_eq!(
        sale.hold_refused(5, Want::BestAvailable(best(1))),
        Refusal::SoldOut { ticket_type: code("SEAT"), left: 0 }
    );
}

fn a_row() -> impl Strategy<Value = String> {
    "[s.acx ]{1,9}"
}

proptest! {
    #[test]
    fn best_seats_are_free_right_in_number_and_kind_and_together_if_they_must(
        rows_of in prop::collection::vec(a_row(), 1..5),
        quantity in 1u32..7,
        accessible in 0u32..3,
        together: bool,
        block: bool,
    ) {
        let rows_of: Vec<&str> = rows_of.iter().map(String::as_str).collect();
        prop_assume!(rows_of.iter().flat_map(|row| row.chars()).filter(|c| *c == '.').count() <= 20);
        prop_assume!(rows_of.iter().any(|row| row.contains(['s', 'a', 'c', '.'])));
        prop_assume!(accessible <= quantity);
        let mut sale = plan_with_taken(&rows_of);
        if block {
            sale.reconfigure(|c| c.orphan_rule = OrphanRule::Block).expect("allowed");
        }
        let wish = BestAvailable { accessible, together, ..best(quantity) };
        let before = sale.state.seats();
        let letter = |name: &str| {
            let mut parts = name.split('-').skip(1).map(|part| part.parse::<usize>().expect("a number"));
            let (row, number) = (parts.next().expect("a row"), parts.next().expect("a number"));
            (row, number, rows_of[row - 1].chars().nth(number - 1).expect("a seat"))
        };
        let Ok(view) = sale.try_hold(9, Want::BestAvailable(wish)) else {
            // A run of standard seats is always found where one exists and single seats are allowed.
            let standard_run = rows_of.iter().any(|row| row.contains(&"s".repeat(quantity as usize)));
            prop_assert!(block || accessible > 0 || !standard_run);
            let standard = rows_of.iter().flat_map(|row| row.chars()).filter(|c| *c == 's').count();
            prop_assert!(block || accessible > 0 || together || standard < quantity as usize);
            return Ok(());
        };
        let names = seat_names(&view);
        let chosen: Vec<_> = names.iter().map(|name| letter(name)).collect();
        prop_assert_eq!(chosen.len(), quantity as usize);
        prop_assert_eq!(chosen.iter().filter(|(_, _, letter)| *letter == 'a').count(), accessible as usize);
        for &(row, number, letter) in &chosen {
            prop_assert!(matches!(letter, 's' | 'a' | 'c'));
            let beside = |other: &(usize, usize, char)| other.0 == row && other.1.abs_diff(number) == 1;
            prop_assert!(letter != 'c' || chosen.iter().any(|other| other.2 == 'a' && beside(other)));
        }
        if together {
            let (row, first, _) = chosen[0];
            let run: Vec<_> = (first..first + quantity as usize).map(|number| (row, number)).collect();
            prop_assert_eq!(chosen.iter().map(|seat| (seat.0, seat.1)).collect::<Vec<_>>(), run);
        }
        prop_assert!(!block || view.orphans.is_empty());
        let taken_before = before.iter().filter(|(id, state)| names.contains(&id.to_string()) && *state != super::super::SeatState::Free);
        prop_assert_eq!(taken_before.count(), 0);
        sale.check_replay();
    }
}
