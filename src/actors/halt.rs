//! The kill switch over all events: what operators want, as this node knows it.
//!
//! Owns the look at the store, twice a second. Whoever runs an event goes by it at the next decision. A node that does not reach
//! the store goes on with what it knew; then it does not reach the events' journal either, and its events pause.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use crate::stores::{
    error::StoreError,
    halts::{HaltStore, Halted},
};

const LOOK: Duration = Duration::from_millis(500);

/// Cheap to clone.
#[derive(Clone)]
pub struct Halt(Arc<Inner>);

struct Inner {
    store: Arc<dyn HaltStore>,
    known: Arc<ArcSwapOption<Halted>>,
    _looking: AbortOnDropHandle<()>,
}

impl Halt {
    /// Knows how things stand before it returns: a node that does not know is not started.
    pub async fn open(store: Arc<dyn HaltStore>) -> Result<Self, StoreError> {
        let known = Arc::new(ArcSwapOption::from(store.read().await?.map(Arc::new)));
        let looking = tokio::spawn(look(Arc::clone(&store), Arc::clone(&known)));
        Ok(Self(Arc::new(Inner { store, known, _looking: AbortOnDropHandle::new(looking) })))
    }

    /// As of the last look.
    pub fn is_on(&self) -> bool {
        self.0.known.load().is_some()
    }

    /// Asks the store.
    pub async fn read(&self) -> Result<Option<Halted>, StoreError> {
        self.0.store.read().await
    }

    /// Here it holds when this returns, on other nodes after their next look. Already so: the first one stays.
    pub async fn set(&self, halted: Option<Halted>) -> Result<Option<Halted>, StoreError> {
        let before = self.0.store.read().await?;
        let wanted = match (before, halted) {
            (Some(before), Some(_)) => Some(before),
            (_, halted) => halted,
        };
        self.0.store.write(wanted.as_ref()).await?;
        self.0.known.store(wanted.clone().map(Arc::new));
        Ok(wanted)
    }
}

async fn look(store: Arc<dyn HaltStore>, known: Arc<ArcSwapOption<Halted>>) {
    let mut each = interval(LOOK);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = false;
    loop {
        each.tick().await;
        match store.read().await {
            Ok(halted) => {
                if halted.is_some() != known.load().is_some() {
                    tracing::warn!(halted = halted.is_some(), "all events");
                }
                known.store(halted.map(Arc::new));
                failed = false;
            }
            Err(error) if !failed => {
                tracing::warn!(%error, "whether all events are halted is not known; as before");
                failed = true;
            }
            Err(_) => {}
        }
    }
}
