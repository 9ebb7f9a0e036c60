//! Courier: carries errands, attendance and bulletins to the node that runs an event, and back.
//!
//! Owns the port and what crosses by it. `cluster` implements it; the actors know neither nodes nor links.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::errand::{Errand, Report};
use crate::{
    domain::id::{EventId, FanId},
    stores::journal::Epoch,
};

/// From here to wherever the event runs.
#[async_trait]
pub trait Courier: Send + Sync + 'static {
    /// Finds the owner; tries again while `deadline` has not passed, as far as that is harmless
    /// ([`Errand::is_repeatable`], [`Report::is_unavailable`]). Returns soon after the deadline at the latest.
    async fn carry(&self, event: EventId, errand: Errand, deadline: Duration) -> Result<Report, NotCarried>;

    /// To the stand-in of this node's mirror. Never waits; may be lost, and the mirror finds that out.
    fn attend(&self, event: EventId, attendance: Attendance);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCarried {
    /// Certainly not done: the event's node cannot be reached, or there is none now.
    #[error("the event's node is not reached")]
    NotSent,
    /// Certainly not done: too much is on its way.
    #[error("too many requests in flight")]
    Overloaded,
    /// May have been done.
    #[error("outcome unknown")]
    Unknown,
}

/// From a mirror to its stand-in: which of the event's fans have a socket on the mirror's node. At most 256 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attendance {
    /// Which mirror says so: a later one of the same process has a higher number.
    pub mirror: u64,
    /// One more than that of the attendance before, from 1.
    pub number: u64,
    /// Begins to say who is here; what was said before does not count.
    pub whole: bool,
    /// What was begun goes on in the next one: it counts when all of it is there.
    pub more: bool,
    pub came: Vec<FanId>,
    pub went: Vec<FanId>,
    /// The mirror has missed a bulletin, or is new: it needs to be told everything.
    pub wants_all: bool,
    /// Nobody needs the mirror any more: nothing follows, and nothing is to be sent.
    pub over: bool,
}

/// From a stand-in to its mirror: what is new of the event, a piece of at most about 128 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulletin {
    pub event: EventId,
    /// To this one.
    pub mirror: u64,
    pub epoch: Epoch,
    /// A later one of the same epoch has a higher number.
    pub stand_in: u64,
    /// One more than that of the bulletin before, from 1.
    pub number: u64,
    pub piece: Piece,
    /// Joined, up to and with a piece that is not `more`: what the mirror is told.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Begins something; otherwise it goes on with what was begun.
    pub first: bool,
    /// Goes on in the next one.
    pub more: bool,
    /// Everything is told, whatever was known.
    pub whole: bool,
}
