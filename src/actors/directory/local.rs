//! The directory of one node: of the events that run here.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use async_trait::async_trait;
use ractor::{Actor, ActorRef, SpawnErr};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Directory, DirectoryError, EventHandles, Part, Slot,
    root::{Events, Message},
};
use crate::{
    actors::{breather::Sale, config::Config, foundation::Foundation, halt::Halt},
    domain::id::EventId,
    stores::{Stores, database::more_time, error::StoreError, journal::Epoch, keys::ring::KeyRing},
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
    halt: Halt,
    sale: Sale,
    more_time: AbortOnDropHandle<()>,
}

/// An event that runs here, as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub event: EventId,
    pub epoch: Epoch,
    pub waiting: usize,
    pub holds: u32,
    /// Facts not yet published.
    pub outbox: u64,
    /// Whether somebody must run it although nobody asks.
    pub is_active: bool,
    /// Number of the last commit that is shown.
    pub seq: u64,
}

impl Running {
    fn of(event: EventId, handles: &EventHandles) -> Self {
        let view = handles.inventory.view();
        let waiting = handles.waiting_room.queue().borrow().ranks.total();
        let is_active = waiting > 0 || handles.inventory.is_active();
        let (holds, outbox, seq) = (view.holds, view.outbox, view.seq);
        Self { event, epoch: handles.epoch, waiting, holds, outbox, is_active, seq }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the events that must run are not known: {0}")]
    Active(#[source] StoreError),
    #[error("whether all events are halted is not known: {0}")]
    Halt(#[source] StoreError),
    #[error("the actors do not start: {0}")]
    Spawn(#[from] SpawnErr),
}

impl LocalDirectory {
    /// Starts what runs on a node alone: the consumers of the bus, and every event that somebody must run. Does not wait for
    /// them.
    pub async fn start(stores: &Stores, keys: Arc<KeyRing>, config: Config) -> Result<Arc<Self>, StartError> {
        let active = stores.journal.active().await.map_err(StartError::Active)?;
        let directory = Self::open(stores, keys, config, true).await?;
        let intake_asks: Arc<dyn Directory> = Arc::clone(&directory) as _;
        directory.tell_begin(active, Arc::downgrade(&intake_asks));
        Ok(directory)
    }

    /// Of a node among others: starts nothing by itself, and an event that another node has is [`DirectoryError::Elsewhere`].
    pub async fn start_member(stores: &Stores, keys: Arc<KeyRing>, config: Config) -> Result<Arc<Self>, StartError> {
        Self::open(stores, keys, config, false).await
    }

    /// Starts a member's consumers of the bus, which find events by `directory`.
    pub fn begin(&self, directory: Weak<dyn Directory>) {
        self.tell_begin(Vec::new(), directory);
    }

    async fn open(stores: &Stores, keys: Arc<KeyRing>, config: Config, alone: bool) -> Result<Arc<Self>, StartError> {
        let deadline = Duration::from_millis(config.ask_deadline_ms);
        let halt = Halt::open(Arc::clone(&stores.halts)).await.map_err(StartError::Halt)?;
        let (slots, on) = (Slots::default(), Foundation::new(stores, keys, halt.clone(), config));
        let sale = on.sale.clone();
        let (root, _) = Actor::spawn(None, Events, (on, Arc::clone(&slots), alone)).await?;
        let more_time = tokio::spawn(more_time::follow(stores.database.clone()));
        Ok(Arc::new(Self { slots, root, deadline, halt, sale, more_time: AbortOnDropHandle::new(more_time) }))
    }

    async fn find(&self, event: EventId, mut take: bool) -> Result<EventHandles, DirectoryError> {
        if let Some(handles) = self.here(event) {
            return Ok(handles);
        }
        let found = async {
            loop {
                let (found, answer) = oneshot::channel();
                self.root.cast(Message::Find { event, take, found }).map_err(|_| DirectoryError::Unavailable)?;
                // If it is given up meanwhile, that is what counts.
                take = false;
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

    fn tell_begin(&self, active: Vec<EventId>, directory: Weak<dyn Directory>) {
        // The root has just started, so it is there.
        let _ = self.root.cast(Message::Begin { active, directory });
    }

    /// The event's handles if it runs here; activates nothing. Counts as asking.
    pub fn here(&self, event: EventId) -> Option<EventHandles> {
        let slot = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&event).cloned();
        slot.and_then(|slot| slot.handles())
    }

    /// The switch that halts all events.
    pub fn halt(&self) -> &Halt {
        &self.halt
    }

    /// Whether a sale goes on, for what has to give way to it.
    pub(in crate::actors) fn sale(&self) -> Sale {
        self.sale.clone()
    }

    /// The events that run here.
    pub fn running(&self) -> Vec<Running> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let running = slots.iter().filter_map(|(&event, slot)| Some(Running::of(event, &slot.look()?)));
        running.collect()
    }

    /// Runs the event here, unless another node has it; also if it was given up here.
    pub async fn activate(&self, event: EventId) -> Result<EventHandles, DirectoryError> {
        self.find(event, true).await
    }

    /// Finishes what is under way for the event and gives its ownership up, for another node. Returns when that is done. From
    /// then on only [`Self::activate`] takes it again.
    pub async fn give_up(&self, event: EventId) {
        let (done, given_up) = oneshot::channel();
        if self.root.cast(Message::GiveUp { event, done }).is_ok() {
            let _ = given_up.await;
        }
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
        // The database is closed next.
        self.more_time.abort();
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
        self.find(event, false).await
    }
}
