//! What a connection is told.

use std::sync::Arc;

use ractor_cluster::RactorMessage;
use tokio::sync::mpsc;

use super::{Outgoing, Shut};
use crate::{
    actors::{
        clock::Clock,
        waiting_room::{self, Attachment, WaitError},
    },
    domain::queue::{News, Outcome, Queue},
};

#[derive(RactorMessage)]
pub(super) enum Message {
    /// The client's.
    Claim,
    Extend,
    Leave,
    /// The server goes down.
    Goaway,
    /// The socket is gone.
    Gone,
    Attached(Attached),
    /// From the room, by the task that listens.
    News(News),
    Queue(Arc<Queue>),
    /// The room has ended.
    Detached,
    /// Of a claim or an extension.
    ChangeReturned(Result<Outcome, WaitError>),
    LeaveReturned(Result<Outcome, WaitError>),
    /// Room again for one message; `None`: the reader is gone or took none for too long.
    Writable(Option<mpsc::OwnedPermit<Outgoing>>),
}

/// What became of joining and attaching.
pub(super) enum Attached {
    Here { room: waiting_room::Handle, attachment: Attachment, outcome: Outcome, clock: Clock },
    Refused(Shut),
    NoSuchEvent,
}
