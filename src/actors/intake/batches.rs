//! Cancelled events: their orders are begun to be refunded, some at a time, each in a transaction of its own. What is begun is
//! carried out by [`super::refunds`].

use std::time::Duration;

use super::rounds::rounds;
use crate::{
    actors::{clock::wall, foundation::Foundation},
    domain::{id::OrderRef, refund::RefundReason, time::Millis},
    stores::{
        database::{
            Database,
            orders::{self, Wanted},
            refund_batches::{self, Batch},
        },
        error::StoreError,
    },
};

const EVERY: Duration = Duration::from_millis(500);
/// Events in one round, and orders of each.
const BATCHES: u32 = 4;
const ORDERS: u32 = 100;
/// Whoever has taken up an event has it for so long.
const LEASE: Millis = Millis::seconds(30);
/// While orders are on their way to tickets or to their end, and cannot be refunded yet.
const REST: Millis = Millis::seconds(5);

pub(super) async fn run(on: Foundation) {
    rounds("refunds of cancelled events", EVERY, || round(&on.database)).await;
}

/// What is left of an event is due again in the next round.
async fn round(database: &Database) -> Result<bool, StoreError> {
    for batch in refund_batches::due(database, wall(), BATCHES).await? {
        if refund_batches::take_up(database, &batch, wall(), LEASE).await? {
            some_of(database, &batch).await?;
        }
    }
    Ok(false)
}

async fn some_of(database: &Database, batch: &Batch) -> Result<(), StoreError> {
    let ticketed = refund_batches::ticketed(database, batch.event, ORDERS).await?;
    for reference in &ticketed {
        match refund(database, *reference, &batch.note).await {
            // One that cannot be must not keep the others waiting; it stays among those that are left.
            Err(error) if error.is_final() => {
                tracing::error!(%reference, %error, "a person must look at this order of a cancelled event");
            }
            other => other?,
        }
    }
    let rest = if ticketed.is_empty() { REST } else { Millis(0) };
    if refund_batches::put_off(database, batch.event, wall(), wall() + rest).await? {
        tracing::info!(event = %batch.event, "every order of the cancelled event is refunded, or is being");
    }
    Ok(())
}

async fn refund(database: &Database, reference: OrderRef, note: &str) -> Result<(), StoreError> {
    let wanted = Wanted { reference, tickets: None, restock: false, reason: RefundReason::EventCancelled, note };
    let mut write = database.begin().await?;
    match orders::refund_tickets(&mut write, &wanted, wall()).await? {
        Ok(_) => write.commit().await,
        // Somebody was faster.
        Err(_) => Ok(()),
    }
}
