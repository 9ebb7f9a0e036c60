//! What a keeper is told.

use ractor_cluster::RactorMessage;
use tokio::sync::oneshot;

use super::activation::{Fault, Prepared};
use crate::{
    actors::{
        directory::{DirectoryError, EventHandles},
        inventory::Begun,
    },
    stores::journal::Epoch,
};

pub(in crate::actors) type Found = oneshot::Sender<Result<EventHandles, DirectoryError>>;

#[derive(RactorMessage)]
pub(in crate::actors) enum Message {
    /// Answered when the event runs.
    Find(Found),
    Prepared(Result<Box<Prepared>, Fault>),
    Opened {
        epoch: Epoch,
        opened: Result<Begun, Fault>,
    },
    /// Time to try again.
    Restart,
    Pulse,
    Kill {
        part: Part,
        done: oneshot::Sender<bool>,
    },
    /// Finish, give the event up, end.
    Drain(oneshot::Sender<()>),
    /// The same in any phase: the ownership is given up too if the event does not run yet.
    GiveUp(oneshot::Sender<()>),
    Drained,
}

/// One actor of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Inventory,
    WaitingRoom,
    Orders,
    Keeper,
}
