//! The waiting room and its copy in the queue's store.

use onsale::domain::{
    id::FanId,
    inventory::request::{Admission, AdmissionEnd, Admittee, Command, Request},
    queue::{self, Loss, Place, Room, Standing, WaitingRoom},
    time::Millis,
};

use crate::{
    bug::Bug,
    node::{Caller, Node, Removal, ToNode, ToRoom},
    swarm::Fault,
    world::{Event, ToldByRoom, World},
};

/// After a loss nobody is called for so long.
pub const REBUILD_MS: u64 = 15_000;

impl World {
    pub fn begin_room(&mut self, id: u32, node: &mut Node) {
        let inventory = node.batcher.inventory();
        let term = inventory.term();
        let mut places = std::mem::take(&mut node.opened);
        places.retain(|&(place, _)| !inventory.was_admitted(place));
        let admissions = inventory.admissions();
        let Some(configuration) = inventory.configuration() else { return };
        let room = self.believed(Room::of(&inventory.view(node.time(self.now)), configuration, 0));
        node.fans = admissions.iter().map(|admission| (admission.place, admission.fan)).collect();
        let term = if self.bug == Some(Bug::ReuseBurntPlaces) { term.saturating_sub(1).max(1) } else { term };
        self.check_shares();
        self.trace.note(self.now, "room opens", &[id.into(), term.into(), places.len() as u64]);
        let (is_whole, lost_before, spent) = std::mem::take(&mut node.remains);
        let is_lost = !is_whole && term > 1;
        self.store.mark(term, if is_lost { term } else { 0 }, !is_lost);
        let before_term = if is_lost { term } else { lost_before };
        let early = self.bug == Some(Bug::CallWhileRebuilding);
        let grace = Millis(if is_lost && !early { REBUILD_MS } else { 0 });
        let admitted = inventory.ever_admitted().clone();
        let mut opened = WaitingRoom::new(node.time(self.now), term, places, admissions, room);
        if before_term > 0 {
            opened = opened.with_loss(node.time(self.now), Loss { before_term, grace, spent, admitted });
        }
        if is_lost {
            self.saw("a queue is rebuilt from tickets");
            // One that has slept and has been replaced calls nobody.
            if id == self.lease.0 {
                self.rebuild_begins();
            }
        }
        node.room = Some(opened);
    }

    /// What the store may have lost under a living owner, it is told again.
    pub fn look_after_store(&mut self, node: &Node) {
        let Some(room) = node.room.as_ref().filter(|room| !room.is_rebuilding(node.time(self.now))) else { return };
        if self.store.is_whole || !node.storing.is_empty() || !node.is_sure(self.now) {
            return;
        }
        let term = node.batcher.inventory().term();
        let members: Vec<_> =
            room.members(None, usize::MAX).into_iter().map(|(place, fan)| (room.stored_as(place), fan)).collect();
        if self.store.join(term, &members) {
            self.store.mark(term, 0, true);
        }
    }

    /// Through a channel: in order, and at another pace than answers.
    pub fn room_news(&mut self, id: u32, node: &mut Node, what: ToRoom) {
        node.room_news_at = node.room_news_at.max(self.now + self.rng.below(30));
        self.later(node.room_news_at - self.now, Event::ToNode(id, ToNode::Room(what)));
    }

    pub fn tell_room(&mut self, id: u32, node: &mut Node, what: ToRoom) {
        let input = match what {
            ToRoom::Join { fan, attempt } => queue::Input::JoinIn { fan, class: self.swarm.class(fan), reply: attempt },
            ToRoom::Restore { fan, place, attempt } => {
                queue::Input::Restore { fan, place, class: self.swarm.class(fan), reply: attempt }
            }
            ToRoom::Leave { fan, attempt } => queue::Input::Leave { fan, reply: attempt },
            ToRoom::Present(fan) => queue::Input::Present { fan },
            ToRoom::Absent(fan) => queue::Input::Absent { fan },
            ToRoom::AdmitNow(count) => queue::Input::AdmitNow { count },
            ToRoom::DrawStepped => queue::Input::DrawStepped,
            ToRoom::Drawn { places } => queue::Input::Drawn { places },
            ToRoom::Remove { who, attempt } => return self.remove(id, node, who, attempt),
            ToRoom::Poll { fan, attempt } => {
                self.room(id, node, queue::Input::Present { fan });
                self.room(id, node, queue::Input::Absent { fan });
                if let Some(room) = &node.room {
                    let standing = room.standing(fan);
                    if let Standing::Waiting(place) = standing {
                        self.check_in(id, place);
                    }
                    self.answer_from_room(node, attempt, ToldByRoom::Standing(standing));
                }
                return;
            }
            ToRoom::ProposalAnswered { number, admissions } => {
                if node.proposal.is_none_or(|(current, _)| current != number) {
                    return;
                }
                node.proposal = None;
                match admissions {
                    Some(admissions) => {
                        node.proposed.clear();
                        queue::Input::Admitted { admissions }
                    }
                    None => queue::Input::AdmitFailed,
                }
            }
            ToRoom::Changed { place, until, extended } => {
                let Some(&fan) = node.fans.get(&place) else { return };
                queue::Input::Changed { admission: Admission { place, fan, claim_by: None, until, extended } }
            }
            ToRoom::Ended { place } => {
                let Some(fan) = node.fans.remove(&place) else { return };
                queue::Input::Ended { fan, place }
            }
        };
        self.room(id, node, input);
    }

    /// An admin takes places away, all but those that are proposed just now.
    pub fn remove(&mut self, id: u32, node: &mut Node, who: Removal, attempt: usize) {
        let Some(room) = &node.room else { return };
        let members = room.members(None, usize::MAX).into_iter();
        let named: Vec<Place> = match &who {
            Removal::First(count) => room.front(*count as usize),
            Removal::Fans(fans) => members.filter(|(_, fan)| fans.contains(fan)).map(|(place, _)| place).collect(),
            Removal::All => members.map(|(place, _)| place).collect(),
        };
        let removed: Vec<Place> = named.into_iter().filter(|place| !node.proposed.contains(place)).collect();
        self.trace.note(self.now, "remove", &[id.into(), removed.len() as u64]);
        self.out.extend(removed.iter().map(|&place| (place, (id, "removed"))));
        if !removed.is_empty() {
            self.saw(match who {
                Removal::First(_) => "an admin removes the first",
                Removal::Fans(_) => "an admin removes fans by name",
                Removal::All => "an admin clears the queue",
            });
        }
        if self.bug == Some(Bug::RemoveNobody) {
            let outcome = queue::Outcome::Removed { count: removed.len() as u32 };
            return self.answer_from_room(node, attempt, ToldByRoom::Outcome(outcome));
        }
        let input = match who {
            Removal::First(count) => queue::Input::RemoveFirst { count, reply: attempt },
            Removal::Fans(fans) => queue::Input::Remove { fans, reply: attempt },
            Removal::All => queue::Input::Clear { reply: attempt },
        };
        self.room(id, node, input);
    }

    /// What became of the joins that were being stored. Those whose fans are told to try again are burnt.
    pub fn joined(&mut self, id: u32, node: &mut Node, done: bool) {
        let places = std::mem::take(&mut node.storing);
        if !done {
            // Those that come back may come once more.
            let term = node.batcher.inventory().term();
            let burnt = places.into_iter().filter(|place| place.term() == term);
            self.out.extend(burnt.map(|place| (place, (id, "a join's that failed"))));
        }
        node.says_try_again = !done && self.bug == Some(Bug::JoinAfterFailure);
        let stored = done || node.says_try_again;
        self.room(id, node, if stored { queue::Input::Stored } else { queue::Input::StoreFailed });
        node.says_try_again = false;
    }

    /// One input for the waiting room, and everything that follows from it here.
    pub fn room(&mut self, id: u32, node: &mut Node, input: queue::Input<usize>) {
        let at = node.time(self.now);
        let term = node.batcher.inventory().term();
        let Some(room) = &mut node.room else { return };
        let mut effects = Vec::new();
        room.step(at, input, &mut effects);
        for effect in effects {
            match effect {
                queue::Effect::Store { joins } => {
                    node.storing = joins.iter().map(|(place, _)| *place).collect();
                    self.store(id, term, joins);
                }
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
                        admittees.push(Admittee { place, fan, present: true, needs_more_time: false });
                    }
                    let places: Vec<Place> = admittees.iter().map(|one| one.place).collect();
                    // Repeated, it is the same: who has come meanwhile is not in it.
                    if node.proposed.is_empty() {
                        let line = node.room.iter().flat_map(|room| room.members(None, usize::MAX));
                        let line: Vec<Place> = line.map(|(place, _)| place).collect();
                        self.proposed(&places, &line);
                    }
                    node.fans.extend(admittees.iter().map(|one| (one.place, one.fan)));
                    node.proposed = admittees.iter().map(|one| one.place).collect();
                    admittees.iter().for_each(|one| self.check_in(id, one.place));
                    node.proposals += 1;
                    node.proposal = Some((node.proposals, self.now));
                    if self.bug == Some(Bug::TellBeforeAdmitted) {
                        let until = at + Millis::minutes(1);
                        let told = admittees.iter().map(|one| Admission {
                            place: one.place,
                            fan: one.fan,
                            claim_by: None,
                            until,
                            extended: false,
                        });
                        let what =
                            ToRoom::ProposalAnswered { number: node.proposals, admissions: Some(told.collect()) };
                        self.later(1, Event::ToNode(id, ToNode::Room(what)));
                    }
                    let request = Request { identity: None, command: Command::Admit(admittees) };
                    self.ask(id, node, request, Caller::Proposal(node.proposals));
                }
                queue::Effect::Tie { ties } => unreachable!("no fan has a device here: {ties:?}"),
                queue::Effect::Move { moves } => unreachable!("nobody is moved here: {moves:?}"),
                queue::Effect::Draw(step) => self.draw(id, node, step),
                queue::Effect::Reply { outcome: queue::Outcome::Waiting { .. }, .. } if node.says_try_again => {}
                queue::Effect::Reply { reply, outcome } => {
                    if let queue::Outcome::Waiting { place } = &outcome {
                        self.check_in(id, *place);
                    }
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

    /// What an owner takes for the queue's settings.
    pub fn believed(&self, mut room: Room) -> Room {
        if self.bug == Some(Bug::StarveAClass) {
            room.shares.weights = room.shares.weights.map(|weight| if weight > 0 { 1 } else { 0 });
            room.shares.weights[0] = 100;
        }
        room
    }

    pub fn answer_from_room(&mut self, node: &Node, attempt: usize, told: ToldByRoom) {
        // Somebody else may have opened the queue meanwhile, from a copy that has lost this.
        if !node.is_sure(self.now) && self.bug != Some(Bug::ReadWithoutFence) {
            return;
        }
        if !self.strikes(Fault::NetworkLoses) {
            let delay = self.short_delay();
            self.later(delay, Event::AnsweredByRoom { attempt, told });
        }
    }

    pub fn store(&mut self, id: u32, term: u32, joins: Vec<(Place, FanId)>) {
        for &(place, fan) in &joins {
            self.place_given(place, fan, term);
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
        let remains = (self.store.is_whole, self.store.lost_before, self.store.spent.clone());
        if let Some(node) = self.nodes.get_mut(&id) {
            node.remains = remains;
        }
        let delay = self.short_delay();
        self.later(delay, Event::ToNode(id, ToNode::Opened(places)));
    }
}
