//! Cancelled events whose orders are all to be refunded, and how far that has come.

use super::{
    Database, Query, Write, checks,
    row::{Row, millis},
    statement,
};
use crate::{
    domain::{
        id::{EventId, OrderRef},
        order::OrderState,
        time::{EventTime, Millis},
    },
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub event: EventId,
    pub note: String,
    pub asked_at: EventTime,
    pub next_at: EventTime,
    pub done_at: Option<EventTime>,
}

/// Orders that have tickets, or may still come to them: an order that was confirmed before the event was cancelled gets its
/// tickets later.
pub const LEFT: [OrderState; 4] = [OrderState::Pending, OrderState::Paying, OrderState::Paid, OrderState::Ticketed];

fn select(which: &'static str) -> Query {
    statement(["SELECT event_id, note, asked_at, next_at, done_at FROM refund_batches ", which])
}

/// `false` if it was begun before.
pub async fn begin(write: &mut Write, event: EventId, note: &str, now: EventTime) -> Result<bool, StoreError> {
    let insert = sqlx::query(
        "INSERT INTO refund_batches (event_id, note, asked_at, next_at) VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING",
    );
    Ok(write.execute(insert.bind(event.to_string()).bind(note.to_owned()).bind(millis(now))).await? == 1)
}

pub async fn of_event(database: &Database, event: EventId) -> Result<Option<Batch>, StoreError> {
    let select = select("WHERE event_id = $1");
    database.fetch_optional(select.bind(event.to_string())).await?.map(|row| of_row(&row)).transpose()
}

/// Those that are not done, the longest due first.
pub async fn due(database: &Database, now: EventTime, limit: u32) -> Result<Vec<Batch>, StoreError> {
    let select = select("WHERE done_at IS NULL AND next_at <= $1 ORDER BY next_at LIMIT $2");
    database.fetch_all(select.bind(millis(now)).bind(i64::from(limit))).await?.iter().map(of_row).collect()
}

/// For this worker alone, until `lease` has passed; `false` if another was faster.
pub async fn take_up(database: &Database, batch: &Batch, now: EventTime, lease: Millis) -> Result<bool, StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE refund_batches SET next_at = $3 WHERE event_id = $1 AND next_at = $2");
    let update = update.bind(batch.event.to_string()).bind(millis(batch.next_at)).bind(millis(now + lease));
    let taken = write.execute(update).await? == 1;
    write.commit().await?;
    Ok(taken)
}

/// Orders with tickets, some at a time.
pub async fn ticketed(database: &Database, event: EventId, limit: u32) -> Result<Vec<OrderRef>, StoreError> {
    let select = sqlx::query("SELECT reference FROM orders WHERE event_id = $1 AND state = 'ticketed' LIMIT $2");
    let rows = database.fetch_all(select.bind(event.to_string()).bind(i64::from(limit))).await?;
    rows.iter().map(|row| row.parsed("reference")).collect()
}

/// Done if no order is left; otherwise due again then. Says whether it is done.
pub async fn put_off(
    database: &Database,
    event: EventId,
    now: EventTime,
    next_at: EventTime,
) -> Result<bool, StoreError> {
    let states = checks::orders_by_state(database, event).await?;
    let is_done = !states.iter().any(|(state, count)| LEFT.contains(state) && *count > 0);
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE refund_batches SET next_at = $2, done_at = $3 WHERE event_id = $1");
    let done_at = is_done.then_some(millis(now));
    write.execute(update.bind(event.to_string()).bind(millis(next_at)).bind(done_at)).await?;
    write.commit().await?;
    Ok(is_done)
}

fn of_row(row: &Row) -> Result<Batch, StoreError> {
    Ok(Batch {
        event: row.parsed("event_id")?,
        note: row.string("note")?,
        asked_at: row.time("asked_at")?,
        next_at: row.time("next_at")?,
        done_at: row.time_if_any("done_at")?,
    })
}
