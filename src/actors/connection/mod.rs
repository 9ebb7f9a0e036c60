//! Connection: one fan's socket to one event's queue, without the socket.
//!
//! Owns what this socket has been told and its tie to the waiting room. Accepts what its [`Handle`] offers: what the client
//! said. Emits [`Outgoing`], which the edge writes to the socket and for which it signs tokens. Records nothing: on opening
//! it joins the queue, which gives a fan who is there the same place again.
//!
//! The actor is for what happens to its fan: its turn, an admission, an end. Positions pass it by: a lane of the room shows each
//! published queue to the screens that the actors have left with it.
//!
//! Limits: at most one position a second unless the fan's standing changes; a reader that is slow gets the newest position
//! only, and the socket is closed if it does not even take the news of its turn. The mailbox holds what a client may say and
//! what a room says of one fan; the actor never waits.
//!
//! When the room restarts or moves, the connection attaches again through the directory and tells the fan nothing of it. Who
//! waited joins again, by the place that the fan had, should the queue's store have lost it; who was let in, or has left, does
//! not. When the connection itself fails, its socket is closed and the
//! client opens another.

mod handle;
mod message;
mod screen;
mod state;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::sync::mpsc::{self, error::TrySendError};

pub use self::handle::Handle;
use self::{message::Message, state::State};
use super::{clock::Clock, directory::Directory, waiting_room::Position};
use crate::domain::{
    id::{EventId, FanId},
    inventory::{classes::Classes, notice},
    queue::{Conditions, Place, Queue, Standing},
    time::EventTime,
};

/// The edge's end of a socket. Dropped when nothing more comes; without a `Close` before that, the connection has failed.
pub trait Outlet: Send + Sync + 'static {
    /// Never waits. An update is not taken while something before it is not through; all else is kept in order, within a bound.
    fn put(&self, outgoing: Outgoing) -> Put;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Taken,
    /// Come again with a newer one.
    NotNow,
    /// The reader is gone, or has to be given up.
    Never,
}

/// For a reader that takes messages: the channel is the bound.
impl Outlet for mpsc::Sender<Outgoing> {
    fn put(&self, outgoing: Outgoing) -> Put {
        match self.try_send(outgoing) {
            Ok(()) => Put::Taken,
            Err(TrySendError::Full(Outgoing::Update(_))) => Put::NotNow,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => Put::Never,
        }
    }
}

/// What the edge writes to the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// The whole state; the first one follows opening at once.
    Update(Update),
    /// The fan is called: claim until `claim_by`.
    Turn(crate::domain::inventory::request::Admission),
    Notice(Notice),
    /// What the fan was on the waiting list for is held for them.
    Offer {
        reference: crate::domain::id::OrderRef,
        until: EventTime,
    },
    /// This node goes down: open another socket elsewhere, which can go on from what was told last.
    Goaway(Option<Seen>),
    /// Nothing follows.
    Close(Close),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Counts this socket's updates from 1; for who asks, the time of the queue.
    pub seq: u64,
    pub server_now: EventTime,
    pub standing: Standing,
    /// Of those who wait.
    pub position: Option<Position>,
    /// Of the whole queue; unknown is `None`.
    pub outflow_per_minute: Option<u32>,
    pub conditions: Conditions,
    /// The organizer's notice, or that there is none any more; `None`: as told before.
    pub notice: Option<Option<Arc<notice::Notice>>>,
    pub classes: Arc<Classes>,
    /// Of the whole queue, ever.
    pub manual_moves: u64,
}

impl Update {
    /// All of what a published queue says of a fan who stands there.
    pub fn of(standing: Standing, position: Option<Position>, queue: &Queue, server_now: EventTime) -> Self {
        Self {
            seq: queue.at.0,
            server_now,
            standing,
            position,
            outflow_per_minute: queue.outflow.map(|outflow| outflow.per_minute),
            conditions: queue.conditions,
            notice: Some(queue.notice.clone()),
            classes: Arc::clone(&queue.classes),
            manual_moves: queue.manual_moves,
        }
    }

    /// Of what is told beside time and outflow. Two nodes of one build have the same for the same.
    pub fn digest(&self) -> u64 {
        digest(self.standing, self.position, self.conditions)
    }
}

/// The last update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub seq: u64,
    /// Version of the notice that was told.
    pub notice: u32,
    pub digest: u64,
}

fn digest(standing: Standing, position: Option<Position>, conditions: Conditions) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{standing:?} {position:?} {conditions:?}").hash(&mut hasher);
    hasher.finish()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Within a minute.
    AdmissionEndsSoon,
    AdmissionEnded,
    /// The event's admissions are not extended.
    NoExtension,
    /// The queue's store has lost places, and fans had their time to come back to theirs: numbers are counted anew.
    QueueRebuilt,
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
    /// Who takes part in a draw has an account.
    AccountNeeded,
    /// The device is tied: its person goes on by the account.
    DeviceTied,
    /// Nobody new gets a place until this is lifted: try again later.
    Halted,
}

/// Why the socket is closed, by the shop's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    Left,
    Removed,
    /// The device's place is its person's now, and so is whatever follows.
    Tied,
    Refused(Shut),
    NoSuchEvent,
    GoingAway,
}

impl Close {
    /// RFC 6455.
    pub const fn code(self) -> u16 {
        match self {
            Self::Left | Self::Removed | Self::Tied => 1000,
            Self::NoSuchEvent => 1008,
            Self::Refused(_) => 1013,
            Self::GoingAway => 1001,
        }
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Removed => "removed",
            Self::Tied => "device_tied",
            Self::NoSuchEvent => "no_such_event",
            Self::Refused(shut) => shut.name(),
            Self::GoingAway => "going_away",
        }
    }
}

impl Notice {
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdmissionEndsSoon => "admission_ends_soon",
            Self::AdmissionEnded => "admission_ended",
            Self::QueueRebuilt => "queue_rebuilt",
            Self::NoExtension => "no_extension",
            Self::Refused(shut) => shut.name(),
            Self::TryAgain => "try_again",
        }
    }

    /// From when on there will be places.
    pub const fn opens_at(self) -> Option<EventTime> {
        match self {
            Self::Refused(Shut::NotOpen { from }) => Some(from),
            _ => None,
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
            Self::AccountNeeded => "account_needed",
            Self::DeviceTied => "device_tied",
            Self::Halted => "halted",
        }
    }
}

/// Starts the connection of a socket that has just been opened. It ends when its handle is dropped, after a `Close`, or when
/// the outlet takes nothing more.
pub async fn start(
    directory: Arc<dyn Directory>,
    event: EventId,
    fan: FanId,
    outlet: impl Outlet,
) -> Result<Handle, SpawnErr> {
    start_at(directory, event, fan, None, outlet).await
}

/// The same for a fan who has shown a signed ticket of this place.
pub async fn start_at(
    directory: Arc<dyn Directory>,
    event: EventId,
    fan: FanId,
    place: Option<Place>,
    outlet: impl Outlet,
) -> Result<Handle, SpawnErr> {
    let outlet: Box<dyn Outlet> = Box::new(outlet);
    let (actor, _) = Actor::spawn(None, Connection, (directory, event, fan, place, outlet)).await?;
    Ok(Handle::new(actor))
}

struct Connection;

impl Actor for Connection {
    type Msg = Message;
    type State = State;
    type Arguments = (Arc<dyn Directory>, EventId, FanId, Option<Place>, Box<dyn Outlet>);

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        (directory, event, fan, place, outlet): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State::new(&me, directory, event, fan, place, outlet))
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
