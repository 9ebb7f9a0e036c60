//! Connection: one fan's socket to one event's queue, without the socket.
//!
//! Owns what this socket has been told and its tie to the waiting room. Accepts what its [`Handle`] offers: what the client
//! said. Emits [`Outgoing`], which the edge writes to the socket and for which it signs tokens. Records nothing: on opening
//! it joins the queue, which gives a fan who is there the same place again.
//!
//! Limits: at most one position a second unless the fan's standing changes; a reader that is slow gets the newest position
//! only, and the socket is closed if it does not even take the news of its turn.
//!
//! When the room restarts or moves, the connection attaches again through the directory and tells the fan nothing of it. When
//! the connection itself fails, its socket is closed and the client opens another.

mod handle;
mod message;
mod outbox;
mod state;

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::sync::mpsc;

pub use self::handle::Handle;
use self::{message::Message, state::State};
use super::{clock::Clock, directory::Directory, waiting_room::Position};
use crate::domain::{
    id::{EventId, FanId},
    queue::{Conditions, Standing},
    time::EventTime,
};

/// What the edge writes to the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// The whole state; the first one follows opening at once.
    Update(Update),
    /// The fan is called: claim until `claim_by`.
    Turn(crate::domain::inventory::request::Admission),
    Notice(Notice),
    /// This node goes down: open another socket elsewhere.
    Goaway,
    /// Nothing follows.
    Close(Close),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Counts this socket's updates from 1.
    pub seq: u64,
    pub server_now: EventTime,
    pub standing: Standing,
    /// Of those who wait.
    pub position: Option<Position>,
    pub conditions: Conditions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Within a minute.
    AdmissionEndsSoon,
    AdmissionEnded,
    /// The event's admissions are not extended.
    NoExtension,
    /// Why there is no place.
    Refused(Shut),
    /// What the client asked for was not done; it may ask again.
    TryAgain,
}

/// Why nobody gets a place now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// The queue holds as many as it can: try again later.
    Full,
    /// It can be joined from then on.
    NotOpen {
        from: EventTime,
    },
    Closed,
}

/// Why the socket is closed, by the shop's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    Left,
    Removed,
    Refused(Shut),
    NoSuchEvent,
    GoingAway,
}

impl Close {
    /// RFC 6455.
    pub const fn code(self) -> u16 {
        match self {
            Self::Left | Self::Removed => 1000,
            Self::NoSuchEvent => 1008,
            Self::Refused(_) => 1013,
            Self::GoingAway => 1001,
        }
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Removed => "removed",
            Self::NoSuchEvent => "no_such_event",
            Self::Refused(shut) => shut.name(),
            Self::GoingAway => "going_away",
        }
    }
}

impl Shut {
    /// As errors over HTTP are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "queue_full",
            Self::NotOpen { .. } => "queue_not_open",
            Self::Closed => "queue_closed",
        }
    }
}

/// Starts the connection of a socket that has just been opened. It ends when its handle is dropped, after a `Close`, or when
/// the receiver of `outgoing` is gone.
pub async fn start(
    directory: Arc<dyn Directory>,
    event: EventId,
    fan: FanId,
    outgoing: mpsc::Sender<Outgoing>,
) -> Result<Handle, SpawnErr> {
    let (actor, _) = Actor::spawn(None, Connection, (directory, event, fan, outgoing)).await?;
    Ok(Handle::new(actor))
}

struct Connection;

impl Actor for Connection {
    type Msg = Message;
    type State = State;
    type Arguments = (Arc<dyn Directory>, EventId, FanId, mpsc::Sender<Outgoing>);

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        (directory, event, fan, outgoing): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State::new(&me, directory, event, fan, outgoing))
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.handle(&me, message);
        Ok(())
    }

    /// It has no children; nothing that ends elsewhere may end it.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        _: SupervisionEvent,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
