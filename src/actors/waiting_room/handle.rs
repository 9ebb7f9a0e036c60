//! The only way in to a waiting room.

use std::{sync::Arc, time::Duration};

use ractor::{ActorCell, ActorRef};
use tokio::sync::{oneshot, watch};

use super::{
    Attachment, WaitError,
    message::{Caller, Message, Reply, Request},
};
use crate::{
    actors::gate::{Gate, Permit},
    domain::{
        id::FanId,
        queue::{Outcome, Place, Queue, Standing},
    },
};

#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    actor: ActorRef<Message>,
    gate: Gate,
    deadline: Duration,
    queue: watch::Receiver<Arc<Queue>>,
}

impl Handle {
    pub(super) fn new(
        actor: ActorRef<Message>,
        in_flight: usize,
        deadline: Duration,
        queue: watch::Receiver<Arc<Queue>>,
    ) -> Self {
        Self { inner: Arc::new(Inner { actor, gate: Gate::new(in_flight), deadline, queue }) }
    }

    /// Idempotent: a fan has one place. `Waiting` only when it is stored.
    pub async fn join(&self, fan: FanId) -> Result<Outcome, WaitError> {
        self.ask(Request::Join(fan)).await
    }

    /// Ends waiting or the admission.
    pub async fn leave(&self, fan: FanId) -> Result<Outcome, WaitError> {
        self.ask(Request::Leave(fan)).await
    }

    /// Takes up a called admission.
    pub async fn claim(&self, fan: FanId) -> Result<Outcome, WaitError> {
        self.ask(Request::Claim(fan)).await
    }

    pub async fn standing(&self, fan: FanId) -> Result<Standing, WaitError> {
        self.read(|reply, permit| Message::Standing { fan, poll: false, reply, permit }).await
    }

    /// A poll: tells the standing, and counts as presence.
    pub async fn poll(&self, fan: FanId) -> Result<Standing, WaitError> {
        self.read(|reply, permit| Message::Standing { fan, poll: true, reply, permit }).await
    }

    pub async fn attach(&self, fan: FanId) -> Result<Attachment, WaitError> {
        self.read(|reply, permit| Message::Attach { fan, reply, permit }).await
    }

    pub fn queue(&self) -> watch::Receiver<Arc<Queue>> {
        self.inner.queue.clone()
    }

    pub async fn members(&self, after: Option<Place>, limit: usize) -> Result<Vec<(Place, FanId)>, WaitError> {
        self.read(|reply, permit| Message::Members { after, limit, reply, permit }).await
    }

    /// Proposes the first `count` now, whatever the rate, within free slots.
    pub async fn admit_now(&self, count: u32) -> Result<(), WaitError> {
        self.tell(Message::AdmitNow { count })
    }

    pub async fn remove(&self, fans: Vec<FanId>) -> Result<u32, WaitError> {
        self.ask(Request::Remove(fans)).await.map(removed)
    }

    pub async fn remove_first(&self, count: u32) -> Result<u32, WaitError> {
        self.ask(Request::RemoveFirst(count)).await.map(removed)
    }

    pub async fn clear(&self) -> Result<u32, WaitError> {
        self.ask(Request::Clear).await.map(removed)
    }

    /// Finishes what is under way and ends the actor. Returns when that is done, or it is gone anyway.
    pub(in crate::actors) async fn drain(&self) {
        let (reply, done) = oneshot::channel();
        if self.tell(Message::Drain { reply }).is_ok() {
            let _ = done.await;
        }
    }

    pub(in crate::actors) fn cell(&self) -> ActorCell {
        self.inner.actor.get_cell()
    }

    async fn ask(&self, request: Request) -> Result<Outcome, WaitError> {
        let leaving = matches!(request, Request::Leave(_));
        let message = |reply, permit| Message::Ask { request, caller: Caller { reply, leaving, _permit: permit } };
        self.read(message).await
    }

    async fn read<T>(&self, message: impl FnOnce(Reply<T>, Permit) -> Message) -> Result<T, WaitError> {
        let permit = self.inner.gate.enter().ok_or(WaitError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        self.tell(message(reply, permit))?;
        match tokio::time::timeout(self.inner.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            // It may have been done, and doing it again does no harm.
            Ok(Err(_)) | Err(_) => Err(WaitError::TryAgain),
        }
    }

    fn tell(&self, message: Message) -> Result<(), WaitError> {
        self.inner.actor.cast(message).map_err(|_| WaitError::Unavailable)
    }
}

fn removed(outcome: Outcome) -> u32 {
    if let Outcome::Removed { count } = outcome { count } else { 0 }
}
