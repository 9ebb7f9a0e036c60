//! The only way in to an inventory.

use std::{future::Future, sync::Arc, time::Duration};

use ractor::ActorRef;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{
    AskError,
    message::{Begun, Message, Reply},
    show::Shown,
};
use crate::{
    actors::{
        clock::Clock,
        gate::{Gate, Permit},
    },
    domain::{
        code::SeatId,
        id::{FanId, OrderId},
        inventory::{
            SeatState, View,
            configuration::Configuration,
            request::{Answer, HoldView, Request},
        },
        queue::Place,
        time::Millis,
    },
};

/// Cheap to clone; carries the bound that the mailbox lacks, and the deadline.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    actor: ActorRef<Message>,
    gate: Gate,
    deadline: Millis,
    clock: Clock,
    view: watch::Receiver<Arc<View>>,
    shown: Arc<Shown>,
}

impl Handle {
    pub(super) fn new(
        actor: ActorRef<Message>,
        in_flight: usize,
        deadline: Millis,
        clock: Clock,
        view: watch::Receiver<Arc<View>>,
        shown: Arc<Shown>,
    ) -> Self {
        Self { inner: Arc::new(Inner { actor, gate: Gate::new(in_flight), deadline, clock, view, shown }) }
    }

    /// Answers only what is durable. Costs one message and one channel: no timer, the actor watches deadlines itself.
    pub async fn ask(&self, request: Request) -> Result<Answer, AskError> {
        let deadline = self.inner.clock.now() + self.inner.deadline;
        let (permit, (reply, answer)) = (self.enter()?, oneshot::channel());
        self.tell(Message::Ask { request, deadline, reply, permit })?;
        answer.await.unwrap_or(Err(AskError::Unknown))
    }

    /// As of the last commit; no message.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.inner.view.borrow())
    }

    pub fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.inner.view.clone()
    }

    /// As of the last commit. Version 0 until the first one is committed.
    pub fn configuration(&self) -> Arc<Configuration> {
        self.inner.shown.configuration.load_full()
    }

    /// The event's own clock: hold and admission times are to be compared with it.
    pub fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// Every seat, as of the last commit. Costs a copy of each: not for every caller anew.
    pub async fn seats(&self) -> Result<Vec<(SeatId, SeatState)>, AskError> {
        let permit = self.enter()?;
        self.read(|reply| Message::Seats { reply, permit }).await
    }

    /// A strong read.
    pub async fn order(&self, order: OrderId) -> Result<Option<HoldView>, AskError> {
        let permit = self.enter()?;
        self.read(|reply| Message::Order { order, reply, permit }).await
    }

    /// Whether somebody must run this event although nobody asks.
    pub(in crate::actors) fn is_active(&self) -> bool {
        self.inner.shown.is_active()
    }

    pub(in crate::actors) async fn begin(&self, places: Vec<(Place, FanId)>) -> Result<Begun, AskError> {
        self.read(|reply| Message::Begin { places, reply }).await
    }

    pub fn published(&self, number: u64) {
        // An actor that is gone recovers the cursor from the journal.
        let _ = self.inner.actor.cast(Message::Published(number));
    }

    /// Finishes what waits and ends the actor. Returns when that is done, or it is gone anyway.
    pub async fn drain(&self) {
        let (reply, done) = oneshot::channel();
        if self.tell(Message::Drain { reply }).is_ok() {
            let _ = done.await;
        }
    }

    pub(in crate::actors) fn cell(&self) -> ractor::ActorCell {
        self.inner.actor.get_cell()
    }

    fn enter(&self) -> Result<Permit, AskError> {
        self.inner.gate.enter().ok_or(AskError::Overloaded)
    }

    fn tell(&self, message: Message) -> Result<(), AskError> {
        self.inner.actor.cast(message).map_err(|_| AskError::Unavailable)
    }

    /// A read changes nothing, so whatever goes wrong, nothing was done.
    fn read<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> impl Future<Output = Result<T, AskError>> {
        let (reply, answer) = oneshot::channel();
        let told = self.tell(message(reply));
        let deadline = Instant::now() + Duration::from_millis(self.inner.deadline.0);
        async move {
            told?;
            match tokio::time::timeout_at(deadline, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_gone)) => Err(AskError::Unavailable),
                Err(_late) => Err(AskError::TooLate),
            }
        }
    }
}
