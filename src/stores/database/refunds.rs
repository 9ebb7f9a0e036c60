//! Refunds: rows of money that goes back, and the queue of what is still to be done about them.
//!
//! Begun and ended by `orders::refunding`, in one transaction with what they change. Here is how they are read, and how one of
//! several workers takes up the next step: by moving the moment at which it is due, so that a step whose worker died comes up
//! again by itself.

use std::str::FromStr;

use super::{
    Database, Query, Write, fault,
    page::{self, Cursor, Page},
    row::{Row, millis},
    statement,
};
use crate::{
    domain::{
        id::{EventId, FanId, OrderRef, PaymentId, RefundId},
        money::Money,
        refund::{GivenBack, RefundKey, RefundReason, RefundState},
        time::{EventTime, Millis},
    },
    stores::{crash_point::Step, error::StoreError},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub reference: OrderRef,
    pub fan: FanId,
    pub payment: PaymentId,
    pub amount: Money,
    pub reason: RefundReason,
    /// What whoever asked for it said.
    pub note: String,
    /// How many were revoked with it.
    pub tickets: u32,
    pub stock: Stock,
    pub state: RefundState,
    /// What the provider said last.
    pub failure: String,
    /// Raised when a person has it asked anew.
    pub round: u32,
    /// Steps taken so far.
    pub attempts: u32,
    pub next_at: EventTime,
    pub created_at: EventTime,
    pub updated_at: EventTime,
}

/// What becomes of the places of its tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// Nobody gets them.
    Stays,
    /// The inventory is to be told.
    Wanted,
    /// They are free again.
    Back,
}

impl Refund {
    /// Under which the provider is asked: the same one gives back once.
    pub fn key(&self) -> RefundKey {
        RefundKey { id: self.id, round: self.round }
    }
}

impl Stock {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stays => "stays",
            Self::Wanted => "wanted",
            Self::Back => "back",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not what becomes of stock")]
pub struct NotStock;

impl FromStr for Stock {
    type Err = NotStock;

    fn from_str(text: &str) -> Result<Self, NotStock> {
        [Self::Stays, Self::Wanted, Self::Back].into_iter().find(|stock| stock.as_str() == text).ok_or(NotStock)
    }
}

/// [`Refund`]s, as [`of_row`] reads them.
const COLUMNS: &str = "id, order_reference, fan_id, payment_id, amount_minor, currency, reason, note, tickets, stock, state, \
     failure, round, attempts, next_at, created_at, updated_at";

fn select(which: &'static str) -> Query {
    statement(["SELECT ", COLUMNS, " FROM refunds ", which])
}

pub(super) async fn insert(write: &mut Write, refund: &Refund) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO refunds (id, order_reference, event_id, fan_id, payment_id, amount_minor, currency, reason, note, tickets, \
         stock, state, failure, round, attempts, next_at, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(refund.id.to_string())
    .bind(refund.reference.to_string())
    .bind(refund.reference.event.to_string())
    .bind(refund.fan.to_string())
    .bind(refund.payment.to_string())
    .bind(refund.amount.minor)
    .bind(refund.amount.currency.to_string())
    .bind(refund.reason.as_str())
    .bind(refund.note.clone())
    .bind(i64::from(refund.tickets))
    .bind(refund.stock.as_str())
    .bind(refund.state.as_str())
    .bind(refund.failure.clone())
    .bind(i64::from(refund.round))
    .bind(i64::from(refund.attempts))
    .bind(millis(refund.next_at))
    .bind(millis(refund.created_at))
    .bind(millis(refund.updated_at));
    write.execute(insert).await.map(|_| ())
}

pub async fn by_id(database: &Database, id: RefundId) -> Result<Option<Refund>, StoreError> {
    let select = select("WHERE id = $1");
    database.fetch_optional(select.bind(id.to_string())).await?.map(|row| of_row(&row)).transpose()
}

/// As of within the transaction.
pub(super) async fn read(write: &mut Write, id: RefundId) -> Result<Option<Refund>, StoreError> {
    let select = select("WHERE id = $1");
    write.fetch_optional(select.bind(id.to_string())).await?.map(|row| of_row(&row)).transpose()
}

/// Of an order, oldest first.
pub async fn of_order(database: &Database, reference: OrderRef) -> Result<Vec<Refund>, StoreError> {
    let select = select("WHERE order_reference = $1 ORDER BY created_at, id");
    database.fetch_all(select.bind(reference.to_string())).await?.iter().map(of_row).collect()
}

/// A fan's own, newest first.
pub async fn of_fan(
    database: &Database,
    fan: FanId,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Refund>, StoreError> {
    let select = select("WHERE fan_id = $1 AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4");
    paged(database, select.bind(fan.to_string()), cursor, limit).await
}

/// In one state, newest first.
pub async fn in_state(
    database: &Database,
    state: RefundState,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Refund>, StoreError> {
    let select = select("WHERE state = $1 AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4");
    paged(database, select.bind(state.as_str()), cursor, limit).await
}

/// Of an event, newest first.
pub async fn of_event(
    database: &Database,
    event: EventId,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Refund>, StoreError> {
    let select =
        select("WHERE event_id = $1 AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4");
    paged(database, select.bind(event.to_string()), cursor, limit).await
}

/// `select` has one parameter bound; cursor and limit come after it.
async fn paged(
    database: &Database,
    select: Query,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Refund>, StoreError> {
    let (at, id) = page::below(cursor);
    let rows = database.fetch_all(select.bind(at).bind(id).bind(page::rows_and_one(limit))).await?;
    let refunds = rows.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(refunds, limit, |refund| (refund.created_at, refund.id.to_string())))
}

/// How many of an event are in each state, with the sum of their minor units.
pub async fn counts(database: &Database, event: EventId) -> Result<Vec<(RefundState, u64, i64)>, StoreError> {
    let select = sqlx::query(
        "SELECT state, COUNT(*) AS count, CAST(SUM(amount_minor) AS BIGINT) AS sum FROM refunds WHERE event_id = $1 \
         GROUP BY state ORDER BY state",
    );
    let rows = database.fetch_all(select.bind(event.to_string())).await?;
    rows.iter().map(|row| Ok((row.named("state")?, row.number("count")?, row.number("sum")?))).collect()
}

/// Those with something to do now, the longest due first.
pub async fn due(database: &Database, now: EventTime, limit: u32) -> Result<Vec<Refund>, StoreError> {
    let select =
        select("WHERE (state IN ('begun', 'asked') OR stock = 'wanted') AND next_at <= $1 ORDER BY next_at LIMIT $2");
    database.fetch_all(select.bind(millis(now)).bind(i64::from(limit))).await?.iter().map(of_row).collect()
}

/// Takes the next step of a due refund for this worker alone, until `lease` has passed; `None` if another was faster.
pub async fn take_up(
    database: &Database,
    refund: &Refund,
    now: EventTime,
    lease: Millis,
) -> Result<Option<Refund>, StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE refunds SET next_at = $3, attempts = attempts + 1 WHERE id = $1 AND next_at = $2");
    let next_at = now + lease;
    let update = update.bind(refund.id.to_string()).bind(millis(refund.next_at)).bind(millis(next_at));
    let taken = write.execute(update).await? == 1;
    write.commit().await?;
    Ok(taken.then(|| Refund { next_at, attempts: refund.attempts + 1, ..refund.clone() }))
}

/// Nothing was done, or not everything: from then on it is due again, unless it was made due while this worker had it.
pub async fn put_off(database: &Database, taken: &Refund, failure: &str, next_at: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE refunds SET next_at = $3, failure = $4 WHERE id = $1 AND next_at = $2");
    let update = update.bind(taken.id.to_string()).bind(millis(taken.next_at)).bind(millis(next_at));
    write.execute(update.bind(failure.to_owned())).await?;
    write.commit().await
}

/// Something is new at the provider about this payment's refunds: those under way are asked for at once.
pub async fn ask_now(database: &Database, payment: PaymentId, now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query(
        "UPDATE refunds SET next_at = $2 WHERE payment_id = $1 AND state IN ('begun', 'asked') AND next_at > $2",
    );
    write.execute(update.bind(payment.to_string()).bind(millis(now))).await?;
    write.commit().await
}

/// The places of its tickets are free again.
pub async fn stock_is_back(database: &Database, id: RefundId, now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    write.is_step(Step::StockBack);
    let update = sqlx::query("UPDATE refunds SET stock = 'back', updated_at = $2 WHERE id = $1 AND stock = 'wanted'");
    write.execute(update.bind(id.to_string()).bind(millis(now))).await?;
    write.commit().await
}

/// Tickets of an order whose places go back to stock, or are there already.
pub async fn given_back(write: &mut Write, reference: OrderRef) -> Result<Vec<GivenBack>, StoreError> {
    let select = sqlx::query(
        "SELECT t.ticket_type, t.rate, t.seat FROM tickets t JOIN refunds r ON r.id = t.refund_id \
         WHERE t.order_reference = $1 AND r.stock <> 'stays'",
    );
    let rows = write.fetch_all(select.bind(reference.to_string())).await?;
    let of_row = |row: &Row| {
        let (ticket_type, rate) = (row.parsed("ticket_type")?, row.parsed_if_any("rate")?);
        Ok(GivenBack { ticket_type, rate, seat: row.parsed_if_any("seat")? })
    };
    rows.iter().map(of_row).collect()
}

/// By the table of `domain::refund`; [`StoreError::Unavailable`] if somebody else was in between.
pub(super) async fn set_state(
    write: &mut Write,
    refund: &Refund,
    to: RefundState,
    failure: &str,
    now: EventTime,
) -> Result<(), StoreError> {
    let update = sqlx::query(
        "UPDATE refunds SET state = $3, failure = $4, round = $5, next_at = COALESCE($6, next_at), updated_at = $7 \
         WHERE id = $1 AND state = $2",
    );
    // Asked anew: under a new key, for the old one has its answer, and at once.
    let is_anew = to == RefundState::Begun;
    let (round, next_at) = if is_anew { (refund.round + 1, Some(millis(now))) } else { (refund.round, None) };
    let update = update
        .bind(refund.id.to_string())
        .bind(refund.state.as_str())
        .bind(to.as_str())
        .bind(failure.to_owned())
        .bind(i64::from(round))
        .bind(next_at)
        .bind(millis(now));
    match write.execute(update).await? {
        0 => Err(fault::contended()),
        _ => Ok(()),
    }
}

/// What has been begun for a payment, and how much of that is done; in minor units.
pub(super) async fn sums(write: &mut Write, payment: PaymentId) -> Result<(i64, i64), StoreError> {
    let select = sqlx::query(
        "SELECT CAST(COALESCE(SUM(amount_minor), 0) AS BIGINT) AS begun, \
         CAST(COALESCE(SUM(CASE WHEN state = 'done' THEN amount_minor ELSE 0 END), 0) AS BIGINT) AS done \
         FROM refunds WHERE payment_id = $1",
    );
    match write.fetch_optional(select.bind(payment.to_string())).await? {
        Some(row) => Ok((row.number("begun")?, row.number("done")?)),
        None => Err(StoreError::Corrupt("a sum gave no row".into())),
    }
}

fn of_row(row: &Row) -> Result<Refund, StoreError> {
    Ok(Refund {
        id: row.parsed("id")?,
        reference: row.parsed("order_reference")?,
        fan: row.parsed("fan_id")?,
        payment: row.parsed("payment_id")?,
        amount: row.money("amount_minor")?,
        reason: row.named("reason")?,
        note: row.string("note")?,
        tickets: row.number("tickets")?,
        stock: row.parsed("stock")?,
        state: row.named("state")?,
        failure: row.string("failure")?,
        round: row.number("round")?,
        attempts: row.number("attempts")?,
        next_at: row.time("next_at")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
