//! Where the order bus's tests keep their messages, and what these look like.

use std::{sync::Arc, time::Duration};

use onsale::stores::order_bus::{
    Delivery, Message, OrderBus, RetryDelay,
    embedded::EmbeddedBus,
    rabbitmq::{Options, RabbitBus},
};
use tokio::{sync::mpsc, time::timeout};

use crate::harness::{address, new_event};

/// Longer than anything here takes; a test that runs into it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn quick() -> RetryDelay {
    RetryDelay { first: Duration::from_millis(1), longest: Duration::from_millis(20) }
}

/// Where the messages of one test are kept, opened as often as the test likes.
pub enum Home {
    Embedded(tempfile::TempDir),
    Rabbit(RabbitHome),
}

/// A namespace of its own on a broker that others use too; removed at the end.
pub struct RabbitHome {
    pub url: String,
    pub prefix: String,
}

impl Home {
    /// One for each adapter.
    pub fn all() -> Vec<Self> {
        let embedded = Self::Embedded(tempfile::tempdir().expect("temporary folder"));
        let rabbit = address("ONSALE_TEST_RABBITMQ").map(|url| Self::Rabbit(RabbitHome::on(url)));
        [embedded].into_iter().chain(rabbit).collect()
    }

    pub async fn open(&self) -> Arc<dyn OrderBus> {
        match self {
            Self::Embedded(folder) => {
                println!("embedded bus");
                Arc::new(EmbeddedBus::open(&folder.path().join("bus.db"), quick()).await.expect("open"))
            }
            Self::Rabbit(home) => {
                println!("bus on RabbitMQ");
                Arc::new(home.open(&home.url))
            }
        }
    }

    pub async fn remove(self) {
        if let Self::Rabbit(home) = self {
            home.remove().await;
        }
    }
}

impl RabbitHome {
    pub fn on(url: String) -> Self {
        Self { url, prefix: format!("test-{}", new_event()) }
    }

    /// By this way to the broker.
    pub fn open(&self, url: &str) -> RabbitBus {
        let options = Options { url: url.to_owned(), prefix: self.prefix.clone(), delay: quick() };
        RabbitBus::open(options).expect("open")
    }

    pub async fn admin(&self) -> lapin::Channel {
        let connection = lapin::Connection::connect(&self.url, lapin::ConnectionProperties::default()).await;
        connection.expect("connect").create_channel().await.expect("channel")
    }

    pub async fn remove(self) {
        let admin = self.admin().await;
        for queue in ["orders", "payments", "dead"] {
            let queue = format!("{}.{queue}", self.prefix);
            admin.queue_delete(queue.into(), lapin::options::QueueDeleteOptions::default()).await.expect("delete");
        }
        for exchange in [self.prefix.clone(), format!("{}.dead", self.prefix)] {
            let options = lapin::options::ExchangeDeleteOptions::default();
            admin.exchange_delete(exchange.into(), options).await.expect("delete");
        }
    }
}

/// Named by its number.
pub fn message(n: u32) -> Message {
    Message { routing_key: "order.created".to_owned(), id: n.to_string(), body: format!("{{\"n\":{n}}}").into_bytes() }
}

pub fn messages(numbers: std::ops::Range<u32>) -> Vec<Message> {
    numbers.map(message).collect()
}

pub async fn next(deliveries: &mut mpsc::Receiver<Delivery>) -> Delivery {
    timeout(PATIENCE, deliveries.recv()).await.expect("a delivery in time").expect("the bus delivers on")
}

pub fn number(delivery: &Delivery) -> u32 {
    delivery.message.id.parse().expect("a number")
}
