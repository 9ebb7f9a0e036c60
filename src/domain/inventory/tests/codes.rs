//! Codes: what each is worth, who may use it and how often.

use super::{
    super::{codes::CodeTerms, request::CodeView},
    *,
};
use crate::domain::price::Discount;

pub(super) fn half_price() -> CodeTerms {
    CodeTerms {
        discount: Some(Discount::BasisPoints(5_000)),
        opens: false,
        ticket_types: Vec::new(),
        max_uses: None,
        per_fan: None,
        valid_from: None,
        valid_until: None,
    }
}

fn presale() -> CodeTerms {
    CodeTerms { discount: None, opens: true, ..half_price() }
}

fn make(sale: &mut Sale, names: &[&str], terms: CodeTerms) -> Result<Answer, Refusal> {
    let codes = names.iter().map(|name| code(name)).collect();
    sale.ask(Command::MakeCodes { terms: Box::new(terms), codes })
}

/// With these codes.
fn sale(codes: Vec<(&str, CodeTerms)>) -> Sale {
    let mut sale = Sale::seated(&["ssss"]);
    for (name, terms) in codes {
        make(&mut sale, &[name], terms).expect("made");
    }
    sale
}

fn by(sale: &mut Sale, n: u64, want: Want, name: &str) -> Command {
    let Command::Hold(hold) = sale.hold_command(n, want) else { unreachable!() };
    Command::Hold(Hold { code: Some(code(name)), ..hold })
}

fn hold(sale: &mut Sale, n: u64, want: Want, name: &str) -> HoldView {
    let command = by(sale, n, want, name);
    let Ok(Answer::Held(view)) = sale.ask(command) else { unreachable!("no hold by {name}") };
    *view
}

fn refused(sale: &mut Sale, n: u64, want: Want, name: &str) -> Refusal {
    let command = by(sale, n, want, name);
    sale.refused(command)
}

fn listed(sale: &Sale) -> Vec<CodeView> {
    let Answer::Codes(page) = sale.state.decide_list_codes(0, 1_000).answer else { unreachable!() };
    page.codes
}

fn uses(sale: &Sale) -> Vec<u32> {
    listed(sale).iter().map(|code| code.uses).collect()
}

#[test]
fn a_code_takes_its_discount_off_what_it_is_for() {
    let ga = CodeTerms { ticket_types: vec![code("GA")], ..half_price() };
    let off = CodeTerms { discount: Some(Discount::Minor(1_500)), ..half_price() };
    let mut sale = sale(vec![("HALF", ga), ("OFF", off)]);
    let both = || Want::Quantities(vec![(code("GA"), 1), (code("CHEAP"), 2)]);
    let view = hold(&mut sale, 1, both(), "HALF");
    assert_eq!(view.lines.iter().map(|line| line.unit_price_minor).collect::<Vec<_>>(), [1_250, 1_000]);
    assert_eq!((view.lines[0].each().discount_minor, view.total_minor), (1_250, 3_250));
    let view = hold(&mut sale, 2, both(), "OFF");
    assert_eq!(view.lines.iter().map(|line| line.unit_price_minor).collect::<Vec<_>>(), [1_000, 0]);
    assert_eq!(uses(&sale), [1, 3]);
    assert_eq!(hold(&mut sale, 3, seats(&["A-1-1"]), "OFF").total_minor, 7_500);
    sale.check_replay();
}

#[test]
fn each_code_that_cannot_be_used_says_why_and_changes_nothing() {
    let later = EventTime(5_000) + Millis::minutes(60);
    let table = vec![
        ("EARLY", CodeTerms { valid_from: Some(later), ..half_price() }),
        ("LATE", CodeTerms { valid_until: Some(EventTime(5_000)), ..half_price() }),
        ("SEATS", CodeTerms { ticket_types: vec![code("SEAT")], ..half_price() }),
        ("TWO", CodeTerms { max_uses: Some(2), ..half_price() }),
        ("ONE", CodeTerms { per_fan: Some(1), ..half_price() }),
        ("GONE", half_price()),
    ];
    let mut sale = sale(table);
    sale.ask(Command::WithdrawCodes(vec![code("GONE")])).expect("withdrawn");
    for (name, n, refusal) in [
        ("NONE", 1, Refusal::UnknownCode),
        ("half", 1, Refusal::UnknownCode),
        ("GONE", 1, Refusal::UnknownCode),
        ("EARLY", 1, Refusal::CodeNotValidNow { from: Some(later), until: None }),
        ("LATE", 1, Refusal::CodeNotValidNow { from: None, until: Some(EventTime(5_000)) }),
        ("SEATS", 1, Refusal::CodeNotForThese),
        ("TWO", 3, Refusal::CodeUsedUp { left: 2 }),
        ("ONE", 2, Refusal::CodeFanLimit { left: 1 }),
    ] {
        assert_eq!(refused(&mut sale, 1, quantity("GA", n), name), refusal, "{name}");
    }
    hold(&mut sale, 1, quantity("GA", 1), "ONE");
    hold(&mut sale, 2, quantity("GA", 1), "ONE");
    assert_eq!(refused(&mut sale, 1, quantity("GA", 1), "ONE"), Refusal::CodeFanLimit { left: 0 });
    sale.pass(Millis::minutes(60));
    sale.admit(20);
    hold(&mut sale, 20, quantity("GA", 1), "EARLY");
    sale.check_replay();
}

#[test]
fn what_is_not_open_needs_a_code_that_opens_it() {
    let mut sale = sale(vec![
        ("OPEN", presale()),
        ("SEATS", CodeTerms { ticket_types: vec![code("SEAT")], ..presale() }),
        ("HALF", half_price()),
    ]);
    let opens_at = sale.now + Millis::minutes(5);
    sale.reconfigure(|c| {
        c.ticket_types[0].opens_at = Some(opens_at);
        c.ticket_types[1].needs_code = true;
    })
    .expect("allowed");
    let required = |name: &str, opens_at| Refusal::CodeRequired { ticket_type: code(name), opens_at };
    assert_eq!(sale.hold_refused(1, quantity("GA", 1)), required("GA", Some(opens_at)));
    assert_eq!(sale.hold_refused(1, quantity("CHEAP", 1)), required("CHEAP", None));
    for name in ["SEATS", "HALF"] {
        assert_eq!(refused(&mut sale, 1, quantity("CHEAP", 1), name), required("CHEAP", None), "{name}");
    }
    let view = hold(&mut sale, 1, Want::Quantities(vec![(code("GA"), 1), (code("CHEAP"), 1)]), "OPEN");
    assert_eq!(view.total_minor, 3_500);
    sale.hold(2, seats(&["A-1-1"]));
    sale.pass(Millis::minutes(5));
    sale.hold(3, quantity("GA", 1));
    assert_eq!(sale.hold_refused(3, quantity("CHEAP", 1)), required("CHEAP", None));
    sale.check_replay();
}

#[test]
fn a_use_is_given_back_with_the_stock_and_not_before() {
    let mut sale = sale(vec![("FOUR", CodeTerms { max_uses: Some(4), ..half_price() })]);
    let released = hold(&mut sale, 1, quantity("GA", 1), "FOUR");
    sale.ask(Command::Release { fan: fan(1), order: released.order }).expect("held");
    assert_eq!(uses(&sale), [0]);
    let lapsed = hold(&mut sale, 1, quantity("GA", 2), "FOUR");
    sale.pass(TTL);
    assert_eq!(uses(&sale), [0]);
    let sold = hold(&mut sale, 2, quantity("GA", 3), "FOUR");
    sale.confirm(&sold, 1);
    // Paid late, when the code is used up: the money goes back.
    assert_eq!(sale.confirm(&lapsed, 2), Answer::ConfirmRefused(ConfirmRefusal::CodeUsedUp));
    let left = vec![Line { quantity: 1, ..sold.lines[0].clone() }];
    sale.ask(Command::Reduce { order: sold.order, to: left }).expect("sold");
    assert_eq!(uses(&sale), [1]);
    let late = hold(&mut sale, 3, quantity("GA", 3), "FOUR");
    sale.pass(TTL);
    assert_eq!(sale.confirm(&late, 3), Answer::Confirmed);
    assert_eq!(uses(&sale), [4]);
    sale.ask(Command::Void { order: late.order }).expect("sold");
    // What was withdrawn, or is not valid any more, keeps its promise to who has paid.
    sale.admit(14);
    let late = hold(&mut sale, 14, quantity("GA", 1), "FOUR");
    sale.pass(TTL);
    sale.ask(Command::WithdrawCodes(vec![code("FOUR")])).expect("withdrawn");
    assert_eq!(sale.confirm(&late, 4), Answer::Confirmed);
    assert_eq!(uses(&sale), [2]);
    sale.check_replay();
}

#[test]
fn codes_are_made_once_listed_in_their_order_and_withdrawn_for_good() {
    let mut sale = sale(vec![("A", half_price())]);
    let names: Vec<String> = (0..1_000).map(|n| format!("N{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (names, terms, refusal) in [
        (&["A"][..], half_price(), Refusal::CodeExists(code("A"))),
        (&["B", "B"], half_price(), Refusal::CodeExists(code("B"))),
        (
            &["B"],
            CodeTerms { ticket_types: vec![code("VIP")], ..half_price() },
            Refusal::UnknownTicketType(code("VIP")),
        ),
    ] {
        assert_eq!(make(&mut sale, names, terms), Err(refusal));
    }
    assert!(make(&mut sale, &["B"], CodeTerms { opens: false, ..presale() }).is_err(), "worth nothing");
    make(&mut sale, &names, presale()).expect("made");
    let withdraw = |sale: &mut Sale| sale.ask(Command::WithdrawCodes(vec![code("N7"), code("A"), code("N7")]));
    assert_eq!(withdraw(&mut sale), Ok(Answer::CodesWithdrawn { count: 2 }));
    assert_eq!(withdraw(&mut sale), Ok(Answer::CodesWithdrawn { count: 0 }));
    assert_eq!(make(&mut sale, &["A"], half_price()), Err(Refusal::CodeExists(code("A"))), "gone is not free");
    let Answer::Codes(page) = sale.state.decide_list_codes(1, 10).answer else { unreachable!() };
    assert_eq!((page.codes.len(), page.next, page.codes[0].number), (10, Some(11), 1));
    assert_eq!((page.codes[7].code.as_str(), page.codes[7].withdrawn, page.codes[6].withdrawn), ("N7", true, false));
    let Answer::Codes(page) = sale.state.decide_list_codes(1_000, 10).answer else { unreachable!() };
    assert_eq!((page.codes.len(), page.next), (1, None));
    sale.check_replay();
}
