//! The waiting room and its copy in the queue's store.

use onsale::domain::{
    id::FanId,
    inventory::request::{Admission, AdmissionEnd, Admittee, Command, Request},
    queue::{self, Place, Room, Standing, Tie, WaitingRoom},
    time::Millis,
};

use crate::{
    bug::Bug,
    node::{Caller, Node, Removal, ToNode, ToRoom},
    swarm::Fault,
    world::{Event, ToldByRoom, World},
};

impl World {
    pub fn begin_room(&mut self, id: u32, node: &mut Node) {
        let inventory = node.batcher.inventory();
        let term = inventory.term();
        let mut places = std::mem::take(&mut node.opened);
        places.retain(|&(place, _)| !inventory.was_admitted(place));
        let admissions = inventory.admissions();
        let Some(configuration) = inventory.configuration() else { return };
        let room = Room::of(&inventory.view(node.time(self.now)), configuration, 0);
        node.fans = admissions.iter().map(|admission| (admission.place, admission.fan)).collect();
        let term = if self.bug == Some(Bug::ReuseBurntPlaces) { term.saturating_sub(1).max(1) } else { term };
        self.trace.note(self.now, "room opens", &[id.into(), term.into(), places.len() as u64]);
        node.room = Some(WaitingRoom::new(node.time(self.now), term, places, admissions, room));
    }

    /// Through a channel: in order, and at another pace than answers.
    pub fn room_news(&mut self, id: u32, node: &mut Node, what: ToRoom) {
        node.room_news_at = node.room_news_at.max(self.now + self.rng.below(30));
        self.later(node.room_news_at - self.now, Event::ToNode(id, ToNode::Room(what)));
    }

    pub fn tell_room(&mut self, id: u32, node: &mut Node, what: ToRoom) {
        let input = match what {
            ToRoom::Join { fan, attempt } => queue::Input::Join { fan, reply: attempt },
            ToRoom::Tie { device, account, attempt } => return self.tie(id, node, device, account, attempt),
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
        let named = |number: usize, fan: FanId| match &who {
            Removal::First(count) => number < *count as usize,
            Removal::Fans(fans) => fans.contains(&fan),
            Removal::All => true,
        };
        let members = room.members(None, usize::MAX).into_iter().enumerate();
        let named = members.filter(|&(number, (_, fan))| named(number, fan)).map(|(_, (place, _))| place);
        let removed = named.filter(|place| !node.proposed.contains(place));
        let removed: Vec<Place> = removed.filter(|place| node.tying.values().all(|tying| tying != place)).collect();
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
            self.out.extend(places.into_iter().map(|place| (place, (id, "a join's that failed"))));
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
        let members = room.members(None, usize::MAX);
        self.check_one_place_each(node, &members);
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
                    let device = node.room.as_ref().map_or(Vec::new(), |room| room.members(None, usize::MAX));
                    let device = device.into_iter().find(|(_, fan)| fan.is_device());
                    if let (Some((first, _)), Some(last)) = (device, admittees.last())
                        && first < last.place
                    {
                        self.saw("a device is called past");
                    }
                    if let (Some(Bug::CallADevice), Some((place, fan))) = (self.bug, device) {
                        admittees = vec![Admittee { place, fan, present: true, needs_more_time: false }];
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
                queue::Effect::Tie { ties } => self.send_ties(id, term, ties),
                queue::Effect::Draw(step) => self.draw(id, node, step),
                queue::Effect::Reply { outcome: queue::Outcome::Waiting { .. }, .. } if node.says_try_again => {}
                queue::Effect::Reply { reply, outcome } => {
                    node.tying.remove(&reply);
                    if let queue::Outcome::Waiting { place } = &outcome {
                        self.check_in(id, *place);
                        self.check_tied(node, reply, *place);
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

    pub fn tie(&mut self, id: u32, node: &mut Node, device: FanId, account: FanId, attempt: usize) {
        let Some(room) = &node.room else { return };
        let place = |fan| match room.standing(fan) {
            Standing::Waiting(place) => Some(place),
            _ => None,
        };
        let before = [place(device), place(account)];
        if let Some(attempt) = self.attempts.get_mut(attempt) {
            attempt.tie = Some((device, before.map(|place| place.filter(|place| !node.proposed.contains(place)))));
        }
        if let [Some(devices), _] = before {
            node.tying.insert(attempt, devices);
        }
        let input = match (self.bug, before) {
            (Some(Bug::TieAndKeepBoth), [Some(_), Some(_)]) => queue::Input::Join { fan: account, reply: attempt },
            _ => queue::Input::Tie { device, account, reply: attempt },
        };
        self.room(id, node, input);
    }

    fn send_ties(&mut self, id: u32, term: u32, ties: Vec<Tie>) {
        self.tied.extend(ties.iter().map(|tie| (tie.place, tie.account)));
        let fails = self.strikes(Fault::StoreFails);
        let silent = self.strikes(Fault::StoreFailsAfterWriting);
        let delay = self.short_delay();
        self.later(delay, Event::StoreTie { node: id, term, ties, done: !fails, said: !silent });
    }

    pub fn store_tie(&mut self, id: u32, term: u32, ties: &[Tie], done: bool, said: bool) {
        let merged = if done { self.store.tie(term, ties) } else { None };
        let done = merged.is_some();
        self.trace.note(self.now, "store tie", &[id.into(), ties.len() as u64, done.into(), said.into()]);
        if done && !said {
            self.saw("a tie is stored and its owner does not know");
        }
        // Who owns the event next finds the account at the other place.
        merged.into_iter().flatten().for_each(|place| self.place_gone(place));
        let delay = self.short_delay();
        self.later(delay, Event::ToNode(id, ToNode::Tied(done && said)));
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
}
