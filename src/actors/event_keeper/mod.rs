//! EventKeeper: runs one event's inventory, waiting room and orders together, under one epoch.
//!
//! Owns their start and their end, nothing that is asked of them. If one of them fails, all three are ended and started
//! again under a new epoch, from the journal: at once at first, after long pauses when that happens more than
//! `restart_budget` times a minute, and never for the last time while somebody asks or must be served.
//!
//! An event that nobody has asked for in ten minutes, and that its inventory does not call active, is given up.
//!
//! Where there are other nodes, an event that one of them has is theirs: the keeper says so and ends. A node alone tries on, for
//! the other can only be its own predecessor.

mod activation;
mod budget;
mod message;
mod state;

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

pub use self::message::Part;
pub(super) use self::message::{Found, Message};
use self::state::State;
use super::{directory::Slot, foundation::Foundation};
use crate::domain::id::EventId;

/// How often it is looked whether anybody still needs the event.
const PULSE: Duration = Duration::from_secs(10);

pub(super) struct Arguments {
    pub event: EventId,
    pub on: Foundation,
    /// Where the directory looks for the handles.
    pub slot: Arc<Slot>,
    /// Whether it has to run although nobody has asked.
    pub must_run: bool,
    /// Whether no other node may have it.
    pub alone: bool,
}

pub(super) struct EventKeeper;

impl Actor for EventKeeper {
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
            Message::Prepared(prepared) => state.prepared(&me, prepared).await,
            Message::Opened { epoch, opened } => state.opened(&me, epoch, opened).await,
            Message::Restart => state.restart(&me),
            Message::Pulse => state.pulse(&me),
            Message::Kill { part, done } => {
                let _ = done.send(state.kill(&me, part));
            }
            Message::Drain(done) => state.drain(&me, done),
            Message::GiveUp(done) => state.give_up(&me, done),
            Message::Drained => me.stop(Some("drained".into())),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Message>, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.end();
        Ok(())
    }

    /// The default would end the keeper, and the other two actors with it but under their old epoch.
    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(who, _, why) => state.child_ended(&me, who.get_id(), why),
            SupervisionEvent::ActorFailed(who, error) => state.child_ended(&me, who.get_id(), Some(error.to_string())),
            _ => {}
        }
        Ok(())
    }
}
