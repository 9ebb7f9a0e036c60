//! Messages that wait for the order bus: written with what they tell of, sent by a relay, at least once.

use uuid::Uuid;

use super::{Database, Write, row::millis};
use crate::{domain::time::EventTime, stores::error::StoreError};

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

/// Oldest first. Ask again from the start: one with a lower id may be committed later.
pub async fn unsent(database: &Database, limit: u32) -> Result<Vec<Unsent>, StoreError> {
    let select =
        sqlx::query("SELECT id, routing_key, body, created_at FROM outbox WHERE sent_at IS NULL ORDER BY id LIMIT $1");
    let rows = database.fetch_all(select.bind(i64::from(limit))).await?;
    rows.iter()
        .map(|row| {
            Ok(Unsent {
                id: row.parsed("id")?,
                routing_key: row.string("routing_key")?,
                body: row.string("body")?,
                created_at: row.time("created_at")?,
            })
        })
        .collect()
}

pub async fn mark_sent(database: &Database, ids: &[Uuid], now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    for id in ids {
        let update = sqlx::query("UPDATE outbox SET sent_at = $2 WHERE id = $1 AND sent_at IS NULL");
        write.execute(update.bind(id.to_string()).bind(millis(now))).await?;
    }
    write.commit().await
}

/// How many wait.
pub async fn count_unsent(database: &Database) -> Result<u64, StoreError> {
    database.count(sqlx::query("SELECT COUNT(*) AS count FROM outbox WHERE sent_at IS NULL")).await
}

/// Forgets what was sent before `before`; says how many.
pub async fn purge(database: &Database, before: EventTime) -> Result<u64, StoreError> {
    let mut write = database.begin().await?;
    let delete = sqlx::query("DELETE FROM outbox WHERE sent_at < $1");
    let count = write.execute(delete.bind(millis(before))).await?;
    write.commit().await?;
    Ok(count)
}
