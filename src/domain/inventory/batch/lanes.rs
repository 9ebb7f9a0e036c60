//! What waits for a batch, in two lanes: holds, which everybody wants, and everything that acts on what was decided
//! before, which goes first.

use std::collections::VecDeque;

use super::super::request::{Command, Request};
use crate::domain::time::EventTime;

pub(super) struct Waiting<Reply> {
    pub request: Request,
    pub reply: Reply,
    pub deadline: EventTime,
}

pub(super) struct Lanes<Reply> {
    pub finishing: VecDeque<Waiting<Reply>>,
    pub holds: VecDeque<Waiting<Reply>>,
    /// Strong reads.
    pub reads: Vec<Reply>,
}

impl<Reply> Lanes<Reply> {
    pub fn new() -> Self {
        Self { finishing: VecDeque::new(), holds: VecDeque::new(), reads: Vec::new() }
    }

    pub fn push(&mut self, waiting: Waiting<Reply>) {
        match waiting.request.command {
            Command::Hold(_) => self.holds.push_back(waiting),
            _ => self.finishing.push_back(waiting),
        }
    }

    pub fn len(&self) -> usize {
        self.finishing.len() + self.holds.len() + self.reads.len()
    }

    /// Everybody who waits, in no order that matters.
    pub fn drain(&mut self) -> impl Iterator<Item = Reply> {
        let Self { finishing, holds, reads } = std::mem::replace(self, Self::new());
        finishing.into_iter().chain(holds).map(|waiting| waiting.reply).chain(reads)
    }
}
