//! What a connection is told.

use ractor_cluster::RactorMessage;

use super::Shut;
use crate::{
    actors::{
        clock::Clock,
        waiting_room::{self, Attachment, WaitError},
    },
    domain::queue::{News, Outcome, Standing},
};

#[derive(RactorMessage)]
pub(super) enum Message {
    /// The client's.
    Claim,
    Extend,
    Leave,
    /// The server goes down.
    Goaway,
    /// The socket is gone, or its reader far too slow.
    Gone,
    Attached(Attached),
    /// From the room, to what this attempt has tied to it.
    News(u64, News),
    /// The room has ended, or has cut off what this attempt had tied to it.
    Detached(u64),
    /// Of a claim or an extension.
    ChangeReturned(Result<Outcome, WaitError>),
    LeaveReturned(Result<Outcome, WaitError>),
}

/// What became of attaching, and of joining if that was to be done.
pub(super) enum Attached {
    Here { attempt: u64, room: waiting_room::Handle, attachment: Attachment, standing: Standing, clock: Clock },
    Refused(Shut),
    NoSuchEvent,
}
