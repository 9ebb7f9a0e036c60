//! What still has to be written to the socket: never waits, never grows.

use std::{collections::VecDeque, time::Duration};

use ractor::ActorRef;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::task::AbortOnDropHandle;

use super::{Outgoing, message::Message};
use crate::actors::beside;

/// Turns, notices and the like that may wait for a slow reader.
const WAITING: usize = 16;
/// A reader that takes nothing for so long is not there.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Outbox {
    sender: mpsc::Sender<Outgoing>,
    waiting: VecDeque<Outgoing>,
    /// Under way while something waits, or an update does.
    reserving: Option<AbortOnDropHandle<()>>,
}

/// The reader is gone, or so slow that it has to be given up.
pub(super) struct Lost;

impl Outbox {
    pub fn new(sender: mpsc::Sender<Outgoing>) -> Self {
        Self { sender, waiting: VecDeque::new(), reserving: None }
    }

    /// Must arrive: kept in order for a slow reader.
    pub fn send(&mut self, me: &ActorRef<Message>, outgoing: Outgoing) -> Result<(), Lost> {
        if self.waiting.is_empty() {
            match self.sender.try_send(outgoing) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(_)) => return Err(Lost),
                Err(TrySendError::Full(outgoing)) => self.waiting.push_back(outgoing),
            }
        } else if self.waiting.len() < WAITING {
            self.waiting.push_back(outgoing);
        } else {
            return Err(Lost);
        }
        self.reserve(me);
        Ok(())
    }

    /// Whether an update can be written now. If not, `Writable` comes when it can: the newest is to be sent then.
    pub fn is_ready(&mut self, me: &ActorRef<Message>) -> bool {
        let ready = self.waiting.is_empty() && self.sender.capacity() > 0;
        if !ready {
            self.reserve(me);
        }
        ready
    }

    /// Writes the first that waits.
    pub fn writable(
        &mut self,
        me: &ActorRef<Message>,
        permit: Option<mpsc::OwnedPermit<Outgoing>>,
    ) -> Result<(), Lost> {
        self.reserving = None;
        let permit = permit.ok_or(Lost)?;
        match self.waiting.pop_front() {
            Some(outgoing) => drop(permit.send(outgoing)),
            None => drop(permit),
        }
        if !self.waiting.is_empty() {
            self.reserve(me);
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn reserve(&mut self, me: &ActorRef<Message>) {
        if self.reserving.is_some() {
            return;
        }
        let reserved = self.sender.clone().reserve_owned();
        self.reserving = Some(beside::run(me, async move {
            Message::Writable(tokio::time::timeout(PATIENCE, reserved).await.ok().and_then(Result::ok))
        }));
    }
}
