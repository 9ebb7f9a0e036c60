//! `bus.db`: its tables, and one round of changes to them. Knows nothing of who waits for what.

use std::path::Path;

use serde::Serialize;
use sqlx::{Connection as _, FromRow, Sqlite, SqliteConnection, Transaction, sqlite::SqliteArguments};

use crate::stores::{
    error::StoreError,
    order_bus::{DELIVERY_LIMIT, Message, Topic},
    sqlite,
};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, routing_key TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS message_in_order ON message (topic, id);
CREATE TABLE IF NOT EXISTS handed_out (topic INTEGER PRIMARY KEY, up_to INTEGER NOT NULL);
";

/// All bodies in one value, and where each begins in it: one statement for a batch. Nothing but empty bodies comes as NULL.
const PUBLISH: &str = "
INSERT INTO message (id, topic, routing_key, name, body)
SELECT ?1 + key, ?2, value ->> 0, value ->> 1, COALESCE(substr(?4, value ->> 2, value ->> 3), x'') FROM json_each(?3)";
const DELETE: &str = "DELETE FROM message WHERE id IN (SELECT value FROM json_each(?1))";
/// Under new ids: behind what that topic has had.
const BURY: &str = "
INSERT INTO message (id, topic, routing_key, name, body)
SELECT ?1 + ROW_NUMBER() OVER (ORDER BY id) - 1, ?2, routing_key, name, body FROM message
WHERE id IN (SELECT value FROM json_each(?3))";
/// Those that came back, whose last attempt is over,
const AGAIN: &str = "
UPDATE message SET attempts = attempts + 1 WHERE id IN (SELECT value FROM json_each(?1))
RETURNING id, routing_key, name, body, attempts";
/// and those never delivered by this process, in order.
const FRESH: &str = "
SELECT id, routing_key, name, body, attempts FROM message WHERE topic = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
/// Noted before they are handed out: a message that brings the process down must not do so for ever.
const HAND_OUT: &str = "
INSERT INTO handed_out (topic, up_to) VALUES (?1, ?2) ON CONFLICT (topic) DO UPDATE SET up_to = excluded.up_to";
/// The attempts under way when the process ended are over too.
const CUT_OFF: &str = "
UPDATE message SET attempts = attempts + 1
WHERE id <= (SELECT up_to FROM handed_out WHERE handed_out.topic = message.topic)";
const SPENT: &str = "SELECT id FROM message WHERE attempts >= ?1 AND topic <> ?2 ORDER BY id";

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

pub struct File {
    connection: SqliteConnection,
    is_synchronised: bool,
}

/// A message on its way to a consumer.
#[derive(FromRow)]
pub struct Taken {
    pub id: i64,
    routing_key: String,
    name: String,
    body: Vec<u8>,
    /// Before this one.
    pub attempts: u32,
}

impl Taken {
    pub fn into_message(self) -> Message {
        Message { routing_key: self.routing_key, id: self.name, body: self.body }
    }
}

impl File {
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let pool = sqlite::open(path, 1, SCHEMA).await?;
        let connection = pool.acquire().await.map_err(sqlite::error)?.detach();
        let mut file = Self { connection, is_synchronised: true };
        file.settle_cut_off().await?;
        Ok(file)
    }

    /// Ends the attempts that were under way when the process ended, and buries what has had its last one.
    async fn settle_cut_off(&mut self) -> Result<(), StoreError> {
        let next_id = self.highest_id().await? + 1;
        let mut round = self.begin(true).await?;
        round.execute(sqlx::query(CUT_OFF)).await?;
        round.execute(sqlx::query("DELETE FROM handed_out")).await?;
        let spent = sqlx::query_scalar(SPENT).bind(DELIVERY_LIMIT).bind(number(Topic::Dead));
        let spent: Vec<i64> = spent.fetch_all(&mut *round.transaction).await.map_err(sqlite::error)?;
        round.bury(next_id, &spent).await?;
        round.commit().await
    }

    /// Messages of the topic.
    pub async fn count(&mut self, topic: Topic) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM message WHERE topic = ?1").bind(number(topic));
        let count: i64 = count.fetch_one(&mut self.connection).await.map_err(sqlite::error)?;
        Ok(count.cast_unsigned())
    }

    /// 0 without messages. An id may be given twice in the life of the file, never in the life of a process.
    pub async fn highest_id(&mut self) -> Result<i64, StoreError> {
        let highest = sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM message");
        highest.fetch_one(&mut self.connection).await.map_err(sqlite::error)
    }

    /// `must_last`: the commit outlives a loss of power. What is merely acknowledged or handed out needs only to outlive
    /// the process: lost with the power, it is delivered once more.
    pub async fn begin(&mut self, must_last: bool) -> Result<Round<'_>, StoreError> {
        if self.is_synchronised != must_last {
            let pragma = if must_last { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            sqlx::query(pragma).execute(&mut self.connection).await.map_err(sqlite::error)?;
            self.is_synchronised = must_last;
        }
        let transaction = self.connection.begin_with("BEGIN IMMEDIATE").await.map_err(sqlite::error)?;
        Ok(Round { transaction })
    }
}

/// Changes that become true together.
pub struct Round<'a> {
    transaction: Transaction<'a, Sqlite>,
}

impl Round<'_> {
    pub async fn publish(&mut self, first: i64, topic: Topic, messages: &[Message]) -> Result<(), StoreError> {
        let mut bodies = Vec::new();
        let mut rows = Vec::with_capacity(messages.len());
        for Message { routing_key, id, body } in messages {
            // SQL counts from 1.
            rows.push((routing_key, id, bodies.len() + 1, body.len()));
            bodies.extend_from_slice(body);
        }
        self.execute(sqlx::query(PUBLISH).bind(first).bind(number(topic)).bind(json(&rows)?).bind(bodies)).await
    }

    pub async fn delete(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.execute(sqlx::query(DELETE).bind(json(&ids)?)).await
    }

    /// To the dead letters, as new messages from `first` on.
    pub async fn bury(&mut self, first: i64, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.execute(sqlx::query(BURY).bind(first).bind(number(Topic::Dead)).bind(json(&ids)?)).await?;
        self.delete(ids).await
    }

    /// The messages of these ids, and `more` after the id `after`; in order.
    pub async fn take(&mut self, topic: Topic, ids: &[i64], after: i64, more: u32) -> Result<Vec<Taken>, StoreError> {
        let mut taken: Vec<Taken> = Vec::new();
        if !ids.is_empty() {
            let again = sqlx::query_as(AGAIN).bind(json(&ids)?).fetch_all(&mut *self.transaction).await;
            taken = again.map_err(sqlite::error)?;
            taken.sort_unstable_by_key(|message| message.id);
        }
        let fresh = sqlx::query_as(FRESH).bind(number(topic)).bind(after).bind(more);
        taken.extend(fresh.fetch_all(&mut *self.transaction).await.map_err(sqlite::error)?);
        if let Some(last) = taken.last().filter(|last| last.id > after) {
            self.execute(sqlx::query(HAND_OUT).bind(number(topic)).bind(last.id)).await?;
        }
        Ok(taken)
    }

    async fn execute(&mut self, query: Query<'_>) -> Result<(), StoreError> {
        query.execute(&mut *self.transaction).await.map(drop).map_err(sqlite::error)
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(sqlite::error)
    }
}

/// As stored: never to be renumbered.
const fn number(topic: Topic) -> i64 {
    match topic {
        Topic::Orders => 1,
        Topic::Payments => 2,
        Topic::Dead => 3,
    }
}

fn json(values: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(values).map_err(|error| StoreError::Invalid(error.into()))
}
