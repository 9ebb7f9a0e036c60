//! The only way in to an event's orders, wherever they run.

use std::{sync::Arc, time::Duration};

use ractor::{ActorCell, ActorRef};
use tokio::sync::oneshot;

use super::{PaymentFact, SettleError, message::Message};
use crate::actors::{gate::Gate, inventory, mirror::Reflection};

/// Payments of one event being settled at once; more come again later.
const SETTLING: usize = 256;
/// A settling asks the inventory and the database, both of which have deadlines of their own; this is the last one.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Handle {
    way: Way,
}

#[derive(Clone)]
enum Way {
    Here(Arc<Here>),
    /// By a courier.
    There(Arc<Reflection>),
}

struct Here {
    actor: ActorRef<Message>,
    gate: Gate,
    inventory: inventory::Handle,
}

impl Handle {
    pub(super) fn new(actor: ActorRef<Message>, inventory: inventory::Handle) -> Self {
        Self { way: Way::Here(Arc::new(Here { actor, gate: Gate::new(SETTLING), inventory })) }
    }

    pub(in crate::actors) fn there(reflection: Arc<Reflection>) -> Self {
        Self { way: Way::There(reflection) }
    }

    /// Confirms with the inventory, then writes order and tickets in one transaction. Any number of times.
    pub async fn settle(&self, fact: PaymentFact) -> Result<(), SettleError> {
        match &self.way {
            Way::Here(here) => here.settle(fact).await,
            Way::There(there) => there.settle(fact, DEADLINE).await,
        }
    }

    /// Facts committed and not yet known to be confirmed by the broker.
    pub fn lag(&self) -> u64 {
        match &self.way {
            Way::Here(here) => here.inventory.view().outbox,
            Way::There(there) => there.view().borrow().outbox,
        }
    }

    /// Publishes what is left once the inventory has ended, if it runs here. Returns when that is done, or the actor is gone
    /// anyway.
    pub(in crate::actors) async fn drain(&self) {
        let Way::Here(here) = &self.way else { return };
        let (reply, done) = oneshot::channel();
        if here.actor.cast(Message::Drain { reply }).is_ok() {
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
    async fn settle(&self, fact: PaymentFact) -> Result<(), SettleError> {
        let permit = self.gate.enter().ok_or_else(|| later("too many payments at once"))?;
        let (reply, settled) = oneshot::channel();
        let told = self.actor.cast(Message::Settle { fact, reply, permit });
        told.map_err(|_| later("the event is not available now"))?;
        match tokio::time::timeout(DEADLINE, settled).await {
            Ok(Ok(settled)) => settled,
            Ok(Err(_gone)) => Err(later("the event's actors have ended")),
            Err(_late) => Err(later("too late")),
        }
    }
}

fn later(why: &str) -> SettleError {
    SettleError::Later(why.to_owned())
}
