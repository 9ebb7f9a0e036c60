//! `bus.db`: its tables, and one round of changes to them. Knows nothing of who waits for what.

use std::path::Path;

use sqlx::{Connection as _, FromRow, Sqlite, SqliteConnection, Transaction};

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
CREATE TABLE IF NOT EXISTS dead (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, routing_key TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
    attempts INTEGER NOT NULL
);
";

const PUBLISH: &str = "INSERT INTO message (id, topic, routing_key, name, body) VALUES (?1, ?2, ?3, ?4, ?5)";
const DELETE: &str = "DELETE FROM message WHERE id IN (SELECT value FROM json_each(?1))";
const BURY: &str = "
INSERT INTO dead (topic, routing_key, name, body, attempts)
SELECT topic, routing_key, name, body, attempts FROM message WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id";
/// Those that came back, by id, then those never delivered, in order. The attempt counts before the message is handed out:
/// one that brings the process down must not do so for ever.
const TAKE: &str = "
UPDATE message SET attempts = attempts + 1 WHERE id IN (
    SELECT value FROM json_each(?1)
    UNION ALL SELECT id FROM (SELECT id FROM message WHERE topic = ?2 AND id > ?3 ORDER BY id LIMIT ?4))
RETURNING id, routing_key, name, body, attempts";
const SPENT: &str = "SELECT id FROM message WHERE attempts >= ?1";

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
        file.bury_spent().await?;
        Ok(file)
    }

    /// Messages whose last attempt was under way when the process ended.
    async fn bury_spent(&mut self) -> Result<(), StoreError> {
        let spent: Vec<i64> = sqlx::query_scalar(SPENT)
            .bind(DELIVERY_LIMIT)
            .fetch_all(&mut self.connection)
            .await
            .map_err(sqlite::error)?;
        let mut round = self.begin(true).await?;
        round.bury(&spent).await?;
        round.commit().await
    }

    /// Messages of the topic, without the dead ones.
    pub async fn count(&mut self, topic: Topic) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM message WHERE topic = ?1").bind(number(topic));
        let count: i64 = count.fetch_one(&mut self.connection).await.map_err(sqlite::error)?;
        Ok(count.cast_unsigned())
    }

    pub async fn count_dead(&mut self) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM dead");
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
        for (id, message) in (first..).zip(messages) {
            sqlx::query(PUBLISH)
                .bind(id)
                .bind(number(topic))
                .bind(&message.routing_key)
                .bind(&message.id)
                .bind(&message.body)
                .execute(&mut *self.transaction)
                .await
                .map_err(sqlite::error)?;
        }
        Ok(())
    }

    pub async fn delete(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        self.by_ids(DELETE, ids).await
    }

    /// To the dead letters.
    pub async fn bury(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        self.by_ids(BURY, ids).await?;
        self.by_ids(DELETE, ids).await
    }

    async fn by_ids(&mut self, statement: &'static str, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = json(ids)?;
        sqlx::query(statement).bind(ids).execute(&mut *self.transaction).await.map_err(sqlite::error)?;
        Ok(())
    }

    /// The messages of these ids, and `more` after the id `after`; in order.
    pub async fn take(&mut self, topic: Topic, ids: &[i64], after: i64, more: u32) -> Result<Vec<Taken>, StoreError> {
        let mut taken: Vec<Taken> = sqlx::query_as(TAKE)
            .bind(json(ids)?)
            .bind(number(topic))
            .bind(after)
            .bind(more)
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(sqlite::error)?;
        taken.sort_unstable_by_key(|message| message.id);
        Ok(taken)
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
    }
}

fn json(ids: &[i64]) -> Result<String, StoreError> {
    serde_json::to_string(ids).map_err(|error| StoreError::Invalid(error.into()))
}
