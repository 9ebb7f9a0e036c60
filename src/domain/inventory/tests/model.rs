//! Random commands against a model so naive that it cannot be wrong in the same way: the list of all orders.

mod known;
mod steps;
mod waves;

use std::collections::BTreeMap;

use proptest::prelude::*;

use self::{
    known::{Model, of_line},
    steps::{Step, step, with_a_child},
    waves::{seat_name, waits},
};
use super::{
    super::{
        SeatState,
        codes::CodeTerms,
        configuration::{ListMode, Part, Rate, Release, SeatRelease},
        request::{AdmissionEnd, AtRate, HoldState, Which},
        waitlist::{WaitlistCommand, Wish},
    },
    codes::half_price,
    *,
};

const FANS: u64 = 6;
/// One of few uses, one that many may use, but none much, and no code.
const CODES: [Option<&str>; 4] = [None, None, Some("FEW"), Some("MANY")];
const PLAN: [&str; 2] = ["sssap", "ssxcs"];

struct Run {
    sale: Sale,
    model: Model,
    next_key: u128,
    moves: u32,
}

impl Run {
    fn new() -> Self {
        let mut configuration = configuration(rows("A", &PLAN));
        configuration.queue.slots = 4;
        configuration.limits.per_fan = 5;
        configuration.waitlist.mode = ListMode::Open;
        configuration.waitlist.gather = Millis::minutes(2);
        configuration.ticket_types[2].quotas = vec![code("hall")];
        for ticket_type in &mut configuration.ticket_types {
            ticket_type.rates = vec![Rate { code: code("child"), name: "child".into(), price_minor: 500 }];
        }
        let mut sale = Sale::of(configuration);
        let few = CodeTerms { max_uses: Some(4), ..half_price() };
        let many = CodeTerms { discount: None, opens: true, per_fan: Some(2), ..half_price() };
        for (name, terms) in [("FEW", few), ("MANY", many)] {
            sale.ask(Command::MakeCodes { terms: Box::new(terms), codes: vec![code(name)] }).expect("made");
        }
        Self { sale, model: Model::default(), next_key: 1, moves: 0 }
    }

    fn ask(&mut self, command: Command) -> Result<Answer, Refusal> {
        let identity = identity(self.next_key, 1);
        self.next_key += 1;
        let entries = self.sale.journal.len();
        let answer = self.sale.ask_as(Some(identity), command.clone())?;
        // A release of what was released already does nothing, and leaves nothing to remember.
        if self.sale.journal.len() > entries {
            self.model.asked.push((identity, command, answer.clone(), self.sale.now));
        }
        Ok(answer)
    }

    fn hold(&mut self, n: u64, want: Want) {
        self.hold_by(n, want, None);
    }

    fn hold_by(&mut self, n: u64, want: Want, by: Option<&str>) {
        let Some(admission) = self.sale.state.admission_of(fan(n.into())) else { return };
        let mut command = self.sale.hold_command(n, want);
        if let Command::Hold(hold) = &mut command {
            hold.admission = admission.place;
            hold.code = by.map(code);
            // Every other fan comes with a child.
            hold.rates = if n.is_multiple_of(2) { with_a_child(&hold.want) } else { Vec::new() };
        }
        if let Ok(Answer::Held(view)) = self.ask(command) {
            assert!(admission.claim_by.is_none() && admission.until > self.sale.now);
            self.model.orders.push((*view, HoldState::Held));
        }
    }

    fn confirm(&mut self, pick: usize, by: u128) {
        let Some((index, view)) = self.model.pick(pick) else { return };
        // Every other fan takes other seats, too.
        let or_others = index % 2 == 1;
        let confirm =
            |sale: &mut Sale| if or_others { sale.confirm_or_others(&view, by) } else { sale.confirm(&view, by) };
        let answer = confirm(&mut self.sale);
        let again = confirm(&mut self.sale);
        assert_eq!(again, answer, "for ever");
        let answer = match answer {
            Answer::ConfirmedAs(lines) => {
                assert_eq!(
                    lines.iter().map(of_line).collect::<Vec<_>>(),
                    view.lines.iter().map(of_line).collect::<Vec<_>>()
                );
                self.has_now(index, lines);
                Answer::Confirmed
            }
            answer => answer,
        };
        let state = &mut self.model.orders[index].1;
        match (answer, *state, self.model.paid.get(&index)) {
            (Answer::Confirmed, HoldState::Sold | HoldState::Voided, Some(first)) => assert_eq!(*first, by),
            (Answer::Confirmed, HoldState::Held | HoldState::Expired | HoldState::Released, None) => {
                *state = HoldState::Sold;
                self.model.paid.insert(index, by);
            }
            (Answer::ConfirmRefused(why), HoldState::Sold | HoldState::Voided, Some(first)) => {
                assert_ne!(*first, by);
                let expected = match *state {
                    HoldState::Sold => vec![ConfirmRefusal::AlreadyPaid],
                    // Refused while it was sold, or since.
                    _ => vec![ConfirmRefusal::AlreadyPaid, ConfirmRefusal::Voided],
                };
                assert!(expected.contains(&why));
            }
            (Answer::ConfirmRefused(_), HoldState::Held, _) => unreachable!("a held order is sold"),
            (Answer::ConfirmRefused(_), _, None) => *state = HoldState::Refused,
            (answer, state, paid) => unreachable!("{answer:?} of {state:?} paid by {paid:?}"),
        }
    }

    fn run(&mut self, step: &Step) {
        match step.clone() {
            Step::Admit { n, place, present } => {
                let admittee = Admittee { place: Place(place), fan: fan(n.into()), present, needs_more_time: false };
                drop(self.sale.ask(Command::Admit(vec![admittee])));
            }
            Step::Claim { n } => {
                if let Some(admission) = self.sale.state.admission_of(fan(n.into())) {
                    drop(self.sale.ask(Command::Claim {
                        place: admission.place,
                        fan: admission.fan,
                        needs_more_time: false,
                    }));
                }
            }
            Step::EndAdmission { n } => {
                if let Some(admission) = self.sale.state.admission_of(fan(n.into())) {
                    let end = Command::EndAdmission { place: admission.place, why: AdmissionEnd::Finished };
                    self.sale.ask(end).expect("live");
                }
            }
            Step::Quantity { n, general, cheap, code: by } => {
                let both = [(code("GA"), general), (code("CHEAP"), cheap)];
                let wanted = both.into_iter().filter(|(_, quantity)| *quantity > 0).collect();
                self.hold_by(n, Want::Quantities(wanted), by);
            }
            Step::Seats { n, seats } => {
                self.hold(n, Want::Seats(seats.into_iter().map(seat_name).collect()));
            }
            Step::Best { n, quantity, together } => {
                self.hold(n, Want::BestAvailable(BestAvailable { together, ..best(quantity) }));
            }
            Step::Extend { pick } => {
                if let Some((_, view)) = self.model.pick(pick) {
                    drop(self.ask(Command::Extend { fan: view.fan, order: view.order }));
                }
            }
            Step::Await { pick } => {
                let Some((_, view)) = self.model.pick(pick) else { return };
                let more = Millis::minutes(5);
                let before = self.sale.state.order(view.order).map(|order| order.expires_at);
                let asked = Command::AwaitPayment { order: view.order, fan: view.fan, more };
                if let Ok(Answer::Held(held)) = self.sale.ask(asked.clone()) {
                    assert!(before.is_some_and(|before| held.expires_at == before || held.expires_at == before + more));
                    assert_eq!(self.sale.ask(asked), Ok(Answer::Held(held)), "once");
                }
            }
            Step::Move { pick, seat } => self.move_ticket(pick, seat),
            Step::Release { pick } => {
                let Some((index, view)) = self.model.pick(pick) else { return };
                if self.ask(Command::Release { fan: view.fan, order: view.order }).is_ok() {
                    self.model.orders[index].1 = HoldState::Released;
                }
            }
            Step::Confirm { pick, payment } => self.confirm(pick, payment),
            Step::Void { pick } => {
                let Some((index, view)) = self.model.pick(pick) else { return };
                let voided = self.sale.ask(Command::Void { order: view.order }).is_ok();
                let state = &mut self.model.orders[index].1;
                assert_eq!(voided, matches!(*state, HoldState::Sold | HoldState::Voided));
                if voided {
                    *state = HoldState::Voided;
                }
            }
            Step::Reduce { pick, left } => self.reduce(pick, left),
            Step::Stock { quantity } => {
                let fits = quantity >= self.model.quantity(|_, state| Model::is_taken(state), "GA") + self.withheld();
                let done = self.sale.reconfigure(|c| c.ticket_types[0].stock = Stock::Quantity(quantity));
                assert_eq!(done.is_ok(), fits);
            }
            Step::Releases { quantity, seconds } => {
                let release = Release { at: self.sale.now + Millis::seconds(seconds), quantity };
                let withheld = if seconds > 0 { quantity } else { 0 };
                let taken = self.model.quantity(|_, state| Model::is_taken(state), "GA");
                let fits = self.sale.stock("GA").capacity >= taken + withheld;
                let done = self.sale.reconfigure(|c| c.ticket_types[0].releases = vec![release]);
                assert_eq!(done.is_ok(), fits);
            }
            Step::SeatReleases { part, seconds } => self.release_seats(part, seconds),
            Step::Hall { capacity } => {
                let fits = capacity >= self.taken_of_hall();
                assert_eq!(self.sale.reconfigure(|c| c.quotas[0].capacity = capacity).is_ok(), fits);
            }
            Step::Block { seat, blocked } => {
                let kept = if blocked { Kept::Blocked } else { Kept::Free };
                self.sale.reconfigure(|c| c.seats[seat].kept = kept).expect("always allowed");
            }
            Step::Phase { paused } => {
                let phase = if paused { Phase::Paused } else { Phase::Published };
                self.sale.reconfigure(|c| c.phase = phase).expect("always allowed");
            }
            Step::Wait { n, types, wish } => self.wait(n, types, wish),
            Step::WaitNoMore { n } => {
                let fan = fan(n.into());
                self.sale.ask(Command::Waitlist(WaitlistCommand::Leave { fan })).expect("never refused");
                self.model.line.retain(|(waits, ..)| *waits != fan);
            }
            Step::Pass { seconds } => self.pass(seconds),
            Step::Repeat { pick } => self.repeat(pick),
            // Another owner, with what is durable.
            Step::Restart => {
                let bytes = self.sale.state.to_snapshot();
                self.sale.state = Inventory::from_snapshot(&bytes).expect("its own bytes");
            }
        }
        self.serve();
    }

    /// `types`: a bit for each.
    fn wait(&mut self, n: u64, types: usize, wish: Wish) {
        let names = ["GA", "CHEAP", "SEAT"].into_iter().enumerate().filter(|(bit, _)| types >> bit & 1 == 1);
        let ticket_types: Vec<_> = names.map(|(_, name)| code(name)).collect();
        let (order, fan) = (order(1_000_000 + self.next_key), fan(n.into()));
        self.next_key += 1;
        let entries = self.sale.journal.len();
        let join = WaitlistCommand::Join { order, fan, ticket_types: ticket_types.clone(), wish };
        let joined = self.sale.ask(Command::Waitlist(join)).is_ok();
        assert!(
            !joined || self.sale.journal.len() > entries || self.model.line.iter().any(|(waits, ..)| *waits == fan)
        );
        if self.sale.journal.len() > entries {
            self.model.line.push((fan, ticket_types, wish));
        }
    }

    /// Everybody gets what is due to them, at once: no more, in their order.
    fn serve(&mut self) {
        while let Some(entry) = self.sale.state.next_offer(self.sale.now) {
            self.sale.apply(vec![entry.clone()]);
            match entry {
                Entry::WaitlistCleared => self.model.line.clear(),
                Entry::WaitlistLeft { fan, .. } => self.model.line.retain(|(waits, ..)| *waits != fan),
                Entry::Offered { order, fan, .. } => {
                    let at = self.model.line.iter().position(|(waits, ..)| *waits == fan).expect("who waits");
                    let (_, types, wish) = self.model.line.remove(at);
                    let view = self.sale.state.order(order).expect("held");
                    let line = &view.lines[0];
                    assert!(types.contains(&line.ticket_type) && wish.acceptable().any(|one| one == line.quantity));
                    // Who came first and wants so many at most, of what has no seats, would have had it.
                    let passed = self.model.line[..at].iter().find(|(_, types, other)| {
                        types.contains(&line.ticket_type) && line.seats.is_empty() && other.least() <= line.quantity
                    });
                    assert_eq!(passed, None, "{view:?} is not theirs");
                    self.model.orders.push((view, HoldState::Held));
                }
                _ => {}
            }
        }
    }

    fn withheld(&self) -> u32 {
        self.sale.state.configuration().expect("configured").ticket_types[0].withheld(self.sale.now)
    }

    /// Only so many of each line are left.
    fn reduce(&mut self, pick: usize, left: usize) {
        let Some((index, mut view)) = self.model.pick(pick) else { return };
        for line in &mut view.lines {
            line.quantity = line.quantity.min(u32::try_from(left).expect("few"));
            line.seats.truncate(left);
        }
        view.lines.retain(|line| line.quantity > 0);
        let (order, number) = (view.order, self.moves);
        let done = self.sale.ask(Command::Keep { order, number, to: view.lines.clone() }).is_ok();
        // A repeat of the hold's own request is told what is left.
        self.model.asked.retain(|(.., answer, _)| !matches!(answer, Answer::Held(held) if held.order == view.order));
        let (known, state) = &mut self.model.orders[index];
        assert_eq!(done, matches!(*state, HoldState::Sold | HoldState::Voided));
        match *state {
            HoldState::Sold if view.lines.is_empty() => *state = HoldState::Voided,
            HoldState::Sold => known.lines = view.lines,
            _ => {}
        }
    }

    /// The order's first seat is changed for this one.
    fn move_ticket(&mut self, pick: usize, seat: (usize, usize)) {
        let Some((index, view)) = self.model.pick(pick) else { return };
        let (to, ticket_type) = (seat_name(seat), code("SEAT"));
        let mut lines = view.lines;
        let is_there = lines.iter().any(|line| line.seats.contains(&to));
        let Some(line) = lines.iter_mut().find(|line| line.ticket_type == ticket_type) else { return };
        let rate = line.rate().cloned();
        self.moves += 1;
        let (order, number) = (view.order, self.moves);
        let asked = Command::AddSeat { order, number, ticket_type, rate, seat: to.clone() };
        if self.sale.ask(asked).is_err() || is_there {
            return;
        }
        assert_eq!(self.model.orders[index].1, HoldState::Sold);
        line.seats.remove(0);
        line.seats.push(to);
        self.sale.ask(Command::Keep { order, number, to: lines.clone() }).expect("sold");
        self.has_now(index, lines);
    }

    /// A repeat of the hold's own request is told so, too.
    fn has_now(&mut self, index: usize, lines: Vec<Line>) {
        let known = &mut self.model.orders[index].0;
        if known.lines != lines {
            let order = known.order;
            self.model.asked.retain(|(.., answer, _)| !matches!(answer, Answer::Held(held) if held.order == order));
            known.lines = lines;
        }
    }

    fn taken_of_hall(&self) -> u32 {
        let taken = |name| self.model.quantity(|_, state| Model::is_taken(state), name);
        taken("GA") + taken("CHEAP") + taken("SEAT")
    }

    fn pass(&mut self, seconds: u64) {
        self.sale.pass(Millis::seconds(seconds));
        for (view, state) in &mut self.model.orders {
            let Some(order) = self.sale.state.order(view.order) else { continue };
            let over = self.sale.now >= order.expires_at;
            if *state == HoldState::Held && over {
                *state = HoldState::Expired;
            }
        }
    }

    fn repeat(&mut self, pick: usize) {
        let Some(index) = pick.checked_rem(self.model.asked.len()) else { return };
        let (identity, command, answer, at) = self.model.asked[index].clone();
        if self.sale.now.since(at) >= super::super::request::REMEMBERED {
            return;
        }
        let entries = self.sale.journal.len();
        assert_eq!(self.sale.ask_as(Some(identity), command.clone()), Ok(answer));
        let other = Identity { body: 2, ..identity };
        assert_eq!(self.sale.ask_as(Some(other), command), Err(Refusal::KeyReused));
        assert_eq!(self.sale.journal.len(), entries);
    }

    /// Tickets that are held or sold by the code, of all fans or of one.
    fn used(&self, code: u32, of: Option<u64>) -> u32 {
        let live = self.model.orders.iter().filter(|(_, state)| Model::is_taken(*state));
        let live = live.filter(|(view, _)| of.is_none_or(|n| view.fan == fan(n.into())));
        let by = |line: &&Line| line.breakdown.as_ref().is_some_and(|breakdown| breakdown.code == Some(code));
        live.flat_map(|(view, _)| &view.lines).filter(by).map(|line| line.quantity).sum()
    }

    fn check_codes(&self) {
        let Answer::Codes(page) = self.sale.state.decide_list_codes(0, 10).answer else { unreachable!() };
        assert_eq!(
            page.codes.iter().map(|code| code.uses).collect::<Vec<_>>(),
            [self.used(0, None), self.used(1, None)]
        );
        assert!(self.used(0, None) <= 4 && (1..=FANS).all(|n| self.used(1, Some(n)) <= 2));
    }

    fn check(&self) {
        self.check_codes();
        let view = self.sale.state.view(self.sale.now);
        assert_eq!(view.waitlist.waiting as usize, self.model.line.len());
        for stock in &view.ticket_types {
            let name = stock.code.as_str();
            assert_eq!(stock.capacity, stock.free + stock.held + stock.sold + stock.blocked, "{name}");
            assert_eq!(stock.held, self.model.quantity(|_, state| state == HoldState::Held, name), "{name} held");
            assert_eq!(stock.sold, self.model.quantity(|_, state| state == HoldState::Sold, name), "{name} sold");
        }
        assert_eq!(view.ticket_types[0].blocked, self.withheld(), "what is due can be had");
        for quota in &view.quotas {
            assert!(quota.taken <= quota.capacity, "{quota:?}");
        }
        assert_eq!(view.quotas[0].taken, self.taken_of_hall());
        for n in 1..=FANS {
            let of_fan = |view: &HoldView, state| view.fan == fan(n.into()) && Model::is_taken(state);
            let taken = ["GA", "CHEAP", "SEAT"].map(|name| self.model.quantity(of_fan, name)).iter().sum::<u32>();
            assert!(taken <= 5, "fan {n} has {taken}");
        }
        let mut seats = self.model.seats();
        let all = seats.len();
        seats.sort();
        seats.dedup();
        assert_eq!(seats.len(), all, "a seat is somebody's twice");
        let configuration = self.sale.state.configuration().expect("configured");
        let mut blocked = 0;
        for ((id, state), seat) in self.sale.state.seats().into_iter().zip(&configuration.seats) {
            let taken = matches!(state, SeatState::Held | SeatState::Sold);
            assert_eq!(taken, seats.contains(&id), "{id}");
            let waits = waits(&configuration.ticket_types[2].seat_releases, &id, self.sale.now);
            assert!(!waits || state == SeatState::Blocked, "{id} is not released");
            blocked += u32::from(!taken && (waits || seat.kept != Kept::Free));
        }
        assert_eq!(view.ticket_types[2].blocked, blocked, "what is due can be had");
        let live = self.sale.state.admissions();
        assert!(view.slots_taken as usize >= live.len() && view.slots_taken <= view.slots);
        let mut fans: Vec<_> = live.iter().map(|admission| admission.fan).collect();
        fans.dedup();
        assert_eq!(fans.len(), live.len());
        for (order, state) in &self.model.orders {
            if let Some(view) = self.sale.state.order(order.order) {
                assert_eq!((view.state, &view.lines), (*state, &order.lines));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn random_sales_keep_every_promise(steps in prop::collection::vec(step(), 1..120)) {
        let mut run = Run::new();
        for step in &steps {
            run.run(step);
            run.check();
        }
        run.sale.check_replay();
    }
}
