//! Payments whose provider is still to be asked: to open a session, to have the money taken, to say how it stands.
//!
//! The queue of that work is the table. One of several workers takes the next step by moving the moment at which it is due, so
//! that a step whose worker died comes up again by itself.

use super::{COLUMNS, Payment, of_row};
use crate::{
    domain::{
        id::{OrderRef, PaymentId},
        time::{EventTime, Millis},
    },
    stores::{
        database::{
            Database, Query, Write,
            row::{Row, json, millis, millis_if_any},
            statement,
        },
        error::StoreError,
        provider::{Opened, SessionRequest},
    },
};

/// A payment with what its provider is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outstanding {
    pub payment: Payment,
    /// `None`: begun before requests were kept.
    pub request: Option<SessionRequest>,
    /// What the provider gave the fan for the shop; empty until then.
    pub token: String,
    pub look_at: EventTime,
    /// Made so far.
    pub looks: u32,
}

fn select(which: &'static str) -> Query {
    statement(["SELECT ", COLUMNS, ", request, token, look_at, looks FROM payments ", which])
}

/// Keeps what its provider will be asked, with the payment itself; an earlier request of it stays.
pub async fn keep_request(write: &mut Write, request: &SessionRequest, look_at: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE payments SET request = $2, look_at = $3 WHERE id = $1 AND request = ''");
    write.execute(update.bind(request.key.to_string()).bind(json(request)).bind(millis(look_at))).await.map(|_| ())
}

pub async fn by_id(database: &Database, id: PaymentId) -> Result<Option<Outstanding>, StoreError> {
    let select = select("WHERE id = $1");
    database.fetch_optional(select.bind(id.to_string())).await?.map(|row| of_outstanding(&row)).transpose()
}

/// The provider has answered. Any number of times.
pub async fn opened(database: &Database, id: PaymentId, opened: &Opened) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE payments SET provider_session = $2, url = $3 WHERE id = $1 AND url = ''");
    let update = update.bind(id.to_string()).bind(opened.session.clone()).bind(opened.url.clone());
    write.execute(update).await?;
    write.commit().await
}

/// The fan has come back with this; whoever has brought it takes the next step until `look_at`.
pub async fn agreed(
    database: &Database,
    id: PaymentId,
    token: &str,
    look_at: EventTime,
    now: EventTime,
) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query(
        "UPDATE payments SET token = $2, look_at = $3, updated_at = $4 WHERE id = $1 AND state IN ('open', 'declined')",
    );
    let update = update.bind(id.to_string()).bind(token.to_owned()).bind(millis(look_at)).bind(millis(now));
    write.execute(update).await?;
    write.commit().await
}

/// Something is new at the provider: asked at once.
pub async fn look_now(database: &Database, id: PaymentId, now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE payments SET look_at = $2 WHERE id = $1 AND state IN ('open', 'declined')");
    write.execute(update.bind(id.to_string()).bind(millis(now))).await?;
    write.commit().await
}

/// The order has ended, or is paid by another: what is open for it is closed at once. Counts when the transaction does.
pub async fn close_now(write: &mut Write, reference: OrderRef, now: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE payments SET look_at = $2 WHERE order_reference = $1 AND state = 'open'");
    write.execute(update.bind(reference.to_string()).bind(millis(now))).await.map(|_| ())
}

/// Those to ask about now, the longest due first.
pub async fn due(database: &Database, now: EventTime, limit: u32) -> Result<Vec<Outstanding>, StoreError> {
    let select = select("WHERE look_at <= $1 AND state IN ('open', 'declined') ORDER BY look_at LIMIT $2");
    let rows = database.fetch_all(select.bind(millis(now)).bind(i64::from(limit))).await?;
    rows.iter().map(of_outstanding).collect()
}

/// Takes the next step for this worker alone, until `lease` has passed; `false` if another was faster.
pub async fn take_up(
    database: &Database,
    due: &Outstanding,
    now: EventTime,
    lease: Millis,
) -> Result<bool, StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query(
        "UPDATE payments SET look_at = $3, looks = looks + 1 WHERE id = $1 AND look_at = $2 AND state IN ('open', 'declined')",
    );
    let update = update.bind(due.payment.id.to_string()).bind(millis(due.look_at)).bind(millis(now + lease));
    let taken = write.execute(update).await? == 1;
    write.commit().await?;
    Ok(taken)
}

/// Asked again from then on; `None`: never. Not if a message has called for it meanwhile.
pub async fn put_off(
    database: &Database,
    id: PaymentId,
    leased: EventTime,
    look_at: Option<EventTime>,
) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE payments SET look_at = $3 WHERE id = $1 AND look_at = $2");
    let update = update.bind(id.to_string()).bind(millis(leased)).bind(millis_if_any(look_at));
    write.execute(update).await?;
    write.commit().await
}

fn of_outstanding(row: &Row) -> Result<Outstanding, StoreError> {
    let request = row.string("request")?;
    let is_kept = !request.is_empty();
    Ok(Outstanding {
        payment: of_row(row)?,
        request: if is_kept { Some(row.json("request")?) } else { None },
        token: row.string("token")?,
        look_at: row.time_if_any("look_at")?.unwrap_or_default(),
        looks: row.number("looks")?,
    })
}
