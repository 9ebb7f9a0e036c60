//! The waiting list: who is served, in which order, and what becomes of what nobody can use.

use super::{
    super::{
        configuration::ListMode,
        request::HoldState,
        waitlist::{Returning, Standing, Tally, WaitlistAnswer, WaitlistCommand, Wish},
    },
    *,
};

const OFFER: Millis = Millis::minutes(15);
const GATHER: Millis = Millis::minutes(10);

fn wish(quantity: u8) -> Wish {
    Wish { quantity, any_seat: false, fewer: false }
}

fn join(n: u64, types: &[&str], wish: Wish) -> Command {
    let (order, fan) = (order(n.into()), fan(n.into()));
    Command::Waitlist(WaitlistCommand::Join { order, fan, ticket_types: types.iter().map(|t| code(t)).collect(), wish })
}

impl Sale {
    /// All that is due for who waits, and for whom time passes.
    pub fn settle(&mut self) {
        while let Some(entry) = self.state.next_offer(self.now) {
            self.apply(vec![entry]);
        }
    }

    fn wait(&mut self, n: u64, name: &str, wish: Wish) -> Standing {
        match self.ask(join(n, &[name], wish)).expect("joined") {
            Answer::Waitlist(WaitlistAnswer::Standing(standing)) => *standing,
            other => unreachable!("{other:?}"),
        }
    }

    fn standing(&mut self, n: u64) -> Option<Standing> {
        match self.ask(Command::Waitlist(WaitlistCommand::Look { fan: fan(n.into()) })) {
            Ok(Answer::Waitlist(WaitlistAnswer::Standing(standing))) => Some(*standing),
            _ => None,
        }
    }

    /// (people, tickets) ahead, or nothing if the fan does not wait.
    fn ahead(&mut self, n: u64) -> Option<(u32, u32)> {
        match self.standing(n)? {
            Standing::Waits { people_ahead, tickets_ahead, .. } => Some((people_ahead, tickets_ahead)),
            Standing::Offered(_) => None,
        }
    }

    fn offer(&mut self, n: u64) -> Option<HoldView> {
        match self.standing(n)? {
            Standing::Offered(view) => Some(view),
            Standing::Waits { .. } => None,
        }
    }

    /// Of three types, GA is what is looked at: ten, all of them held by fans 1 to 3.
    fn sold_out() -> (Self, Vec<HoldView>) {
        let mut configuration = configuration(rows("A", &["sss"]));
        configuration.waitlist.mode = ListMode::Open;
        let mut sale = Self::open(configuration);
        let holds = [(1, 4), (2, 4), (3, 2)].map(|(n, q)| sale.hold(n, quantity("GA", q)));
        (sale, holds.into())
    }
}

fn release(view: &HoldView) -> Command {
    Command::Release { fan: view.fan, order: view.order }
}

#[test]
fn what_is_freed_is_offered_to_the_first_and_nobody_else_can_hold_it() {
    let (mut sale, holds) = Sale::sold_out();
    sale.wait(11, "GA", wish(2));
    sale.wait(12, "GA", wish(1));
    assert_eq!((sale.ahead(11), sale.ahead(12)), (Some((0, 0)), Some((1, 2))));
    sale.ask(release(&holds[2])).expect("released");
    assert_eq!(sale.hold_refused(5, quantity("GA", 1)), Refusal::SoldOut { ticket_type: code("GA"), left: 0 });
    assert_eq!((sale.stock("GA").free, sale.stock("GA").available), (2, 0));
    sale.settle();
    let offer = sale.offer(11).expect("an offer");
    assert_eq!((offer.state, offer.lines[0].quantity, offer.total_minor), (HoldState::Held, 2, 5_000));
    assert_eq!(offer.expires_at, sale.now + OFFER);
    assert_eq!((sale.offer(12), sale.ahead(12)), (None, Some((0, 0))));
    assert_eq!(sale.counts("GA"), (0, 10, 0, 0));

    // It is a hold like any other, but needs no admission and takes no slot.
    assert_eq!(sale.confirm(&offer, 1), Answer::Confirmed);
    assert_eq!(sale.counts("GA"), (0, 8, 2, 0));
    let tally = Tally { waiting: 1, tickets_wanted: 1, offered: 1, taken: 1, lapsed: 0 };
    assert_eq!(sale.state.view(sale.now).waitlist, tally);
    sale.check_replay();
}

#[test]
fn an_offer_that_lapses_goes_to_the_next_and_its_entry_is_over() {
    let (mut sale, holds) = Sale::sold_out();
    for n in [11, 12] {
        sale.wait(n, "GA", wish(2));
    }
    for hold in &holds {
        sale.confirm(hold, 1);
    }
    let to = Vec::new();
    sale.ask(Command::Reduce { order: holds[2].order, to }).expect("given back");
    sale.settle();
    assert!(sale.offer(11).is_some());
    sale.pass(OFFER);
    sale.settle();
    let lapsed = sale.offer(11).expect("remembered");
    assert_eq!(lapsed.state, HoldState::Expired);
    assert_eq!(sale.offer(12).map(|view| view.state), Some(HoldState::Held));
    // The first may wait again, behind.
    sale.wait(13, "GA", wish(1));
    let again = join(111, &["GA"], wish(2));
    let Command::Waitlist(WaitlistCommand::Join { order, ticket_types, wish, .. }) = again else { unreachable!() };
    let again = WaitlistCommand::Join { order, fan: fan(11), ticket_types, wish };
    sale.ask(Command::Waitlist(again)).expect("joined anew");
    assert_eq!(sale.ahead(11), Some((1, 1)));
    let offer = sale.offer(12).expect("an offer");
    sale.ask(release(&offer)).expect("released");
    sale.settle();
    assert!(sale.offer(13).is_some());
    assert_eq!(sale.state.view(sale.now).waitlist.lapsed, 2);
    sale.check_replay();
}

#[test]
fn what_is_not_enough_for_the_first_is_kept_for_a_while_then_passed_on_then_for_sale() {
    let (mut sale, holds) = Sale::sold_out();
    sale.wait(11, "GA", wish(4));
    sale.wait(12, "GA", wish(1));
    sale.wait(13, "GA", wish(3));
    sale.confirm(&holds[0], 1);
    sale.confirm(&holds[1], 2);
    sale.ask(release(&holds[2])).expect("released");
    sale.settle();
    assert_eq!([11, 12, 13].map(|n| sale.offer(n).is_some()), [false; 3], "two are kept for who wants four");
    assert!(matches!(sale.hold_refused(5, quantity("GA", 1)), Refusal::SoldOut { .. }));
    sale.pass(Millis(GATHER.0 - 1));
    sale.settle();
    assert!(sale.offer(12).is_none());
    sale.pass(Millis(1));
    sale.settle();
    assert_eq!([11, 12, 13].map(|n| sale.offer(n).is_some()), [false, true, false]);
    // One is left, enough for nobody: whoever comes may have it.
    assert_eq!(sale.stock("GA").available, 1);
    let other = sale.hold(5, quantity("GA", 1));
    // More is freed: it is kept for the first again, and for longer, as the first was passed by.
    sale.ask(release(&other)).expect("released");
    sale.settle();
    assert_eq!(sale.stock("GA").available, 0);
    sale.pass(Millis(2 * GATHER.0 - 1));
    sale.settle();
    assert!(matches!(sale.hold_refused(6, quantity("GA", 1)), Refusal::NotAdmitted | Refusal::SoldOut { .. }));
    assert_eq!(sale.stock("GA").available, 0);
    sale.ask(Command::Reduce { order: holds[0].order, to: Vec::new() }).expect("given back");
    sale.settle();
    assert_eq!(sale.offer(11).map(|view| view.lines[0].quantity), Some(4), "the first is first");
    sale.check_replay();
}

#[test]
fn who_takes_fewer_gets_what_there_is_when_no_more_comes() {
    let (mut sale, holds) = Sale::sold_out();
    sale.wait(11, "GA", Wish { fewer: true, ..wish(4) });
    sale.ask(release(&holds[2])).expect("released");
    sale.settle();
    assert!(sale.offer(11).is_none(), "four may come together");
    sale.pass(GATHER);
    sale.settle();
    // The other holds have expired with that time: all four.
    assert_eq!(sale.offer(11).map(|view| view.lines[0].quantity), Some(4));

    let (mut sale, holds) = Sale::sold_out();
    sale.confirm(&holds[0], 1);
    sale.confirm(&holds[1], 1);
    sale.wait(11, "GA", Wish { fewer: true, ..wish(4) });
    sale.ask(release(&holds[2])).expect("released");
    sale.settle();
    sale.pass(GATHER);
    sale.settle();
    assert_eq!(sale.offer(11).map(|view| view.lines[0].quantity), Some(2));
    sale.check_replay();
}

#[test]
fn seats_come_side_by_side_unless_any_will_do() {
    let mut configuration = configuration(rows("A", &["sss"]));
    configuration.waitlist.mode = ListMode::Open;
    let mut sale = Sale::open(configuration);
    let singles = ["A-1-1", "A-1-2", "A-1-3"].map(|seat| (seat, sale.now));
    let holds: Vec<_> = (1..).zip(singles).map(|(n, (seat, _))| sale.hold(n, seats(&[seat]))).collect();
    sale.wait(11, "SEAT", wish(2));
    sale.wait(12, "SEAT", Wish { any_seat: true, ..wish(2) });
    sale.confirm(&holds[1], 2);
    for hold in [&holds[0], &holds[2]] {
        sale.ask(release(hold)).expect("released");
    }
    sale.settle();
    assert!(sale.offer(12).is_none(), "kept for the first, whose seats are to be side by side");
    let blocked = |sale: &Sale| sale.state.seats().iter().filter(|s| s.1 == super::super::SeatState::Blocked).count();
    assert_eq!((blocked(&sale), sale.state.free_seats()), (2, vec![false; 3]));
    sale.pass(GATHER);
    sale.settle();
    assert_eq!(sale.offer(12).as_ref().map(seat_names), Some(vec!["A-1-1".to_owned(), "A-1-3".to_owned()]));
    let offer = sale.offer(12).expect("an offer");
    sale.ask(Command::Reduce { order: holds[1].order, to: Vec::new() }).expect("given back");
    sale.ask(release(&offer)).expect("released");
    sale.settle();
    assert_eq!(sale.offer(11).as_ref().map(seat_names), Some(vec!["A-1-1".to_owned(), "A-1-2".to_owned()]));
    sale.check_replay();
}

#[test]
fn one_offer_for_any_of_several_types_and_quotas_are_kept_to() {
    let (mut sale, holds) = Sale::sold_out();
    let cheap = sale.hold(4, quantity("CHEAP", 2));
    sale.ask(join(11, &["CHEAP", "GA"], wish(2))).expect("joined");
    sale.wait(12, "CHEAP", wish(1));
    // The hall is full: what GA frees, CHEAP may have too.
    sale.ask(release(&holds[2])).expect("released");
    sale.settle();
    assert_eq!(sale.offer(11).map(|view| view.lines[0].ticket_type.to_string()), Some("GA".into()));
    assert!(sale.offer(12).is_none());
    sale.ask(release(&cheap)).expect("released");
    sale.settle();
    assert_eq!(sale.offer(12).map(|view| view.lines[0].ticket_type.to_string()), Some("CHEAP".into()));
    assert_eq!(sale.stock("CHEAP").available, 1, "nobody waits for it any more");
    sale.check_replay();
}

#[test]
fn joining_is_refused_when_there_is_no_need_or_no_room_and_repeats_are_the_same() {
    let (mut sale, _) = Sale::sold_out();
    assert_eq!(sale.refused(join(11, &["SEAT"], wish(1))), Refusal::NotSoldOut);
    assert_eq!(sale.refused(join(11, &["GA", "SEAT"], wish(1))), Refusal::NotSoldOut);
    assert_eq!(sale.refused(join(11, &["NONE"], wish(1))), Refusal::UnknownTicketType(code("NONE")));
    assert_eq!(sale.refused(join(11, &["GA"], wish(0))), Refusal::Quantity { max: 4 });
    assert_eq!(sale.refused(join(11, &["GA"], wish(5))), Refusal::Quantity { max: 4 });
    assert_eq!(sale.refused(join(1, &["GA"], wish(3))), Refusal::FanLimit { allowed: 2 });
    let first = sale.wait(11, "GA", wish(2));
    assert_eq!(sale.wait(11, "GA", wish(2)), first);
    assert_eq!(sale.refused(join(11, &["GA"], wish(1))), Refusal::AlreadyWaiting);
    sale.reconfigure(|c| c.waitlist.max_entries = 1).expect("configured");
    assert_eq!(sale.refused(join(12, &["GA"], wish(1))), Refusal::WaitlistFull { max: 1 });
    sale.reconfigure(|c| c.waitlist.mode = ListMode::Closed).expect("configured");
    assert_eq!(sale.refused(join(12, &["GA"], wish(1))), Refusal::WaitlistClosed);
    let leave = Command::Waitlist(WaitlistCommand::Leave { fan: fan(11) });
    for _ in 0..2 {
        assert_eq!(sale.ask(leave.clone()), Ok(Answer::Waitlist(WaitlistAnswer::Left)));
    }
    assert_eq!(sale.refused(Command::Waitlist(WaitlistCommand::Look { fan: fan(11) })), Refusal::NotWaiting);
    sale.check_replay();
}

#[test]
fn off_it_rests_closed_it_serves_and_with_the_sale_it_ends() {
    let (mut sale, holds) = Sale::sold_out();
    for n in [11, 12] {
        sale.wait(n, "GA", wish(2));
    }
    sale.reconfigure(|c| c.waitlist.mode = ListMode::Off).expect("configured");
    sale.ask(release(&holds[2])).expect("released");
    sale.settle();
    assert_eq!(sale.stock("GA").available, 2, "nothing is kept");
    sale.reconfigure(|c| c.waitlist.mode = ListMode::Closed).expect("configured");
    sale.settle();
    assert!(sale.offer(11).is_some());
    sale.reconfigure(|c| c.phase = Phase::Paused).expect("configured");
    sale.ask(release(&holds[0])).expect("released");
    sale.settle();
    assert!(sale.offer(12).is_none(), "nothing is sold meanwhile");
    sale.reconfigure(|c| c.phase = Phase::Published).expect("configured");
    sale.settle();
    assert!(sale.offer(12).is_some());
    sale.ask(release(&holds[1])).expect("released");
    let taken: Vec<_> = (1..=2).map(|n| sale.hold(n, quantity("GA", 3))).collect();
    assert_eq!(taken.len(), 2);
    sale.reconfigure(|c| c.waitlist.mode = ListMode::Open).expect("configured");
    sale.wait(13, "GA", wish(1));
    assert!(sale.state.is_active());
    sale.reconfigure(|c| c.phase = Phase::Ended).expect("configured");
    sale.settle();
    assert_eq!(sale.ahead(13), None);
    sale.check_replay();
}

#[test]
fn offers_are_short_on_the_day_of_the_sale_and_of_the_event_and_long_between() {
    let day = Millis::minutes(24 * 60);
    for (after, expected) in [(0, OFFER), (3, Millis::minutes(240)), (9, OFFER)] {
        let mut configuration = configuration(Vec::new());
        configuration.waitlist.mode = ListMode::Open;
        configuration.waitlist.starts_at = Some(EventTime(5_000) + Millis(day.0 * 10));
        configuration.sale_ends_at = None;
        let mut sale = Sale::of(configuration);
        sale.now = sale.now + Millis(day.0 * after);
        for n in 1..4 {
            sale.admit(n);
        }
        let [one, ..] = [(1, 4), (2, 4), (3, 2)].map(|(n, q)| sale.hold(n, quantity("GA", q)));
        sale.wait(11, "GA", wish(1));
        sale.ask(release(&one)).expect("released");
        sale.settle();
        assert_eq!(sale.offer(11).map(|view| view.expires_at), Some(sale.now + expected), "after {after} days");
    }
}

#[test]
fn more_stock_is_offered_and_who_has_enough_by_then_is_passed_over() {
    let (mut sale, _) = Sale::sold_out();
    sale.wait(3, "GA", wish(4));
    sale.wait(12, "GA", wish(2));
    // Meanwhile the first buys something else.
    sale.hold(3, seats(&["A-1-1"]));
    sale.reconfigure(|c| {
        c.ticket_types[0].stock = Stock::Quantity(14);
        c.quotas[0].capacity = 14;
    })
    .expect("configured");
    sale.settle();
    assert!(sale.offer(3).is_none() && sale.ahead(3).is_none());
    assert!(sale.offer(12).is_some());
    sale.check_replay();
}

#[test]
fn as_many_returning_tickets_are_wanted_as_serve_somebody() {
    let (mut sale, _) = Sale::sold_out();
    let wanted = |sale: &mut Sale, tickets, coming| {
        let returning = vec![Returning { ticket_type: code("GA"), tickets, coming }];
        match sale.ask(Command::Waitlist(WaitlistCommand::Wanted(returning))) {
            Ok(Answer::Waitlist(WaitlistAnswer::Wanted(wanted))) => wanted.first().map_or(0, |(_, count)| *count),
            other => unreachable!("{other:?}"),
        }
    };
    sale.reconfigure(|c| c.waitlist.returns_until = Some(EventTime(5_001))).expect("configured");
    assert_eq!(wanted(&mut sale, 5, 0), 0, "nobody waits");
    sale.wait(11, "GA", wish(3));
    sale.wait(12, "GA", wish(1));
    assert_eq!(wanted(&mut sale, 2, 0), 1, "two are not enough for the first");
    assert_eq!(wanted(&mut sale, 5, 0), 4);
    assert_eq!(wanted(&mut sale, 5, 3), 1, "three are on their way");
    assert_eq!(wanted(&mut sale, 5, 4), 0);
    for needs_code in [true, false] {
        sale.reconfigure(|c| c.ticket_types[0].needs_code = needs_code).expect("configured");
        assert_eq!(wanted(&mut sale, 5, 0), if needs_code { 0 } else { 4 }, "with a code it is offered to nobody");
    }
    sale.now = EventTime(5_001);
    assert_eq!(wanted(&mut sale, 5, 0), 0, "it is too late");
}
