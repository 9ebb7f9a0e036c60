//! One activation of the event on a node: the shell around the real machines, as the actors are in production.

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use onsale::{
    actors::inventory::recovery::fold,
    domain::{
        event::Status,
        id::{FanId, OrderId},
        inventory::{
            batch::{self, Batcher},
            entry::{Entry, SeatPlan, Segment},
            fact::OrderFact,
            request::{Admission, AdmissionEnd, Answer, Command, Request},
        },
        queue::{self, Place, Room, Tickets, WaitingRoom},
        time::{EventTime, Millis},
    },
};

use super::{
    bug::Bug,
    journal::Landed,
    swarm::Fault,
    world::{Event, LEASE_MS, SURE_MS, Told, ToldByRoom, WALL_BASE, World, configuration},
};

const PULSE_MS: u64 = 250;
const RESEND_MS: u64 = 500;
const ASK_DEADLINE_MS: u64 = 4_000;
const OUTBOX_LIMIT: u64 = 1_000;

/// Who asked the inventory.
#[derive(Debug, Clone, Copy)]
pub enum Caller {
    Client(usize),
    /// The payment in this message of the bus.
    Settle(u64),
    Void(OrderId),
    /// The waiting room's proposal of this number.
    Proposal(u64),
    /// Ends the admission of a fan who leaves.
    End,
    Begin,
    Configure,
    /// Hears the answer and does nothing about it.
    Operator,
}

pub enum ToNode {
    Pulse,
    LeaseLost,
    Appended { seq: u64, landed: Landed },
    Resend { seq: u64 },
    Ask { request: Request, caller: Caller },
    Read { attempt: usize },
    Opened(Vec<(Place, FanId)>),
    Joined(bool),
    Published { number: Option<u64> },
    Room(ToRoom),
}

pub enum ToRoom {
    Join { fan: FanId, attempt: usize },
    Leave { fan: FanId, attempt: usize },
    Poll { fan: FanId, attempt: usize },
    Present(FanId),
    Absent(FanId),
    ProposalAnswered { number: u64, admissions: Option<Vec<Admission>> },
    Claimed { place: Place, until: EventTime },
    Ended { place: Place },
    AdmitNow(u32),
    RemoveFirst { count: u32, attempt: usize },
}

pub struct Node {
    pub epoch: u64,
    batcher: Batcher<Caller>,
    room: Option<WaitingRoom<usize>>,
    base: EventTime,
    started: u64,
    pub paused_until: u64,
    renewed_at: u64,
    /// Sent and not yet known to be durable. More than one only where a bug has it so.
    sending: BTreeMap<u64, Rc<[u8]>>,
    /// Restored places that wait for the inventory's word.
    opened: Vec<(Place, FanId)>,
    opening: bool,
    backlog: VecDeque<OrderFact>,
    publishing: bool,
    fans: BTreeMap<Place, FanId>,
    proposal: Option<(u64, u64)>,
    proposals: u64,
    /// Changes of admissions reach the room in their order.
    room_news_at: u64,
    ticked_at: u64,
    configured: bool,
    first_seq: u64,
    durable_seq: u64,
    ended: bool,
}

type Input = batch::Input<Caller>;

impl Node {
    pub fn time(&self, now: u64) -> EventTime {
        self.base + Millis(now - self.started)
    }

    fn is_sure(&self, now: u64) -> bool {
        now < self.renewed_at + SURE_MS
    }
}

impl World {
    /// Takes the event with a new epoch, and recovers.
    pub fn activate(&mut self) {
        self.last_node += 1;
        let id = self.last_node;
        let epoch = self.journal.claim();
        self.lease = (id, self.now + LEASE_MS);
        self.trace.note(self.now, "activate", &[id.into(), epoch]);
        let mut recovered = self.journal.recover();
        if self.bug == Some(Bug::RecoverWithoutTail) {
            recovered.segments.pop();
        }
        let published = recovered.published;
        let folded = match fold(recovered) {
            Ok(folded) => folded,
            Err(error) => return self.require(false, || format!("I-29: the journal does not fold: {error}")),
        };
        self.check_recovered(&folded.inventory, folded.seq);
        let mut inventory = folded.inventory;
        self.falsify(&mut inventory);
        let offset = if self.strikes(Fault::ClockJumps) { self.rng.pick(&[-7_200_000, 7_200_000]) } else { 0 };
        let wall = EventTime((WALL_BASE + self.now).saturating_add_signed(offset));
        let base = inventory.last_at().max(wall);
        let backlog = inventory.outbox(published, usize::MAX).into();
        let seed = self.rng.next();
        let mut node = Node {
            epoch,
            configured: inventory.configuration().is_some(),
            batcher: Batcher::new(inventory, folded.seq, epoch, seed, OUTBOX_LIMIT),
            room: None,
            base,
            started: self.now,
            paused_until: 0,
            renewed_at: self.now,
            sending: BTreeMap::new(),
            opened: Vec::new(),
            opening: false,
            backlog,
            publishing: false,
            fans: BTreeMap::new(),
            proposal: None,
            proposals: 0,
            room_news_at: 0,
            ticked_at: 0,
            first_seq: folded.seq + 1,
            durable_seq: folded.seq,
            ended: false,
        };
        let mut effects = Vec::new();
        if let Err(error) = node.batcher.activate(base, &mut effects) {
            return self.require(false, || format!("activation: {error}"));
        }
        self.run_inventory_effects(id, &mut node, effects);
        self.publish(id, &mut node);
        self.nodes.insert(id, node);
        self.later(PULSE_MS, Event::ToNode(id, ToNode::Pulse));
    }

    /// Bugs that would sit in recovery.
    fn falsify(&mut self, inventory: &mut onsale::domain::inventory::Inventory) {
        let at = inventory.last_at();
        let entries = match self.bug {
            Some(Bug::ForgetHoldsOnRecovery) => {
                let held = |id: &&OrderId| {
                    inventory
                        .order(**id)
                        .is_some_and(|order| order.state == onsale::domain::inventory::request::HoldState::Held)
                };
                self.model.orders.keys().filter(held).map(|&order| Entry::Expired { order }).collect()
            }
            Some(Bug::AdmitOverCap) => match inventory.configuration() {
                None => Vec::new(),
                Some(current) => {
                    let mut changed = (**current).clone();
                    changed.version += 1;
                    changed.queue.slots += 3;
                    changed.seats = Vec::new();
                    vec![Entry::Configured {
                        configuration: Box::new(changed),
                        seats: SeatPlan::Unchanged,
                        identity: None,
                    }]
                }
            },
            Some(Bug::HoldWithoutAdmission) => {
                // One admission that only this owner believes in; `Fan::admission` of a forger names it.
                let fan = self.fans.first().map(|fan| fan.id);
                let fan =
                    fan.filter(|fan| inventory.admission_of(*fan).is_none() && inventory.configuration().is_some());
                let until = at + Millis::minutes(600);
                let place = Place::new(u32::MAX, self.last_node);
                fan.map(|fan| Entry::Admitted { place, fan, claim_by: None, until }).into_iter().collect()
            }
            _ => Vec::new(),
        };
        for entry in entries {
            if let Err(error) = inventory.apply(at, &entry) {
                self.require(false, || format!("the bug cannot be planted: {error}"));
            }
        }
    }

    pub fn at_node(&mut self, id: u32, what: ToNode) {
        let Some(paused_until) = self.nodes.get(&id).map(|node| node.paused_until) else { return };
        if self.now < paused_until {
            let delay = paused_until - self.now + self.rng.below(5);
            return self.later(delay, Event::ToNode(id, what));
        }
        let Some(mut node) = self.nodes.remove(&id) else { return };
        match what {
            ToNode::Pulse => self.pulse(id, &mut node),
            ToNode::LeaseLost => self.lease_lost(id, &mut node),
            ToNode::Appended { seq, landed } => self.appended(id, &mut node, seq, landed),
            ToNode::Resend { seq } => self.resend(id, &node, seq),
            ToNode::Ask { request, caller } => self.ask(id, &mut node, request, caller),
            ToNode::Read { attempt } => self.inventory(id, &mut node, Input::Read { reply: Caller::Client(attempt) }),
            ToNode::Opened(places) => {
                node.opened = places;
                self.inventory(id, &mut node, Input::Read { reply: Caller::Begin });
            }
            ToNode::Joined(done) => {
                let input = if done { queue::Input::Stored } else { queue::Input::StoreFailed };
                self.room(id, &mut node, input);
            }
            ToNode::Published { number } => {
                node.publishing = false;
                if let Some(number) = number {
                    while node.backlog.front().is_some_and(|fact| fact.number <= number) {
                        node.backlog.pop_front();
                    }
                    self.mark_published(node.epoch, number);
                    self.inventory(id, &mut node, Input::Published { number });
                }
            }
            ToNode::Room(what) => self.tell_room(id, &mut node, what),
        }
        self.publish(id, &mut node);
        if !node.ended {
            self.nodes.insert(id, node);
        } else if self.lease.0 == id {
            self.restart_at = self.now + self.rng.between(10, 300);
        }
    }

    fn pulse(&mut self, id: u32, node: &mut Node) {
        self.later(PULSE_MS, Event::ToNode(id, ToNode::Pulse));
        if self.lease.0 != id {
            // It asks to keep the key; the answer takes a while.
            let delay = self.rng.between(1, 400);
            return self.later(delay, Event::ToNode(id, ToNode::LeaseLost));
        }
        if self.now >= self.journal.down_until && self.now <= self.lease.1 {
            self.lease.1 = self.now + LEASE_MS;
            node.renewed_at = self.now;
        }
        let early = if self.bug == Some(Bug::EndHoldsEarly) { 60_000 } else { 0 };
        if node.batcher.next_tick().is_some_and(|at| at <= node.time(self.now + early)) {
            self.inventory(id, node, Input::Tick);
        }
        if !node.configured {
            let request = Request { identity: None, command: Command::Configure(Box::new(configuration(&self.swarm))) };
            node.configured = true;
            self.ask(id, node, request, Caller::Configure);
        }
        // The epoch's first commit is durable: from here on the room can be opened.
        let begun = node.durable_seq >= node.first_seq;
        if node.room.is_none() && !node.opening && begun && node.batcher.inventory().configuration().is_some() {
            node.opening = true;
            let term = node.batcher.inventory().term();
            self.later(1, Event::StoreOpen { node: id, term });
        }
        if node.proposal.is_some_and(|(_, asked_at)| self.now > asked_at + ASK_DEADLINE_MS) {
            self.saw("a proposal is given up, its outcome unknown");
            node.proposal = None;
            self.room(id, node, queue::Input::AdmitFailed);
        }
        if self.now >= node.ticked_at + 1_000 {
            node.ticked_at = self.now;
            let view = node.batcher.inventory().view(node.time(self.now));
            let settings = node.batcher.inventory().configuration().map(|configuration| configuration.queue);
            if let Some(settings) = settings {
                let room = Room {
                    settings,
                    slots_free: view.slots.saturating_sub(view.slots_taken),
                    tickets: Tickets {
                        free: view.ticket_types.iter().map(|one| u64::from(one.free)).sum(),
                        held: view.ticket_types.iter().map(|one| u64::from(one.held)).sum(),
                    },
                    selling: matches!(view.status, Status::OnSale | Status::SoldOut),
                };
                self.room(id, node, queue::Input::Tick { room });
            }
        }
    }

    /// The key is another's: nothing that is under way can be known any more.
    fn lease_lost(&mut self, id: u32, node: &mut Node) {
        self.saw("a stale owner steps down when it looks");
        if let Some((&seq, bytes)) = node.sending.first_key_value() {
            let held = self.journal_holds(seq, bytes);
            self.saw(if held { "a fenced write was committed" } else { "a fenced write was not committed" });
        }
        self.inventory(id, node, Input::Fenced);
    }

    fn ask(&mut self, id: u32, node: &mut Node, request: Request, caller: Caller) {
        let deadline = node.time(self.now) + Millis(ASK_DEADLINE_MS);
        self.inventory(id, node, Input::Ask { request, reply: caller, deadline });
    }

    /// One input for the inventory, and everything that follows from it here.
    fn inventory(&mut self, id: u32, node: &mut Node, input: Input) {
        if node.ended {
            return;
        }
        let early = if self.bug == Some(Bug::EndHoldsEarly) && matches!(input, Input::Tick) { 60_000 } else { 0 };
        let at = node.time(self.now + early);
        let mut effects = Vec::new();
        let stepped = node.batcher.step(at, input, &mut effects);
        self.require(stepped.is_ok(), || format!("the inventory contradicts itself: {stepped:?}"));
        self.run_inventory_effects(id, node, effects);
        if node.ended {
            return;
        }
        let mut effects = Vec::new();
        let formed = node.batcher.form(at, &mut effects);
        self.require(formed.is_ok(), || format!("the inventory contradicts itself: {formed:?}"));
        self.run_inventory_effects(id, node, effects);
    }

    fn run_inventory_effects(&mut self, id: u32, node: &mut Node, effects: Vec<batch::Effect<Caller>>) {
        for effect in effects {
            match effect {
                batch::Effect::Commit { seq, bytes, .. } => {
                    node.sending.insert(seq, bytes.into());
                    self.send(id, node, seq);
                    if self.bug == Some(Bug::AnswerBeforeCommit) {
                        self.durable(id, node, seq);
                    }
                }
                batch::Effect::Reply { reply, outcome, covered } => self.tell(id, node, reply, outcome, covered),
                batch::Effect::Committed { facts } => node.backlog.extend(facts),
                batch::Effect::StepDown => node.ended = true,
            }
        }
    }

    /// Once more the same bytes, by the same or another way.
    fn send(&mut self, id: u32, node: &Node, seq: u64) {
        let Some(bytes) = node.sending.get(&seq) else { return };
        let bytes = Rc::clone(bytes);
        self.later(RESEND_MS, Event::ToNode(id, ToNode::Resend { seq }));
        if self.strikes(Fault::JournalLosesRequest) {
            return;
        }
        let late = self.strikes(Fault::JournalRequestLate);
        let delay = if late { self.rng.between(RESEND_MS, 9_000) } else { self.short_delay() };
        let reply_lost = self.strikes(Fault::JournalLosesReply);
        self.later(delay, Event::Land { node: id, epoch: node.epoch, seq, bytes, reply_lost });
    }

    fn resend(&mut self, id: u32, node: &Node, seq: u64) {
        let Some(bytes) = node.sending.get(&seq) else { return };
        if self.bug == Some(Bug::ResendOtherBytes)
            && let Ok(mut segment) = Segment::from_bytes(bytes)
        {
            segment.entries.retain(|entry| !matches!(entry, Entry::Held { .. } | Entry::Admitted { .. }));
            let (bytes, epoch) = (segment.to_bytes().into(), node.epoch);
            let delay = self.short_delay();
            return self.later(delay, Event::Land { node: id, epoch, seq, bytes, reply_lost: false });
        }
        self.send(id, node, seq);
    }

    pub fn land(&mut self, id: u32, epoch: u64, seq: u64, bytes: &Rc<[u8]>, reply_lost: bool) {
        if self.now < self.journal.down_until {
            return;
        }
        let owner = self.journal.epoch;
        let landed = self.journal.land(epoch, seq, bytes, self.bug);
        self.trace.note(self.now, "land", &[id.into(), epoch, seq, landed as u64, reply_lost.into()]);
        match landed {
            Landed::Committed => {
                let clock = self.nodes.get(&id).map(|node| node.time(self.now));
                let committed = self.model.commit(bytes, owner, clock);
                self.require(committed.is_ok(), || committed.err().unwrap_or_default());
                self.check_overtaking();
                for what in std::mem::take(&mut self.model.met) {
                    self.saw(what);
                }
                if !self.nodes.contains_key(&id) {
                    self.saw("a write lands after its owner's end");
                }
            }
            Landed::Fenced => self.saw("a stale owner's write is refused"),
            Landed::Already => self.saw("a lost reply is resolved: it was committed"),
            Landed::Overwritten | Landed::TooEarly => {}
        }
        if !reply_lost {
            let delay = self.short_delay();
            self.later(delay, Event::ToNode(id, ToNode::Appended { seq, landed }));
        }
    }

    fn appended(&mut self, id: u32, node: &mut Node, seq: u64, landed: Landed) {
        if !node.sending.contains_key(&seq) {
            return;
        }
        match landed {
            Landed::Committed | Landed::Already if self.bug == Some(Bug::AnswerBeforeCommit) => {
                node.sending.remove(&seq);
            }
            Landed::Committed | Landed::Already => self.durable(id, node, seq),
            Landed::TooEarly => {}
            Landed::Fenced => {
                self.saw("a fenced write was not committed");
                self.inventory(id, node, Input::Fenced);
            }
            Landed::Overwritten => {
                let bug = self.bug == Some(Bug::ResendOtherBytes);
                self.require(bug, || format!("segment {seq} of one epoch has two contents"));
                self.durable(id, node, seq);
            }
        }
    }

    fn journal_holds(&self, seq: u64, bytes: &Rc<[u8]>) -> bool {
        self.journal.recover().segments.iter().any(|(other, there)| *other == seq && there[..] == bytes[..])
    }

    fn durable(&mut self, id: u32, node: &mut Node, seq: u64) {
        let keep = self.bug == Some(Bug::AnswerBeforeCommit);
        let bytes = if keep { node.sending.get(&seq).cloned() } else { node.sending.remove(&seq) };
        let segment = bytes.and_then(|bytes| Segment::from_bytes(&bytes).ok());
        for entry in segment.into_iter().flat_map(|segment| segment.entries) {
            match entry {
                Entry::Claimed { place, until } => self.room_news(id, node, ToRoom::Claimed { place, until }),
                Entry::AdmissionEnded { place, .. } => self.room_news(id, node, ToRoom::Ended { place }),
                _ => {}
            }
        }
        node.durable_seq = seq;
        self.inventory(id, node, Input::Committed);
    }

    /// Through a channel: in order, and at another pace than answers.
    fn room_news(&mut self, id: u32, node: &mut Node, what: ToRoom) {
        node.room_news_at = node.room_news_at.max(self.now + self.rng.below(30));
        self.later(node.room_news_at - self.now, Event::ToNode(id, ToNode::Room(what)));
    }

    fn tell(&mut self, id: u32, node: &mut Node, caller: Caller, outcome: batch::Outcome, covered: bool) {
        let sure = covered || node.is_sure(self.now) || self.bug == Some(Bug::ReadWithoutFence);
        let told = match outcome {
            batch::Outcome::Answered(answer) if sure => {
                self.check_answer(caller, &answer);
                Told::Answer(answer)
            }
            batch::Outcome::Refused(refusal) if sure => Told::Refused(refusal),
            batch::Outcome::Readable if sure => match caller {
                Caller::Begin => return self.begin_room(id, node),
                _ => {
                    let view = node.batcher.inventory().view(node.time(self.now));
                    Told::Free {
                        free: view.ticket_types.iter().map(|one| u64::from(one.free)).sum(),
                        seq: node.durable_seq,
                    }
                }
            },
            batch::Outcome::Unknown => Told::Unknown,
            batch::Outcome::TooLate | batch::Outcome::NotAttempted => Told::Not,
            _ => {
                self.saw("an unsure owner keeps silent");
                Told::Unknown
            }
        };
        let delay = self.short_delay();
        match caller {
            Caller::Client(attempt) => {
                if !self.strikes(Fault::NetworkLoses) {
                    self.later(delay, Event::Answered { attempt, told });
                }
            }
            Caller::Settle(message) => self.later(delay, Event::SettleAnswered { message, told }),
            Caller::Void(order) => self.later(delay, Event::VoidAnswered { order, told }),
            Caller::Proposal(number) => {
                let admissions = match told {
                    Told::Answer(Answer::Admitted(admissions)) => Some(admissions),
                    _ => None,
                };
                let what = ToRoom::ProposalAnswered { number, admissions };
                self.later(delay, Event::ToNode(id, ToNode::Room(what)));
            }
            Caller::End | Caller::Operator => {}
            Caller::Begin => {
                // Not sure just now: the room is opened again later.
                node.opening = false;
            }
            Caller::Configure => node.configured = matches!(told, Told::Answer(_)),
        }
    }

    fn begin_room(&mut self, id: u32, node: &mut Node) {
        let inventory = node.batcher.inventory();
        let term = inventory.term();
        let mut places = std::mem::take(&mut node.opened);
        places.retain(|&(place, _)| !inventory.was_admitted(place));
        let admissions = inventory.admissions();
        let Some(settings) = inventory.configuration().map(|configuration| configuration.queue) else { return };
        node.fans = admissions.iter().map(|admission| (admission.place, admission.fan)).collect();
        let term = if self.bug == Some(Bug::ReuseBurntPlaces) { term.saturating_sub(1).max(1) } else { term };
        self.trace.note(self.now, "room opens", &[id.into(), term.into(), places.len() as u64]);
        node.room = Some(WaitingRoom::new(node.time(self.now), term, places, admissions, settings));
    }

    fn tell_room(&mut self, id: u32, node: &mut Node, what: ToRoom) {
        let input = match what {
            ToRoom::Join { fan, attempt } => queue::Input::Join { fan, reply: attempt },
            ToRoom::Leave { fan, attempt } => queue::Input::Leave { fan, reply: attempt },
            ToRoom::Present(fan) => queue::Input::Present { fan },
            ToRoom::Absent(fan) => queue::Input::Absent { fan },
            ToRoom::AdmitNow(count) => queue::Input::AdmitNow { count },
            ToRoom::RemoveFirst { count, attempt } => queue::Input::RemoveFirst { count, reply: attempt },
            ToRoom::Poll { fan, attempt } => {
                self.room(id, node, queue::Input::Present { fan });
                self.room(id, node, queue::Input::Absent { fan });
                if let Some(room) = &node.room {
                    let told = ToldByRoom::Standing(room.standing(fan));
                    self.answer_from_room(node, attempt, told);
                }
                return;
            }
            ToRoom::ProposalAnswered { number, admissions } => {
                if node.proposal.is_none_or(|(current, _)| current != number) {
                    return;
                }
                node.proposal = None;
                match admissions {
                    Some(admissions) => queue::Input::Admitted { admissions },
                    None => queue::Input::AdmitFailed,
                }
            }
            ToRoom::Claimed { place, until } => {
                let Some(&fan) = node.fans.get(&place) else { return };
                queue::Input::Claimed { admission: Admission { place, fan, claim_by: None, until } }
            }
            ToRoom::Ended { place } => {
                let Some(fan) = node.fans.remove(&place) else { return };
                queue::Input::Ended { fan, place }
            }
        };
        self.room(id, node, input);
    }

    /// One input for the waiting room, and everything that follows from it here.
    fn room(&mut self, id: u32, node: &mut Node, input: queue::Input<usize>) {
        let at = node.time(self.now);
        let term = node.batcher.inventory().term();
        let Some(room) = &mut node.room else { return };
        let mut effects = Vec::new();
        room.step(at, input, &mut effects);
        for effect in effects {
            match effect {
                queue::Effect::Store { joins } => self.store(id, term, joins),
                queue::Effect::Forget { places } => {
                    places.iter().for_each(|&place| self.place_gone(place));
                    if !self.strikes(Fault::ForgetLost) {
                        let delay = self.short_delay();
                        self.later(delay, Event::StoreForget { term, places });
                    }
                }
                queue::Effect::Admit { mut admittees } => {
                    if self.bug == Some(Bug::Overtake)
                        && let Some(last) = admittees.last().map(|last| last.place)
                        && let Some((place, fan)) =
                            node.room.as_ref().and_then(|room| room.members(Some(last), 1).pop())
                    {
                        admittees.remove(0);
                        admittees.push(onsale::domain::inventory::request::Admittee { place, fan, present: true });
                    }
                    node.fans.extend(admittees.iter().map(|one| (one.place, one.fan)));
                    node.proposals += 1;
                    node.proposal = Some((node.proposals, self.now));
                    if self.bug == Some(Bug::TellBeforeAdmitted) {
                        let until = at + Millis::minutes(1);
                        let told = admittees.iter().map(|one| Admission {
                            place: one.place,
                            fan: one.fan,
                            claim_by: None,
                            until,
                        });
                        let what =
                            ToRoom::ProposalAnswered { number: node.proposals, admissions: Some(told.collect()) };
                        self.later(1, Event::ToNode(id, ToNode::Room(what)));
                    }
                    let request = Request { identity: None, command: Command::Admit(admittees) };
                    self.ask(id, node, request, Caller::Proposal(node.proposals));
                }
                queue::Effect::Reply { reply, outcome } => {
                    if let queue::Outcome::Admitted(admission) = &outcome {
                        self.check_admitted(admission.place);
                        if self.is_leave(reply) {
                            let why = AdmissionEnd::Finished;
                            let command = Command::EndAdmission { place: admission.place, why };
                            self.ask(id, node, Request { identity: None, command }, Caller::End);
                        }
                    }
                    self.answer_from_room(node, reply, ToldByRoom::Outcome(outcome));
                }
                queue::Effect::Tell { fan, news } => {
                    if let queue::News::Turn(admission) | queue::News::Admitted(admission) = news {
                        self.check_admitted(admission.place);
                    }
                    let delay = self.short_delay();
                    self.later(delay, Event::News { fan, news });
                }
            }
        }
    }

    fn answer_from_room(&mut self, node: &Node, attempt: usize, told: ToldByRoom) {
        // Somebody else may have opened the queue meanwhile, from a copy that has lost this.
        if !node.is_sure(self.now) && self.bug != Some(Bug::ReadWithoutFence) {
            return;
        }
        if !self.strikes(Fault::NetworkLoses) {
            let delay = self.short_delay();
            self.later(delay, Event::AnsweredByRoom { attempt, told });
        }
    }

    fn store(&mut self, id: u32, term: u32, joins: Vec<(Place, FanId)>) {
        for &(place, fan) in &joins {
            self.place_given(place, fan);
            self.place_sent(place, fan);
        }
        let fails = self.strikes(Fault::StoreFails);
        let silent = self.strikes(Fault::StoreFailsAfterWriting);
        let delay = self.short_delay();
        self.later(delay, Event::StoreJoin { node: id, term, joins, done: !fails, said: !silent });
    }

    pub fn store_open(&mut self, id: u32, term: u32) {
        if !self.nodes.contains_key(&id) {
            return;
        }
        if self.strikes(Fault::StoreFails) {
            return self.later(300, Event::StoreOpen { node: id, term });
        }
        let Some(places) = self.store.open(term) else { return };
        self.check_restored(&places);
        let delay = self.short_delay();
        self.later(delay, Event::ToNode(id, ToNode::Opened(places)));
    }

    /// The next facts go to the bus, one call at a time.
    fn publish(&mut self, id: u32, node: &mut Node) {
        if node.publishing || node.backlog.is_empty() || node.ended {
            return;
        }
        node.publishing = true;
        let facts: Vec<_> = node.backlog.iter().take(8).cloned().collect();
        let delay = self.short_delay();
        if self.bug == Some(Bug::MarkPublishedBeforeConfirm)
            && let Some(last) = facts.last()
        {
            self.mark_published(node.epoch, last.number);
        }
        self.later(delay, Event::Publish { node: id, facts, epoch: node.epoch });
    }
}
