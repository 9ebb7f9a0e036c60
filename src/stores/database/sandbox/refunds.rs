//! What the sandbox gives back, once for each key of the shop's, and its records of all sessions.

use super::{Card, Said, State, say};
use crate::{
    domain::{
        id::OrderRef,
        money::Money,
        time::{EventTime, Millis},
    },
    stores::{
        crash_point::Step,
        database::{
            Database, Write,
            row::{Row, millis},
        },
        error::StoreError,
    },
};

/// How long a slow card's refund takes.
const SLOW: Millis = Millis::seconds(2);
const CLOSED: &str = "the card's account is closed";

/// A refund in its books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenBack {
    pub session: String,
    pub reference: OrderRef,
    pub amount: Money,
    /// Why it was refused; empty if it was not.
    pub failure: String,
    /// Pending before.
    pub due_at: EventTime,
}

/// The request itself is wrong: nothing was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotGiven {
    #[error("there is no such payment")]
    NoSuchPayment,
    #[error("the key was used for another refund")]
    KeyReused,
    #[error("no more can go back than was paid")]
    TooMuch,
}

/// A session as its records have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedSession {
    pub id: String,
    pub captured_minor: i64,
    /// What has gone back.
    pub refunded_minor: i64,
}

/// Gives money back, and tells the shop by `says`. Any number of times under one key: once.
pub async fn give_back(
    database: &Database,
    key: &str,
    session: &str,
    amount: Money,
    says: impl FnOnce(&GivenBack) -> String,
    now: EventTime,
) -> Result<Result<GivenBack, NotGiven>, StoreError> {
    let mut write = database.begin().await?;
    // Takes the row: the sum below holds until the transaction ends.
    let take = sqlx::query(
        "UPDATE sandbox_sessions SET updated_at = updated_at WHERE id = $1 \
         RETURNING order_reference, amount_minor, currency, state, card",
    );
    let Some(row) = write.fetch_optional(take.bind(session.to_owned())).await? else {
        return Ok(Err(NotGiven::NoSuchPayment));
    };
    let (reference, paid): (OrderRef, Money) = (row.parsed("order_reference")?, row.money("amount_minor")?);
    let (state, card): (State, Card) = (row.named("state")?, row.parsed("card")?);
    if let Some(before) = recorded(&mut write, key, reference).await? {
        let is_same = before.session == session && before.amount == amount;
        return Ok(if is_same { Ok(before) } else { Err(NotGiven::KeyReused) });
    }
    if !matches!(state, State::Paid | State::Refunded) || amount.currency != paid.currency {
        return Ok(Err(NotGiven::NoSuchPayment));
    }
    let (asked, given_minor) = sums(&mut write, session).await?;
    if amount.minor <= 0 || amount.minor > paid.minor.saturating_sub(given_minor) {
        return Ok(Err(NotGiven::TooMuch));
    }
    let is_refused = card == Card::RefundFails && asked == 0;
    let given = GivenBack {
        session: session.to_owned(),
        reference,
        amount,
        failure: if is_refused { CLOSED.to_owned() } else { String::new() },
        due_at: if card == Card::RefundSlow { now + SLOW } else { now },
    };
    insert(&mut write, key, &given, now).await?;
    if !is_refused && given_minor.saturating_add(amount.minor) == paid.minor {
        let update = sqlx::query("UPDATE sandbox_sessions SET state = 'refunded', updated_at = $2 WHERE id = $1");
        write.execute(update.bind(session.to_owned()).bind(millis(now))).await?;
    }
    say(&mut write, &[Said { body: says(&given), at: given.due_at }]).await?;
    write.is_step(Step::GivenBack);
    write.commit().await?;
    Ok(Ok(given))
}

async fn recorded(write: &mut Write, key: &str, reference: OrderRef) -> Result<Option<GivenBack>, StoreError> {
    let select =
        sqlx::query("SELECT session_id, amount_minor, currency, failure, due_at FROM sandbox_refunds WHERE id = $1");
    let Some(row) = write.fetch_optional(select.bind(key.to_owned())).await? else { return Ok(None) };
    Ok(Some(GivenBack {
        session: row.string("session_id")?,
        reference,
        amount: row.money("amount_minor")?,
        failure: row.string("failure")?,
        due_at: row.time("due_at")?,
    }))
}

/// How many were asked for, and what the good ones give back.
async fn sums(write: &mut Write, session: &str) -> Result<(u64, i64), StoreError> {
    let select = sqlx::query(
        "SELECT COUNT(*) AS asked, CAST(COALESCE(SUM(CASE WHEN failure = '' THEN amount_minor ELSE 0 END), 0) AS BIGINT) AS given \
         FROM sandbox_refunds WHERE session_id = $1",
    );
    match write.fetch_optional(select.bind(session.to_owned())).await? {
        Some(row) => Ok((row.number("asked")?, row.number("given")?)),
        None => Err(StoreError::Corrupt("a sum gave no row".into())),
    }
}

async fn insert(write: &mut Write, key: &str, given: &GivenBack, now: EventTime) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO sandbox_refunds (id, session_id, amount_minor, currency, failure, due_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(key.to_owned())
    .bind(given.session.clone())
    .bind(given.amount.minor)
    .bind(given.amount.currency.to_string())
    .bind(given.failure.clone())
    .bind(millis(given.due_at))
    .bind(millis(now));
    write.execute(insert).await.map(|_| ())
}

/// Its records, by session, above `after`: what has moved by now.
pub async fn sessions(
    database: &Database,
    after: &str,
    now: EventTime,
    limit: u32,
) -> Result<Vec<RecordedSession>, StoreError> {
    let select = sqlx::query(
        "SELECT s.id, CAST(CASE WHEN s.state IN ('paid', 'refunded') THEN s.amount_minor ELSE 0 END AS BIGINT) AS captured, \
         CAST(COALESCE((SELECT SUM(r.amount_minor) FROM sandbox_refunds r WHERE r.session_id = s.id AND r.failure = '' \
         AND r.due_at <= $2), 0) AS BIGINT) AS refunded FROM sandbox_sessions s WHERE s.id > $1 ORDER BY s.id LIMIT $3",
    );
    let select = select.bind(after.to_owned()).bind(millis(now)).bind(i64::from(limit));
    let of_row = |row: &Row| {
        let session = RecordedSession {
            id: row.string("id")?,
            captured_minor: row.number("captured")?,
            refunded_minor: row.number("refunded")?,
        };
        Ok(session)
    };
    database.fetch_all(select).await?.iter().map(of_row).collect()
}
