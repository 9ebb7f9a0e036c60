//! A node without a cluster: it can be looked at, and there is nowhere else to run anything.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::watch,
    time::{Instant, interval},
};
use tokio_util::task::AbortOnDropHandle;

use super::{ClusterStatus, NodeStatus, OperationError, Operations, Rates};
use crate::{
    actors::directory::LocalDirectory,
    domain::id::EventId,
    stores::membership::{Boot, State, now_ms},
};

/// Between two looks at how far the events are.
const LOOK: Duration = Duration::from_secs(2);

pub struct Alone {
    me: NodeStatus,
    directory: Arc<LocalDirectory>,
    rates: Arc<Mutex<Rates>>,
    _looking: AbortOnDropHandle<()>,
}

impl Alone {
    /// `public` and `admin` are the addresses of the listeners.
    pub fn start(node: String, public: String, admin: String, directory: Arc<LocalDirectory>) -> Self {
        let me = NodeStatus {
            node,
            boot: Boot::random(),
            state: State::Up,
            drained: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            link: String::new(),
            public,
            admin,
            since_ms: now_ms(),
            answers: true,
            links: Vec::new(),
            events: Vec::new(),
            lease_ms_left: None,
        };
        let rates = Arc::<Mutex<Rates>>::default();
        let looking = tokio::spawn(look(Arc::clone(&directory), Arc::clone(&rates)));
        Self { me, directory, rates, _looking: AbortOnDropHandle::new(looking) }
    }
}

async fn look(directory: Arc<LocalDirectory>, rates: Arc<Mutex<Rates>>) {
    let mut times = interval(LOOK);
    loop {
        times.tick().await;
        let running = directory.running();
        rates.lock().unwrap_or_else(PoisonError::into_inner).look(&running, Instant::now());
    }
}

#[async_trait]
impl Operations for Alone {
    fn state(&self) -> watch::Receiver<State> {
        watch::channel(State::Up).1
    }

    async fn status(&self) -> ClusterStatus {
        let running = self.directory.running();
        let events = self.rates.lock().unwrap_or_else(PoisonError::into_inner).status(running);
        ClusterStatus { nodes: vec![NodeStatus { events, ..self.me.clone() }] }
    }

    async fn drain(&self, _: &str) -> Result<(), OperationError> {
        Err(OperationError::Alone)
    }

    async fn undrain(&self, _: &str) -> Result<(), OperationError> {
        Err(OperationError::Alone)
    }

    async fn move_event(&self, _: EventId, _: Option<&str>) -> Result<(), OperationError> {
        Err(OperationError::Alone)
    }
}
