//! Mirror: what this node keeps of one event that runs on another node.
//!
//! Owns a copy of what the event shows (view, configuration, queue, clock) and the sockets attached here. Accepts
//! [`Bulletin`]s from its stand-in at the owner, and what the handles offer that it gives out. Records nothing; whatever asks
//! for a decision goes by courier, past the mirror.
//!
//! Limits: callers that wait for the first bulletins, and attendance about ten times a second.
//!
//! A mirror is live while bulletins follow one another. When one is missing, when none has come for some seconds, or when
//! another activation of the event speaks, it cuts its sockets off, for what they were to hear may be lost; their connections
//! attach again and learn where they stand. After a restart nothing is known, and everything is asked for anew.

mod message;
mod reflection;
mod registry;
mod roll;
mod state;

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

pub(super) use self::reflection::Reflection;
pub use self::registry::Mirrors;
use self::{message::Message, registry::Shelf, state::State};
use super::{courier::Courier, directory::Slot};
use crate::domain::id::EventId;

/// How often presence is told and silence is noticed.
const PULSE: Duration = Duration::from_millis(100);

struct Arguments {
    event: EventId,
    /// Among this node's mirrors.
    number: u64,
    courier: Arc<dyn Courier>,
    deadline: Duration,
    /// As configured for rooms.
    queue_front: usize,
    slot: Arc<Slot>,
    shelf: Shelf,
}

struct Mirror;

impl Actor for Mirror {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, me: ActorRef<Message>, arguments: Arguments) -> Result<State, ActorProcessingErr> {
        me.send_interval(PULSE, || Message::Pulse);
        Ok(State::new(&me, arguments))
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Find(found) => state.find(found),
            Message::Attach { fan, ear, reply } => state.attach(fan, ear, reply),
            Message::Detach { fan, socket } => state.detach(fan, socket),
            Message::Bulletin(bulletin) => state.bulletin(&me, bulletin),
            Message::Lost => state.lose(),
            Message::Pulse => state.pulse(&me),
            Message::End => state.end(&me),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Message>, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.ended();
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
