//! Orders: takes an event's committed facts to the broker, in journal order, and settles payments.
//!
//! Owns the journal's cursor of what is published, and moves it over what the broker has confirmed at least once a second.
//! Accepts what its [`Handle`] offers. Records orders and tickets in the database. Facts are not limited here: beyond
//! `outbox_limit` the inventory takes no new holds.
//!
//! After a restart it publishes again from the cursor on; readers of the bus bear repeats. A payment whose settling was lost
//! comes again from the bus.

mod envelope;
mod handle;
mod message;
mod publisher;
mod settle;
mod state;
mod tickets;

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use self::{
    envelope::{Envelope, NotAnEnvelope},
    handle::Handle,
    tickets::issue,
};
use self::{message::Message, state::State};
use super::{breather::Sale, inventory};
use crate::{
    domain::{
        id::{EventId, OrderRef, PaymentId},
        inventory::fact::Facts,
        money::Currency,
    },
    stores::{
        database::Database,
        journal::{Epoch, InventoryJournal},
        keys::ring::KeyRing,
        order_bus::OrderBus,
        provider::Providers,
    },
};

/// What the payment provider said, as it travels on the bus: `order.payment-success` or `order.payment-cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFact {
    pub payment: PaymentId,
    pub reference: OrderRef,
    pub amount_minor: i64,
    pub currency: Currency,
    pub captured: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SettleError {
    /// Deliver it again later.
    #[error("not settled yet: {0}")]
    Later(String),
    /// It can never be settled: a person must look.
    #[error("cannot be settled: {0}")]
    Never(String),
}

/// What one activation starts from.
pub(super) struct Arguments {
    pub event: EventId,
    pub epoch: Epoch,
    pub inventory: inventory::Handle,
    pub journal: Arc<dyn InventoryJournal>,
    pub bus: Arc<dyn OrderBus>,
    pub database: Database,
    pub keys: Arc<KeyRing>,
    /// Asked by which card a payment was made, where an event limits that.
    pub providers: Providers,
    pub sale: Sale,
    pub outbox_limit: u64,
    /// The inventory begins with those that it recovered unpublished.
    pub facts: mpsc::UnboundedReceiver<Facts>,
}

const PULSE: Duration = Duration::from_millis(500);

pub(super) async fn start(arguments: Arguments, supervisor: ActorCell) -> Result<Handle, SpawnErr> {
    let inventory = arguments.inventory.clone();
    let (actor, _) = Actor::spawn_linked(None, Orders, arguments, supervisor).await?;
    Ok(Handle::new(actor, inventory))
}

struct Orders;

impl Actor for Orders {
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
            Message::Settle { fact, reply, permit } => state.settle(fact, reply, permit),
            Message::Published(round) => state.published(&me, round),
            Message::Marked(marked) => state.marked(&me, marked),
            Message::Pulse => state.pulse(&me),
            Message::Drain { reply } => state.drain(&me, reply),
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
