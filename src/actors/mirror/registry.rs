//! Mirrors: those of one node, found without a message.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ractor::{ActorRef, ActorRuntime};
use tokio::sync::oneshot;

use super::{Arguments, Mirror, message::Message};
use crate::{
    actors::{
        config::Config,
        courier::{Bulletin, Courier},
        directory::{DirectoryError, EventHandles, Slot},
    },
    domain::id::EventId,
};

/// Where mirrors stand while they run; each takes itself away.
pub(super) type Shelf = Arc<RwLock<HashMap<EventId, Entry>>>;

#[derive(Clone)]
pub(super) struct Entry {
    pub slot: Arc<Slot>,
    mirror: ActorRef<Message>,
}

/// Gives the handles of events that run elsewhere.
pub struct Mirrors {
    shelf: Shelf,
    courier: Arc<dyn Courier>,
    deadline: Duration,
    queue_front: usize,
    last: AtomicU64,
}

impl Mirrors {
    pub fn new(courier: Arc<dyn Courier>, config: &Config) -> Self {
        let deadline = Duration::from_millis(config.ask_deadline_ms);
        let queue_front = config.queue_front;
        Self { shelf: Shelf::default(), courier, deadline, queue_front, last: AtomicU64::new(0) }
    }

    /// Waits until the event's node has told what is to be shown, as long as a caller waits.
    pub async fn event(&self, event: EventId) -> Result<EventHandles, DirectoryError> {
        if let Some(handles) = self.entry(event).and_then(|entry| entry.slot.handles()) {
            return Ok(handles);
        }
        let (found, answer) = oneshot::channel();
        let mirror = self.mirror(event).ok_or(DirectoryError::Unavailable)?;
        // One that ends just now is replaced when it is asked for again.
        mirror.cast(Message::Find(found)).map_err(|_| DirectoryError::Unavailable)?;
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(DirectoryError::Unavailable),
        }
    }

    /// What has arrived from another node.
    pub fn bulletin(&self, bulletin: Bulletin) {
        // Without a mirror it is late: the stand-in ends when it hears so.
        if let Some(entry) = self.entry(bulletin.event) {
            let _ = entry.mirror.cast(Message::Bulletin(bulletin));
        }
    }

    /// The event has moved, or its node is gone: sockets attach again through the directory.
    pub fn lost(&self, event: EventId) {
        if let Some(entry) = self.entry(event) {
            let _ = entry.mirror.cast(Message::Lost);
        }
    }

    /// Ends all of them, and says so.
    pub fn shutdown(&self) {
        let entries: Vec<Entry> = self.shelf.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for entry in entries {
            let _ = entry.mirror.cast(Message::End);
        }
    }

    fn entry(&self, event: EventId) -> Option<Entry> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).get(&event).cloned()
    }

    /// Started if it is not there, or has failed.
    fn mirror(&self, event: EventId) -> Option<ActorRef<Message>> {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        let runs = |entry: &&Entry| entry.mirror.get_status() < ractor::ActorStatus::Stopping;
        if let Some(entry) = shelf.get(&event).filter(runs) {
            return Some(entry.mirror.clone());
        }
        let slot = Arc::new(Slot::new());
        let arguments = Arguments {
            event,
            number: self.last.fetch_add(1, Ordering::Relaxed) + 1,
            courier: Arc::clone(&self.courier),
            deadline: self.deadline,
            queue_front: self.queue_front,
            slot: Arc::clone(&slot),
            shelf: Arc::clone(&self.shelf),
        };
        match ActorRuntime::spawn_instant(None, Mirror, arguments) {
            Ok((mirror, _)) => {
                shelf.insert(event, Entry { slot, mirror: mirror.clone() });
                Some(mirror)
            }
            Err(error) => {
                tracing::error!(%event, %error, "a mirror does not start");
                None
            }
        }
    }
}
