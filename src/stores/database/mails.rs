//! Mails that go out: written with what they tell of, taken by one sender at a time, and what became of each attempt.
//!
//! A sender takes a mail for a while. One that dies amid sending leaves it taken until that is over; then it goes out again, so a
//! mail may come twice and is never lost.

use std::fmt;

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Database, Query, Write,
    many::{Many, ROWS, Texts},
    page::{self, Cursor, Page},
    row::{Row, millis},
    statement,
};
use crate::{
    domain::{
        id::{FanId, OrderRef},
        time::{EventTime, Millis},
    },
    stores::{crash_point::Step, error::StoreError},
};

/// How long it is tried to send one.
pub const TRIED_FOR: Millis = Millis::minutes(3 * 24 * 60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Ascending.
    pub id: Uuid,
    pub about: About,
    /// Whom it is for.
    pub account: FanId,
    pub state: State,
    pub attempts: u32,
    /// Not before; while somebody is at it, when another may.
    pub next_at: EventTime,
    pub give_up_at: EventTime,
    /// Of the last attempt; names no address.
    pub last_outcome: String,
    pub created_at: EventTime,
    pub sent_at: Option<EventTime>,
}

/// What one brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The tickets of an order.
    Tickets(OrderRef),
    /// A row of `messages`.
    Message(Uuid),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Tickets,
    Message,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Waiting,
    Sent,
    /// Refused for good, or tried for too long; a person may have it sent again.
    Failed,
}

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    pub at: EventTime,
    pub outcome: String,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tickets => "tickets",
            Self::Message => "message",
        }
    }
}

impl About {
    pub const fn kind(self) -> Kind {
        match self {
            Self::Tickets(_) => Kind::Tickets,
            Self::Message(_) => Kind::Message,
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tickets(reference) => write!(f, "tickets of {reference}"),
            Self::Message(id) => write!(f, "message {}", id.simple()),
        }
    }
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

/// One for each kind and order: asked for again it changes nothing.
pub async fn enqueue(
    write: &mut Write,
    kind: Kind,
    reference: OrderRef,
    account: FanId,
    now: EventTime,
) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO mails (id, kind, order_reference, account_id, state, attempts, next_at, give_up_at, last_outcome, \
         created_at) VALUES ($1, $2, $3, $4, 'waiting', 0, $5, $6, '', $5) ON CONFLICT (kind, order_reference) DO NOTHING",
    )
    .bind(Uuid::now_v7().simple().to_string())
    .bind(kind.as_str())
    .bind(reference.to_string())
    .bind(account.to_string())
    .bind(millis(now))
    .bind(millis(now + TRIED_FOR));
    write.execute(insert).await.map(|_| ())
}

static INSERT: Many = Many::new(|| {
    let before = "INSERT INTO mails (id, kind, order_reference, account_id, state, attempts, next_at, give_up_at, \
                  last_outcome, created_at) VALUES ";
    Texts::rows(before, 10, " ON CONFLICT (kind, order_reference) DO NOTHING")
});

/// [`enqueue`] for many, of one kind.
pub(super) async fn enqueue_many(
    write: &mut Write,
    kind: Kind,
    mails: &[(OrderRef, FanId, EventTime)],
) -> Result<(), StoreError> {
    let mails = mails.iter().map(|(reference, account, now)| (reference.to_string(), *account, *now));
    insert(write, kind, &mails.collect::<Vec<_>>()).await
}

/// Of messages, by their ids; one for each.
pub(super) async fn enqueue_messages(
    write: &mut Write,
    messages: &[(Uuid, FanId, EventTime)],
) -> Result<(), StoreError> {
    let mails = messages.iter().map(|(id, account, now)| (id.simple().to_string(), *account, *now));
    insert(write, Kind::Message, &mails.collect::<Vec<_>>()).await
}

async fn insert(write: &mut Write, kind: Kind, mails: &[(String, FanId, EventTime)]) -> Result<(), StoreError> {
    for some in mails.chunks(ROWS) {
        let insert = INSERT.bound(write.backend(), some, |query, (about, account, now)| {
            query
                .bind(Uuid::now_v7().simple().to_string())
                .bind(kind.as_str())
                .bind(about.clone())
                .bind(account.to_string())
                .bind(State::Waiting.as_str())
                .bind(0_i64)
                .bind(millis(*now))
                .bind(millis(*now + TRIED_FOR))
                .bind("")
                .bind(millis(*now))
        });
        write.execute(insert).await?;
    }
    Ok(())
}

/// [`Mail`]s, as [`of_row`] reads them.
fn select(which: &'static str) -> Query {
    const COLUMNS: &str = "id, kind, order_reference, account_id, state, attempts, next_at, give_up_at, last_outcome, created_at, \
         sent_at";
    statement(["SELECT ", COLUMNS, " FROM mails ", which])
}

/// Those that may go out now, the longest waiting first.
pub async fn due(database: &Database, now: EventTime, limit: u32) -> Result<Vec<Mail>, StoreError> {
    let select = select("WHERE state = 'waiting' AND next_at <= $1 ORDER BY next_at LIMIT $2");
    let select = select.bind(millis(now)).bind(i64::from(limit));
    database.fetch_all(select).await?.iter().map(of_row).collect()
}

pub async fn by_id(database: &Database, id: Uuid) -> Result<Option<Mail>, StoreError> {
    let select = select("WHERE id = $1");
    database.fetch_optional(select.bind(id.simple().to_string())).await?.map(|row| of_row(&row)).transpose()
}

/// Newest first.
pub async fn list(
    database: &Database,
    state: Option<State>,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Mail>, StoreError> {
    let (at, id) = page::below(cursor);
    let select = select(
        "WHERE (created_at, id) < ($1, $2) AND ($3 = '' OR state = $3) ORDER BY created_at DESC, id DESC LIMIT $4",
    )
    .bind(at)
    .bind(id)
    .bind(state.map_or("", State::as_str))
    .bind(page::rows_and_one(limit));
    let mails = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(mails, limit, |mail| (mail.created_at, mail.id.simple().to_string())))
}

/// By number.
pub async fn attempts(database: &Database, id: Uuid) -> Result<Vec<Attempt>, StoreError> {
    let select =
        sqlx::query("SELECT number, at, outcome FROM mail_attempts WHERE mail_id = $1 ORDER BY number LIMIT 200");
    let rows = database.fetch_all(select.bind(id.simple().to_string())).await?;
    rows.iter()
        .map(|row| Ok(Attempt { number: row.number("number")?, at: row.time("at")?, outcome: row.string("outcome")? }))
        .collect()
}

/// For one attempt: until then nobody else takes it. `None` if somebody has.
pub async fn take(database: &Database, mail: Mail, until: EventTime) -> Result<Option<Mail>, StoreError> {
    let update = sqlx::query(
        "UPDATE mails SET next_at = $3, attempts = attempts + 1 WHERE id = $1 AND attempts = $2 AND state NOT IN ('sent', 'failed')",
    )
    .bind(mail.id.simple().to_string())
    .bind(i64::from(mail.attempts))
    .bind(millis(until));
    let mut write = database.begin().await?;
    write.is_step(Step::MailTaken);
    let is_mine = write.execute(update).await? == 1;
    write.commit().await?;
    Ok(is_mine.then_some(Mail { attempts: mail.attempts + 1, next_at: until, ..mail }))
}

/// What became of the attempt that [`take`] began. Nothing if the mail has been taken again since.
pub async fn record(
    database: &Database,
    mail: &Mail,
    (state, next_at): (State, EventTime),
    outcome: &str,
    now: EventTime,
) -> Result<(), StoreError> {
    let update = sqlx::query(
        "UPDATE mails SET state = $3, next_at = $4, last_outcome = $5, sent_at = COALESCE($6, sent_at) \
         WHERE id = $1 AND attempts = $2 AND state NOT IN ('sent', 'failed')",
    )
    .bind(mail.id.simple().to_string())
    .bind(i64::from(mail.attempts))
    .bind(state.as_str())
    .bind(millis(next_at))
    .bind(outcome.to_owned())
    .bind((state == State::Sent).then_some(millis(now)));
    let insert = sqlx::query(
        "INSERT INTO mail_attempts (mail_id, number, at, outcome) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (mail_id, number) DO NOTHING",
    )
    .bind(mail.id.simple().to_string())
    .bind(i64::from(mail.attempts))
    .bind(millis(now))
    .bind(outcome.to_owned());
    let mut write = database.begin().await?;
    write.is_step(Step::MailRecorded);
    if write.execute(update).await? == 1 {
        write.execute(insert).await?;
    }
    write.commit().await
}

/// It goes out again, and is tried for as long as a new one. [`StoreError::Conflict`] if it is not there.
pub async fn send_again(write: &mut Write, id: Uuid, now: EventTime) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE mails SET state = 'waiting', next_at = $2, give_up_at = $3 WHERE id = $1");
    let update = update.bind(id.simple().to_string()).bind(millis(now)).bind(millis(now + TRIED_FOR));
    match write.execute(update).await? {
        0 => Err(StoreError::Conflict("there is no such mail")),
        _ => Ok(()),
    }
}

fn of_row(row: &Row) -> Result<Mail, StoreError> {
    Ok(Mail {
        id: row.parsed("id")?,
        about: match row.named("kind")? {
            Kind::Tickets => About::Tickets(row.parsed("order_reference")?),
            Kind::Message => About::Message(row.parsed("order_reference")?),
        },
        account: row.parsed("account_id")?,
        state: row.named("state")?,
        attempts: row.number("attempts")?,
        next_at: row.time("next_at")?,
        give_up_at: row.time("give_up_at")?,
        last_outcome: row.string("last_outcome")?,
        created_at: row.time("created_at")?,
        sent_at: row.time_if_any("sent_at")?,
    })
}
