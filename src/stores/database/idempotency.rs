//! Requests that must have one effect: what each key was used for, and what it answered.
//!
//! A key is *running* until its answer is there. One that has run for a minute belongs to a request that died, one that was
//! handed on to a request that ended without knowing its outcome: whoever asks next takes it over and must continue under the
//! same keys at others.

use std::collections::HashSet;

use super::{
    Database, Write, fault,
    many::{Many, ROWS, Texts},
    row::millis,
    together::Work,
};
use crate::{
    domain::time::{EventTime, Millis},
    stores::error::StoreError,
};

/// A running request older than this may be resumed.
pub const RESUMABLE: Millis = Millis::seconds(60);
/// How long an answer is kept.
pub const KEPT: Millis = Millis::minutes(24 * 60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Do it, then [`finish`] or [`abandon`]. `resumed`: somebody had begun, and it may be half done.
    Yours {
        resumed: bool,
    },
    Running {
        since: EventTime,
    },
    /// The key was used for another request.
    OtherBody,
    Done {
        status: u16,
        response: String,
    },
}

/// `key`: SHA-256 over principal, route and Idempotency-Key, `body`: over the request's body, both hexadecimal.
pub async fn begin(database: &Database, key: &str, body: &str, now: EventTime) -> Result<Begun, StoreError> {
    let begin = Begin { key: key.to_owned(), body: body.to_owned(), now };
    database.inner.desks.keys.bring(database, begin).await
}

pub(super) struct Begin {
    key: String,
    body: String,
    now: EventTime,
}

static INSERT: Many = Many::new(|| {
    let before = "INSERT INTO idempotency_keys (key, body, created_at) VALUES ";
    Texts::rows(before, 3, " ON CONFLICT DO NOTHING RETURNING key")
});

impl Work for Begin {
    type Done = Begun;

    /// Keys that nobody has used.
    async fn together(database: &Database, all: &[Self]) -> Result<Vec<Option<Begun>>, StoreError> {
        let mut by_key: Vec<&Self> = all.iter().collect();
        by_key.sort_by(|a, b| a.key.cmp(&b.key));
        let (mut write, mut new) = (database.begin().await?, HashSet::new());
        for some in by_key.chunks(ROWS) {
            let insert = INSERT.bound(write.backend(), some, |query, Self { key, body, now }| {
                query.bind(key.clone()).bind(body.clone()).bind(millis(*now))
            });
            for row in write.fetch_all(insert).await? {
                new.insert(row.string("key")?);
            }
        }
        write.commit().await?;
        // Of several with one key the first was inserted.
        let new = all.iter().map(|begin| new.remove(&begin.key));
        Ok(new.map(|is_new| is_new.then_some(Begun::Yours { resumed: false })).collect())
    }

    async fn alone(self, database: &Database) -> Result<Begun, StoreError> {
        begin_alone(database, &self.key, &self.body, self.now).await
    }
}

async fn begin_alone(database: &Database, key: &str, body: &str, now: EventTime) -> Result<Begun, StoreError> {
    let mut write = database.begin().await?;
    for _ in 0..ROUNDS {
        if insert(&mut write, key, body, now).await? {
            write.commit().await?;
            return Ok(Begun::Yours { resumed: false });
        }
        // It may be gone by now: given up, or too old.
        let Some(found) = read(&mut write, key).await? else { continue };
        let age = now.since(found.since);
        if age >= KEPT {
            delete(&mut write, key, found.since).await?;
            continue;
        }
        if found.body != body {
            return Ok(Begun::OtherBody);
        }
        if let Some((status, response)) = found.answer {
            return Ok(Begun::Done { status, response });
        }
        if age < RESUMABLE {
            return Ok(Begun::Running { since: found.since });
        }
        if resume(&mut write, key, found.since, now).await? {
            write.commit().await?;
            return Ok(Begun::Yours { resumed: true });
        }
    }
    Err(fault::contended())
}

/// Best in the transaction of the effect. [`StoreError::Conflict`] if the key is not running: somebody resumed it and was
/// first.
pub async fn finish(write: &mut Write, key: &str, status: u16, response: &str) -> Result<(), StoreError> {
    let update =
        sqlx::query("UPDATE idempotency_keys SET status = $2, response = $3 WHERE key = $1 AND status IS NULL");
    let update = update.bind(key.to_owned()).bind(i64::from(status)).bind(response.to_owned());
    match write.execute(update).await? {
        0 => Err(StoreError::Conflict("the key is not running")),
        _ => Ok(()),
    }
}

static FINISH: Many = Many::new(|| {
    let before = "UPDATE idempotency_keys SET status = v.column2, response = v.column3";
    Texts::updates(before, 3, "idempotency_keys.key", " AND idempotency_keys.status IS NULL")
});

/// [`finish`] for many, of different keys; `false` if any of them is not running.
pub(super) async fn finish_many(write: &mut Write, answers: &[(&str, u16, String)]) -> Result<bool, StoreError> {
    let mut finished = 0;
    for some in answers.chunks(ROWS) {
        let update = FINISH.bound(write.backend(), some, |query, (key, status, response)| {
            query.bind((*key).to_owned()).bind(i64::from(*status)).bind(response.clone())
        });
        finished += write.execute(update).await?;
    }
    Ok(finished == answers.len() as u64)
}

/// Nothing was done: the key is free again. Does nothing to a finished one.
pub async fn abandon(database: &Database, key: &str) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let delete = sqlx::query("DELETE FROM idempotency_keys WHERE key = $1 AND status IS NULL");
    write.execute(delete.bind(key.to_owned())).await?;
    write.commit().await
}

/// The attempt that [`begin`] let in at `began` has ended and does not know what became of it: whoever asks next resumes it at
/// once. A commit of it that is still under way holds the row, so that its outcome is waited for. Does nothing to a finished
/// one, nor to one that somebody has resumed.
pub async fn hand_on(database: &Database, key: &str, began: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    resume(&mut write, key, began, began - RESUMABLE).await?;
    write.commit().await
}

/// Whoever ran requests on this database has died: all that were running may be resumed at once. For a process that has just
/// started and that nobody shares the database with.
pub async fn resume_all(database: &Database, now: EventTime) -> Result<(), StoreError> {
    let mut write = database.begin().await?;
    let update = sqlx::query("UPDATE idempotency_keys SET created_at = $1 WHERE status IS NULL AND created_at > $1");
    write.execute(update.bind(millis(now - RESUMABLE))).await?;
    write.commit().await
}

/// Forgets what is older than [`KEPT`]; says how many.
pub async fn purge(database: &Database, now: EventTime) -> Result<u64, StoreError> {
    let mut write = database.begin().await?;
    let delete = sqlx::query("DELETE FROM idempotency_keys WHERE created_at <= $1");
    let count = write.execute(delete.bind(millis(now - KEPT))).await?;
    write.commit().await?;
    Ok(count)
}

const ROUNDS: usize = 8;

struct Found {
    body: String,
    since: EventTime,
    answer: Option<(u16, String)>,
}

async fn insert(write: &mut Write, key: &str, body: &str, now: EventTime) -> Result<bool, StoreError> {
    let insert =
        sqlx::query("INSERT INTO idempotency_keys (key, body, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
    Ok(write.execute(insert.bind(key.to_owned()).bind(body.to_owned()).bind(millis(now))).await? == 1)
}

async fn read(write: &mut Write, key: &str) -> Result<Option<Found>, StoreError> {
    let select = sqlx::query("SELECT body, status, response, created_at FROM idempotency_keys WHERE key = $1");
    let Some(row) = write.fetch_optional(select.bind(key.to_owned())).await? else { return Ok(None) };
    let status = row.number_if_any("status")?;
    let answer = match status {
        Some(status) => Some((status, row.string("response")?)),
        None => None,
    };
    Ok(Some(Found { body: row.string("body")?, since: row.time("created_at")?, answer }))
}

async fn delete(write: &mut Write, key: &str, since: EventTime) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM idempotency_keys WHERE key = $1 AND created_at = $2");
    write.execute(delete.bind(key.to_owned()).bind(millis(since))).await.map(|_| ())
}

/// Of several that would resume it, one does.
async fn resume(write: &mut Write, key: &str, since: EventTime, now: EventTime) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE idempotency_keys SET created_at = $3 WHERE key = $1 AND created_at = $2 AND status IS NULL",
    );
    Ok(write.execute(update.bind(key.to_owned()).bind(millis(since)).bind(millis(now))).await? == 1)
}
