//! What every event's actors stand on.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{breather::Sale, config::Config, halt::Halt};
use crate::stores::{
    Stores, database::Database, journal::InventoryJournal, keys::ring::KeyRing, order_bus::OrderBus,
    ownership::Ownership, provider::Providers, queue::QueueStore,
};

/// Events recovered at once: at a node's start many may have to be.
const RECOVERIES: usize = 8;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Foundation {
    pub journal: Arc<dyn InventoryJournal>,
    pub ownership: Arc<dyn Ownership>,
    pub queue: Arc<dyn QueueStore>,
    pub bus: Arc<dyn OrderBus>,
    pub database: Database,
    pub providers: Providers,
    /// Signs tickets.
    pub keys: Arc<KeyRing>,
    pub config: Arc<Config>,
    pub recoveries: Arc<Semaphore>,
    pub sale: Sale,
    pub halt: Halt,
}

impl Foundation {
    pub fn new(stores: &Stores, keys: Arc<KeyRing>, halt: Halt, config: Config) -> Self {
        Self {
            journal: Arc::clone(&stores.journal),
            ownership: Arc::clone(&stores.ownership),
            queue: Arc::clone(&stores.queue),
            bus: Arc::clone(&stores.bus),
            database: stores.database.clone(),
            providers: stores.providers.clone(),
            keys,
            config: Arc::new(config),
            recoveries: Arc::new(Semaphore::new(RECOVERIES)),
            sale: Sale::new(),
            halt,
        }
    }
}
