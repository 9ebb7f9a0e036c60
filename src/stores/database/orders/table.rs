//! Rows of orders: reading, adding and writing many in one statement, each over the revision that was read.
//!
//! One statement that updates several may take their rows in an order of its own, and of two such that wait for each other the
//! database makes one give way. So where others change the same ones at the same time, the rows are [taken](take) first.

use std::collections::HashMap;

use super::{COLUMNS, Order, of_row, quantity, state_name};
use crate::{
    domain::id::OrderRef,
    stores::{
        database::{
            Backend, Database, Query, Write,
            many::{Many, ROWS, Texts},
            row::{Row, json, millis},
        },
        error::StoreError,
    },
};

static SELECT: Many = Many::new(|| selecting(""));
static TAKE: Many = Many::new(|| selecting(" ORDER BY reference FOR UPDATE"));
static INSERT: Many = Many::new(|| {
    Texts::rows(
        "INSERT INTO orders (reference, revision, event_id, fan_id, currency, state, known, lines, quantity, total_minor, \
         event_version, expires_at, created_at, updated_at, once_minor) VALUES ",
        15,
        " ON CONFLICT DO NOTHING",
    )
});
static UPDATE: Many = Many::new(|| {
    Texts::updates(
        "UPDATE orders SET state = v.column3, known = v.column4, lines = v.column5, quantity = v.column6, \
         total_minor = v.column7, event_version = v.column8, expires_at = v.column9, created_at = v.column10, \
         updated_at = v.column11, once_minor = v.column12, revision = orders.revision + 1",
        12,
        "orders.reference",
        " AND orders.revision = v.column2",
    )
});

fn selecting(after: &str) -> Texts {
    Texts::list(&["SELECT ", COLUMNS, " FROM orders WHERE reference IN "].concat(), after)
}

fn bound(on: Backend, texts: &'static Many, references: &[OrderRef]) -> Query {
    texts.bound(on, references, |query, reference| query.bind(reference.to_string()))
}

fn by_reference(rows: &[Row]) -> impl Iterator<Item = Result<(OrderRef, Order), StoreError>> {
    rows.iter().map(|row| of_row(row).map(|order| (order.reference, order)))
}

/// Those that are there.
pub(super) async fn select(write: &mut Write, references: &[OrderRef]) -> Result<HashMap<OrderRef, Order>, StoreError> {
    selected(write, &SELECT, references).await
}

/// Those that are there, which nobody else changes until the transaction ends. By reference, and before anything else: of two that
/// take some of the same, one waits.
pub(super) async fn take(write: &mut Write, references: &[OrderRef]) -> Result<HashMap<OrderRef, Order>, StoreError> {
    let texts = if write.is_alone() { &SELECT } else { &TAKE };
    let mut ascending = references.to_vec();
    ascending.sort_unstable();
    selected(write, texts, &ascending).await
}

async fn selected(
    write: &mut Write,
    texts: &'static Many,
    references: &[OrderRef],
) -> Result<HashMap<OrderRef, Order>, StoreError> {
    let mut orders = HashMap::with_capacity(references.len());
    for references in references.chunks(ROWS) {
        let rows = write.fetch_all(bound(write.backend(), texts, references)).await?;
        for order in by_reference(&rows) {
            orders.extend([order?]);
        }
    }
    Ok(orders)
}

/// [`select`], of what is committed.
pub(super) async fn read(database: &Database, references: &[OrderRef]) -> Result<HashMap<OrderRef, Order>, StoreError> {
    let mut orders = HashMap::with_capacity(references.len());
    for references in references.chunks(ROWS) {
        let rows = database.fetch_all(bound(database.backend(), &SELECT, references)).await?;
        for order in by_reference(&rows) {
            orders.extend([order?]);
        }
    }
    Ok(orders)
}

/// Adds them, in this order, and leaves alone what is there; `true` if nothing was.
pub(super) async fn insert(write: &mut Write, orders: &[Order]) -> Result<bool, StoreError> {
    let mut added = 0;
    for orders in orders.chunks(ROWS) {
        let insert = INSERT.bound(write.backend(), orders, |query, order| {
            let lasting = query
                .bind(order.reference.to_string())
                .bind(revision(order))
                .bind(order.reference.event.to_string())
                .bind(order.fan.to_string())
                .bind(order.total.currency.to_string());
            bind_changing(lasting, order)
        });
        added += write.execute(insert).await?;
    }
    Ok(added == orders.len() as u64)
}

/// [`update`] for many, which must be different ones; `false` if any row is at another revision: the others are written.
pub(super) async fn update_many(write: &mut Write, orders: &mut [Order]) -> Result<bool, StoreError> {
    orders.sort_by_key(|order| order.reference);
    let mut updated = 0;
    for orders in orders.chunks(ROWS) {
        let update = UPDATE.bound(write.backend(), orders, |query, order| {
            bind_changing(query.bind(order.reference.to_string()).bind(revision(order)), order)
        });
        updated += write.execute(update).await?;
    }
    Ok(updated == orders.len() as u64)
}

/// Writes the order over its revision, which becomes one higher; `false` if the row is at another one.
pub(super) async fn update(write: &mut Write, order: &Order) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE orders SET state = $3, known = $4, lines = $5, quantity = $6, total_minor = $7, event_version = $8, \
         expires_at = $9, created_at = $10, updated_at = $11, once_minor = $12, revision = revision + 1 \
         WHERE reference = $1 AND revision = $2",
    )
    .bind(order.reference.to_string())
    .bind(revision(order));
    Ok(write.execute(bind_changing(update, order)).await? == 1)
}

/// State to what it costs once, in the order of the columns.
fn bind_changing(query: Query, order: &Order) -> Query {
    query
        .bind(state_name(order.state))
        .bind(json(&order.known))
        .bind(json(&order.lines))
        .bind(quantity(&order.lines))
        .bind(order.total.minor)
        .bind(i64::from(order.event_version))
        .bind(millis(order.expires_at))
        .bind(millis(order.created_at))
        .bind(millis(order.updated_at))
        .bind(order.once_minor())
}

fn revision(order: &Order) -> i64 {
    i64::try_from(order.revision).unwrap_or(i64::MAX)
}
