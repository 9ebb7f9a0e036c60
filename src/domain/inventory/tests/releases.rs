//! Stock that comes in parts, each at its time.

use super::{
    super::configuration::{Invalid, Release},
    *,
};
use crate::domain::event::Status;

fn release(at: EventTime, quantity: u32) -> Release {
    Release { at, quantity }
}

/// Of the ten of GA, four now, three in five minutes, three in ten.
fn sale() -> (Sale, [Release; 2]) {
    let now = EventTime(5_000);
    let releases = [release(now + Millis::minutes(5), 3), release(now + Millis::minutes(10), 3)];
    let mut configuration = configuration(Vec::new());
    configuration.ticket_types.truncate(1);
    configuration.ticket_types[0].releases = releases.to_vec();
    configuration.limits.per_fan = 20;
    (Sale::open(configuration), releases)
}

#[test]
fn each_part_can_be_had_from_its_time_on_and_that_is_seen() {
    let (mut sale, [first, second]) = sale();
    assert_eq!((sale.counts("GA"), sale.stock("GA").next_release), ((4, 0, 0, 6), Some(first)));
    assert_eq!(sale.state.free_counts(), [(code("GA"), 4)]);
    sale.hold(1, quantity("GA", 4));
    assert_eq!(sale.hold_refused(2, quantity("GA", 1)), Refusal::SoldOut { ticket_type: code("GA"), left: 0 });
    assert_eq!(sale.state.view(sale.now).status, Status::SoldOut);
    assert_eq!(sale.state.next_due(), Some(first.at));
    assert!(sale.state.is_active(), "somebody must be there to release it");

    sale.pass(Millis::minutes(5));
    assert_eq!((sale.counts("GA"), sale.stock("GA").next_release), ((3, 4, 0, 3), Some(second)));
    assert_eq!(sale.state.view(sale.now).status, Status::OnSale);
    sale.hold(2, quantity("GA", 3));
    sale.check_replay();
    // Both are over, and so are the holds.
    sale.pass(Millis::minutes(60));
    assert_eq!((sale.counts("GA"), sale.stock("GA").next_release), ((10, 0, 0, 0), None));
    assert_eq!(sale.state.due(sale.now, 10), []);
    sale.check_replay();
}

#[test]
fn whoever_comes_late_releases_all_that_was_due() {
    let (mut sale, _) = sale();
    sale.now = sale.now + Millis::minutes(11);
    let due = sale.state.due(sale.now, 1);
    assert_eq!(due, [Entry::StockReleased { until: sale.now }], "before all else");
    sale.apply(due);
    assert_eq!(sale.counts("GA"), (10, 0, 0, 0));
    sale.check_replay();
}

#[test]
fn an_edit_never_withholds_what_is_taken_and_forgets_what_is_over() {
    let (mut sale, [first, _]) = sale();
    let held = sale.hold(1, quantity("GA", 4));
    let edit = |sale: &mut Sale, stock, releases: Vec<Release>| {
        sale.reconfigure(|c| (c.ticket_types[0].stock, c.ticket_types[0].releases) = (Stock::Quantity(stock), releases))
    };
    let below = Err(Refusal::BelowTaken { code: code("GA"), taken: 4 });
    assert_eq!(edit(&mut sale, 9, vec![release(first.at, 6)]), below);
    assert_eq!(edit(&mut sale, 10, vec![release(first.at, 7)]), below);
    edit(&mut sale, 11, vec![release(first.at, 7)]).expect("just enough");
    assert_eq!(sale.counts("GA"), (0, 4, 0, 7));
    let now = sale.now;
    edit(&mut sale, 11, vec![release(now, 7)]).expect("that is now");
    assert_eq!((sale.counts("GA"), sale.stock("GA").next_release), ((7, 4, 0, 0), None));
    edit(&mut sale, 11, vec![release(first.at, 7)]).expect("taken back");
    sale.confirm(&held, 1);
    sale.pass(Millis::minutes(5));
    assert_eq!(sale.counts("GA"), (7, 0, 4, 0));
    sale.check_replay();
}

#[test]
fn a_late_payment_does_not_get_what_is_not_released() {
    let (mut sale, _) = sale();
    sale.reconfigure(|c| c.ticket_types[0].releases = vec![release(EventTime(5_000) + Millis::minutes(600), 6)])
        .expect("allowed");
    let late = sale.hold(1, quantity("GA", 4));
    sale.pass(TTL);
    sale.hold(2, quantity("GA", 1));
    assert_eq!(sale.confirm(&late, 1), Answer::ConfirmRefused(ConfirmRefusal::Gone));
    sale.check_replay();
}

#[test]
fn releases_are_of_quantities_and_one_after_the_other() {
    let (sale, [first, second]) = sale();
    let good = Configuration::clone(sale.state.configuration().expect("configured"));
    for releases in [vec![second, first], vec![first, first]] {
        let mut wrong = good.clone();
        wrong.ticket_types[0].releases = releases;
        assert_eq!(wrong.validate(), Err(Invalid::Releases(code("GA"))));
    }
    let mut wrong = good.clone();
    wrong.ticket_types[0].stock = Stock::Seats;
    assert_eq!(wrong.validate(), Err(Invalid::Releases(code("GA"))));
    let mut wrong = good;
    wrong.ticket_types[0].releases[0].quantity = 0;
    assert!(wrong.validate().is_err());
}
