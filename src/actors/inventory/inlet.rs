//! Where requests wait for the actor: a list beside its mailbox, emptied at once when a batch is formed.
//!
//! The mailbox would carry each one by itself, which costs more than deciding it. The actor is told once, by whoever finds the
//! list empty. When the actor ends, whoever still waits here is told that nothing was done.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{AskError, message::Reply};
use crate::{
    actors::gate::Permit,
    domain::{
        inventory::request::{Answer, Request},
        time::EventTime,
    },
};

pub(super) struct Asked {
    pub request: Request,
    pub deadline: EventTime,
    pub reply: Reply<Answer>,
    pub permit: Permit,
}

/// The handles' end.
#[derive(Clone, Default)]
pub(super) struct Inlet(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    asked: Vec<Asked>,
    is_closed: bool,
}

/// The actor's end; closes the inlet when it is dropped.
pub(super) struct Outlet {
    inlet: Inlet,
    /// Empty; its room is used again.
    room: Vec<Asked>,
}

impl Inlet {
    /// Says whether it is the first one there, so that the actor has to be told.
    pub fn push(&self, asked: Asked) -> Result<bool, AskError> {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Err(AskError::Unavailable);
        }
        waiting.asked.push(asked);
        Ok(waiting.asked.len() == 1)
    }

    pub fn outlet(&self) -> Outlet {
        Outlet { inlet: self.clone(), room: Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet {
    /// All that wait, in the order they came. To be given back empty.
    pub fn take(&mut self) -> Vec<Asked> {
        mem::replace(&mut self.inlet.lock().asked, mem::take(&mut self.room))
    }

    pub fn give_back(&mut self, room: Vec<Asked>) {
        debug_assert!(room.is_empty(), "all of them are taken in");
        self.room = room;
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut waiting = self.inlet.lock();
        waiting.is_closed = true;
        let asked = mem::take(&mut waiting.asked);
        drop(waiting);
        for Asked { reply, .. } in asked {
            // Whoever gave up meanwhile is not told; that is no error.
            let _ = reply.send(Err(AskError::Unavailable));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        actors::gate::Gate,
        domain::{id::OrderId, inventory::request::Command},
    };

    #[test]
    fn the_first_one_is_told_of_and_those_that_nobody_took_hear_that_nothing_was_done() {
        let (inlet, gate) = (Inlet::default(), Gate::new(10));
        let mut outlet = inlet.outlet();
        let push = |order: u128| {
            let (reply, answer) = oneshot::channel();
            let command = Command::Void { order: OrderId::from_u128(order) };
            let permit = gate.enter().expect("room");
            let request = Request { identity: None, command };
            (inlet.push(Asked { request, deadline: EventTime(0), reply, permit }), answer)
        };
        let (told, _first) = push(1);
        assert_eq!(told, Ok(true));
        let (told, _second) = push(2);
        assert_eq!(told, Ok(false));
        let mut taken = outlet.take();
        let orders: Vec<Command> = taken.drain(..).map(|asked| asked.request.command).collect();
        assert_eq!(orders, [1, 2].map(|order| Command::Void { order: OrderId::from_u128(order) }));
        outlet.give_back(taken);

        let (told, mut left) = push(3);
        assert_eq!(told, Ok(true));
        drop(outlet);
        assert_eq!(left.try_recv(), Ok(Err(AskError::Unavailable)));
        let (told, _late) = push(4);
        assert_eq!(told, Err(AskError::Unavailable));
    }
}
