//! The order bus on RabbitMQ: quorum queues, publisher confirms, mandatory routing.
//!
//! Connections are ours to renew: the client library's recovery is not used, because what it would publish again is not
//! known here. What was not confirmed is the caller's to publish again. Publisher and consumers have connections of their
//! own, for the broker blocks those that publish when it runs short of memory or disk.

mod consumer;
mod link;
mod publisher;
mod topology;

use std::time::Duration;

use async_trait::async_trait;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

use self::{
    consumer::Consumer,
    link::{Address, Link},
    publisher::{Publisher, Reach, Request},
    topology::Topology,
};
use super::{Delivery, Message, OrderBus, RetryDelay, Topic};
use crate::stores::error::StoreError;

/// Publications that wait for the publisher; more wait to be let in.
const WAITING_REQUESTS: usize = 256;
/// For a publication to be let in.
const ENTRY_DEADLINE: Duration = Duration::from_secs(2);
/// For a count, with the connecting if that is needed.
const COUNT_DEADLINE: Duration = Duration::from_secs(2);

pub struct Options {
    /// `amqp://` URL.
    pub url: String,
    /// Begins the names of exchanges and queues.
    pub prefix: String,
    pub delay: RetryDelay,
}

impl Options {
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), prefix: "onsale".to_owned(), delay: RetryDelay::default() }
    }
}

pub struct RabbitBus {
    address: Address,
    topology: Topology,
    delay: RetryDelay,
    requests: mpsc::Sender<Request>,
    /// For counting, which must neither wait for publications nor hold them up.
    counting: Mutex<Option<Link>>,
}

impl RabbitBus {
    /// Connects when there is something to do. Must be called within a Tokio runtime.
    pub fn open(options: Options) -> Result<Self, StoreError> {
        let address = Address::parse(&options.url)?;
        let topology = Topology::new(&options.prefix);
        let (requests, waiting) = mpsc::channel(WAITING_REQUESTS);
        tokio::spawn(Publisher::new(address.clone(), topology.clone()).run(waiting));
        Ok(Self { address, topology, delay: options.delay, requests, counting: Mutex::default() })
    }

    async fn send(&self, messages: &[Message], reach: Reach) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        let request = Request { messages: messages.to_vec(), reach, answer };
        match timeout(ENTRY_DEADLINE, self.requests.send(request)).await {
            Ok(Ok(())) => {}
            Ok(Err(closed)) => return Err(StoreError::Unavailable(closed.to_string().into())),
            Err(late) => return Err(StoreError::Unavailable(late.into())),
        }
        // The publisher has a deadline at every step, and so always answers.
        answered.await.unwrap_or_else(|lost| Err(StoreError::Unknown(lost.into())))
    }

    /// Messages in a queue that wait to be delivered.
    async fn count(&self, queue: &str) -> Result<u64, StoreError> {
        let count = async {
            let mut slot = self.counting.lock().await;
            // Taken out: a failure or a cancelled call leaves none behind.
            let link = match slot.take() {
                Some(link) if link.is_connected() => link,
                _ => Link::connect(&self.address, &self.topology).await?,
            };
            let count = link.count(queue).await?;
            *slot = Some(link);
            Ok(count)
        };
        match timeout(COUNT_DEADLINE, count).await {
            Ok(Ok(count)) => Ok(count),
            Ok(Err(error)) => Err(StoreError::Unavailable(error)),
            Err(late) => Err(StoreError::Unavailable(late.into())),
        }
    }
}

#[async_trait]
impl OrderBus for RabbitBus {
    async fn publish(&self, topic: Topic, messages: &[Message]) -> Result<(), StoreError> {
        topic.check(messages)?;
        self.send(messages, Reach::Queue).await
    }

    async fn announce(&self, news: &[Message]) -> Result<(), StoreError> {
        self.send(news, Reach::Anybody).await
    }

    async fn consume(&self, topic: Topic, prefetch: u16) -> Result<mpsc::Receiver<Delivery>, StoreError> {
        let prefetch = prefetch.max(1);
        let (deliveries, receiver) = mpsc::channel(prefetch.into());
        let consumer = Consumer {
            address: self.address.clone(),
            topology: self.topology.clone(),
            topic,
            prefetch,
            delay: self.delay,
        };
        tokio::spawn(consumer.run(deliveries));
        Ok(receiver)
    }

    async fn depth(&self, topic: Topic) -> Result<u64, StoreError> {
        self.count(self.topology.queue(topic)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.depth(Topic::Dead).await.map(drop)
    }
}
