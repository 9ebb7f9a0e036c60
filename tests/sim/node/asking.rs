//! What the inventory is asked, and what its callers hear.

use onsale::domain::{
    inventory::{
        batch,
        request::{Answer, Command, Refusal, Request},
    },
    time::Millis,
};

use crate::{
    bug::Bug,
    node::{ASK_DEADLINE_MS, Ask, Caller, Input, Node, ToNode, ToRoom},
    oracle::{asked::Asked, model::Left},
    swarm::Fault,
    world::{Event, PRESS, Told, World, code, codes},
};

impl World {
    pub fn ask(&mut self, id: u32, node: &mut Node, mut request: Request, caller: Caller) {
        if self.bug == Some(Bug::IgnoreChannel)
            && let Command::Hold(hold) = &mut request.command
        {
            hold.channel = Some(code(PRESS));
        }
        if self.bug == Some(Bug::NameAnotherCode)
            && let Command::Hold(hold) = &mut request.command
            && self.codes > 0
        {
            hold.code = Some(codes::name(0));
        }
        if self.bug == Some(Bug::FreeTheSeatTaken)
            && let Command::Keep { number, .. } = &mut request.command
        {
            *number = u32::MAX;
        }
        let deadline = node.time(self.now) + Millis(ASK_DEADLINE_MS);
        let mut ask = Ask { caller, asked: Asked::of(&request) };
        self.asked(&ask.asked);
        if self.does_later(&request) {
            // Whoever asked hears that nothing was done; nobody takes the request back.
            self.tell(id, node, ask, batch::Outcome::NotAttempted, true);
            ask = Caller::Nobody.into();
        }
        self.inventory(id, node, Input::Ask { request, reply: ask, deadline });
    }

    fn does_later(&mut self, request: &Request) -> bool {
        let planted = match request.command {
            Command::Extend { .. } => Bug::ExtendAfterRefusal,
            Command::Release { .. } => Bug::ReleaseAfterRefusal,
            Command::Confirm(_) | Command::ConfirmOrOthers(_) => Bug::ConfirmAfterRefusal,
            _ => return false,
        };
        self.bug == Some(planted) && self.rng.percent(20)
    }

    /// One input for the inventory, and everything that follows from it here.
    pub fn inventory(&mut self, id: u32, node: &mut Node, input: Input) {
        if node.ended {
            return;
        }
        let early = if self.bug == Some(Bug::EndHoldsEarly) && matches!(input, Input::Tick) { 60_000 } else { 0 };
        let at = node.time(self.now + early);
        let mut effects = Vec::new();
        let committed = matches!(input, Input::Committed);
        let stepped = node.batcher.step(input, &mut effects);
        self.require(stepped.is_ok(), || format!("the inventory contradicts itself: {stepped:?}"));
        self.run_inventory_effects(id, node, effects);
        if node.ended {
            return;
        }
        if committed {
            self.snapshot(node);
        }
        let mut effects = Vec::new();
        let formed = node.batcher.form(at, &mut effects);
        self.require(formed.is_ok(), || format!("the inventory contradicts itself: {formed:?}"));
        self.run_inventory_effects(id, node, effects);
    }

    pub fn run_inventory_effects(&mut self, id: u32, node: &mut Node, effects: Vec<batch::Effect<Ask>>) {
        for effect in effects {
            match effect {
                batch::Effect::Commit { seq, bytes, .. } => {
                    node.sending.insert(seq, bytes.into());
                    self.send_first(id, node, seq);
                    if self.bug == Some(Bug::AnswerBeforeCommit) {
                        self.durable(id, node, seq);
                    }
                }
                batch::Effect::Reply { reply, outcome, covered } => self.tell(id, node, reply, outcome, covered),
                batch::Effect::Committed { facts } => {
                    node.backlog.extend(facts);
                    node.draw = node.batcher.inventory().draw().cloned();
                }
                batch::Effect::StepDown => node.ended = true,
            }
        }
    }

    pub fn tell(&mut self, id: u32, node: &mut Node, ask: Ask, outcome: batch::Outcome, covered: bool) {
        let Ask { caller, asked } = ask;
        if outcome != batch::Outcome::Unknown {
            self.closed(&asked);
        }
        let sure = covered || node.is_sure(self.now) || self.bug == Some(Bug::ReadWithoutFence);
        let told = match outcome {
            batch::Outcome::Answered(answer) if sure => {
                self.check_answer(caller, &answer);
                Told::Answer(answer)
            }
            batch::Outcome::Refused(refusal) if sure => {
                self.check_refusal(node, caller, &refusal);
                Told::Refused(refusal)
            }
            batch::Outcome::Readable if sure => match caller {
                Caller::Begin => return self.begin_room(id, node),
                Caller::Order => return self.order(id, node),
                _ => {
                    let view = node.batcher.inventory().view(node.time(self.now));
                    let left = Left {
                        free: view.ticket_types.iter().map(|one| u64::from(one.free)).sum(),
                        drawn: view.quotas.iter().map(|one| u64::from(one.taken)).sum(),
                    };
                    Told::Read { left, seq: node.durable_seq }
                }
            },
            batch::Outcome::Unknown => Told::Unknown,
            batch::Outcome::TooLate | batch::Outcome::NotAttempted => Told::Not,
            _ => {
                self.saw("an unsure owner keeps silent");
                Told::Unknown
            }
        };
        if matches!(told, Told::Refused(Refusal::BelowTaken { .. })) {
            self.saw("stock does not go below what is taken");
        }
        let delay = self.short_delay();
        match caller {
            Caller::Client(attempt) => {
                if !self.strikes(Fault::NetworkLoses) {
                    self.later(delay, Event::Answered { attempt, told });
                }
            }
            Caller::Settle(message) => self.later(delay, Event::SettleAnswered { message, told }),
            Caller::Reduce(order, known) => self.later(delay, Event::ReduceAnswered { order, known, told }),
            Caller::Takers => {
                let late = self.rng.below(1_500);
                self.later(delay + late, Event::TakersFound(told));
            }
            Caller::Move(order, number) => {
                if !self.strikes(Fault::NetworkLoses) {
                    self.later(delay, Event::MoveAnswered { order, number, told });
                }
            }
            Caller::Keep(order, number) => self.later(delay, Event::Kept { order, number, told }),
            Caller::Proposal(number) => {
                let admissions = match told {
                    Told::Answer(Answer::Admitted(admissions)) => Some(admissions),
                    _ => None,
                };
                let what = ToRoom::ProposalAnswered { number, admissions };
                self.later(delay, Event::ToNode(id, ToNode::Room(what)));
            }
            Caller::End | Caller::Nobody => {}
            Caller::Draw | Caller::Order => {
                self.later(delay, Event::ToNode(id, ToNode::Room(ToRoom::DrawStepped)));
            }
            Caller::Begin => {
                // Not sure just now: the room is opened again later.
                node.opening = false;
            }
            Caller::Configure => node.configured = matches!(told, Told::Answer(_)),
        }
    }
}
