//! Port: the way from decisions to orders, at least once.
//!
//! Two queues: order facts, and payment facts. A message is on the bus when `publish` returns; it is gone when it was
//! acknowledged; until then it comes again.

pub mod embedded;
pub mod rabbitmq;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::error::StoreError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Routing keys `order.created`, `order.extended`, `order.released`, `order.expired`, `order.confirmed`,
    /// `order.confirm-refused`, `order.voided`.
    Orders,
    /// `order.payment-success`, `order.payment-cancelled`.
    Payments,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub routing_key: String,
    /// Names the fact, for people and for dead letters; not used for deduplication.
    pub id: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// One delivery. Dropped without an answer, it comes again.
pub struct Delivery {
    pub message: Message,
    pub attempt: u32,
    pub settle: Box<dyn Settle>,
}

#[async_trait]
pub trait Settle: Send + Sync {
    /// Done for good: only after its effect is durable.
    async fn ack(self: Box<Self>) -> Result<(), StoreError>;
    /// Again later.
    async fn retry(self: Box<Self>) -> Result<(), StoreError>;
    /// Never again: to the dead letters.
    async fn reject(self: Box<Self>) -> Result<(), StoreError>;
}

#[async_trait]
pub trait OrderBus: Send + Sync + 'static {
    /// Returns when all are safe with the bus. On an error some may be: publish all of them again.
    async fn publish(&self, topic: Topic, messages: &[Message]) -> Result<(), StoreError>;

    /// Delivers until the receiver is dropped, over reconnects, `prefetch` unanswered at most.
    async fn consume(&self, topic: Topic, prefetch: u16) -> Result<mpsc::Receiver<Delivery>, StoreError>;

    /// Messages that wait, without those under way.
    async fn depth(&self, topic: Topic) -> Result<u64, StoreError>;

    async fn dead_letters(&self) -> Result<u64, StoreError>;

    async fn ping(&self) -> Result<(), StoreError>;
}
