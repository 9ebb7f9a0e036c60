//! Order facts from the bus to the database.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;

use super::hooks;
use crate::{
    actors::{backoff::Backoff, foundation::Foundation, measures, orders::Envelope},
    domain::{id::EventId, inventory::fact::OrderFact},
    stores::{
        crash_point::{self, Step},
        database::{Database, orders},
        error::StoreError,
        order_bus::{Delivery, Settle, Topic},
    },
};

const PREFETCH: u16 = 2_048;
/// Facts in one transaction.
const BATCH: usize = 512;
const LONGEST_WAIT: Duration = Duration::from_secs(5);

pub(super) async fn run(on: Foundation) {
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    let mut deliveries = loop {
        match on.bus.consume(Topic::Orders, PREFETCH).await {
            Ok(deliveries) => break deliveries,
            Err(error) => tracing::warn!(%error, "order facts cannot be consumed; trying again"),
        }
        backoff.wait().await;
    };
    while let Some(batch) = next_batch(&mut deliveries, on.sale.at_once(BATCH)).await {
        let breather = on.sale.breather();
        take_in(&on.database, batch).await;
        breather.rest().await;
    }
}

async fn next_batch(deliveries: &mut mpsc::Receiver<Delivery>, most: usize) -> Option<Vec<Delivery>> {
    let mut batch = Vec::with_capacity(most);
    (deliveries.recv_many(&mut batch, most).await > 0).then_some(batch)
}

/// Answers every delivery of the batch.
async fn take_in(database: &Database, batch: Vec<Delivery>) {
    let (mut facts, mut settles) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    let mut news = Vec::new();
    for delivery in batch {
        match Envelope::from_body(&delivery.message.body) {
            Ok(Envelope { event, fact, .. }) => {
                news.extend(hooks::of_fact(event, &delivery.message));
                facts.push((event, fact));
                settles.push(delivery.settle);
            }
            Err(error) => {
                tracing::error!(id = delivery.message.id, %error, "an order fact that cannot be read");
                answered(delivery.settle.reject().await);
            }
        }
    }
    if facts.is_empty() {
        return;
    }
    if !news.is_empty() {
        hooks::note(database, &news).await;
    }
    if apply(database, &facts).await.is_ok() {
        measures::facts_applied(facts.len() as u64);
        crash_point::before(Step::FactsAcknowledged);
        // At once: a store that makes acknowledgements durable takes them together.
        join_all(settles.into_iter().map(|settle| settle.ack())).await.into_iter().for_each(answered);
        crash_point::after(Step::FactsAcknowledged);
        return;
    }
    // One of them cannot be applied: the others must not suffer for it.
    for (fact, settle) in facts.into_iter().zip(settles) {
        apply_alone(database, fact, settle).await;
    }
}

async fn apply_alone(database: &Database, fact: (EventId, OrderFact), settle: Box<dyn Settle>) {
    let facts = [fact];
    match apply(database, &facts).await {
        Ok(()) => {
            measures::facts_applied(1);
            answered(settle.ack().await);
        }
        Err(error) => {
            let [(event, fact)] = facts;
            tracing::error!(%event, number = fact.number, %error, "an order fact that can never be applied");
            answered(settle.reject().await);
        }
    }
}

/// Tries until the database has answered; the error is one that stays.
async fn apply(database: &Database, facts: &[(EventId, OrderFact)]) -> Result<(), StoreError> {
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    loop {
        match orders::apply_facts(database, facts).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_final() => return Err(error),
            // Held back here, they need not be delivered again and again while the database is away.
            Err(error) => tracing::warn!(%error, count = facts.len(), "order facts not stored; trying again"),
        }
        backoff.wait().await;
    }
}

/// An answer that the bus did not get makes the delivery come again, which does no harm.
pub(super) fn answered(answered: Result<(), StoreError>) {
    if let Err(error) = answered {
        tracing::debug!(%error, "a delivery's answer was lost; it comes again");
    }
}
