//! The database's outbox to the bus: what webhooks have stored, and what is told of tickets and refunds.
//!
//! Looks often instead of being told: a webhook may have been stored by another process, and a hint that is lost would have
//! to be made up for by looking anyway.

use std::{
    slice,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{hooks, rounds::rounds, tidings};
use crate::{
    actors::{clock::wall, foundation::Foundation},
    domain::time::Millis,
    stores::{
        crash_point::{self, Step},
        database::outbox::{self, Unsent},
        error::StoreError,
        order_bus::{Message, NEWS_KEYS, Topic},
    },
};

const EVERY: Duration = Duration::from_millis(100);
const BATCH: u32 = 256;
/// How often it is looked for what the bus has lost,
const OVERDUE_EVERY: Duration = Duration::from_secs(15);
/// which is what was sent so long ago and is not done, although nothing waits in the bus.
const OVERDUE: Millis = Millis(60_000);

pub(super) async fn run(on: Foundation) {
    let mut looked: Option<Instant> = None;
    let round = || {
        let looks = looked.is_none_or(|at| at.elapsed() >= OVERDUE_EVERY);
        if looks {
            looked = Some(Instant::now());
        }
        round(&on, looks)
    };
    rounds("the database's messages", EVERY, round).await;
}

/// Whether there may be more.
async fn round(on: &Foundation, looks: bool) -> Result<bool, StoreError> {
    if looks && let Err(error) = send_again(on).await {
        tracing::warn!(%error, "what the bus may have lost is not sent again; later");
    }
    let unsent = outbox::unsent(&on.database, BATCH).await?;
    Ok(send(on, unsent).await? == BATCH as usize)
}

/// A broker may come back without what it had confirmed. What is still on its way is sent twice, at most a batch each time.
async fn send_again(on: &Foundation) -> Result<(), StoreError> {
    let overdue = outbox::overdue(&on.database, wall() - OVERDUE, BATCH).await?;
    if overdue.is_empty() || on.bus.depth(Topic::Payments).await? > 0 {
        return Ok(());
    }
    tracing::warn!(count = overdue.len(), "payment messages were sent and are not done: sent again");
    send(on, overdue).await.map(drop)
}

/// Marked as sent only when the bus has them; a crash in between sends them twice, which their readers bear.
async fn send(on: &Foundation, unsent: Vec<Unsent>) -> Result<usize, StoreError> {
    let count = unsent.len();
    hooks::note_unsent(&on.database, &unsent).await?;
    tidings::tell(&on.database, &unsent).await?;
    let (news, work): (Vec<_>, Vec<_>) =
        unsent.into_iter().partition(|one| NEWS_KEYS.contains(&one.routing_key.as_str()));
    publish(on, work).await?;
    announce(on, news).await?;
    Ok(count)
}

/// Nobody owes an answer to news: once the bus has them, they are done.
async fn announce(on: &Foundation, news: Vec<Unsent>) -> Result<(), StoreError> {
    if news.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = news.iter().map(|one| one.id).collect();
    let messages: Vec<Message> = news.into_iter().map(message).collect();
    on.bus.announce(&messages).await?;
    outbox::done(&on.database, &ids).await
}

async fn publish(on: &Foundation, unsent: Vec<Unsent>) -> Result<(), StoreError> {
    if unsent.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = unsent.iter().map(|unsent| unsent.id).collect();
    let messages: Vec<Message> = unsent.into_iter().map(message).collect();
    crash_point::before(Step::PaymentRelayed);
    match on.bus.publish(Topic::Payments, &messages).await {
        Err(StoreError::Invalid(_)) => relay_each(on, &ids, &messages).await?,
        published => {
            published?;
            crash_point::after(Step::PaymentRelayed);
            outbox::mark_sent(&on.database, &ids, wall()).await?;
        }
    }
    Ok(())
}

/// One that the bus can never carry stays in the outbox, for a person to look at, and the others must not wait for it.
async fn relay_each(on: &Foundation, ids: &[Uuid], messages: &[Message]) -> Result<(), StoreError> {
    let mut stays = None;
    for (id, message) in ids.iter().zip(messages) {
        match on.bus.publish(Topic::Payments, slice::from_ref(message)).await {
            Err(error @ StoreError::Invalid(_)) => {
                tracing::error!(%id, %error, "a message stays in the outbox");
                stays = Some(error);
            }
            published => {
                published?;
                outbox::mark_sent(&on.database, slice::from_ref(id), wall()).await?;
            }
        }
    }
    stays.map_or(Ok(()), Err)
}

fn message(unsent: Unsent) -> Message {
    Message { routing_key: unsent.routing_key, id: unsent.id.simple().to_string(), body: unsent.body.into_bytes() }
}
