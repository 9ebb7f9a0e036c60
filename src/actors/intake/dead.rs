//! Dead letters from the bus to the database, where people find them; and how much waits on the bus, for those who watch.

use std::time::Duration;

use super::facts::answered;
use crate::{
    actors::{backoff::Backoff, clock::wall, foundation::Foundation, measures},
    stores::{
        database::{Database, dead_letters},
        error::StoreError,
        order_bus::{Delivery, Message, Topic},
    },
};

const PREFETCH: u16 = 16;
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn run(on: Foundation) {
    tokio::join!(take_in(&on), look(&on));
}

async fn take_in(on: &Foundation) {
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    let mut deliveries = loop {
        match on.bus.consume(Topic::Dead, PREFETCH).await {
            Ok(deliveries) => break deliveries,
            Err(error) => tracing::warn!(%error, "dead letters cannot be consumed; trying again"),
        }
        backoff.wait().await;
    };
    while let Some(Delivery { message, settle, .. }) = deliveries.recv().await {
        match keep(&on.database, &message).await {
            Ok(()) => {
                measures::dead_letter(&message.routing_key);
                tracing::error!(key = message.routing_key, id = message.id, "a dead letter waits for a person");
                answered(settle.ack().await);
            }
            // It stays on the bus, and in nobody's way.
            Err(error) => {
                tracing::error!(key = message.routing_key, id = message.id, %error, "a dead letter cannot be kept");
                answered(settle.retry().await);
            }
        }
    }
}

/// Tries until the database has answered; the error is one that stays.
async fn keep(database: &Database, message: &Message) -> Result<(), StoreError> {
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    loop {
        match dead_letters::add(database, message, wall()).await {
            Err(error) if !error.is_final() => {
                tracing::warn!(%error, "a dead letter is not stored; trying again");
                backoff.wait().await;
            }
            kept => return kept,
        }
    }
}

async fn look(on: &Foundation) {
    loop {
        for topic in Topic::ALL {
            match on.bus.depth(topic).await {
                Ok(depth) => measures::bus_depth(topic, depth),
                Err(error) => tracing::debug!(%error, topic = topic.as_str(), "what waits on the bus is not known"),
            }
        }
        match dead_letters::count_waiting(&on.database).await {
            Ok(count) => measures::dead_letters_waiting(count),
            Err(error) => tracing::debug!(%error, "how many dead letters wait is not known"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
