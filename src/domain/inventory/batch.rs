//! Group commit, depth 1, as a state machine: what waits, what is in flight, what may be answered.
//!
//! On arrival a request is only queued. When the last commit has returned, everything that waits is decided against
//! committed state, applied, and sent as one segment; so at most one batch is ever uncommitted and nothing is rolled back.
//! Does no I/O: the shell runs the effects.

use super::{
    Corrupt, Inventory,
    entry::Segment,
    fact::OrderFact,
    request::{Answer, Refusal, Request},
};
use crate::domain::time::EventTime;

/// A segment ends at this many entries,
pub const MAX_ENTRIES: usize = 2_048;
/// or at this many bytes.
pub const MAX_BYTES: usize = 512 * 1024;

/// `Reply` is whatever the shell answers through: a channel in production, a number in simulation.
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
        /// A commit made after the request was decided covers the answer. Without one it may be told only while the node is
        /// sure to be the owner: refusals of a batch without entries, repeats.
        covered: bool,
    },
    /// The committed state may be read and shown; these facts may be published.
    Committed { facts: Vec<OrderFact> },
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

pub struct Batcher<Reply> {
    _reply: std::marker::PhantomData<Reply>,
}

impl<Reply> Batcher<Reply> {
    /// Begins an epoch with what was recovered. `last_seq` is the last segment read, 0 for none. New holds are refused
    /// while more than `outbox_limit` facts are unpublished.
    pub fn new(_recovered: Inventory, _last_seq: u64, _epoch: u64, _tag_seed: u64, _outbox_limit: u64) -> Self {
        todo!("inventory helper")
    }

    /// The first commit of the epoch: `Activated`.
    pub fn activate(&mut self, _now: EventTime, _effects: &mut Vec<Effect<Reply>>) -> Result<(), Corrupt> {
        todo!("inventory helper")
    }

    /// Takes in one thing. Forms no batch: after `Committed` the state is exactly what is durable, so run the effects (and
    /// read the view) first, then call [`Self::form`].
    pub fn step(
        &mut self,
        _now: EventTime,
        _input: Input<Reply>,
        _effects: &mut Vec<Effect<Reply>>,
    ) -> Result<(), Corrupt> {
        todo!("inventory helper")
    }

    /// Decides everything that waits, if nothing is in flight, and sends it as one segment. Call it after each `step`, once
    /// that one's effects have run.
    pub fn form(&mut self, _now: EventTime, _effects: &mut Vec<Effect<Reply>>) -> Result<(), Corrupt> {
        todo!("inventory helper")
    }

    /// When to call next, if nothing else happens.
    pub fn next_tick(&self) -> Option<EventTime> {
        todo!("inventory helper")
    }

    /// State including the batch in flight: only for what does not leave the actor.
    pub fn inventory(&self) -> &Inventory {
        todo!("inventory helper")
    }

    pub fn waiting(&self) -> usize {
        todo!("inventory helper")
    }

    pub fn in_flight(&self) -> Option<&Segment> {
        todo!("inventory helper")
    }
}
