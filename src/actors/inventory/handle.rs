//! The only way in to an inventory, wherever it runs.

use std::{future::Future, sync::Arc, time::Duration};

use ractor::ActorRef;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{
    AskError,
    inlet::{Asked, Inlet},
    message::{Begun, Message, Reply, StockNow},
    show::Shown,
};
use crate::{
    actors::{
        clock::Clock,
        gate::{Gate, Permit},
        mirror::Reflection,
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
    way: Way,
}

#[derive(Clone)]
enum Way {
    Here(Arc<Here>),
    /// By a courier; what is shown is what the mirror was told last.
    There(Arc<Reflection>),
}

struct Here {
    actor: ActorRef<Message>,
    inlet: Inlet,
    gate: Gate,
    deadline: Millis,
    clock: Clock,
    view: watch::Receiver<Arc<View>>,
    shown: Arc<Shown>,
}

impl Handle {
    pub(super) fn new(
        actor: ActorRef<Message>,
        inlet: Inlet,
        (in_flight, deadline): (usize, Millis),
        clock: Clock,
        view: watch::Receiver<Arc<View>>,
        shown: Arc<Shown>,
    ) -> Self {
        let here = Here { actor, inlet, gate: Gate::new(in_flight), deadline, clock, view, shown };
        Self { way: Way::Here(Arc::new(here)) }
    }

    pub(in crate::actors) fn there(reflection: Arc<Reflection>) -> Self {
        Self { way: Way::There(reflection) }
    }

    /// Answers only what is durable. Costs one channel, and one message for all that ask at once: no timer, the actor watches
    /// deadlines itself.
    pub async fn ask(&self, request: Request) -> Result<Answer, AskError> {
        match &self.way {
            Way::Here(here) => here.ask(request, here.deadline).await,
            Way::There(there) => Box::pin(there.ask(request)).await,
        }
    }

    /// With less patience than the actor has: its caller's.
    pub(in crate::actors) async fn ask_within(&self, request: Request, within: Millis) -> Result<Answer, AskError> {
        match &self.way {
            Way::Here(here) => here.ask(request, here.deadline.min(within)).await,
            Way::There(there) => Box::pin(there.ask(request)).await,
        }
    }

    /// As of the last commit; no message. Where the event runs elsewhere, about a second old at most.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.shown_view().borrow())
    }

    pub fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.shown_view().clone()
    }

    /// As of the last commit. Version 0 until the first one is committed. Where the event runs elsewhere, about a second old
    /// at most, but not older than what this handle's [`Self::ask`] has configured.
    pub fn configuration(&self) -> Arc<Configuration> {
        match &self.way {
            Way::Here(here) => here.shown.configuration.load_full(),
            Way::There(there) => there.configuration(),
        }
    }

    /// The event's own clock: hold and admission times are to be compared with it.
    pub fn clock(&self) -> Clock {
        match &self.way {
            Way::Here(here) => here.clock,
            Way::There(there) => there.clock(),
        }
    }

    /// Every seat, as of the last commit. Costs a copy of each: not for every caller anew.
    pub async fn seats(&self) -> Result<Vec<(SeatId, SeatState)>, AskError> {
        match &self.way {
            Way::Here(here) => {
                let permit = here.enter()?;
                here.read(|reply| Message::Seats { reply, permit }).await
            }
            Way::There(there) => there.seats().await,
        }
    }

    /// What viewers are shown is made of it, as of the last commit. Known where the event runs.
    pub(in crate::actors) async fn stock(&self) -> Result<StockNow, AskError> {
        let Way::Here(here) = &self.way else { return Err(AskError::Unavailable) };
        let permit = here.enter()?;
        here.read(|reply| Message::Stock { reply, permit }).await
    }

    /// A strong read.
    pub async fn order(&self, order: OrderId) -> Result<Option<HoldView>, AskError> {
        match &self.way {
            Way::Here(here) => {
                let permit = here.enter()?;
                here.read(|reply| Message::Order { order, reply, permit }).await
            }
            Way::There(there) => there.order(order).await,
        }
    }

    /// Whether somebody must run this event although nobody asks. Known where it runs.
    pub(in crate::actors) fn is_active(&self) -> bool {
        matches!(&self.way, Way::Here(here) if here.shown.is_active())
    }

    pub(in crate::actors) async fn begin(&self, places: Vec<(Place, FanId)>) -> Result<Begun, AskError> {
        let Way::Here(here) = &self.way else { return Err(AskError::Unavailable) };
        here.read(|reply| Message::Begin { places, reply }).await
    }

    /// Who takes part in the draw, in the order of their entries; nobody before they are closed.
    pub async fn entrants(&self) -> Result<Arc<Vec<FanId>>, AskError> {
        match &self.way {
            Way::Here(_) => Ok(self.begin(Vec::new()).await?.entrants),
            Way::There(there) => there.entrants().await,
        }
    }

    /// Told by the event's own orders, which run where it runs.
    pub fn published(&self, number: u64) {
        if let Way::Here(here) = &self.way {
            // An actor that is gone recovers the cursor from the journal.
            let _ = here.actor.cast(Message::Published(number));
        }
    }

    /// Finishes what waits and ends the actor, if it runs here. Returns when that is done, or it is gone anyway.
    pub async fn drain(&self) {
        let Way::Here(here) = &self.way else { return };
        let (reply, done) = oneshot::channel();
        if here.tell(Message::Drain { reply }).is_ok() {
            let _ = done.await;
        }
    }

    /// `None` if it runs elsewhere.
    pub(in crate::actors) fn cell(&self) -> Option<ractor::ActorCell> {
        match &self.way {
            Way::Here(here) => Some(here.actor.get_cell()),
            Way::There(_) => None,
        }
    }

    fn shown_view(&self) -> &watch::Receiver<Arc<View>> {
        match &self.way {
            Way::Here(here) => &here.view,
            Way::There(there) => there.view(),
        }
    }
}

impl Here {
    async fn ask(&self, request: Request, within: Millis) -> Result<Answer, AskError> {
        let deadline = self.clock.now() + within;
        let (permit, (reply, answer)) = (self.enter()?, oneshot::channel());
        if self.inlet.push(Asked { request, deadline, reply, permit })? {
            self.tell(Message::Asked)?;
        }
        answer.await.unwrap_or(Err(AskError::Unknown))
    }

    fn enter(&self) -> Result<Permit, AskError> {
        self.gate.enter().ok_or(AskError::Overloaded)
    }

    fn tell(&self, message: Message) -> Result<(), AskError> {
        self.actor.cast(message).map_err(|_| AskError::Unavailable)
    }

    /// A read changes nothing, so whatever goes wrong, nothing was done.
    fn read<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> impl Future<Output = Result<T, AskError>> {
        let (reply, answer) = oneshot::channel();
        let told = self.tell(message(reply));
        let deadline = Instant::now() + Duration::from_millis(self.deadline.0);
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
