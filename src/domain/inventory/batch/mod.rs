//! Group commit, depth 1, as a state machine: what waits, what is in flight, what may be answered.
//!
//! On arrival a request is only queued. When the last commit has returned, everything that waits is decided against
//! committed state, applied, and sent as one segment; so at most one batch is ever uncommitted and nothing is rolled back.
//! Does no I/O: the shell runs the effects.

mod draft;
mod lanes;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::{
    draft::Draft,
    lanes::{Lanes, Waiting},
};
use super::{
    Corrupt, Inventory,
    entry::{Entry, Segment},
    fact::Facts,
    request::{Answer, Command, Refusal, Request},
};
use crate::domain::time::EventTime;

/// A segment ends at this many entries,
pub const MAX_ENTRIES: usize = 2_048;
/// or at this many bytes.
pub const MAX_BYTES: usize = 512 * 1024;
/// Everything but holds goes first, up to this many entries and bytes, so that holds are never shut out.
const MAX_FINISHING_ENTRIES: usize = MAX_ENTRIES / 2;
const MAX_FINISHING_BYTES: usize = MAX_BYTES / 2;
/// Of those, what time ends: a thousand holds that expire at once do not keep a payment waiting.
const MAX_DUE_ENTRIES: usize = MAX_FINISHING_ENTRIES / 2;
/// What is done at once for who waits.
const MAX_OFFER_ENTRIES: usize = MAX_DUE_ENTRIES / 2;

/// `Reply` is whatever the shell answers through: a channel in production, a number in simulation.
#[expect(clippy::large_enum_variant, reason = "nearly all of them ask: a box for each would cost more")]
pub enum Input<Reply> {
    /// An attempt; dropped unanswered-for when the batch is formed after `deadline`.
    Ask { request: Request, reply: Reply, deadline: EventTime },
    /// A strong read: answered with the state as of the batch it rides in.
    Read { reply: Reply },
    /// The segment sent last is durable.
    Committed,
    /// The segment sent last may be durable, and this owner can no longer find out: another one has taken over.
    Fenced,
    /// Facts up to this number are with the broker, confirmed.
    Published { number: u64 },
    /// Time has passed.
    Tick,
}

pub enum Effect<Reply> {
    /// Make these bytes durable as this segment.
    Commit { seq: u64, bytes: Vec<u8>, active: bool },
    Reply {
        reply: Reply,
        outcome: Outcome,
        /// A commit made after the request was decided covers the answer, or the answer says nothing about the state. Without
        /// one it may be told only while the node is sure to be the owner: refusals and repeats of a batch without entries.
        covered: bool,
    },
    /// The committed state may be read and shown; these facts may be published.
    Committed { facts: Facts },
    /// State is of no more use: drop it, take a new epoch, recover.
    StepDown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Answered(Answer),
    Refused(Refusal),
    /// The strong read's turn has come: read the committed view.
    Readable,
    /// Not attempted: its deadline had passed.
    TooLate,
    /// Not attempted: this owner stepped down before its turn.
    NotAttempted,
    /// May have happened: ask again with the same key.
    Unknown,
}

/// A decision too large for one segment: a large seat plan, the entries of a draw. Nothing else is decided until it is through, so it stays true.
struct Staging<Reply> {
    rest: VecDeque<Entry>,
    reply: Reply,
    answer: Answer,
}

struct Flight<Reply> {
    segment: Segment,
    /// Told once the segment is durable.
    replies: Vec<(Reply, Outcome)>,
}

pub struct Batcher<Reply> {
    /// With the batch in flight applied.
    inventory: Inventory,
    epoch: u64,
    last_seq: u64,
    tag_seed: u64,
    outbox_limit: u64,
    lanes: Lanes<Reply>,
    staging: Option<Staging<Reply>>,
    flight: Option<Flight<Reply>>,
    /// Facts up to this number have been handed out for publishing.
    handed_out: u64,
    /// What the last commit said about whether somebody must run the event.
    marked_active: bool,
    stepped_down: bool,
}

impl<Reply> Batcher<Reply> {
    /// Begins an epoch with what was recovered. `last_seq` is the last segment read, 0 for none. New holds are refused
    /// while more than `outbox_limit` facts are unpublished. The first `Committed` hands out every fact that was recovered
    /// unpublished.
    pub fn new(recovered: Inventory, last_seq: u64, epoch: u64, tag_seed: u64, outbox_limit: u64) -> Self {
        Self {
            inventory: recovered,
            epoch,
            last_seq,
            tag_seed,
            outbox_limit,
            lanes: Lanes::new(),
            staging: None,
            flight: None,
            handed_out: 0,
            marked_active: false,
            stepped_down: false,
        }
    }

    /// Whether all events of the installation are halted: holds for what is decided from now on.
    pub fn halt_all(&mut self, halted: bool) {
        self.inventory.halt_all(halted);
    }

    /// The first commit of the epoch: `Activated`.
    pub fn activate(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) -> Result<(), Corrupt> {
        let mut draft = Draft::default();
        let term = self.inventory.term() + 1;
        self.add(now.max(self.inventory.last_at()), vec![Entry::Activated { term }], &mut draft)?;
        self.send(now, draft, Vec::new(), effects);
        Ok(())
    }

    /// Takes in one thing. Forms no batch: after `Committed` the state is exactly what is durable, so run the effects (and
    /// read the view) first, then call [`Self::form`].
    pub fn step(&mut self, input: Input<Reply>, effects: &mut Vec<Effect<Reply>>) -> Result<(), Corrupt> {
        match input {
            Input::Ask { reply, .. } | Input::Read { reply } if self.stepped_down => {
                effects.push(Effect::Reply { reply, outcome: Outcome::NotAttempted, covered: true });
            }
            Input::Ask { request, reply, deadline } => self.lanes.push(Waiting { request, reply, deadline }),
            Input::Read { reply } => self.lanes.reads.push(reply),
            Input::Committed => self.committed(effects)?,
            Input::Fenced => self.step_down(effects),
            Input::Published { number } => self.inventory.published(number),
            Input::Tick => {}
        }
        Ok(())
    }

    fn committed(&mut self, effects: &mut Vec<Effect<Reply>>) -> Result<(), Corrupt> {
        let flight = self.flight.take().ok_or_else(|| Corrupt("committed with nothing in flight".into()))?;
        let facts = self.inventory.outbox_after(self.handed_out);
        self.handed_out = facts.newest().unwrap_or(self.handed_out);
        effects.push(Effect::Committed { facts });
        let told = flight.replies.into_iter();
        effects.extend(told.map(|(reply, outcome)| Effect::Reply { reply, outcome, covered: true }));
        Ok(())
    }

    fn step_down(&mut self, effects: &mut Vec<Effect<Reply>>) {
        self.stepped_down = true;
        let sent = self.flight.take().into_iter().flat_map(|flight| flight.replies);
        // A plan without its last part changes nothing.
        let staged = self.staging.take().map(|staging| staging.reply);
        let unknown = sent.map(|(reply, _)| (reply, Outcome::Unknown));
        let not_attempted = staged.into_iter().chain(self.lanes.drain()).map(|reply| (reply, Outcome::NotAttempted));
        let told = unknown.chain(not_attempted);
        effects.extend(told.map(|(reply, outcome)| Effect::Reply { reply, outcome, covered: true }));
        effects.push(Effect::StepDown);
    }

    /// Decides everything that waits, if nothing is in flight, and sends it as one segment. Call it after each `step`, once
    /// that one's effects have run.
    pub fn form(&mut self, now: EventTime, effects: &mut Vec<Effect<Reply>>) -> Result<(), Corrupt> {
        if self.flight.is_some() || self.stepped_down {
            return Ok(());
        }
        let now = now.max(self.inventory.last_at());
        let mut draft = Draft::default();
        let mut replies = Vec::new();
        self.stage(now, &mut draft, &mut replies)?;
        if self.staging.is_none() {
            self.end_what_is_due(now, &mut draft)?;
            self.decide_lane(now, Lane::Finishing, &mut draft, &mut replies, effects)?;
        }
        if self.staging.is_none() {
            self.serve_the_list(now, &mut draft)?;
        }
        // A large plan may just have begun.
        if self.staging.is_none() {
            self.decide_lane(now, Lane::Holds, &mut draft, &mut replies, effects)?;
        }
        replies.extend(self.lanes.reads.drain(..).map(|reply| (reply, Outcome::Readable)));
        let idle_again = self.marked_active && !self.inventory.is_active();
        if draft.is_empty() && !idle_again {
            effects.extend(replies.into_iter().map(|(reply, outcome)| Effect::Reply {
                reply,
                outcome,
                covered: false,
            }));
            return Ok(());
        }
        self.send(now, draft, replies, effects);
        Ok(())
    }

    fn send(&mut self, now: EventTime, draft: Draft, replies: Vec<(Reply, Outcome)>, effects: &mut Vec<Effect<Reply>>) {
        // Without entries the state has seen no later time, and must not seem to have.
        let at = if draft.is_empty() { self.inventory.last_at() } else { now.max(self.inventory.last_at()) };
        self.last_seq += 1;
        self.tag_seed = self.tag_seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let head =
            Segment { seq: self.last_seq, epoch: self.epoch, at, tag: mixed(self.tag_seed), entries: Vec::new() };
        let (segment, bytes) = draft.seal(head);
        self.marked_active = self.inventory.is_active();
        effects.push(Effect::Commit { seq: segment.seq, bytes, active: self.marked_active });
        self.flight = Some(Flight { segment, replies });
    }

    /// Applies the entries if they fit in the draft; otherwise gives them back.
    fn add(&mut self, now: EventTime, entries: Vec<Entry>, draft: &mut Draft) -> Result<Option<Vec<Entry>>, Corrupt> {
        if !draft.add(&entries) {
            return Ok(Some(entries));
        }
        for entry in &entries {
            self.inventory.apply(now, entry)?;
        }
        Ok(None)
    }

    /// Goes on with a large plan.
    fn stage(&mut self, now: EventTime, draft: &mut Draft, replies: &mut Vec<(Reply, Outcome)>) -> Result<(), Corrupt> {
        let Some(mut staging) = self.staging.take() else { return Ok(()) };
        while let Some(entry) = staging.rest.pop_front() {
            if let Some(too_many) = self.add(now, vec![entry], draft)? {
                staging.rest.extend(too_many);
                staging.rest.rotate_right(1);
                self.staging = Some(staging);
                return Ok(());
            }
        }
        replies.push((staging.reply, Outcome::Answered(staging.answer)));
        Ok(())
    }

    fn end_what_is_due(&mut self, now: EventTime, draft: &mut Draft) -> Result<(), Corrupt> {
        for entry in self.inventory.due(now, MAX_DUE_ENTRIES) {
            if self.add(now, vec![entry], draft)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Before any hold: what is free goes to who waits for it.
    fn serve_the_list(&mut self, now: EventTime, draft: &mut Draft) -> Result<(), Corrupt> {
        if self.inventory.unpublished() > self.outbox_limit {
            return Ok(());
        }
        for _ in 0..MAX_OFFER_ENTRIES {
            let Some(entry) = self.inventory.next_offer(now) else { break };
            if self.add(now, vec![entry], draft)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn decide_lane(
        &mut self,
        now: EventTime,
        lane: Lane,
        draft: &mut Draft,
        replies: &mut Vec<(Reply, Outcome)>,
        effects: &mut Vec<Effect<Reply>>,
    ) -> Result<(), Corrupt> {
        while lane.has_room(draft) && self.staging.is_none() {
            let Some(waiting) = lane.of(&mut self.lanes).pop_front() else { break };
            if now > waiting.deadline {
                effects.push(Effect::Reply { reply: waiting.reply, outcome: Outcome::TooLate, covered: true });
                continue;
            }
            let decision = match self.decide(now, &waiting.request) {
                Ok(decision) => decision,
                Err(refusal) => {
                    replies.push((waiting.reply, Outcome::Refused(refusal)));
                    continue;
                }
            };
            if matches!(decision.entries.first(), Some(Entry::SeatsStaged { .. } | Entry::DrawStaged { .. })) {
                let rest = decision.entries.into();
                self.staging = Some(Staging { rest, reply: waiting.reply, answer: decision.answer });
                self.stage(now, draft, replies)?;
                continue;
            }
            if self.add(now, decision.entries, draft)?.is_some() {
                // Its turn comes first in the next batch, and is decided anew then.
                lane.of(&mut self.lanes).push_front(waiting);
                break;
            }
            replies.push((waiting.reply, Outcome::Answered(decision.answer)));
        }
        Ok(())
    }

    fn decide(&self, now: EventTime, request: &Request) -> Result<super::Decision, Refusal> {
        let decision = self.inventory.decide(now, request)?;
        let is_new = !decision.entries.is_empty();
        if is_new && matches!(request.command, Command::Hold(_)) && self.inventory.unpublished() > self.outbox_limit {
            return Err(Refusal::OrdersLagging);
        }
        Ok(decision)
    }

    /// When to call next, if nothing else happens.
    pub fn next_tick(&self) -> Option<EventTime> {
        if self.flight.is_some() || self.stepped_down {
            return None;
        }
        self.inventory.next_due()
    }

    /// State including the batch in flight: only for what does not leave the actor.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    pub fn waiting(&self) -> usize {
        self.lanes.len() + usize::from(self.staging.is_some())
    }

    pub fn in_flight(&self) -> Option<&Segment> {
        self.flight.as_ref().map(|flight| &flight.segment)
    }
}

#[derive(Clone, Copy)]
enum Lane {
    Finishing,
    Holds,
}

impl Lane {
    fn has_room(self, draft: &Draft) -> bool {
        let (entries, bytes) = match self {
            Self::Finishing => (MAX_FINISHING_ENTRIES, MAX_FINISHING_BYTES),
            Self::Holds => (MAX_ENTRIES, MAX_BYTES),
        };
        draft.len() < entries && draft.bytes() < bytes
    }

    fn of<Reply>(self, lanes: &mut Lanes<Reply>) -> &mut VecDeque<Waiting<Reply>> {
        match self {
            Self::Finishing => &mut lanes.finishing,
            Self::Holds => &mut lanes.holds,
        }
    }
}

/// SplitMix64's finish: one seed, a different tag for each segment.
fn mixed(seed: u64) -> u64 {
    let x = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
