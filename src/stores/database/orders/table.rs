//! Rows of orders: reading and adding many in one statement, and writing one over the revision that was read.
//!
//! A statement for many has room for one row or for [`ROWS`]. Places left over repeat the last row, and that changes
//! nothing: a second insert of it conflicts. So few texts are prepared, and all are constant. Many are never *updated* in
//! one statement: it would take their rows in an order of its own, and two batches would wait for each other.

use std::{collections::HashMap, iter, sync::LazyLock};

use super::{COLUMNS, Order, of_row, quantity, state_name};
use crate::{
    domain::id::OrderRef,
    stores::{
        database::{
            Query, Write,
            row::{json, millis},
        },
        error::StoreError,
    },
};

/// Most rows in one statement.
const ROWS: usize = 32;

/// One text for one row, one for [`ROWS`].
type Texts = LazyLock<[String; 2]>;

static SELECT: Texts = LazyLock::new(|| {
    [1, ROWS].map(|rows| ["SELECT ", COLUMNS, " FROM orders WHERE reference IN ", &places(1, rows)].concat())
});
static INSERT: Texts = LazyLock::new(|| {
    [1, ROWS].map(|rows| {
        "INSERT INTO orders (reference, revision, event_id, fan_id, currency, state, known, lines, quantity, total_minor, \
         event_version, expires_at, created_at, updated_at) VALUES "
            .to_owned()
            + &places(rows, 14)
            + " ON CONFLICT DO NOTHING"
    })
});

/// `($1, $2), ($3, $4)` for two rows of two columns.
fn places(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let names = (1..=columns).map(|column| format!("${}", row * columns + column));
        format!("({})", names.collect::<Vec<_>>().join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The statement for so many rows, and how many it has room for. `count` is 1 to [`ROWS`].
fn statement(texts: &'static Texts, count: usize) -> (Query, usize) {
    let [one, many] = &**texts;
    if count == 1 { (sqlx::query(one.as_str()), 1) } else { (sqlx::query(many.as_str()), ROWS) }
}

/// The rows, and the last one again for each place that is left over.
fn filled<T>(rows: &[T], room: usize) -> impl Iterator<Item = &T> {
    rows.iter().chain(rows.last().into_iter().flat_map(iter::repeat)).take(room)
}

/// Those that are there.
pub(super) async fn select(write: &mut Write, references: &[OrderRef]) -> Result<HashMap<OrderRef, Order>, StoreError> {
    let mut orders = HashMap::with_capacity(references.len());
    for references in references.chunks(ROWS) {
        let (mut select, room) = statement(&SELECT, references.len());
        for reference in filled(references, room) {
            select = select.bind(reference.to_string());
        }
        for row in write.fetch_all(select).await? {
            let order = of_row(&row)?;
            orders.insert(order.reference, order);
        }
    }
    Ok(orders)
}

/// Adds them, in this order, and leaves alone what is there; `true` if nothing was.
pub(super) async fn insert(write: &mut Write, orders: &[Order]) -> Result<bool, StoreError> {
    let mut added = 0;
    for orders in orders.chunks(ROWS) {
        let (mut insert, room) = statement(&INSERT, orders.len());
        for order in filled(orders, room) {
            let lasting = insert
                .bind(order.reference.to_string())
                .bind(revision(order))
                .bind(order.reference.event.to_string())
                .bind(order.fan.to_string())
                .bind(order.total.currency.to_string());
            insert = bind_changing(lasting, order);
        }
        added += write.execute(insert).await?;
    }
    Ok(added == orders.len() as u64)
}

/// Writes the order over its revision, which becomes one higher; `false` if the row is at another one.
pub(super) async fn update(write: &mut Write, order: &Order) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE orders SET state = $3, known = $4, lines = $5, quantity = $6, total_minor = $7, event_version = $8, \
         expires_at = $9, created_at = $10, updated_at = $11, revision = revision + 1 \
         WHERE reference = $1 AND revision = $2",
    )
    .bind(order.reference.to_string())
    .bind(revision(order));
    Ok(write.execute(bind_changing(update, order)).await? == 1)
}

/// State to time of change, in the order of the columns.
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
}

fn revision(order: &Order) -> i64 {
    i64::try_from(order.revision).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_through() {
        assert_eq!(places(2, 2), "($1, $2), ($3, $4)");
    }

    #[test]
    fn places_left_over_repeat_the_last_row() {
        assert_eq!(filled(&[1, 2], 4).collect::<Vec<_>>(), [&1, &2, &2, &2]);
        assert_eq!(filled::<u8>(&[], 4).count(), 0);
    }
}
