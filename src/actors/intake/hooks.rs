//! What happens in an event, noted for its organizer's webhooks: facts before they are acknowledged, the outbox's messages before
//! they are marked as sent. So a crash anywhere makes the message come by again, and it is noted once.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    actors::{backoff::Backoff, clock::wall},
    domain::id::{EventId, OrderRef},
    stores::{
        database::{
            Database,
            outbox::Unsent,
            webhook_deliveries::{self as deliveries, News},
            webhook_endpoints::TOPICS,
        },
        error::StoreError,
        order_bus::Message,
    },
};

const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What every body of the outbox says.
#[derive(Deserialize)]
struct About {
    reference: OrderRef,
}

/// A fact as it came from the bus; `None` for those that nobody can ask for.
pub(super) fn of_fact(event: EventId, message: &Message) -> Option<News> {
    let body = String::from_utf8(message.body.clone()).ok()?;
    Some(News { event, topic: topic(&message.routing_key)?, message_id: message.id.clone(), body })
}

/// Messages that the outbox is about to send.
pub(super) async fn note_unsent(database: &Database, unsent: &[Unsent]) -> Result<(), StoreError> {
    let news: Vec<News> = unsent.iter().filter_map(of_unsent).collect();
    match deliveries::note(database, &news, wall()).await {
        // Payments must not wait for it.
        Err(error) if error.is_final() => {
            tracing::error!(%error, "webhooks are not told of what can never be noted");
            Ok(())
        }
        noted => noted,
    }
}

fn of_unsent(unsent: &Unsent) -> Option<News> {
    let topic = topic(&unsent.routing_key)?;
    let About { reference } = serde_json::from_str(&unsent.body).ok()?;
    let (message_id, body) = (unsent.id.simple().to_string(), unsent.body.clone());
    Some(News { event: reference.event, topic, message_id, body })
}

fn topic(routing_key: &str) -> Option<&'static str> {
    TOPICS.into_iter().find(|topic| *topic == routing_key)
}

/// Tries until the database has answered.
pub(super) async fn note(database: &Database, news: &[News]) {
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    loop {
        match deliveries::note(database, news, wall()).await {
            Ok(()) => return,
            // Orders must not wait for it.
            Err(error) if error.is_final() => {
                tracing::error!(%error, "webhooks are not told of what can never be noted");
                return;
            }
            Err(error) => tracing::warn!(%error, count = news.len(), "webhooks not noted; trying again"),
        }
        backoff.wait().await;
    }
}
