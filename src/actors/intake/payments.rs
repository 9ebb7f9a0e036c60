//! Payment facts from the bus to their event's orders.

use std::{
    sync::Weak,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::facts::answered;
use crate::{
    actors::{
        backoff::Backoff,
        directory::{Directory, DirectoryError},
        foundation::Foundation,
        orders::{PaymentFact, SettleError},
    },
    stores::{
        crash_point::{self, Step},
        database::{Database, outbox},
        order_bus::{Delivery, Topic},
    },
};

/// Also how many are settled at once: each waits for its own event, and one that hangs must not hold up the others.
const PREFETCH: u16 = 256;
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Tried here for so long before it goes back to the bus, which counts deliveries and in the end gives up.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(on: Foundation, directory: Weak<dyn Directory>) {
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    let mut deliveries = loop {
        match on.bus.consume(Topic::Payments, PREFETCH).await {
            Ok(deliveries) => break deliveries,
            Err(error) => tracing::warn!(%error, "payments cannot be consumed; trying again"),
        }
        backoff.wait().await;
    };
    // Ends with this future, and with it every settling: what is not acknowledged comes again.
    let mut settling = JoinSet::new();
    while let Some(delivery) = deliveries.recv().await {
        while settling.try_join_next().is_some() {}
        settling.spawn(take_in(on.database.clone(), Weak::clone(&directory), delivery));
    }
}

async fn take_in(database: Database, directory: Weak<dyn Directory>, delivery: Delivery) {
    let id = delivery.message.id.clone();
    let fact: PaymentFact = match serde_json::from_slice(&delivery.message.body) {
        Ok(fact) => fact,
        Err(error) => {
            tracing::error!(id, %error, "a payment fact that cannot be read");
            return answered(delivery.settle.reject().await);
        }
    };
    let (began, mut backoff) = (Instant::now(), Backoff::up_to(LONGEST_WAIT));
    loop {
        match settle(&directory, &fact).await {
            Ok(()) => {
                done(&database, &id).await;
                crash_point::before(Step::PaymentAcknowledged);
                answered(delivery.settle.ack().await);
                return crash_point::after(Step::PaymentAcknowledged);
            }
            Err(SettleError::Never(why)) => {
                tracing::error!(payment = %fact.payment, reference = %fact.reference, why, "a payment that cannot be settled");
                answered(delivery.settle.reject().await);
                return done(&database, &id).await;
            }
            Err(SettleError::Later(why)) => {
                tracing::debug!(payment = %fact.payment, why, "a payment is not settled yet");
            }
        }
        if began.elapsed() > PATIENCE {
            return answered(delivery.settle.retry().await);
        }
        backoff.wait().await;
    }
}

/// If this fails, or the process before it, the message is sent again, which does no harm.
async fn done(database: &Database, id: &str) {
    // Only a message of the outbox is named by an id of it.
    let Ok(id) = id.parse() else { return };
    if let Err(error) = outbox::done(database, &[id]).await {
        tracing::debug!(%id, %error, "a payment message that is done stays in the outbox");
    }
}

async fn settle(directory: &Weak<dyn Directory>, fact: &PaymentFact) -> Result<(), SettleError> {
    let directory = directory.upgrade().ok_or_else(|| SettleError::Later("the node is going down".into()))?;
    match directory.event(fact.reference.event).await {
        Ok(event) => event.orders.settle(fact.clone()).await,
        Err(error @ DirectoryError::UnknownEvent) => Err(SettleError::Never(error.to_string())),
        Err(error @ (DirectoryError::Unavailable | DirectoryError::Elsewhere)) => {
            Err(SettleError::Later(error.to_string()))
        }
    }
}
