//! Orders: a row follows from the facts known about it, whatever order they came in.
//!
//! Owns the row, and that no change to it is lost: a write names the revision that it read. The inventory's facts arrive
//! through [`facts`], money through [`settling`], and goes back through [`refunding`].

mod facts;
mod refunding;
mod replacing;
mod settling;
mod table;
mod together;

use std::collections::HashMap;

pub use self::together::Opening;
pub use self::{
    facts::{apply_fact, apply_facts},
    refunding::{NotRefunded, Wanted, advance_refund, refund_tickets},
    replacing::{Change, Issue, NotReplaced, replace_ticket},
    settling::{Settled, captured, decline, settle, settle_refused},
};
pub(super) use self::{
    settling::{Settle, Unpaid, captured_many},
    together::{ByReference, Ensure},
};
use super::{
    Database, Query, Write,
    many::{Many, ROWS, Texts},
    page::{self, Cursor, Page},
    row::Row,
    statement,
};
use crate::{
    domain::{
        id::{EventId, FanId, OrderRef},
        inventory::request::{HoldState, HoldView, Line},
        money::Money,
        order::{HoldFact, Known, OrderState},
        time::EventTime,
    },
    stores::{crash_point::Step, error::StoreError},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub reference: OrderRef,
    pub fan: FanId,
    /// Follows from `known`.
    pub state: OrderState,
    pub known: Known,
    pub lines: Vec<Line>,
    pub total: Money,
    pub event_version: u32,
    pub expires_at: EventTime,
    /// Raised by each change.
    pub revision: u64,
    pub created_at: EventTime,
    pub updated_at: EventTime,
    /// The buyer has agreed to other seats of the type where the money comes too late for these.
    pub takes_others: bool,
}

impl Order {
    /// What was asked beside its tickets, once.
    fn once_minor(&self) -> i64 {
        self.lines.iter().map(|line| line.once().total_minor()).fold(0, i64::saturating_add)
    }
}

/// As [`of_row`] reads them.
const COLUMNS: &str = "reference, fan_id, known, lines, total_minor, currency, event_version, expires_at, revision, created_at, \
     updated_at, takes_others";

fn select(which: &'static str) -> Query {
    statement(["SELECT ", COLUMNS, " FROM orders ", which])
}

/// Writes the order of a hold if it is not there yet; the answer is what is there.
pub async fn ensure(database: &Database, event: EventId, hold: &HoldView, now: EventTime) -> Result<Order, StoreError> {
    database.inner.desks.orders.bring(database, Ensure(of_hold(event, hold, now))).await
}

fn of_hold(event: EventId, hold: &HoldView, now: EventTime) -> Order {
    let known = Known {
        hold: match hold.state {
            HoldState::Held => HoldFact::Held,
            HoldState::Released | HoldState::Expired => HoldFact::Lapsed,
            HoldState::Refused => HoldFact::Refused,
            HoldState::Sold => HoldFact::Sold,
            HoldState::Voided => HoldFact::Voided,
        },
        ..Known::default()
    };
    Order {
        reference: OrderRef { event, order: hold.order },
        fan: hold.fan,
        state: known.state(),
        known,
        lines: hold.lines.clone(),
        total: Money { minor: hold.total_minor, currency: hold.currency },
        event_version: hold.version,
        expires_at: hold.expires_at,
        revision: 1,
        created_at: now,
        updated_at: now,
        takes_others: false,
    }
}

/// Whoever's it is: for the shop's own work, not for a fan's request.
pub async fn by_reference(database: &Database, reference: OrderRef) -> Result<Option<Order>, StoreError> {
    database.inner.desks.orders_read.bring(database, ByReference(reference)).await
}

static FANS: Many = Many::new(|| Texts::list("SELECT reference, fan_id FROM orders WHERE reference IN ", ""));

/// Whose these are, of those that are there.
pub async fn fans(database: &Database, references: &[OrderRef]) -> Result<HashMap<OrderRef, FanId>, StoreError> {
    let mut fans = HashMap::with_capacity(references.len());
    for some in references.chunks(ROWS) {
        let select = FANS.bound(database.backend(), some, |query, reference| query.bind(reference.to_string()));
        for row in database.fetch_all(select).await? {
            fans.insert(row.parsed("reference")?, row.parsed("fan_id")?);
        }
    }
    Ok(fans)
}

/// Another fan's order is not there.
pub async fn of_fan(database: &Database, reference: OrderRef, fan: FanId) -> Result<Option<Order>, StoreError> {
    Ok(by_reference(database, reference).await?.filter(|order| order.fan == fan))
}

/// A fan's own, newest first.
pub async fn list(
    database: &Database,
    fan: FanId,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Order>, StoreError> {
    let (at, reference) = page::below(cursor);
    let select = select(
        "WHERE fan_id = $1 AND (created_at, reference) < ($2, $3) \
         ORDER BY created_at DESC, reference DESC LIMIT $4",
    )
    .bind(fan.to_string())
    .bind(at)
    .bind(reference)
    .bind(page::rows_and_one(limit));
    let orders = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(orders, limit, |order| (order.created_at, order.reference.to_string())))
}

/// A checkout is open at the provider. [`StoreError::Conflict`] if there is no such order, or it can no longer be paid.
pub async fn open_checkout(write: &mut Write, reference: OrderRef, now: EventTime) -> Result<Order, StoreError> {
    write.is_step(Step::CheckedOut);
    let mut order = take(write, reference).await?;
    match order.state {
        OrderState::Paying => return Ok(order),
        OrderState::Pending => order.known.checkout_open = true,
        _ => return Err(StoreError::Conflict("the order can no longer be paid")),
    }
    put(write, order, now).await
}

/// The buyer takes other seats of the type where these are gone when the money comes. Stays so.
pub async fn take_others(database: &Database, reference: OrderRef) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE orders SET takes_others = 1 WHERE reference = $1");
    write.execute(update.bind(reference.to_string())).await?;
    write.commit().await
}

/// [`open_checkout`] and the end of the request that opened it, in one transaction; `None` if another attempt of that request was
/// first, and nothing was done.
pub async fn open_checkout_now(database: &Database, opening: Opening) -> Result<Option<String>, StoreError> {
    database.inner.desks.checkouts.bring(database, opening).await
}

/// Reads the order and takes its row: whoever else would change it waits until the transaction ends.
async fn take(write: &mut Write, reference: OrderRef) -> Result<Order, StoreError> {
    let update = statement(["UPDATE orders SET revision = revision WHERE reference = $1 RETURNING ", COLUMNS]);
    let row = write.fetch_optional(update.bind(reference.to_string())).await?;
    row.map(|row| of_row(&row)).transpose()?.ok_or(StoreError::Conflict("there is no such order"))
}

/// Its state follows from what is known now.
fn changed(mut order: Order, now: EventTime) -> Order {
    order.state = order.known.state();
    order.updated_at = order.updated_at.max(now);
    order
}

/// Writes back what was [taken](take) and changed.
async fn put(write: &mut Write, order: Order, now: EventTime) -> Result<Order, StoreError> {
    let mut order = changed(order, now);
    if !table::update(write, &order).await? {
        return Err(StoreError::Corrupt(format!("order {} changed while its row was taken", order.reference)));
    }
    order.revision += 1;
    Ok(order)
}

fn of_row(row: &Row) -> Result<Order, StoreError> {
    let known: Known = row.json("known")?;
    Ok(Order {
        reference: row.parsed("reference")?,
        fan: row.parsed("fan_id")?,
        state: known.state(),
        known,
        lines: row.json("lines")?,
        total: row.money("total_minor")?,
        event_version: row.number("event_version")?,
        expires_at: row.time("expires_at")?,
        revision: row.number("revision")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        takes_others: row.number::<u8>("takes_others")? != 0,
    })
}

/// Tickets in all lines.
fn quantity(lines: &[Line]) -> i64 {
    lines.iter().map(|line| i64::from(line.quantity)).sum()
}

/// As serde spells it.
fn state_name(state: OrderState) -> &'static str {
    match state {
        OrderState::Pending => "pending",
        OrderState::Paying => "paying",
        OrderState::Paid => "paid",
        OrderState::Ticketed => "ticketed",
        OrderState::Cancelled => "cancelled",
        OrderState::Refunding => "refunding",
        OrderState::Refunded => "refunded",
    }
}
