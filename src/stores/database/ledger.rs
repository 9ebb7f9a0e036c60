//! The ledger: what `domain::ledger` says, as rows. They are written in the transaction of what they book, and by nothing else.

use super::{
    Database, Query, Write,
    many::{Many, ROWS, Texts},
    row::{Row, millis},
    statement,
};
use crate::{
    domain::{
        id::{OrderRef, PaymentId, RefundId},
        ledger::{Books, Entry},
        money::Money,
        time::EventTime,
    },
    stores::error::StoreError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    pub reference: OrderRef,
    pub payment: PaymentId,
    /// Of entries about one.
    pub refund: Option<RefundId>,
    pub entry: Entry,
    pub amount: Money,
    pub at: EventTime,
}

/// What the ledger says of one payment, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentBooks {
    pub payment: PaymentId,
    pub captured_minor: i64,
    pub pending_minor: i64,
    pub refunded_minor: i64,
    /// Of the newest entry.
    pub at: Option<EventTime>,
}

/// Counts when the transaction does. Nothing is moved by an amount of nothing, so that is not booked.
/// [`StoreError::Corrupt`] if it was booked before: whoever books does so with a change that happens once.
pub(super) async fn book(write: &mut Write, booked: &Booked) -> Result<(), StoreError> {
    if booked.amount.minor == 0 {
        return Ok(());
    }
    let insert = sqlx::query(
        "INSERT INTO ledger (id, order_reference, payment_id, refund_id, entry, debit, credit, amount_minor, currency, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    );
    match write.execute(bind(insert, booked)).await {
        Err(StoreError::Conflict(_)) => Err(StoreError::Corrupt(format!("{booked:?} is booked twice, or is nothing"))),
        outcome => outcome.map(|_| ()),
    }
}

static INSERT: Many = Many::new(|| {
    let before = "INSERT INTO ledger (id, order_reference, payment_id, refund_id, entry, debit, credit, amount_minor, \
                  currency, at) VALUES ";
    Texts::rows(before, 10, " ON CONFLICT (id) DO NOTHING")
});

/// [`book`] for many: [`StoreError::Corrupt`] if any of them was booked before.
pub(super) async fn book_many(write: &mut Write, booked: &[Booked]) -> Result<(), StoreError> {
    let moved: Vec<&Booked> = booked.iter().filter(|booked| booked.amount.minor != 0).collect();
    let mut added = 0;
    for some in moved.chunks(ROWS) {
        added += write.execute(INSERT.bound(write.backend(), some, |query, booked| bind(query, booked))).await?;
    }
    match added == moved.len() as u64 {
        true => Ok(()),
        false => Err(StoreError::Corrupt("one of many is booked twice".into())),
    }
}

fn bind(insert: Query, booked: &Booked) -> Query {
    let (debit, credit) = booked.entry.accounts();
    insert
        .bind(id(booked))
        .bind(booked.reference.to_string())
        .bind(booked.payment.to_string())
        .bind(booked.refund.map(|refund| refund.to_string()))
        .bind(booked.entry.as_str())
        .bind(debit.as_str())
        .bind(credit.as_str())
        .bind(booked.amount.minor)
        .bind(booked.amount.currency.to_string())
        .bind(millis(booked.at))
}

fn id(booked: &Booked) -> String {
    let entry = booked.entry.as_str();
    match booked.refund {
        Some(refund) => format!("{entry}-{refund}"),
        None => format!("{entry}-{}", booked.payment),
    }
}

/// [`Booked`], as [`of_row`] reads them.
fn select(which: &'static str) -> Query {
    const COLUMNS: &str = "order_reference, payment_id, refund_id, entry, amount_minor, currency, at";
    statement(["SELECT ", COLUMNS, " FROM ledger ", which])
}

/// Where an order's money stands, as of within the transaction.
pub(super) async fn books(write: &mut Write, reference: OrderRef) -> Result<Books, StoreError> {
    let select = select("WHERE order_reference = $1");
    let rows = write.fetch_all(select.bind(reference.to_string())).await?;
    fold(rows.iter().map(of_row).collect::<Result<_, _>>()?)
}

/// Where an order's money stands.
pub async fn of_order(database: &Database, reference: OrderRef) -> Result<Books, StoreError> {
    fold(entries(database, reference).await?)
}

/// An order's entries, oldest first.
pub async fn entries(database: &Database, reference: OrderRef) -> Result<Vec<Booked>, StoreError> {
    let select = select("WHERE order_reference = $1 ORDER BY at, id");
    database.fetch_all(select.bind(reference.to_string())).await?.iter().map(of_row).collect()
}

/// Rows of one moment have no order of their own; the accounts have one.
fn fold(mut entries: Vec<Booked>) -> Result<Books, StoreError> {
    entries.sort_by_key(|booked| booked.entry);
    let mut books = Books::default();
    for booked in entries {
        books
            .book(booked.entry, booked.amount)
            .map_err(|error| StoreError::Corrupt(format!("{booked:?} cannot be: {error}")))?;
    }
    Ok(books)
}

/// The payment whose money became the order's tickets.
pub(super) async fn paid_by(write: &mut Write, reference: OrderRef) -> Result<Option<PaymentId>, StoreError> {
    let select = sqlx::query("SELECT payment_id FROM ledger WHERE order_reference = $1 AND entry = 'ticketed'");
    let row = write.fetch_optional(select.bind(reference.to_string())).await?;
    row.map(|row| row.parsed("payment_id")).transpose()
}

/// Sums per payment of one provider, with its session there, by payment, above `after`.
pub async fn by_payment(
    database: &Database,
    provider: &str,
    after: Option<PaymentId>,
    limit: u32,
) -> Result<Vec<(String, PaymentBooks)>, StoreError> {
    let select = sqlx::query(
        "SELECT p.id, p.provider_session, \
         CAST(COALESCE(SUM(CASE WHEN l.debit = 'captured' THEN l.amount_minor END), 0) AS BIGINT) AS captured, \
         CAST(COALESCE(SUM(CASE WHEN l.credit = 'pending' THEN l.amount_minor WHEN l.debit = 'pending' THEN -l.amount_minor \
         END), 0) AS BIGINT) AS pending, \
         CAST(COALESCE(SUM(CASE WHEN l.credit = 'refunded' THEN l.amount_minor END), 0) AS BIGINT) AS refunded, \
         CAST(MAX(l.at) AS BIGINT) AS at FROM payments p LEFT JOIN ledger l ON l.payment_id = p.id WHERE p.provider = $1 AND p.id > $2 \
         GROUP BY p.id, p.provider_session ORDER BY p.id LIMIT $3",
    );
    let after = after.map(|payment| payment.to_string()).unwrap_or_default();
    let rows = database.fetch_all(select.bind(provider.to_owned()).bind(after).bind(i64::from(limit))).await?;
    let of_row = |row: &Row| {
        let books = PaymentBooks {
            payment: row.parsed("id")?,
            captured_minor: row.number("captured")?,
            pending_minor: row.number("pending")?,
            refunded_minor: row.number("refunded")?,
            at: row.time_if_any("at")?,
        };
        Ok((row.string("provider_session")?, books))
    };
    rows.iter().map(of_row).collect()
}

fn of_row(row: &Row) -> Result<Booked, StoreError> {
    let booked = Booked {
        reference: row.parsed("order_reference")?,
        payment: row.parsed("payment_id")?,
        refund: row.parsed_if_any("refund_id")?,
        entry: row.named("entry")?,
        amount: row.money("amount_minor")?,
        at: row.time("at")?,
    };
    Ok(booked)
}
