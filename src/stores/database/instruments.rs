//! How many tickets were bought to an event with one card.
//!
//! A payment takes its order's part of the limit before the inventory sells anything for it; an order that is paid twice by one card
//! counts once. Tickets that are refunded count no more.

use super::{Database, row::millis};
use crate::{
    domain::{
        id::{OrderRef, PaymentId},
        time::EventTime,
    },
    stores::{crash_point::Step, error::StoreError},
};

/// What is paid for.
#[derive(Debug, Clone, Copy)]
pub struct Paid {
    pub payment: PaymentId,
    pub reference: OrderRef,
    pub tickets: u32,
}

/// `false` if that would be more than `most`. Again: as before. Durable when it returns.
pub async fn claim(
    database: &Database,
    Paid { payment, reference, tickets }: Paid,
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
    let known = sqlx::query("SELECT payment_id FROM instrument_payments WHERE payment_id = $1");
    if write.fetch_optional(known.bind(payment.to_string())).await?.is_some() {
        return Ok(true);
    }
    // By orders, without this one: each once, however often it was paid.
    let taken = sqlx::query(
        "SELECT CAST(COALESCE(SUM(o.tickets - (SELECT COUNT(*) FROM tickets t WHERE t.order_reference = o.order_reference \
         AND t.refund_id IS NOT NULL)), 0) AS BIGINT) AS taken FROM (SELECT order_reference, MAX(tickets) AS tickets \
         FROM instrument_payments WHERE event_id = $1 AND instrument = $2 AND order_reference <> $3 \
         GROUP BY order_reference) AS o",
    );
    let taken = taken.bind(event.clone()).bind(instrument.to_owned()).bind(reference.to_string());
    let row = write.fetch_optional(taken).await?;
    let taken: i64 = row.map_or(Ok(0), |row| row.number("taken"))?;
    if taken + i64::from(tickets) > i64::from(most) {
        return Ok(false);
    }
    let insert = sqlx::query(
        "INSERT INTO instrument_payments (payment_id, order_reference, event_id, instrument, tickets, claimed_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(payment.to_string())
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
pub async fn free(database: &Database, payment: PaymentId) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    write.is_step(Step::InstrumentFreed);
    let delete = sqlx::query("DELETE FROM instrument_payments WHERE payment_id = $1");
    write.execute(delete.bind(payment.to_string())).await?;
    write.commit().await
}
