//! Messages to all who have tickets for an event: asked for in one row, written for some fans at a time.
//!
//! How far it is stands in the row and changes with the messages that it counts, so each fan gets one, whatever crashes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Database, Query, Write,
    messages::{self, Details, New},
    page::{self, Cursor, Page},
    row::{Row, json, millis},
    statement,
};
use crate::{
    domain::{
        id::{EventId, FanId},
        message::Kind,
        time::EventTime,
    },
    stores::error::StoreError,
};

/// Of a broadcast, by language.
pub type Texts = BTreeMap<String, Said>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub subject: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailing {
    /// Ascending.
    pub id: Uuid,
    pub event: EventId,
    pub kind: Kind,
    pub texts: Texts,
    pub reason: String,
    pub asked_by: FanId,
    pub asked_at: EventTime,
    /// All up to this one have it; as text, for nobody is below the empty one.
    pub after: String,
    pub told: u64,
    pub done_at: Option<EventTime>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    pub event: EventId,
    pub kind: Kind,
    pub texts: &'a Texts,
    pub reason: &'a str,
    pub by: FanId,
}

pub async fn ask(write: &mut Write, asked: &Asked<'_>, now: EventTime) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    let insert = sqlx::query(
        "INSERT INTO mailings (id, event_id, kind, texts, reason, asked_by, asked_at, after_fan, told, next_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, '', 0, $7)",
    )
    .bind(id.simple().to_string())
    .bind(asked.event.to_string())
    .bind(asked.kind.name())
    .bind(json(asked.texts))
    .bind(asked.reason.to_owned())
    .bind(asked.by.to_string())
    .bind(millis(now));
    write.execute(insert).await?;
    Ok(id)
}

fn select(which: &'static str) -> Query {
    const COLUMNS: &str = "id, event_id, kind, texts, reason, asked_by, asked_at, after_fan, told, done_at";
    statement(["SELECT ", COLUMNS, " FROM mailings ", which])
}

/// The longest waiting first.
pub async fn due(database: &Database, now: EventTime, limit: u32) -> Result<Vec<Mailing>, StoreError> {
    let select = select("WHERE done_at IS NULL AND next_at <= $1 ORDER BY next_at LIMIT $2");
    let select = select.bind(millis(now)).bind(i64::from(limit));
    database.fetch_all(select).await?.iter().map(of_row).collect()
}

pub async fn by_id(database: &Database, id: Uuid) -> Result<Option<Mailing>, StoreError> {
    let select = select("WHERE id = $1").bind(id.simple().to_string());
    database.fetch_optional(select).await?.map(|row| of_row(&row)).transpose()
}

/// Of an event, newest first.
pub async fn list(
    database: &Database,
    event: EventId,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Mailing>, StoreError> {
    let (at, id) = page::below(cursor);
    let select = select("WHERE event_id = $1 AND (asked_at, id) < ($2, $3) ORDER BY asked_at DESC, id DESC LIMIT $4")
        .bind(event.to_string())
        .bind(at)
        .bind(id)
        .bind(page::rows_and_one(limit));
    let mailings = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(mailings, limit, |mailing| (mailing.asked_at, mailing.id.simple().to_string())))
}

/// Broadcasts to an event since then.
pub async fn broadcasts_since(database: &Database, event: EventId, since: EventTime) -> Result<u64, StoreError> {
    let count = "SELECT COUNT(*) AS count FROM mailings WHERE event_id = $1 AND kind = 'broadcast' AND asked_at > $2";
    database.count(sqlx::query(count).bind(event.to_string()).bind(millis(since))).await
}

/// Fans who have tickets, or had until the event was cancelled.
pub async fn count_fans(database: &Database, event: EventId) -> Result<u64, StoreError> {
    let count =
        statement(["SELECT COUNT(DISTINCT t.fan_id) AS count FROM tickets t WHERE t.event_id = $1 AND ", HOLDS]);
    database.count(count.bind(event.to_string())).await
}

const HOLDS: &str = "(t.state = 'live' OR t.refund_id IN \
                     (SELECT r.id FROM refunds r WHERE r.event_id = t.event_id AND r.reason = 'event_cancelled'))";

/// Writes it for the next fans, at most so many; `true` if there are no more. Does nothing if another node was first.
pub async fn step(database: &Database, mailing: &Mailing, limit: u32, now: EventTime) -> Result<bool, StoreError> {
    let mut write = database.begin().await?;
    let select = statement([
        "SELECT DISTINCT t.fan_id AS fan_id FROM tickets t WHERE t.event_id = $1 AND t.fan_id > $2 AND ",
        HOLDS,
        " ORDER BY t.fan_id LIMIT $3",
    ]);
    let select = select.bind(mailing.event.to_string()).bind(mailing.after.clone()).bind(i64::from(limit));
    let fans: Vec<FanId> =
        write.fetch_all(select).await?.iter().map(|row| row.parsed("fan_id")).collect::<Result<_, _>>()?;
    let is_done = fans.len() < limit as usize;
    let last = fans.last().map_or_else(|| mailing.after.clone(), ToString::to_string);
    let update = sqlx::query(
        "UPDATE mailings SET after_fan = $3, told = told + $4, done_at = $5, next_at = $6 \
         WHERE id = $1 AND after_fan = $2 AND done_at IS NULL",
    )
    .bind(mailing.id.simple().to_string())
    .bind(mailing.after.clone())
    .bind(last)
    .bind(i64::try_from(fans.len()).unwrap_or(i64::MAX))
    .bind(is_done.then_some(millis(now)))
    .bind(millis(now));
    if write.execute(update).await? != 1 {
        return Ok(is_done);
    }
    let new = |account| New {
        account,
        kind: mailing.kind,
        about: mailing.id.simple().to_string(),
        event: Some(mailing.event),
        details: Details::new(),
    };
    let messages: Vec<New> = fans.into_iter().map(new).collect();
    messages::write(&mut write, &messages, now).await?;
    write.commit().await?;
    Ok(is_done)
}

fn of_row(row: &Row) -> Result<Mailing, StoreError> {
    Ok(Mailing {
        id: row.parsed("id")?,
        event: row.parsed("event_id")?,
        kind: row.named("kind")?,
        texts: row.json("texts")?,
        reason: row.string("reason")?,
        asked_by: row.parsed("asked_by")?,
        asked_at: row.time("asked_at")?,
        after: row.string("after_fan")?,
        told: row.number("told")?,
        done_at: row.time_if_any("done_at")?,
    })
}
