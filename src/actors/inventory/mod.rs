//! EventInventory: the one actor that decides about an event's stock.
//!
//! Owns the event's [`Batcher`](crate::domain::inventory::batch::Batcher). Accepts what its [`Handle`] offers. Records every
//! decision in the journal, a batch at a time, and answers after the commit.
//!
//! Limits: `inventory_in_flight` requests inside, each with a deadline of `ask_deadline_ms`; new holds are refused while more
//! than `outbox_limit` facts are not published.
//!
//! The actor never waits inside `handle`: an append runs beside it and its result comes back as a message. When an append
//! fails for good the actor fails; whoever still waits is told that the outcome is unknown, and the event's keeper takes a
//! new epoch and recovers from the journal.

mod handle;
mod in_flight;
mod inlet;
mod message;
pub mod recovery;
mod show;
mod slots;
mod snapshot;
mod state;
mod tail;

use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, watch},
    time::Duration,
};

pub(super) use self::message::{Begun, StockNow};
#[cfg(test)]
pub(super) use self::show::unconfigured;
pub use self::{handle::Handle, message::AdmissionChange};
use self::{
    inlet::{Inlet, Outlet},
    message::Message,
    recovery::Folded,
    show::Shown,
    slots::Caller,
    state::State,
};
use super::{clock::Clock, config::Config, halt::Halt};
use crate::{
    domain::{
        id::EventId,
        inventory::{View, fact::Facts, request::Refusal},
        time::Millis,
    },
    stores::{
        journal::{Epoch, InventoryJournal},
        ownership::Ownership,
    },
};

/// How often deadlines and what is due are looked at.
const PULSE: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many requests in flight: nothing was done.
    #[error("too many requests in flight")]
    Overloaded,
    /// Its turn came after its deadline: nothing was done.
    #[error("too late, nothing was done")]
    TooLate,
    /// May have happened: ask again with the same identity.
    #[error("outcome unknown, retry with the same key")]
    Unknown,
    /// The actor is gone: nothing was done; ask the directory again.
    #[error("the event is not available now")]
    Unavailable,
}

/// What one activation of an inventory starts from.
pub struct Arguments {
    pub event: EventId,
    pub epoch: Epoch,
    pub folded: Folded,
    pub clock: Clock,
    pub journal: Arc<dyn InventoryJournal>,
    pub ownership: Arc<dyn Ownership>,
    pub config: Config,
    /// Without one nobody can halt it but the event's own configuration.
    pub halt: Option<Halt>,
    /// Committed facts in journal order. Not bounded here: new holds are refused beyond `outbox_limit`.
    pub facts: mpsc::UnboundedSender<Facts>,
    /// Committed changes of admissions, and offers, in journal order; there are no more of them than slots and tickets.
    pub admissions: mpsc::UnboundedSender<AdmissionChange>,
}

/// Starts the actor, and with it the epoch's first commit; with a supervisor, linked to it.
pub async fn start(arguments: Arguments, supervisor: Option<ActorCell>) -> Result<Handle, SpawnErr> {
    let (clock, config) = (arguments.clock, arguments.config.clone());
    let folded = &arguments.folded;
    let view = View { seq: folded.seq, ..folded.inventory.view(clock.now()) };
    let (view, seen) = watch::channel(Arc::new(view));
    let shown = Arc::new(Shown::new(&arguments.folded.inventory));
    let inlet = Inlet::default();
    let arguments = (arguments, inlet.outlet(), view, Arc::clone(&shown));
    let (actor, _) = match supervisor {
        Some(supervisor) => Actor::spawn_linked(None, EventInventory, arguments, supervisor).await?,
        None => Actor::spawn(None, EventInventory, arguments).await?,
    };
    let limits = (config.inventory_in_flight, Millis(config.ask_deadline_ms));
    Ok(Handle::new(actor, inlet, limits, clock, seen, shown))
}

struct EventInventory;

impl Actor for EventInventory {
    type Msg = Message;
    type State = State;
    type Arguments = (Arguments, Outlet, watch::Sender<Arc<View>>, Arc<Shown>);

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        (arguments, outlet, view, shown): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let mut state = State::new(arguments, outlet, view, shown);
        state.activate(&me)?;
        me.send_interval(PULSE, || Message::Pulse);
        Ok(state)
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Asked => state.form(&me)?,
            Message::Order { order, reply, permit } => state.read(&me, Caller::Order(order, reply), Some(permit))?,
            Message::Seats { reply, permit } => state.read(&me, Caller::Seats(reply), Some(permit))?,
            Message::Stock { reply, permit } => state.read(&me, Caller::Stock(reply), Some(permit))?,
            Message::Begin { places, reply } => state.read(&me, Caller::Begin(places, reply), None)?,
            Message::AppendReturned(Ok(())) => state.committed(&me)?,
            Message::AppendReturned(Err(error)) => return Err(state.step_down(&me, error)),
            Message::Gathered => {
                // Lets callers run that wait for this very thread.
                tokio::task::yield_now().await;
                state.gathered(&me)?;
            }
            Message::Published(number) => state.published(&me, number)?,
            Message::SnapshotReturned(made) => state.snapshot_returned(made),
            Message::Pulse => state.pulse(&me)?,
            Message::Drain { reply } => state.drain(&me, reply)?,
        }
        state.end_if_drained(&me);
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
