//! The directory of a single node: every event runs here.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use ractor::{Actor, ActorRef, SpawnErr};
use tokio::sync::oneshot;

use super::{
    Directory, DirectoryError, EventHandles, Part, Slot,
    root::{Events, Message},
};
use crate::{
    actors::{config::Config, foundation::Foundation},
    domain::id::EventId,
    stores::{Stores, error::StoreError, secret::TicketKey},
};

/// The map that both the directory and the root actor hold. Changed when an event starts or ends, read by every request.
pub(super) type Slots = Arc<RwLock<HashMap<EventId, Arc<Slot>>>>;

/// Until a keeper that ends is gone.
const ENDING: Duration = Duration::from_millis(5);

/// Finds running events without a message, and has the others started.
pub struct LocalDirectory {
    slots: Slots,
    root: ActorRef<Message>,
    deadline: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the events that must run are not known: {0}")]
    Active(#[source] StoreError),
    #[error("the actors do not start: {0}")]
    Spawn(#[from] SpawnErr),
}

impl LocalDirectory {
    /// Starts what runs on this node: the consumers of the bus, and every event that somebody must run. Does not wait for
    /// them.
    pub async fn start(stores: &Stores, key: TicketKey, config: Config) -> Result<Arc<Self>, StartError> {
        let active = stores.journal.active().await.map_err(StartError::Active)?;
        let deadline = Duration::from_millis(config.ask_deadline_ms);
        let (slots, on) = (Slots::default(), Foundation::new(stores, key, config));
        let (root, _) = Actor::spawn(None, Events, (on, Arc::clone(&slots))).await?;
        let directory = Arc::new(Self { slots, root, deadline });
        let intake_asks: Arc<dyn Directory> = Arc::clone(&directory) as _;
        // The root has just started, so it is there.
        let _ = directory.root.cast(Message::Begin { active, directory: Arc::downgrade(&intake_asks) });
        Ok(directory)
    }

    /// Takes nothing more, finishes what is under way, publishes what it can, gives the events up. Returns when that is done
    /// or `within` has passed; what is left then is recovered by whoever runs the events next.
    pub async fn shutdown(&self, within: Duration) {
        let (done, finished) = oneshot::channel();
        if self.root.cast(Message::Shutdown(done)).is_ok() {
            let _ = tokio::time::timeout(within, finished).await;
        }
        // It has children only if the time was short; they end with it.
        self.root.stop(None);
    }

    /// Kills one actor of a running event, as a crash would: for drills and tests. Says whether it was there.
    pub async fn kill(&self, event: EventId, part: Part) -> bool {
        let (done, killed) = oneshot::channel();
        self.root.cast(Message::Kill { event, part, done }).is_ok() && killed.await.unwrap_or(false)
    }

    /// Kills the consumers of the bus, as a crash would: for drills and tests.
    pub async fn kill_intake(&self) {
        let _ = self.root.cast(Message::KillIntake);
    }
}

#[async_trait]
impl Directory for LocalDirectory {
    async fn event(&self, event: EventId) -> Result<EventHandles, DirectoryError> {
        let slot = self.slots.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&event).cloned();
        if let Some(handles) = slot.and_then(|slot| slot.handles()) {
            return Ok(handles);
        }
        let found = async {
            loop {
                let (found, answer) = oneshot::channel();
                self.root.cast(Message::Find { event, found }).map_err(|_| DirectoryError::Unavailable)?;
                match answer.await {
                    Ok(answer) => return answer,
                    // Its keeper was just ending: it was idle, or there is no such event. The next one knows.
                    Err(_) => tokio::time::sleep(ENDING).await,
                }
            }
        };
        // Or its recovery takes longer than a caller waits.
        tokio::time::timeout(self.deadline, found).await.unwrap_or(Err(DirectoryError::Unavailable))
    }
}
