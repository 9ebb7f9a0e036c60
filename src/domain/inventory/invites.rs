//! Invites to the event's queue, as far as something has become of them: whose they are, or that they are withdrawn.
//!
//! Owns that one is one person's for good. What an invite looks like, and whether it is one, the edge knows.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Corrupt, Decision, Inventory,
    entry::Entry,
    request::{Answer, Refusal},
};
use crate::domain::id::{FanId, InviteId};

/// Used and withdrawn ones of an event: beyond that none is used any more.
const MOST: usize = 500_000;

/// Shared with a snapshot that is being written; copied by the first change after that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Invites(Arc<BTreeMap<InviteId, Fate>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Fate {
    Used(FanId),
    Withdrawn,
}

impl Inventory {
    /// The first person who comes with it has it; the same person again: the same.
    pub(super) fn decide_use_invite(&self, invite: InviteId, fan: FanId) -> Result<Decision, Refusal> {
        match self.invites.0.get(&invite) {
            Some(Fate::Used(by)) if *by == fan => Ok(Decision { entries: Vec::new(), answer: Answer::Invited }),
            Some(Fate::Used(_)) => Err(Refusal::InviteUsed),
            Some(Fate::Withdrawn) => Err(Refusal::InviteWithdrawn),
            None if self.invites.0.len() >= MOST => Err(Refusal::TooManyInvites),
            None => Ok(Decision { entries: vec![Entry::InviteUsed { invite, fan }], answer: Answer::Invited }),
        }
    }

    /// Whoever has a place by one keeps it, but gets no other by it.
    pub(super) fn decide_withdraw_invites(&self, invites: &[InviteId]) -> Result<Decision, Refusal> {
        let is_new = |invite: &InviteId| self.invites.0.get(invite) != Some(&Fate::Withdrawn);
        let mut new: Vec<InviteId> = invites.iter().copied().filter(is_new).collect();
        new.sort_unstable();
        new.dedup();
        if self.invites.0.len() + new.len() > MOST {
            return Err(Refusal::TooManyInvites);
        }
        let answer = Answer::InvitesWithdrawn { count: u32::try_from(new.len()).unwrap_or(u32::MAX) };
        let entries = if new.is_empty() { Vec::new() } else { vec![Entry::InvitesWithdrawn { invites: new }] };
        Ok(Decision { entries, answer })
    }

    pub(super) fn invite_used(&mut self, invite: InviteId, fan: FanId) -> Result<(), Corrupt> {
        match Arc::make_mut(&mut self.invites.0).insert(invite, Fate::Used(fan)) {
            None => Ok(()),
            Some(_) => Err(Corrupt(format!("invite {invite} is used twice, or was withdrawn"))),
        }
    }

    pub(super) fn invites_withdrawn(&mut self, invites: &[InviteId]) {
        let known = Arc::make_mut(&mut self.invites.0);
        known.extend(invites.iter().map(|invite| (*invite, Fate::Withdrawn)));
    }
}
