//! Messages for the order bus: written with what they tell of, sent by a relay, kept until what they ask for is done.
//!
//! So a bus that loses what it has confirmed delays a payment and does not lose it.

use futures_util::future::try_join_all;
use uuid::Uuid;

use super::{
    Database, Query, Write,
    many::{Many, ROWS, Texts},
    row::{Row, millis},
    statement,
    together::Work,
};
use crate::{
    domain::time::EventTime,
    stores::{crash_point::Step, error::StoreError},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Ascending.
    pub id: Uuid,
    pub routing_key: String,
    /// JSON.
    pub body: String,
    pub created_at: EventTime,
}

pub async fn push(write: &mut Write, routing_key: &str, body: &str, now: EventTime) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    let insert = sqlx::query("INSERT INTO outbox (id, routing_key, body, created_at) VALUES ($1, $2, $3, $4)")
        .bind(id.to_string())
        .bind(routing_key.to_owned())
        .bind(body.to_owned())
        .bind(millis(now));
    write.execute(insert).await?;
    Ok(id)
}

static INSERT: Many = Many::new(|| {
    Texts::rows("INSERT INTO outbox (id, routing_key, body, created_at) VALUES ", 4, " ON CONFLICT DO NOTHING")
});

/// [`push`] for many: routing key, body and time.
pub(super) async fn push_many(write: &mut Write, messages: &[(&str, &str, EventTime)]) -> Result<(), StoreError> {
    let messages: Vec<_> = messages.iter().map(|message| (Uuid::now_v7(), message)).collect();
    for some in messages.chunks(ROWS) {
        let insert = INSERT.bound(write.backend(), some, |query, (id, (routing_key, body, now))| {
            query.bind(id.to_string()).bind((*routing_key).to_owned()).bind((*body).to_owned()).bind(millis(*now))
        });
        write.execute(insert).await?;
    }
    Ok(())
}

fn select(which: &'static str) -> Query {
    statement(["SELECT id, routing_key, body, created_at FROM outbox ", which])
}

/// Oldest first. Ask again from the start: one with a lower id may be committed later.
pub async fn unsent(database: &Database, limit: u32) -> Result<Vec<Unsent>, StoreError> {
    let select = select("WHERE sent_at IS NULL ORDER BY id LIMIT $1");
    database.fetch_all(select.bind(i64::from(limit))).await?.iter().map(of_row).collect()
}

/// Sent for the last time before `before`, and not done yet; the longest waiting first.
pub async fn overdue(database: &Database, before: EventTime, limit: u32) -> Result<Vec<Unsent>, StoreError> {
    let select = select("WHERE sent_at < $1 ORDER BY sent_at LIMIT $2");
    let select = select.bind(millis(before)).bind(i64::from(limit));
    database.fetch_all(select).await?.iter().map(of_row).collect()
}

fn of_row(row: &Row) -> Result<Unsent, StoreError> {
    Ok(Unsent {
        id: row.parsed("id")?,
        routing_key: row.string("routing_key")?,
        body: row.string("body")?,
        created_at: row.time("created_at")?,
    })
}

pub async fn mark_sent(database: &Database, ids: &[Uuid], now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    write.is_step(Step::MarkedSent);
    for some in ids.chunks(ROWS) {
        let update = MARK_SENT.bound(write.backend(), some, |query, id| query.bind(id.to_string()).bind(millis(now)));
        write.execute(update).await?;
    }
    write.commit().await
}

static MARK_SENT: Many = Many::new(|| Texts::updates("UPDATE outbox SET sent_at = v.column2", 2, "outbox.id", ""));

/// How many wait.
pub async fn count_unsent(database: &Database) -> Result<u64, StoreError> {
    database.count(sqlx::query("SELECT COUNT(*) AS count FROM outbox WHERE sent_at IS NULL")).await
}

/// What they ask for is done, or a person has it on the desk: they need not be sent again.
pub async fn done(database: &Database, ids: &[Uuid]) -> Result<(), StoreError> {
    try_join_all(ids.iter().map(|id| database.inner.desks.outbox.bring(database, Done(*id)))).await?;
    Ok(())
}

pub(super) struct Done(Uuid);

static DELETE: Many = Many::new(|| Texts::list("DELETE FROM outbox WHERE id IN ", ""));

impl Work for Done {
    type Done = ();

    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<()>>, StoreError> {
        let mut write = database.begin().await?;
        write.is_step(Step::OutboxDone);
        for some in all.chunks(ROWS) {
            write.execute(DELETE.bound(write.backend(), some, |query, Self(id)| query.bind(id.to_string()))).await?;
        }
        write.commit().await?;
        Ok(all.iter().map(|_| Some(())).collect())
    }

    async fn alone(self, database: &Database) -> Result<(), StoreError> {
        let mut write = database.begin().await?;
        write.is_step(Step::OutboxDone);
        write.execute(sqlx::query("DELETE FROM outbox WHERE id = $1").bind(self.0.to_string())).await?;
        write.commit().await
    }
}
