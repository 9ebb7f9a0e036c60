//! How many tickets were bought to an event with one card.
//!
//! An order takes its part of the limit before the inventory sells anything for it, once; tickets that are refunded count no more.

use super::{Database, row::millis};
use crate::{
    domain::{id::OrderRef, time::EventTime},
    stores::{crash_point::Step, error::StoreError},
};

/// `false` if that would be more than `most`. Again: as before. Durable when it returns.
pub async fn claim(
    database: &Database,
    (reference, tickets): (OrderRef, u32),
    instrument: &str,
    most: u16,
    now: EventTime,
) -> Result<bool, StoreError> {
    let event = reference.event.to_string();
    let mut write = database.begin().await?;
    write.is_step(Step::InstrumentClaimed);
    // Takes its row: of two that count at the same time the second sees what the first has taken.
    let take = sqlx::query(
        "INSERT INTO instruments (event_id, instrument, looks) VALUES ($1, $2, 1) \
         ON CONFLICT (event_id, instrument) DO UPDATE SET looks = instruments.looks + 1",
    );
    write.execute(take.bind(event.clone()).bind(instrument.to_owned())).await?;
    let known = sqlx::query("SELECT order_reference FROM instrument_claims WHERE order_reference = $1");
    if write.fetch_optional(known.bind(reference.to_string())).await?.is_some() {
        return Ok(true);
    }
    let taken = sqlx::query(
        "SELECT CAST(COALESCE(SUM(c.tickets - (SELECT COUNT(*) FROM tickets t WHERE t.order_reference = c.order_reference \
         AND t.refund_id IS NOT NULL)), 0) AS BIGINT) AS taken FROM instrument_claims c \
         WHERE c.event_id = $1 AND c.instrument = $2",
    );
    let row = write.fetch_optional(taken.bind(event.clone()).bind(instrument.to_owned())).await?;
    let taken: i64 = row.map_or(Ok(0), |row| row.number("taken"))?;
    if taken + i64::from(tickets) > i64::from(most) {
        return Ok(false);
    }
    let insert = sqlx::query(
        "INSERT INTO instrument_claims (order_reference, event_id, instrument, tickets, claimed_at) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(reference.to_string())
    .bind(event)
    .bind(instrument.to_owned())
    .bind(i64::from(tickets))
    .bind(millis(now));
    write.execute(insert).await?;
    write.commit().await?;
    Ok(true)
}

/// Nothing was sold for it.
pub async fn free(database: &Database, reference: OrderRef) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    write.is_step(Step::InstrumentFreed);
    let delete = sqlx::query("DELETE FROM instrument_claims WHERE order_reference = $1");
    write.execute(delete.bind(reference.to_string())).await?;
    write.commit().await
}
