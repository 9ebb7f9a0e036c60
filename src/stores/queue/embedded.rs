//! The queue in SQLite (`queue.db`), for one process.
//!
//! One task writes; what several events ask for at the same time goes into one commit. Only that task knows the tables'
//! writing side; places are read back beside it, which the term makes safe.

use std::path::Path;

use async_trait::async_trait;
use sqlx::{Connection as _, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use tokio::sync::{mpsc, oneshot};

use super::{Counted, Mark, OLD_TERM, QueueStore, Remains};
use crate::{
    domain::{
        id::{EventId, FanId},
        queue::{Move, Place, Tie},
    },
    stores::{error::StoreError, sqlite},
};

/// Calls that wait for the writing task; more wait to be let in.
const WAITING_CALLS: usize = 256;
/// Places that one read gives back.
const PAGE: i64 = 10_000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS queue (number INTEGER PRIMARY KEY, event BLOB NOT NULL UNIQUE, term INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS place (
    queue INTEGER NOT NULL, fan BLOB NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (queue, fan)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS place_in_order ON place (queue, place);
CREATE TABLE IF NOT EXISTS remains (queue INTEGER PRIMARY KEY, lost_before INTEGER NOT NULL, whole INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS spent (queue INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (queue, place)) WITHOUT ROWID;
";

/// Gives no row when the store has seen a newer term.
const FENCE: &str = "
INSERT INTO queue (event, term) VALUES (?1, ?2)
ON CONFLICT (event) DO UPDATE SET term = excluded.term WHERE excluded.term >= term
RETURNING number";
const JOIN: &str = "
INSERT INTO place (queue, fan, place) SELECT ?1, unhex(value ->> 0), value ->> 1 FROM json_each(?2) WHERE true
ON CONFLICT (queue, fan) DO UPDATE SET place = excluded.place";
const UNTIE: &str = "DELETE FROM place WHERE queue = ?1 AND fan IN (SELECT unhex(value ->> 2) FROM json_each(?2))";
/// By place: a fan who has joined again since keeps the newer one.
const FORGET: &str = "DELETE FROM place WHERE queue = ?1 AND place IN (SELECT value FROM json_each(?2))";
/// The arrival tells places apart, whatever their class.
const SPEND: &str = "
INSERT OR IGNORE INTO spent (queue, place) SELECT ?1, value & ((1 << 49) - 1) FROM json_each(?2)
WHERE value & ((1 << 49) - 1) < (SELECT lost_before << 32 FROM remains WHERE queue = ?1)";
const MARK: &str = "
INSERT INTO remains (queue, lost_before, whole) SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2) WHERE true
ON CONFLICT (queue) DO UPDATE SET lost_before = max(lost_before, excluded.lost_before), whole = CASE WHEN excluded.whole < 0 THEN whole ELSE excluded.whole END";
const REMAINS: &str =
    "SELECT lost_before, whole = 1 FROM remains WHERE queue = (SELECT number FROM queue WHERE event = ?1)";
const SPENT: &str = "SELECT place FROM spent WHERE queue = (SELECT number FROM queue WHERE event = ?1) ORDER BY place";
const COUNT: &str = "SELECT COUNT(*) FROM place WHERE queue = (SELECT number FROM queue WHERE event = ?1)";
const READ: &str = "
SELECT place, fan FROM place WHERE queue = (SELECT number FROM queue WHERE event = ?1) AND place > ?2
ORDER BY place LIMIT ?3";

pub struct EmbeddedQueue {
    calls: mpsc::Sender<Call>,
    pool: SqlitePool,
}

struct Call {
    event: EventId,
    term: u32,
    verb: Verb,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

enum Verb {
    Open,
    /// JSON array of [fan, place].
    Join(String),
    /// JSON array of [account, place, device].
    Tie(String),
    /// JSON array of places.
    Forget(String),
    /// JSON array of one [term, whether whole], -1: as before.
    Mark(String),
}

impl EmbeddedQueue {
    /// Opens the file, made when missing. The data directory's lock keeps other processes away.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let pool = sqlite::open(path, 2, SCHEMA).await?;
        let connection = pool.acquire().await.map_err(sqlite::error)?.detach();
        let (calls, waiting) = mpsc::channel(WAITING_CALLS);
        tokio::spawn(write(connection, waiting));
        Ok(Self { calls, pool })
    }

    async fn marked(&self, event: EventId) -> Result<(u32, bool), StoreError> {
        let marked = sqlx::query_as(REMAINS).bind(event.as_bytes().as_slice()).fetch_optional(&self.pool).await;
        Ok(marked.map_err(sqlite::error)?.unwrap_or_default())
    }

    async fn call(&self, event: EventId, term: u32, verb: Verb) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let call = Call { event, term, verb, answer };
        self.calls.send(call).await.map_err(|_| StoreError::Unavailable(STOPPED.into()))?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Unknown(STOPPED.into())))
    }
}

const STOPPED: &str = "the queue's file has failed and needs a restart";

#[async_trait]
impl QueueStore for EmbeddedQueue {
    async fn open(&self, event: EventId, term: u32) -> Result<Vec<(Place, FanId)>, StoreError> {
        self.call(event, term, Verb::Open).await?;
        let mut found: Vec<(Place, FanId)> = Vec::new();
        loop {
            let after = found.last().map_or(-1, |(place, _)| stored(*place));
            let rows = sqlx::query(READ)
                .bind(event.as_bytes().as_slice())
                .bind(after)
                .bind(PAGE)
                .fetch_all(&self.pool)
                .await
                .map_err(sqlite::error)?;
            let is_last = rows.len() < PAGE as usize;
            for row in rows {
                found.push(member(&row)?);
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    async fn join(&self, event: EventId, term: u32, joins: &[(Place, FanId)]) -> Result<(), StoreError> {
        let rows: Vec<(FanId, i64)> = joins.iter().map(|(place, fan)| (*fan, stored(*place))).collect();
        self.call(event, term, Verb::Join(json(&rows)?)).await
    }

    async fn tie(&self, event: EventId, term: u32, ties: &[Tie]) -> Result<(), StoreError> {
        let rows: Vec<_> = ties.iter().map(|tie| (tie.account, stored(tie.place), tie.device)).collect();
        self.call(event, term, Verb::Tie(json(&rows)?)).await
    }

    async fn relocate(&self, event: EventId, term: u32, moves: &[Move]) -> Result<(), StoreError> {
        let rows: Vec<(FanId, i64)> = moves.iter().map(|one| (one.fan, stored(one.to))).collect();
        self.call(event, term, Verb::Join(json(&rows)?)).await
    }

    async fn forget(&self, event: EventId, term: u32, places: &[Place]) -> Result<(), StoreError> {
        let places: Vec<i64> = places.iter().map(|place| stored(*place)).collect();
        self.call(event, term, Verb::Forget(json(&places)?)).await
    }

    async fn count(&self, event: EventId, term: u32) -> Result<Counted, StoreError> {
        self.call(event, term, Verb::Open).await?;
        let counted = sqlx::query_scalar(COUNT).bind(event.as_bytes().as_slice()).fetch_one(&self.pool).await;
        let count: i64 = counted.map_err(sqlite::error)?;
        let (_, is_whole) = self.marked(event).await?;
        Ok(Counted { places: usize::try_from(count).unwrap_or_default(), is_whole })
    }

    async fn remains(&self, event: EventId, term: u32) -> Result<Remains, StoreError> {
        self.call(event, term, Verb::Open).await?;
        let (lost_before, is_whole) = self.marked(event).await?;
        let spent = sqlx::query_scalar(SPENT).bind(event.as_bytes().as_slice()).fetch_all(&self.pool).await;
        let spent: Vec<i64> = spent.map_err(sqlite::error)?;
        let spent = spent.into_iter().map(|place| Place(place.cast_unsigned())).collect();
        Ok(Remains { is_whole, lost_before, spent })
    }

    async fn mark(&self, event: EventId, term: u32, mark: Mark) -> Result<(), StoreError> {
        let row = match mark {
            Mark::Lost { before } => (before, -1),
            Mark::Filling => (0, 0),
            Mark::Whole => (0, 1),
        };
        self.call(event, term, Verb::Mark(json(&[row])?)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.calls.is_closed() {
            return Err(StoreError::Unavailable(STOPPED.into()));
        }
        Ok(())
    }

    async fn poisoned(&self) {
        self.calls.closed().await;
    }
}

/// Commits what is waiting, until the store is dropped or its file fails.
async fn write(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Call>) {
    let mut calls = Vec::with_capacity(WAITING_CALLS);
    while waiting.recv_many(&mut calls, WAITING_CALLS).await > 0 {
        match commit(&mut connection, &calls).await {
            Ok(outcomes) => {
                for (call, outcome) in calls.drain(..).zip(outcomes) {
                    // Who has stopped waiting needs no answer.
                    let _ = call.answer.send(outcome);
                }
            }
            Err(error) => {
                for call in calls.drain(..) {
                    let _ = call.answer.send(Err(error.for_another()));
                }
                if matches!(error, StoreError::Unknown(_)) {
                    // What the file holds now is only known again when it is opened again.
                    tracing::error!(%error, "the queue's file has stopped");
                    return;
                }
            }
        }
    }
}

/// All calls in one transaction. An older term concerns its call only; an error concerns all.
async fn commit(connection: &mut SqliteConnection, calls: &[Call]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(sqlite::error)?;
    let mut outcomes = Vec::with_capacity(calls.len());
    for call in calls {
        let queue: Option<i64> = sqlx::query_scalar(FENCE)
            .bind(call.event.as_bytes().as_slice())
            .bind(call.term)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(sqlite::error)?;
        let Some(queue) = queue else {
            outcomes.push(Err(StoreError::Conflict(OLD_TERM)));
            continue;
        };
        let (statements, rows): (&[_], _) = match &call.verb {
            Verb::Open => {
                outcomes.push(Ok(()));
                continue;
            }
            Verb::Join(rows) => (&[JOIN], rows),
            Verb::Tie(rows) => (&[UNTIE, JOIN], rows),
            Verb::Forget(rows) => (&[SPEND, FORGET], rows),
            Verb::Mark(rows) => (&[MARK], rows),
        };
        for statement in statements {
            sqlx::query(*statement).bind(queue).bind(rows).execute(&mut *transaction).await.map_err(sqlite::error)?;
        }
        outcomes.push(Ok(()));
    }
    transaction.commit().await.map_err(sqlite::error)?;
    Ok(outcomes)
}

/// Terms stay far below 2^31, so that a place is never negative here.
fn stored(place: Place) -> i64 {
    place.0.cast_signed()
}

fn member(row: &SqliteRow) -> Result<(Place, FanId), StoreError> {
    let place: i64 = row.try_get(0).map_err(sqlite::error)?;
    let fan: &[u8] = row.try_get(1).map_err(sqlite::error)?;
    let fan = fan.try_into().map_err(|_| StoreError::Corrupt(format!("place {place}: fan of {} bytes", fan.len())))?;
    Ok((Place(place.cast_unsigned()), FanId::from_u128(u128::from_be_bytes(fan))))
}

fn json(rows: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Invalid(error.into()))
}
