//! The order bus in SQLite (`bus.db`), for one process.
//!
//! A message is a row until it is acknowledged. Which rows are under way is known in memory only, so that all that were
//! not acknowledged come again after a restart. One task ([`writer`]) owns the file and that knowledge; it wakes whoever
//! waits for messages, nothing is polled.

mod consumer;
mod file;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use self::{consumer::Consumer, file::File, writer::Command};
use super::{Delivery, Message, OrderBus, RetryDelay, Topic};
use crate::stores::error::StoreError;

/// Commands that wait for the writing task; more wait to be let in.
const WAITING_COMMANDS: usize = 1024;

pub struct EmbeddedBus {
    commands: mpsc::Sender<Command>,
    counts: Arc<Counts>,
    delay: RetryDelay,
}

/// What is shown to others of the writing task's knowledge.
#[derive(Default)]
struct Counts {
    orders: AtomicU64,
    payments: AtomicU64,
    dead: AtomicU64,
}

impl Counts {
    fn waiting(&self, topic: Topic) -> &AtomicU64 {
        match topic {
            Topic::Orders => &self.orders,
            Topic::Payments => &self.payments,
            Topic::Dead => &self.dead,
        }
    }
}

impl EmbeddedBus {
    /// Opens the file, made when missing. The data directory's lock keeps other processes away.
    pub async fn open(path: &Path, delay: RetryDelay) -> Result<Self, StoreError> {
        let file = File::open(path).await?;
        let counts = Arc::default();
        let (commands, waiting) = mpsc::channel(WAITING_COMMANDS);
        tokio::spawn(writer::run(file, waiting, Arc::clone(&counts)).await?);
        Ok(Self { commands, counts, delay })
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the bus's file has failed and needs a restart".into())
}

#[async_trait]
impl OrderBus for EmbeddedBus {
    async fn publish(&self, topic: Topic, messages: &[Message]) -> Result<(), StoreError> {
        topic.check(messages)?;
        if messages.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        let command = Command::Publish { topic, messages: messages.to_vec(), answer };
        self.commands.send(command).await.map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|lost| Err(StoreError::Unknown(lost.into())))
    }

    /// Nobody but this process is on this bus, and it knows already.
    async fn announce(&self, _: &[Message]) -> Result<(), StoreError> {
        self.ping().await
    }

    async fn consume(&self, topic: Topic, prefetch: u16) -> Result<mpsc::Receiver<Delivery>, StoreError> {
        if self.commands.is_closed() {
            return Err(stopped());
        }
        let prefetch = prefetch.max(1);
        let (deliveries, receiver) = mpsc::channel(prefetch.into());
        tokio::spawn(Consumer { topic, commands: self.commands.clone(), delay: self.delay }.run(prefetch, deliveries));
        Ok(receiver)
    }

    async fn depth(&self, topic: Topic) -> Result<u64, StoreError> {
        self.ping().await?;
        Ok(self.counts.waiting(topic).load(Ordering::Relaxed))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.commands.is_closed() {
            return Err(stopped());
        }
        Ok(())
    }

    async fn poisoned(&self) {
        self.commands.closed().await;
    }
}
