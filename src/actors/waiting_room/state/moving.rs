//! Fans whom an admin moves: counted in the journal, then written to the queue's store, then told.

use std::sync::Arc;

use ractor::{ActorProcessingErr, ActorRef};

use super::{super::message::Message, State, plain};
use crate::{
    actors::beside,
    domain::{
        id::FanId,
        inventory::request::Command,
        queue::{Class, Input, Move},
    },
    stores::error::StoreError,
};

impl State {
    /// In which class the fan joins: nothing that the fan says decides it.
    pub(super) fn class_of(&self, fan: FanId) -> Class {
        self.inventory.view().class_members.class(fan)
    }

    pub(super) fn move_fans(&mut self, me: &ActorRef<Message>, moves: Vec<Move>) {
        let stored: Vec<Move> = moves.iter().map(|one| Move { from: self.room.stored_as(one.from), ..*one }).collect();
        let (store, event, term) = (Arc::clone(&self.store), self.event, self.term);
        let inventory = self.inventory.clone();
        self.moving = Some(beside::run(me, async move {
            let counted = inventory.ask(plain(Command::CountMoves(moves))).await;
            let returned = match counted {
                Ok(_) => store.relocate(event, term, &stored).await,
                Err(error) => Err(StoreError::Unavailable(error.to_string().into())),
            };
            Message::MoveReturned(returned)
        }));
    }

    pub fn move_returned(
        &mut self,
        me: &ActorRef<Message>,
        returned: Result<(), StoreError>,
    ) -> Result<(), ActorProcessingErr> {
        self.moving = None;
        match returned {
            Ok(()) => {
                self.room.step(self.clock.now(), Input::Moved, &mut self.effects);
                // In this order: whoever is told the place finds it in the queue.
                self.publish();
                self.carry_out(me);
                self.tick(me);
            }
            Err(error @ StoreError::Conflict(_)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(event = %self.event, %error, "moves not stored; whoever asked is told to try again");
                self.step(me, Input::MoveFailed);
            }
        }
        Ok(())
    }
}
