//! The only way in to an event's orders.

use std::{sync::Arc, time::Duration};

use ractor::{ActorCell, ActorRef};
use tokio::sync::oneshot;

use super::{PaymentFact, SettleError, message::Message};
use crate::actors::{gate::Gate, inventory};

/// Payments of one event being settled at once; more come again later.
const SETTLING: usize = 64;
/// A settling asks the inventory and the database, both of which have deadlines of their own; this is the last one.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    actor: ActorRef<Message>,
    gate: Gate,
    inventory: inventory::Handle,
}

impl Handle {
    pub(super) fn new(actor: ActorRef<Message>, inventory: inventory::Handle) -> Self {
        Self { inner: Arc::new(Inner { actor, gate: Gate::new(SETTLING), inventory }) }
    }

    /// Confirms with the inventory, then writes order and tickets in one transaction. Any number of times.
    pub async fn settle(&self, fact: PaymentFact) -> Result<(), SettleError> {
        let permit = self.inner.gate.enter().ok_or_else(|| later("too many payments at once"))?;
        let (reply, settled) = oneshot::channel();
        let told = self.inner.actor.cast(Message::Settle { fact, reply, permit });
        told.map_err(|_| later("the event is not available now"))?;
        match tokio::time::timeout(DEADLINE, settled).await {
            Ok(Ok(settled)) => settled,
            Ok(Err(_gone)) => Err(later("the event's actors have ended")),
            Err(_late) => Err(later("too late")),
        }
    }

    /// Facts committed and not yet known to be confirmed by the broker.
    pub fn lag(&self) -> u64 {
        self.inner.inventory.view().outbox
    }

    /// Publishes what is left once the inventory has ended. Returns when that is done, or the actor is gone anyway.
    pub(in crate::actors) async fn drain(&self) {
        let (reply, done) = oneshot::channel();
        if self.inner.actor.cast(Message::Drain { reply }).is_ok() {
            let _ = done.await;
        }
    }

    pub(in crate::actors) fn cell(&self) -> ActorCell {
        self.inner.actor.get_cell()
    }
}

fn later(why: &str) -> SettleError {
    SettleError::Later(why.to_owned())
}
