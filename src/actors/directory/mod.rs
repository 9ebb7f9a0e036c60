//! From an event to its actors, wherever they run.

mod local;
mod root;
mod slot;

pub use self::local::{LocalDirectory, Running, StartError};
pub(super) use self::slot::Slot;
pub use super::event_keeper::Part;

use async_trait::async_trait;

use super::{inventory, orders, stock, waiting_room};
use crate::{domain::id::EventId, stores::journal::Epoch};

/// The ways in to one event's actors. They go stale when the actors restart: ask the directory each time.
#[derive(Clone)]
pub struct EventHandles {
    pub inventory: inventory::Handle,
    pub waiting_room: waiting_room::Handle,
    pub orders: orders::Handle,
    pub stock: stock::Handle,
    /// Of this activation.
    pub epoch: Epoch,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("there is no such event")]
    UnknownEvent,
    /// Starting, restarting or moving: try again soon.
    #[error("the event is not available now")]
    Unavailable,
    /// Another node owns it.
    #[error("the event runs on another node")]
    Elsewhere,
}

#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Activates the event if nobody runs it. Cheap when it runs here.
    async fn event(&self, event: EventId) -> Result<EventHandles, DirectoryError>;
}
