//! Port: the way from decisions to orders, at least once.
//!
//! Two queues: order facts, and payment facts. A message is on the bus when `publish` returns; it is gone when it was
//! acknowledged; until then it comes again. What nobody could take in is in a third, the dead letters. Beside them news, for
//! whoever listens.

pub mod embedded;
pub mod rabbitmq;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::error::StoreError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Routing keys `order.created`, `order.extended`, `order.released`, `order.expired`, `order.confirmed`,
    /// `order.confirm-refused`, `order.voided`, `order.offered`.
    Orders,
    /// `order.payment-success`, `order.payment-cancelled`.
    Payments,
    /// Messages of the others, as they were, that were rejected or had their last attempt. Nothing is published to it, and
    /// nothing leaves it but by an acknowledgement.
    Dead,
}

impl Topic {
    pub const ALL: [Self; 3] = [Self::Orders, Self::Payments, Self::Dead];
    /// Those that are published to.
    pub const WORK: [Self; 2] = [Self::Orders, Self::Payments];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Dead => "dead",
        }
    }

    /// Where messages with this key are published.
    pub fn of_key(routing_key: &str) -> Option<Self> {
        Self::WORK.into_iter().find(|topic| topic.routing_keys().contains(&routing_key))
    }

    /// A message given back this often goes to the dead letters instead of a further attempt.
    const fn delivery_limit(self) -> u32 {
        match self {
            Self::Orders | Self::Payments => DELIVERY_LIMIT,
            Self::Dead => u32::MAX,
        }
    }

    /// The only keys that lead to it; others are refused.
    pub const fn routing_keys(self) -> &'static [&'static str] {
        match self {
            Self::Orders => &[
                "order.created",
                "order.extended",
                "order.released",
                "order.expired",
                "order.confirmed",
                "order.confirm-refused",
                "order.voided",
                "order.offered",
            ],
            Self::Payments => &["order.payment-success", "order.payment-cancelled"],
            Self::Dead => &[],
        }
    }

    /// Checked before anything is sent: a message that cannot be carried would hold up those behind it for ever.
    fn check(self, messages: &[Message]) -> Result<(), StoreError> {
        for message in messages {
            if !self.routing_keys().contains(&message.routing_key.as_str()) {
                return Err(StoreError::Invalid(format!("no way for key {:?}", message.routing_key).into()));
            }
            if message.id.len() > MAX_ID_BYTES {
                return Err(StoreError::Invalid(format!("id {:?} is too long", message.id).into()));
            }
        }
        Ok(())
    }
}

/// What is told to whoever listens, and asks nobody for anything.
pub const NEWS_KEYS: [&str; 6] =
    ["ticket.issued", "ticket.replaced", "refund.begun", "refund.asked", "refund.failed", "refund.done"];

/// What AMQP can carry.
const MAX_ID_BYTES: usize = 255;

/// Of the topics that are published to.
pub const DELIVERY_LIMIT: u32 = 10;

/// How long a message given back rests before it comes again: doubled at each attempt.
#[derive(Debug, Clone, Copy)]
pub struct RetryDelay {
    pub first: Duration,
    pub longest: Duration,
}

impl Default for RetryDelay {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(30) }
    }
}

impl RetryDelay {
    /// After this attempt, counted from 1.
    fn after(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub routing_key: String,
    /// Names the fact, for people and for dead letters; not used for deduplication.
    pub id: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// One delivery. Dropped without an answer, it comes again, as after [`Settle::retry`].
pub struct Delivery {
    pub message: Message,
    /// Counted from 1.
    pub attempt: u32,
    pub settle: Box<dyn Settle>,
}

#[async_trait]
pub trait Settle: Send + Sync {
    /// Done for good: only after its effect is durable.
    async fn ack(self: Box<Self>) -> Result<(), StoreError>;
    /// Again later, after a rest that grows with the attempts; after the last one to the dead letters. All attempts together
    /// last less than a minute: while a store is down, keep the delivery and wait instead, which costs no attempt.
    async fn retry(self: Box<Self>) -> Result<(), StoreError>;
    /// Never again: to the dead letters. Of those it comes again, later.
    async fn reject(self: Box<Self>) -> Result<(), StoreError>;
}

#[async_trait]
pub trait OrderBus: Send + Sync + 'static {
    /// Returns when all are safe with the bus. On an error some may be: publish all of them again.
    /// [`StoreError::Invalid`] if the bus can never carry one of them; then it has none of them.
    async fn publish(&self, topic: Topic, messages: &[Message]) -> Result<(), StoreError>;

    /// Tells whoever listens, and nobody if nobody does, under [`NEWS_KEYS`]. Returns when the bus has them; on an error some may be told, and all can be told again.
    async fn announce(&self, news: &[Message]) -> Result<(), StoreError>;

    /// Delivers until the receiver is dropped, over reconnects, `prefetch` unanswered at most.
    async fn consume(&self, topic: Topic, prefetch: u16) -> Result<mpsc::Receiver<Delivery>, StoreError>;

    /// Messages that wait, without those under way.
    async fn depth(&self, topic: Topic) -> Result<u64, StoreError>;

    async fn ping(&self) -> Result<(), StoreError>;

    /// Returns when this process can do no more with the bus: exit, start again, recover. On most buses it never does.
    async fn poisoned(&self) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_doubles_up_to_the_longest() {
        let delay = RetryDelay { first: Duration::from_millis(100), longest: Duration::from_secs(30) };
        for (attempt, expected_ms) in [(0, 100), (1, 100), (2, 200), (9, 25_600), (10, 30_000), (u32::MAX, 30_000)] {
            assert_eq!(delay.after(attempt), Duration::from_millis(expected_ms), "attempt {attempt}");
        }
    }

    #[test]
    fn a_key_leads_to_one_topic_only_and_an_id_fits() {
        let message = |key: &str| Message { routing_key: key.into(), id: String::new(), body: Vec::new() };
        for topic in Topic::ALL {
            for key in topic.routing_keys() {
                for other in Topic::ALL {
                    let checked = other.check(&[message(key)]);
                    assert_eq!(checked.is_ok(), other == topic, "{key} to {other:?}");
                    assert!(matches!(checked, Ok(()) | Err(StoreError::Invalid(_))), "{checked:?}");
                }
            }
            assert!(topic.check(&[message("order.unheard-of")]).is_err());
        }
        for topic in Topic::WORK {
            let id = |length| Message { id: "x".repeat(length), ..message(topic.routing_keys()[0]) };
            assert_eq!(Topic::of_key(topic.routing_keys()[0]), Some(topic));
            assert!(topic.check(&[id(255)]).is_ok() && topic.check(&[id(256)]).is_err());
        }
    }
}
