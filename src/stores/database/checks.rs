//! What an audit of one event asks: each answer can be held against the journal, or must be empty.

use super::{Database, Query, row::Row};
use crate::{
    domain::{
        code::SeatId,
        id::{EventId, OrderRef},
        ledger::Account,
        order::OrderState,
        time::EventTime,
    },
    stores::error::StoreError,
};

pub async fn orders_by_state(database: &Database, event: EventId) -> Result<Vec<(OrderState, u64)>, StoreError> {
    let select = sqlx::query("SELECT state, COUNT(*) AS count FROM orders WHERE event_id = $1 GROUP BY state");
    let rows = database.fetch_all(select.bind(event.to_string())).await?;
    rows.iter().map(|row| Ok((row.named("state")?, row.number("count")?))).collect()
}

/// Seats on more than one live ticket. Must be empty.
pub async fn seats_sold_twice(database: &Database, event: EventId) -> Result<Vec<(SeatId, u64)>, StoreError> {
    let select = sqlx::query(
        "SELECT seat, COUNT(*) AS count FROM tickets WHERE event_id = $1 AND state = 'live' AND seat IS NOT NULL \
         GROUP BY seat HAVING COUNT(*) > 1",
    );
    let rows = database.fetch_all(select.bind(event.to_string())).await?;
    rows.iter().map(|row| Ok((row.parsed("seat")?, row.number("count")?))).collect()
}

/// Orders that have live tickets and are not ticketed. Must be empty.
pub async fn ticketed_without_sale(database: &Database, event: EventId) -> Result<Vec<OrderRef>, StoreError> {
    let select = sqlx::query(
        "SELECT DISTINCT o.reference FROM orders o JOIN tickets t ON t.order_reference = o.reference \
         WHERE t.event_id = $1 AND t.state = 'live' AND o.state <> 'ticketed'",
    );
    references(database, select.bind(event.to_string())).await
}

/// Ticketed orders with more or fewer tickets, live or refunded, than their lines say. Must be empty.
pub async fn miscounted(database: &Database, event: EventId) -> Result<Vec<OrderRef>, StoreError> {
    let select = sqlx::query(
        "SELECT o.reference FROM orders o LEFT JOIN tickets t ON t.order_reference = o.reference \
         AND (t.state = 'live' OR t.refund_id IS NOT NULL) WHERE o.event_id = $1 AND o.state = 'ticketed' \
         GROUP BY o.reference, o.quantity HAVING COUNT(t.id) <> o.quantity",
    );
    references(database, select.bind(event.to_string())).await
}

/// Orders with more than one payment that was captured and does not go back. Must be empty.
pub async fn paid_twice(database: &Database, event: EventId) -> Result<Vec<OrderRef>, StoreError> {
    let select = sqlx::query(
        "SELECT o.reference FROM orders o JOIN payments p ON p.order_reference = o.reference \
         WHERE o.event_id = $1 AND p.state = 'captured' GROUP BY o.reference HAVING COUNT(p.id) > 1",
    );
    references(database, select.bind(event.to_string())).await
}

/// Orders of an event whose money does not fit their tickets: what is ticketed is not the price of the live ones, and what was
/// asked beside all of them as long as there is one.
/// Must be empty. States are looked at row by row: of tables of which it knows nothing yet, PostgreSQL would take an index on the state, and
/// read all tickets for each order.
pub async fn unbalanced(database: &Database, event: EventId) -> Result<Vec<OrderRef>, StoreError> {
    let select = sqlx::query(
        "SELECT o.reference FROM orders o WHERE o.event_id = $1 AND \
         (SELECT COALESCE(SUM(CASE WHEN credit = 'ticketed' THEN amount_minor WHEN debit = 'ticketed' THEN -amount_minor \
         ELSE 0 END), 0) FROM ledger WHERE order_reference = o.reference) <> \
         (SELECT COALESCE(SUM(CASE WHEN state = 'live' THEN price_minor ELSE 0 END) \
         + CASE WHEN SUM(CASE WHEN state = 'live' THEN 1 ELSE 0 END) > 0 THEN o.once_minor ELSE 0 END, 0) \
         FROM tickets WHERE order_reference = o.reference)",
    );
    references(database, select.bind(event.to_string())).await
}

/// Orders of an event with money that is neither tickets nor back. Must be empty at rest.
pub async fn money_under_way(database: &Database, event: EventId) -> Result<Vec<OrderRef>, StoreError> {
    let select = sqlx::query(
        "SELECT o.reference FROM orders o WHERE o.event_id = $1 AND \
         (SELECT COALESCE(SUM(CASE WHEN debit = 'captured' THEN amount_minor ELSE 0 END) - \
         SUM(CASE WHEN credit = 'ticketed' THEN amount_minor WHEN debit = 'ticketed' THEN -amount_minor ELSE 0 END) - \
         SUM(CASE WHEN credit = 'refunded' THEN amount_minor ELSE 0 END), 0) \
         FROM ledger WHERE order_reference = o.reference) <> 0",
    );
    references(database, select.bind(event.to_string())).await
}

/// Where all the money of an event stands, in the order of [`Account::ALL`].
pub async fn money(database: &Database, event: EventId) -> Result<[i64; Account::ALL.len()], StoreError> {
    let select = sqlx::query(
        "SELECT l.debit, l.credit, CAST(SUM(l.amount_minor) AS BIGINT) AS minor FROM ledger l \
         JOIN orders o ON o.reference = l.order_reference WHERE o.event_id = $1 GROUP BY l.debit, l.credit",
    );
    let rows = database.fetch_all(select.bind(event.to_string())).await?;
    let mut money = [0; Account::ALL.len()];
    for row in &rows {
        let (minor, debit, credit): (i64, String, String) =
            (row.number("minor")?, row.string("debit")?, row.string("credit")?);
        for (balance, account) in money.iter_mut().zip(Account::ALL) {
            // Captured is what we have been given: a debit makes more of it.
            let change = if account == Account::Captured { minor } else { -minor };
            *balance += if account.as_str() == debit { change } else { 0 };
            *balance += if account.as_str() == credit { minor } else { 0 };
        }
    }
    Ok(money)
}

/// When an order of the event became what it is, at the latest.
pub async fn last_change(database: &Database, event: EventId) -> Result<Option<EventTime>, StoreError> {
    let select = sqlx::query("SELECT CAST(MAX(updated_at) AS BIGINT) AS at FROM orders WHERE event_id = $1");
    let row: Option<Row> = database.fetch_optional(select.bind(event.to_string())).await?;
    row.map_or(Ok(None), |row| row.time_if_any("at"))
}

async fn references(database: &Database, select: Query) -> Result<Vec<OrderRef>, StoreError> {
    database.fetch_all(select).await?.iter().map(|row| row.parsed("reference")).collect()
}
