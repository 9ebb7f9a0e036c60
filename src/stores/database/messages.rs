//! What fans are told: written once for each fan, kind and what it is about; listed, read and deleted by the fan.
//!
//! Owns on which ways one comes, by what the fan wants when it is written. What it says is made elsewhere, when it is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Database, Query, Write, mails,
    many::{Many, ROWS, Texts},
    page::{self, Cursor, Page},
    row::{Row, json, millis},
    statement,
};
use crate::{
    domain::{
        id::{EventId, FanId},
        message::Kind,
        time::{EventTime, Millis},
    },
    stores::{crash_point::Step, error::StoreError},
};

/// Older ones are forgotten.
pub const KEPT_FOR: Millis = Millis::minutes(365 * 24 * 60);

/// What a message's texts name, by their places.
pub type Details = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    pub account: FanId,
    pub kind: Kind,
    /// What makes it this message and no other: the same is written once.
    pub about: String,
    pub event: Option<EventId>,
    pub details: Details,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Ascending.
    pub id: Uuid,
    pub account: FanId,
    pub kind: Kind,
    pub about: String,
    pub event: Option<EventId>,
    pub details: Details,
    /// In the fan's list.
    pub is_shown: bool,
    pub read_at: Option<EventTime>,
    pub created_at: EventTime,
}

/// What a fan wants of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub mail: bool,
    pub in_app: bool,
}

static SETTINGS: Many =
    Many::new(|| Texts::list("SELECT account_id, kind, mail, in_app FROM message_settings WHERE account_id IN ", ""));

static INSERT: Many = Many::new(|| {
    let before = "INSERT INTO messages (id, account_id, kind, about, event_id, details, in_app, created_at) VALUES ";
    Texts::rows(before, 8, " ON CONFLICT (account_id, kind, about) DO NOTHING")
});

static WRITTEN: Many = Many::new(|| Texts::list("SELECT id, account_id FROM messages WHERE id IN ", ""));

/// Each once, with its mail; any number of times.
pub async fn write(write: &mut Write, messages: &[New], now: EventTime) -> Result<(), StoreError> {
    let accounts: Vec<FanId> = messages.iter().map(|one| one.account).collect::<BTreeSet<_>>().into_iter().collect();
    let mut wanted: HashMap<(FanId, Kind), Wanted> = HashMap::new();
    for some in accounts.chunks(ROWS) {
        let rows = write
            .fetch_all(SETTINGS.bound(write.backend(), some, |query, account| query.bind(account.to_string())))
            .await?;
        for row in rows {
            wanted.insert((row.parsed("account_id")?, row.named("kind")?), wanted_of(&row)?);
        }
    }
    let ways = |one: &New| {
        let (row, wanted) = (one.kind.row(), wanted.get(&(one.account, one.kind)));
        // The mail with the tickets is written with the tickets.
        let mail = one.kind != Kind::Tickets && row.mail.is_on(wanted.map(|wanted| wanted.mail));
        (mail, row.in_app.is_on(wanted.map(|wanted| wanted.in_app)))
    };
    let rows: Vec<(Uuid, &New, bool, bool)> = messages
        .iter()
        .map(|one| (one, ways(one)))
        .filter(|(_, (mail, in_app))| *mail || *in_app)
        .map(|(one, (mail, in_app))| (Uuid::now_v7(), one, mail, in_app))
        .collect();
    for some in rows.chunks(ROWS) {
        let insert = INSERT.bound(write.backend(), some, |query, (id, one, _, in_app)| {
            query
                .bind(text(*id))
                .bind(one.account.to_string())
                .bind(one.kind.name())
                .bind(one.about.clone())
                .bind(one.event.map(|event| event.to_string()))
                .bind(json(&one.details))
                .bind(i64::from(*in_app))
                .bind(millis(now))
        });
        write.execute(insert).await?;
        let mailed: Vec<Uuid> = some.iter().filter(|row| row.2).map(|row| row.0).collect();
        if mailed.is_empty() {
            continue;
        }
        // Of one that was there before the mail is there, too.
        let mut mails = Vec::with_capacity(mailed.len());
        for row in write.fetch_all(WRITTEN.bound(write.backend(), &mailed, |query, id| query.bind(text(*id)))).await? {
            mails.push((row.parsed("id")?, row.parsed("account_id")?, now));
        }
        mails::enqueue_messages(write, &mails).await?;
    }
    Ok(())
}

/// [`write`], in a transaction of its own.
pub async fn write_alone(database: &Database, messages: &[New], now: EventTime) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    transaction.is_step(Step::MessageWritten);
    write(&mut transaction, messages, now).await?;
    transaction.commit().await
}

fn select(which: &'static str) -> Query {
    const COLUMNS: &str = "id, account_id, kind, about, event_id, details, in_app, read_at, created_at";
    statement(["SELECT ", COLUMNS, " FROM messages ", which])
}

/// Also one that is in nobody's list.
pub async fn by_id(database: &Database, id: Uuid) -> Result<Option<Message>, StoreError> {
    database.fetch_optional(select("WHERE id = $1").bind(text(id))).await?.map(|row| of_row(&row)).transpose()
}

/// A fan's, newest first.
pub async fn list(
    database: &Database,
    account: FanId,
    unread_only: bool,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Message>, StoreError> {
    let (at, id) = page::below(cursor);
    let select = select(
        "WHERE account_id = $1 AND in_app = 1 AND (created_at, id) < ($2, $3) AND ($4 = 0 OR read_at IS NULL) \
         ORDER BY created_at DESC, id DESC LIMIT $5",
    )
    .bind(account.to_string())
    .bind(at)
    .bind(id)
    .bind(i64::from(unread_only))
    .bind(page::rows_and_one(limit));
    let messages = database.fetch_all(select).await?.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::of(messages, limit, |message| (message.created_at, text(message.id))))
}

/// How many are in the fan's list, and how many of them unread.
pub async fn count(database: &Database, account: FanId) -> Result<(u64, u64), StoreError> {
    let all = "SELECT COUNT(*) AS count FROM messages WHERE account_id = $1 AND in_app = 1";
    let all = database.count(sqlx::query(all).bind(account.to_string())).await?;
    let unread = "SELECT COUNT(*) AS count FROM messages WHERE account_id = $1 AND in_app = 1 AND read_at IS NULL";
    Ok((all, database.count(sqlx::query(unread).bind(account.to_string())).await?))
}

/// Those of the fan's among them, or all; how many that changed.
pub async fn mark_read(
    write: &mut Write,
    account: FanId,
    ids: Option<&[Uuid]>,
    now: EventTime,
) -> Result<u64, StoreError> {
    let all = "UPDATE messages SET read_at = $2 WHERE account_id = $1 AND in_app = 1 AND read_at IS NULL";
    change(write, account, ids, all, now).await
}

/// The same, out of the fan's list. A mail that waits goes out all the same.
pub async fn delete(
    write: &mut Write,
    account: FanId,
    ids: Option<&[Uuid]>,
    now: EventTime,
) -> Result<u64, StoreError> {
    let all = "UPDATE messages SET in_app = 0, read_at = COALESCE(read_at, $2) WHERE account_id = $1 AND in_app = 1";
    change(write, account, ids, all, now).await
}

async fn change(
    write: &mut Write,
    account: FanId,
    ids: Option<&[Uuid]>,
    all: &'static str,
    now: EventTime,
) -> Result<u64, StoreError> {
    let bound = |query: Query| query.bind(account.to_string()).bind(millis(now));
    let Some(ids) = ids else { return write.execute(bound(sqlx::query(all))).await };
    let mut changed = 0;
    for id in ids {
        changed += write.execute(bound(statement([all, " AND id = $3"])).bind(text(*id))).await?;
    }
    Ok(changed)
}

/// What the fan wants otherwise than it is by default.
pub async fn settings(database: &Database, account: FanId) -> Result<HashMap<Kind, Wanted>, StoreError> {
    let select = sqlx::query("SELECT account_id, kind, mail, in_app FROM message_settings WHERE account_id = $1");
    let rows = database.fetch_all(select.bind(account.to_string())).await?;
    rows.iter().map(|row| Ok((row.named("kind")?, wanted_of(row)?))).collect()
}

pub async fn want(write: &mut Write, account: FanId, kind: Kind, wanted: Wanted) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO message_settings (account_id, kind, mail, in_app) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (account_id, kind) DO UPDATE SET mail = excluded.mail, in_app = excluded.in_app",
    )
    .bind(account.to_string())
    .bind(kind.name())
    .bind(i64::from(wanted.mail))
    .bind(i64::from(wanted.in_app));
    write.execute(insert).await.map(|_| ())
}

/// How many are forgotten, at most `limit`: those from before.
pub async fn forget(database: &Database, before: EventTime, limit: u32) -> Result<u64, StoreError> {
    let mut write = database.begin().await?;
    let delete = sqlx::query(
        "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
    );
    let forgotten = write.execute(delete.bind(millis(before)).bind(i64::from(limit))).await?;
    write.commit().await?;
    Ok(forgotten)
}

fn wanted_of(row: &Row) -> Result<Wanted, StoreError> {
    Ok(Wanted { mail: row.number::<i64>("mail")? == 1, in_app: row.number::<i64>("in_app")? == 1 })
}

fn text(id: Uuid) -> String {
    id.simple().to_string()
}

fn of_row(row: &Row) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.parsed("id")?,
        account: row.parsed("account_id")?,
        kind: row.named("kind")?,
        about: row.string("about")?,
        event: row.parsed_if_any("event_id")?,
        details: row.json("details")?,
        is_shown: row.number::<i64>("in_app")? == 1,
        read_at: row.time_if_any("read_at")?,
        created_at: row.time("created_at")?,
    })
}
