//! The only way in to a waiting room, wherever it runs.

use std::{sync::Arc, time::Duration};

use ractor::{ActorCell, ActorRef};
use tokio::sync::{oneshot, watch};

use super::{
    Attachment, Ear, WaitError,
    attachment::Party,
    message::{Caller, Message, Reply, Request},
};
use crate::{
    actors::{
        errand::Errand,
        gate::{Gate, Permit},
        mirror::Reflection,
    },
    domain::{
        draw::Proof,
        id::FanId,
        queue::{Class, Outcome, Place, Queue, Standing},
    },
};

#[derive(Clone)]
pub struct Handle {
    way: Way,
}

#[derive(Clone)]
enum Way {
    Here(Arc<Here>),
    /// By a courier; sockets are tied to the mirror.
    There(Arc<Reflection>),
}

struct Here {
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
        Self { way: Way::Here(Arc::new(Here { actor, gate: Gate::new(in_flight), deadline, queue })) }
    }

    pub(in crate::actors) fn there(reflection: Arc<Reflection>) -> Self {
        Self { way: Way::There(reflection) }
    }

    /// Idempotent: a fan has one place. `Waiting` only when it is stored.
    pub async fn join(&self, fan: FanId) -> Result<Outcome, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Join(fan)).await,
            Way::There(there) => there.wait(Errand::Join(fan)).await,
        }
    }

    /// The device is this account's from now on, and its place too, unless the account's is better. Idempotent.
    pub async fn tie(&self, device: FanId, account: FanId) -> Result<Outcome, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Tie { device, account }).await,
            Way::There(there) => there.wait(Errand::Tie { device, account }).await,
        }
    }

    /// As `join`, by the signed ticket of a place: if the queue's store has lost that, the fan has it again.
    pub async fn restore(&self, fan: FanId, place: Place) -> Result<Outcome, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Restore { fan, place }).await,
            Way::There(there) => there.wait(Errand::Restore { fan, place }).await,
        }
    }

    /// Ends waiting or the admission.
    pub async fn leave(&self, fan: FanId) -> Result<Outcome, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Leave(fan)).await,
            Way::There(there) => there.wait(Errand::Leave(fan)).await,
        }
    }

    /// Takes up a called admission.
    pub async fn claim(&self, fan: FanId) -> Result<Outcome, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Claim(fan)).await,
            Way::There(there) => there.wait(Errand::Claim(fan)).await,
        }
    }

    /// The one extension of a claimed admission; again: the same.
    pub async fn extend(&self, fan: FanId) -> Result<Outcome, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Extend(fan)).await,
            Way::There(there) => there.wait(Errand::Extend(fan)).await,
        }
    }

    /// Ends the admissions of these fans; how many had one.
    pub async fn revoke(&self, fans: Vec<FanId>) -> Result<u32, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Revoke(fans)).await.map(removed),
            Way::There(there) => there.remove(Errand::Revoke(fans)).await,
        }
    }

    pub async fn standing(&self, fan: FanId) -> Result<Standing, WaitError> {
        self.look(fan, false).await
    }

    /// A poll: tells the standing, and counts as presence.
    pub async fn poll(&self, fan: FanId) -> Result<Standing, WaitError> {
        self.look(fan, true).await
    }

    async fn look(&self, fan: FanId, poll: bool) -> Result<Standing, WaitError> {
        match &self.way {
            Way::Here(here) => here.read(|reply, permit| Message::Standing { fan, poll, reply, permit }).await,
            Way::There(there) => there.standing(fan, poll).await,
        }
    }

    /// The fan counts as present before this returns.
    pub async fn attach(&self, fan: FanId, ear: Box<dyn Ear>) -> Result<Attachment, WaitError> {
        match &self.way {
            Way::Here(here) => here.read(|reply, permit| Message::Attach { fan, ear, reply, permit }).await,
            Way::There(there) => there.attach(fan, ear).await,
        }
    }

    /// For the sockets of another node.
    pub(in crate::actors) async fn gather(&self) -> Result<Party, WaitError> {
        match &self.way {
            Way::Here(here) => here.read(|reply, permit| Message::Gather { reply, permit }).await,
            Way::There(_) => Err(WaitError::Unavailable),
        }
    }

    pub fn queue(&self) -> watch::Receiver<Arc<Queue>> {
        match &self.way {
            Way::Here(here) => here.queue.clone(),
            Way::There(there) => there.queue(),
        }
    }

    pub async fn members(&self, after: Option<Place>, limit: usize) -> Result<Vec<(Place, FanId)>, WaitError> {
        match &self.way {
            Way::Here(here) => here.read(|reply, permit| Message::Members { after, limit, reply, permit }).await,
            Way::There(there) => there.members(after, limit).await,
        }
    }

    /// Proposes the first `count` now, whatever the rate, within free slots.
    pub async fn admit_now(&self, count: u32) -> Result<(), WaitError> {
        match &self.way {
            Way::Here(here) => here.tell(Message::AdmitNow { count }),
            Way::There(there) => there.admit_now(count).await,
        }
    }

    pub async fn remove(&self, fans: Vec<FanId>) -> Result<u32, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Remove(fans)).await.map(removed),
            Way::There(there) => there.remove(Errand::Remove(fans)).await,
        }
    }

    pub async fn remove_first(&self, count: u32) -> Result<u32, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::RemoveFirst(count)).await.map(removed),
            Way::There(there) => there.remove(Errand::RemoveFirst { count }).await,
        }
    }

    pub async fn clear(&self) -> Result<u32, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Clear).await.map(removed),
            Way::There(there) => there.remove(Errand::Clear).await,
        }
    }

    /// The fan goes on waiting in this class, behind everybody who is there.
    pub async fn move_fan(&self, fan: FanId, class: Class) -> Result<Outcome, WaitError> {
        match &self.way {
            Way::Here(here) => here.ask(Request::Move { fan, class }).await,
            Way::There(there) => there.wait(Errand::Move { fan, class }).await,
        }
    }

    /// The fan's part in the draw; `None` before it is made, and for who took no part.
    pub async fn proof(&self, fan: FanId) -> Result<Option<Proof>, WaitError> {
        match &self.way {
            Way::Here(here) => here.read(|reply, permit| Message::Proof { fan, reply, permit }).await,
            Way::There(there) => there.proof(fan).await,
        }
    }

    /// Finishes what is under way and ends the actor, if it runs here. Returns when that is done, or it is gone anyway.
    pub(in crate::actors) async fn drain(&self) {
        let Way::Here(here) = &self.way else { return };
        let (reply, done) = oneshot::channel();
        if here.tell(Message::Drain { reply }).is_ok() {
            let _ = done.await;
        }
    }

    /// `None` if it runs elsewhere.
    pub(in crate::actors) fn cell(&self) -> Option<ActorCell> {
        match &self.way {
            Way::Here(here) => Some(here.actor.get_cell()),
            Way::There(_) => None,
        }
    }
}

impl Here {
    async fn ask(&self, request: Request) -> Result<Outcome, WaitError> {
        let leaving = matches!(request, Request::Leave(_));
        let message = |reply, permit| Message::Ask { request, caller: Caller { reply, leaving, _permit: permit } };
        self.read(message).await
    }

    async fn read<T>(&self, message: impl FnOnce(Reply<T>, Permit) -> Message) -> Result<T, WaitError> {
        let permit = self.gate.enter().ok_or(WaitError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        self.tell(message(reply, permit))?;
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            // It may have been done, and doing it again does no harm.
            Ok(Err(_)) | Err(_) => Err(WaitError::TryAgain),
        }
    }

    fn tell(&self, message: Message) -> Result<(), WaitError> {
        self.actor.cast(message).map_err(|_| WaitError::Unavailable)
    }
}

fn removed(outcome: Outcome) -> u32 {
    if let Outcome::Removed { count } = outcome { count } else { 0 }
}
