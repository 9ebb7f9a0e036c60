//! One connection to the broker, one channel on it, and how long to wait before the next try.
//!
//! A link that has failed is dropped and replaced, never repaired.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::{
    Channel, Connection, ConnectionProperties, Event, options::QueueDeclareOptions, types::FieldTable, uri::AMQPUri,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::Topology;
use crate::stores::error::{Source, StoreError};

/// From the first packet to a declared topology.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// A peer that was silent for twice as long is gone.
const HEARTBEAT_S: u16 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct Address(AMQPUri);

impl Address {
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        // The URL holds a password: it is not repeated in the error.
        let mut uri: AMQPUri = url.parse().map_err(|_| StoreError::Invalid("not an amqp:// URL".into()))?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        Ok(Self(uri))
    }
}

pub struct Link {
    pub channel: Channel,
    connection: Connection,
    blocked: watch::Receiver<bool>,
    _watcher: AbortOnDropHandle<()>,
}

impl Link {
    pub async fn connect(address: &Address, topology: &Topology) -> Result<Self, Source> {
        let connect = async {
            let properties = ConnectionProperties::default().with_connection_name("onsale".into());
            let connection = Connection::connect_uri(address.0.clone(), properties).await?;
            let (block, blocked) = watch::channel(false);
            let mut events = connection.events_listener();
            let watcher = tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    match event {
                        Event::ConnectionBlocked(reason) => {
                            tracing::warn!(reason, "the broker takes no messages");
                            block.send_replace(true);
                        }
                        Event::ConnectionUnblocked => {
                            tracing::info!("the broker takes messages again");
                            block.send_replace(false);
                        }
                        _ => {}
                    }
                }
            });
            let channel = connection.create_channel().await?;
            topology.declare(&channel).await?;
            Ok::<_, lapin::Error>(Self { channel, connection, blocked, _watcher: AbortOnDropHandle::new(watcher) })
        };
        Ok(timeout(CONNECT_DEADLINE, connect).await??)
    }

    pub fn is_connected(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    pub fn is_blocked(&self) -> bool {
        *self.blocked.borrow()
    }

    /// Returns when the broker takes no more messages from this connection.
    pub async fn blocked(&self) {
        if self.blocked.clone().wait_for(|is_blocked| *is_blocked).await.is_err() {
            // The watcher has ended with its connection, whose users learn of that themselves.
            std::future::pending().await
        }
    }

    /// Messages in a queue that wait to be delivered.
    pub async fn count(&self, queue: &str) -> Result<u64, Source> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
        Ok(queue.message_count().into())
    }
}

/// Longer and longer pauses between tries, until one succeeds.
pub struct Backoff {
    pause: Duration,
    until: Instant,
}

impl Backoff {
    pub fn new() -> Self {
        Self { pause: FIRST_PAUSE, until: Instant::now() }
    }

    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// A try has failed: the next may come after a pause.
    pub fn fail(&mut self) {
        self.until = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    pub async fn over(&self) {
        tokio::time::sleep_until(self.until).await;
    }
}
