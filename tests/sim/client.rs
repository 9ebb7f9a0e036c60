//! Fans and what they do: queue, shop, pay, retry with the same key, and sometimes what they should not.

use std::collections::BTreeMap;

use onsale::domain::{
    id::{FanId, OrderId},
    inventory::{
        fact::FactKind,
        request::{
            Admission, Answer, BestAvailable, Command, Hold, HoldState, HoldView, Identity, Refusal, Request, Want,
        },
    },
    order::OrderState,
    queue::{News, Outcome, Place, Standing},
};

use super::{
    bug::Bug,
    node::{Caller, ToNode, ToRoom},
    swarm::Fault,
    world::{Event, Told, ToldByRoom, World},
};

/// A fan who hears nothing asks again after this long.
const PATIENCE_MS: u64 = 2_500;

/// What a fan does now. An operation keeps its key over all its attempts.
#[derive(Debug, Clone, PartialEq)]
enum Doing {
    Nothing,
    Joining,
    Waiting,
    Claiming(Place),
    Shopping(Box<Wish>),
    Holding {
        view: Box<HoldView>,
        plan: Plan,
    },
    Extending {
        view: Box<HoldView>,
    },
    Releasing {
        view: Box<HoldView>,
    },
    /// The money is on its way, or declined.
    Settling {
        order: OrderId,
    },
    /// Lets the hold run out.
    Lapsing {
        order: OrderId,
    },
    Leaving,
    Done,
}

#[derive(Debug, Clone, PartialEq)]
struct Wish {
    admission: Place,
    want: Want,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Pay,
    ExtendAndPay,
    Release,
    Lapse,
}

pub struct Fan {
    pub id: FanId,
    doing: Doing,
    /// Counts operations: the key of the current one.
    operation: u64,
    /// When the current operation was asked for first, and last.
    first_asked: u64,
    last_asked: u64,
    rounds_left: u64,
    /// When each place was asked for.
    pub asked_at: BTreeMap<Place, u64>,
    /// The node that has this fan's socket.
    socket: Option<u32>,
    keeps_socket: bool,
    waiting_since: u64,
    away_until: u64,
    /// The first answer of each key: every other one must be equal.
    answers: BTreeMap<u64, HoldView>,
    payments: u64,
}

impl Fan {
    pub fn new(index: usize, rounds: u64) -> Self {
        Self {
            id: FanId::from_u128(index as u128 + 1),
            doing: Doing::Nothing,
            operation: 0,
            first_asked: 0,
            last_asked: 0,
            rounds_left: rounds,
            asked_at: BTreeMap::new(),
            socket: None,
            keeps_socket: !index.is_multiple_of(3),
            waiting_since: 0,
            away_until: 0,
            answers: BTreeMap::new(),
            payments: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.doing == Doing::Done
    }

    pub fn describe(&self) -> String {
        format!("{} {:?}", self.id, self.doing)
    }
}

/// One request of a fan, as sent once.
pub struct Attempt {
    fan: usize,
    operation: u64,
    leave: bool,
    /// For a hold: the order that this attempt would make. For the others: which one it is about.
    order: Option<OrderId>,
    makes_order: bool,
    /// Tickets wanted and seats named.
    wanted: Option<Want>,
    /// Segments committed when it was sent.
    seq: u64,
    /// Told that nothing was done.
    pub failed: bool,
}

impl Attempt {
    pub fn failed_order(&self) -> Option<OrderId> {
        self.order.filter(|_| self.failed && self.makes_order)
    }
}

impl World {
    pub fn fan(&self, id: FanId) -> Option<&Fan> {
        self.fans.iter().find(|fan| fan.id == id)
    }

    /// The store was asked to keep this place: it belongs to the fan's current wish to join.
    pub fn place_sent(&mut self, place: Place, id: FanId) {
        if let Some(fan) = self.fans.iter_mut().find(|fan| fan.id == id) {
            let asked = fan.first_asked;
            fan.asked_at.insert(place, asked);
        }
    }

    /// For what is asked by hand: nobody listens.
    pub fn attempt_of_nobody(&mut self) -> usize {
        self.attempt(usize::MAX, None, None)
    }

    pub fn is_leave(&self, attempt: usize) -> bool {
        self.attempts.get(attempt).is_some_and(|attempt| attempt.leave)
    }

    pub fn fan_wakes(&mut self, index: usize) {
        let again = self.rng.between(300, 1_200);
        self.later(again, Event::Fan(index));
        let Some(fan) = self.fans.get(index).filter(|fan| self.now >= fan.away_until) else { return };
        let (id, doing) = (fan.id, fan.doing.clone());
        let hears_nothing = self.now > fan.last_asked + PATIENCE_MS;
        match doing {
            Doing::Nothing => {
                if self.bug == Some(Bug::HoldWithoutAdmission) && index == 0 && self.rng.percent(50) {
                    let place = Place::new(u32::MAX, self.last_node);
                    return self.shop(index, place);
                }
                self.begin(index, Doing::Joining);
                self.ask_again(index);
            }
            Doing::Waiting => self.wait(index, id),
            Doing::Holding { view, plan } => self.hold_on(index, *view, plan),
            Doing::Settling { order } => self.await_order(index, order),
            Doing::Lapsing { order } => {
                let state = self.model.orders.get(&order).map(|order| order.state);
                if state != Some(HoldState::Held) {
                    self.next_round(index);
                }
            }
            Doing::Done => {}
            _ if hears_nothing => self.ask_again(index),
            _ => {}
        }
    }

    fn begin(&mut self, index: usize, doing: Doing) {
        let now = self.now;
        let Some(fan) = self.fans.get_mut(index) else { return };
        fan.doing = doing;
        fan.operation += 1;
        fan.first_asked = now;
        fan.last_asked = now;
    }

    /// Sends the current operation, once or, where a client is like that, twice.
    fn ask_again(&mut self, index: usize) {
        self.ask_once(index);
        if self.strikes(Fault::ClientRepeats) {
            self.ask_once(index);
        }
    }

    fn ask_once(&mut self, index: usize) {
        let now = self.now;
        let Some(fan) = self.fans.get_mut(index) else { return };
        let repeat = fan.last_asked != now || fan.first_asked != now;
        fan.last_asked = now;
        let (id, doing, operation) = (fan.id, fan.doing.clone(), fan.operation);
        match doing {
            Doing::Joining => {
                let attempt = self.attempt(index, None, None);
                self.send_to_room(ToRoom::Join { fan: id, attempt });
            }
            Doing::Leaving => {
                let attempt = self.attempt(index, None, None);
                if let Some(attempt) = self.attempts.get_mut(attempt) {
                    attempt.leave = true;
                }
                self.send_to_room(ToRoom::Leave { fan: id, attempt });
            }
            Doing::Claiming(place) => {
                let attempt = self.attempt(index, None, None);
                let request = Request { identity: None, command: Command::Claim { place, fan: id } };
                self.send_to_inventory(request, attempt);
            }
            Doing::Shopping(wish) => {
                let order = OrderId::from_u128(u128::from(self.rng.next()));
                let attempt = self.attempt(index, Some(order), Some(wish.want.clone()));
                let hold = Hold {
                    order,
                    fan: id,
                    admission: wish.admission,
                    want: wish.want.clone(),
                    channel: None,
                    seen_version: None,
                };
                let identity = self.identity(id, operation, repeat);
                self.send_to_inventory(Request { identity, command: Command::Hold(hold) }, attempt);
                if self.strikes(Fault::ClientReusesKey) {
                    self.reuse_key(index, wish.admission, identity);
                }
            }
            Doing::Extending { view } => {
                let attempt = self.attempt(index, Some(view.order), None);
                let identity = self.identity(id, operation, repeat);
                let command = Command::Extend { fan: id, order: view.order };
                self.send_to_inventory(Request { identity, command }, attempt);
            }
            Doing::Releasing { view } => {
                let attempt = self.attempt(index, Some(view.order), None);
                let identity = self.identity(id, operation, repeat);
                let command = Command::Release { fan: id, order: view.order };
                self.send_to_inventory(Request { identity, command }, attempt);
            }
            _ => {}
        }
    }

    fn identity(&self, fan: FanId, operation: u64, repeat: bool) -> Option<Identity> {
        if repeat && self.bug == Some(Bug::DropRepeatsIdentity) {
            return None;
        }
        Some(Identity { key: fan.as_u128() << 64 | u128::from(operation), body: operation })
    }

    /// The same key with another body: it must have no effect beside the first.
    fn reuse_key(&mut self, index: usize, admission: Place, identity: Option<Identity>) {
        let Some(id) = self.fans.get(index).map(|fan| fan.id) else { return };
        let order = OrderId::from_u128(u128::from(self.rng.next()));
        let want = Want::Quantities(vec![("STANDING".parse().expect("a code"), 1)]);
        let attempt = self.attempt(index, Some(order), Some(want.clone()));
        // Nothing waits for what becomes of this one.
        if let Some(attempt) = self.attempts.get_mut(attempt) {
            attempt.operation = 0;
        }
        let identity = identity.map(|identity| Identity { body: identity.body + 1_000_000, ..identity });
        let hold = Hold { order, fan: id, admission, want, channel: None, seen_version: None };
        self.send_to_inventory(Request { identity, command: Command::Hold(hold) }, attempt);
    }

    fn attempt(&mut self, index: usize, order: Option<OrderId>, wanted: Option<Want>) -> usize {
        let operation = self.fans.get(index).map_or(0, |fan| fan.operation);
        let makes_order = wanted.is_some();
        let seq = self.model.seq;
        let attempt = Attempt { fan: index, operation, leave: false, order, makes_order, wanted, seq, failed: false };
        self.attempts.push(attempt);
        self.attempts.len() - 1
    }

    /// The node that the client's request ends up at.
    fn a_node(&mut self) -> u32 {
        let nodes: Vec<u32> = self.nodes.keys().copied().collect();
        if nodes.len() > 1 && self.strikes(Fault::Misrouted) {
            return self.rng.pick(&nodes);
        }
        self.lease.0
    }

    fn send_to_inventory(&mut self, request: Request, attempt: usize) {
        if self.strikes(Fault::NetworkLoses) {
            return;
        }
        let (node, delay) = (self.a_node(), self.short_delay());
        let caller = Caller::Client(attempt);
        self.later(delay, Event::ToNode(node, ToNode::Ask { request, caller }));
    }

    fn send_to_room(&mut self, what: ToRoom) {
        if self.strikes(Fault::NetworkLoses) {
            return;
        }
        let (node, delay) = (self.a_node(), self.short_delay());
        self.later(delay, Event::ToNode(node, ToNode::Room(what)));
    }

    fn wait(&mut self, index: usize, id: FanId) {
        if self.strikes(Fault::FanLeaves) {
            self.begin(index, Doing::Leaving);
            return self.ask_again(index);
        }
        if self.strikes(Fault::FanVanishes) {
            // Comes back much later, and only then finds out what became of the place.
            let away = self.rng.between(2_000, 25_000);
            if let Some(fan) = self.fans.get_mut(index)
                && let Some(node) = fan.socket.take()
            {
                self.later(1, Event::ToNode(node, ToNode::Room(ToRoom::Absent(id))));
            }
            if let Some(fan) = self.fans.get_mut(index) {
                fan.away_until = self.now + away;
            }
            return;
        }
        let owner = self.lease.0;
        let Some(fan) = self.fans.get_mut(index) else { return };
        let waits_long = self.now > fan.waiting_since + 120_000;
        if fan.keeps_socket && fan.socket != Some(owner) {
            fan.socket = Some(owner);
            self.later(1, Event::ToNode(owner, ToNode::Room(ToRoom::Present(id))));
        }
        if self.healed() && waits_long {
            self.begin(index, Doing::Leaving);
            return self.ask_again(index);
        }
        let attempt = self.attempt(index, None, None);
        self.send_to_room(ToRoom::Poll { fan: id, attempt });
        let attempt = self.attempt(index, None, None);
        if let Some(attempt) = self.attempts.get_mut(attempt) {
            attempt.operation = 0;
        }
        // A read asks anybody who ever owned the event and may still think so.
        let nodes: Vec<u32> = self.nodes.keys().copied().collect();
        if nodes.is_empty() {
            return;
        }
        let (node, delay) = (self.rng.pick(&nodes), self.short_delay());
        self.later(delay, Event::ToNode(node, ToNode::Read { attempt }));
    }

    pub fn answered_by_room(&mut self, attempt: usize, told: ToldByRoom) {
        let Some(Attempt { fan: index, operation, .. }) = self.attempts.get(attempt) else { return };
        let (index, operation) = (*index, *operation);
        let Some(fan) = self.fans.get_mut(index) else { return };
        let id = fan.id;
        if fan.operation != operation {
            return;
        }
        let joining = matches!(fan.doing, Doing::Joining);
        let leaving = matches!(fan.doing, Doing::Leaving);
        match told {
            ToldByRoom::Outcome(Outcome::Waiting { place }) if joining => {
                // The places of a wish: the journal may call any of them.
                fan.doing = Doing::Waiting;
                fan.waiting_since = self.now;
                self.place_told(place, id);
            }
            ToldByRoom::Outcome(Outcome::Admitted(admission)) if joining => self.admission(index, admission),
            ToldByRoom::Outcome(Outcome::Admitted(_) | Outcome::Left | Outcome::NotHere) if leaving => {
                self.next_round(index);
            }
            ToldByRoom::Outcome(Outcome::Left) if joining => fan.doing = Doing::Nothing,
            ToldByRoom::Standing(Standing::Admitted(admission)) => self.admission(index, admission),
            ToldByRoom::Standing(Standing::NotHere) if matches!(fan.doing, Doing::Waiting) => {
                self.saw("a fan comes back and has no place");
                self.begin(index, Doing::Joining);
                self.ask_again(index);
            }
            _ => {}
        }
    }

    pub fn news(&mut self, id: FanId, news: News) {
        let Some(index) = self.fans.iter().position(|fan| fan.id == id && fan.socket.is_some()) else { return };
        let waiting = self.fans.get(index).is_some_and(|fan| fan.doing == Doing::Waiting);
        match news {
            News::Turn(admission) | News::Admitted(admission) if waiting => self.admission(index, admission),
            _ => {}
        }
    }

    fn admission(&mut self, index: usize, admission: Admission) {
        let Some(fan) = self.fans.get(index) else { return };
        if !matches!(fan.doing, Doing::Waiting | Doing::Joining) {
            return;
        }
        if admission.claim_by.is_some() {
            self.saw("a fan is called and claims");
            self.begin(index, Doing::Claiming(admission.place));
            return self.ask_again(index);
        }
        let mut place = admission.place;
        if self.strikes(Fault::ClientForges) {
            place = Place::new(place.term(), self.rng.between(1, 20) as u32);
        }
        self.shop(index, place);
    }

    fn shop(&mut self, index: usize, admission: Place) {
        let quantity = self.rng.between(1, 3) as u32;
        let code = |text: &str| text.parse().expect("a code");
        let seats = u64::from(self.swarm.seats);
        let want = match self.rng.below(if seats > 0 { 4 } else { 1 }) {
            0 => Want::Quantities(vec![(code("STANDING"), quantity)]),
            1 => {
                let first = self.rng.below(seats);
                let seat = |number: u64| code(&format!("A-{}-{}", number / 5 + 1, number % 5 + 1));
                let numbers = first..(first + u64::from(quantity)).min(seats);
                Want::Seats(numbers.map(seat).collect())
            }
            2 => Want::Quantities(vec![(code("STANDING"), 1)]),
            _ => Want::BestAvailable(BestAvailable {
                ticket_type: code("SEAT"),
                quantity,
                zone: None,
                accessible: 0,
                together: self.rng.percent(50),
            }),
        };
        self.begin(index, Doing::Shopping(Box::new(Wish { admission, want })));
        self.ask_again(index);
    }

    pub fn answered(&mut self, attempt: usize, told: Told) {
        let Some(Attempt { fan: index, operation, seq, makes_order, .. }) = self.attempts.get(attempt) else { return };
        let (index, operation, seq, makes_order) = (*index, *operation, *seq, *makes_order);
        if let Told::Free { free, seq: as_of } = told {
            return self.check_read(free, as_of, seq);
        }
        if matches!(told, Told::Refused(_) | Told::Not)
            && makes_order
            && let Some(attempt) = self.attempts.get_mut(attempt)
        {
            attempt.failed = true;
        }
        if let Told::Answer(Answer::Held(view)) = &told {
            self.check_whole(attempt, view);
        }
        let Some(fan) = self.fans.get(index) else { return };
        if fan.operation != operation {
            return;
        }
        match (fan.doing.clone(), told) {
            (Doing::Claiming(_), Told::Answer(Answer::Claimed(admission))) => self.shop(index, admission.place),
            (Doing::Claiming(_), Told::Refused(_)) => {
                self.saw("a fan claims too late");
                self.next_round(index);
            }
            (Doing::Shopping(_), Told::Answer(Answer::Held(view))) => {
                let plan =
                    self.rng.pick(&[Plan::Pay, Plan::Pay, Plan::Pay, Plan::ExtendAndPay, Plan::Release, Plan::Lapse]);
                if let Some(fan) = self.fans.get_mut(index) {
                    fan.doing = Doing::Holding { view, plan };
                }
            }
            (Doing::Shopping(_), Told::Refused(Refusal::OrdersLagging)) => {}
            (Doing::Shopping(_), Told::Refused(refusal)) => {
                if matches!(refusal, Refusal::SoldOut { .. } | Refusal::NoSuchSeats { .. } | Refusal::SeatTaken(_)) {
                    self.saw("a fan finds nothing left");
                }
                self.begin(index, Doing::Leaving);
                self.ask_again(index);
            }
            (Doing::Extending { .. }, Told::Answer(Answer::Held(view))) => self.check_out(index, *view),
            (Doing::Extending { view }, Told::Refused(_)) => self.check_out(index, *view),
            (Doing::Releasing { .. }, Told::Answer(_) | Told::Refused(_)) => self.next_round(index),
            _ => {}
        }
    }

    /// I-3: what is read was true at that segment, and nothing newer was durable before the read was sent; so a session never
    /// sees time go back either (I-12).
    fn check_read(&mut self, free: u64, as_of: u64, sent: u64) {
        let then = self.model.free_after.get(as_of as usize).copied();
        self.require(then == Some(free), || format!("I-3: segment {as_of} leaves {then:?} free, a read gives {free}"));
        self.require(as_of >= sent, || format!("I-3: a read of segment {as_of}, when {sent} was durable before"));
    }

    /// I-4 and I-7: all that was asked for, and for each key the same answer every time.
    fn check_whole(&mut self, attempt: usize, view: &HoldView) {
        let Some(Attempt { fan, operation, wanted, .. }) = self.attempts.get(attempt) else { return };
        let (index, operation) = (*fan, *operation);
        let quantity: u32 = view.lines.iter().map(|line| line.quantity).sum();
        let mut seats: Vec<_> = view.lines.iter().flat_map(|line| line.seats.clone()).collect();
        let whole = match wanted {
            None => true,
            Some(Want::Quantities(wanted)) => quantity == wanted.iter().map(|(_, quantity)| *quantity).sum::<u32>(),
            Some(Want::BestAvailable(wanted)) => quantity == wanted.quantity && seats.len() == quantity as usize,
            Some(Want::Seats(wanted)) => {
                let mut wanted = wanted.clone();
                wanted.sort();
                seats.sort();
                seats == wanted
            }
        };
        self.require(whole, || format!("I-4: a hold of a part: {view:?}"));
        if operation == 0 {
            return;
        }
        let Some(fan) = self.fans.get_mut(index) else { return };
        let first = fan.answers.entry(operation).or_insert_with(|| view.clone()).clone();
        if first != *view {
            self.require(false, || format!("I-7: one key, two answers: {first:?} and {view:?}"));
        }
    }

    fn hold_on(&mut self, index: usize, view: HoldView, plan: Plan) {
        match plan {
            Plan::Pay => self.check_out(index, view),
            Plan::Lapse => {
                if let Some(fan) = self.fans.get_mut(index) {
                    fan.doing = Doing::Lapsing { order: view.order };
                }
            }
            Plan::ExtendAndPay => {
                self.begin(index, Doing::Extending { view: Box::new(view) });
                self.ask_again(index);
            }
            Plan::Release => {
                self.begin(index, Doing::Releasing { view: Box::new(view) });
                self.ask_again(index);
            }
        }
    }

    fn check_out(&mut self, index: usize, view: HoldView) {
        let Some(fan) = self.fans.get_mut(index) else { return };
        fan.doing = Doing::Settling { order: view.order };
        fan.payments += 1;
        self.open_checkout(&view, 1);
        if self.strikes(Fault::PaymentTwice) {
            self.open_checkout(&view, 2);
        }
    }

    fn await_order(&mut self, index: usize, order: OrderId) {
        let Some(row) = self.database.orders.get(&order) else { return };
        if !matches!(row.known.state(), OrderState::Ticketed | OrderState::Cancelled | OrderState::Refunded) {
            return;
        }
        let decided = self.model.orders.get(&order).is_some_and(|order| {
            order.facts.iter().any(|(_, what)| matches!(what, FactKind::Confirmed { .. })) || order.refused.is_empty()
        });
        if decided || row.known.state() == OrderState::Refunded {
            self.next_round(index);
        }
    }

    fn next_round(&mut self, index: usize) {
        let Some(fan) = self.fans.get_mut(index) else { return };
        fan.operation += 1;
        fan.rounds_left = fan.rounds_left.saturating_sub(1);
        fan.doing = if fan.rounds_left > 0 { Doing::Nothing } else { Doing::Done };
        let (id, socket, done) = (fan.id, fan.socket.take(), fan.is_done());
        if let Some(node) = socket {
            self.later(1, Event::ToNode(node, ToNode::Room(ToRoom::Absent(id))));
        }
        // Whoever is done leaves; whoever forgets to is ended by the clock.
        if done && self.rng.percent(50) {
            let attempt = self.attempt(index, None, None);
            if let Some(attempt) = self.attempts.get_mut(attempt) {
                attempt.leave = true;
            }
            self.send_to_room(ToRoom::Leave { fan: id, attempt });
        }
    }
}
