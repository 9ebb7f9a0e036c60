//! The one writer of the journal file: what waits is written together, in one transaction with one synchronisation.
//!
//! Owns the writing connection and the poison. An error of which nobody can say what it left behind stops the writer for
//! good: what was written may or may not be found after a restart, so nothing more may be built upon it here.

use std::{path::Path, sync::Arc};

use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};

use super::super::{Append, AppendError, Epoch, manifest::Manifest};
use crate::{
    domain::id::EventId,
    stores::{error::StoreError, sqlite},
};

/// Commands that wait for the writer; beyond it, callers wait to hand theirs over.
const QUEUE: usize = 256;
/// Commands in one transaction, at most; with the longest segments still only some tens of MiB.
const GROUP: usize = 32;

pub const POISONED: &str = "the journal is poisoned: this process must exit and recover";

/// All are refused unless the epoch is the event's current one; `Claim` makes a new one.
pub enum Command {
    Append(Append),
    Chunk { event: EventId, epoch: Epoch, generation: String, n: u32, bytes: Vec<u8> },
    Manifest { event: EventId, epoch: Epoch, manifest: Manifest },
    Published { event: EventId, epoch: Epoch, number: u64 },
    Claim { event: EventId, node: String },
    Release { event: EventId, epoch: Epoch },
}

/// The epoch in force, or why nothing was done.
type Outcome = Result<Epoch, AppendError>;

struct Job {
    command: Command,
    reply: oneshot::Sender<Outcome>,
}

pub struct Writer {
    jobs: mpsc::Sender<Job>,
    poisoned: watch::Receiver<bool>,
}

impl Writer {
    pub async fn start(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::spawn(sqlite::options(path).connect().await.map_err(sqlite::error)?))
    }

    fn spawn(connection: SqliteConnection) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let (poison, poisoned) = watch::channel(false);
        tokio::spawn(run(connection, waiting, poison));
        Self { jobs, poisoned }
    }

    /// Returns when the command is durable, or was refused.
    pub async fn run(&self, command: Command) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let gone = || AppendError::ReadOnly(POISONED.into());
        self.jobs.send(Job { command, reply }).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    pub fn is_poisoned(&self) -> bool {
        *self.poisoned.borrow()
    }

    pub async fn poisoned(&self) {
        let mut poisoned = self.poisoned.clone();
        if poisoned.wait_for(|poisoned| *poisoned).await.is_err() {
            // The writer ended without poison: only when the runtime shuts down.
            std::future::pending().await
        }
    }
}

async fn run(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Job>, poison: watch::Sender<bool>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let (commands, replies): (Vec<_>, Vec<_>) = group.drain(..).map(|job| (job.command, job.reply)).unzip();
        let error = match write_all(&mut connection, &commands).await {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // A caller that has gone away has no use for it.
                    let _ = reply.send(outcome);
                }
                continue;
            }
            Err(error) => Arc::new(sqlite::error(error)),
        };
        // SQLite may have rolled back already; then there is nothing to roll back, which is an error to it.
        let _ = sqlx::query("ROLLBACK").execute(&mut connection).await;
        let harmless = matches!(*error, StoreError::ReadOnly(_) | StoreError::Unavailable(_));
        if !harmless {
            tracing::error!(%error, "the journal is poisoned");
            poison.send_replace(true);
        }
        for reply in replies {
            let _ = reply.send(Err(AppendError::ReadOnly(Box::new(Arc::clone(&error)))));
        }
        if !harmless {
            return;
        }
    }
}

/// All in one transaction. A refused command has written nothing, and does not hinder the others.
async fn write_all(connection: &mut SqliteConnection, commands: &[Command]) -> Result<Vec<Outcome>, sqlx::Error> {
    // At once: a transaction that begins by reading could not write if somebody else had written since.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let mut outcomes = Vec::with_capacity(commands.len());
    for command in commands {
        outcomes.push(write(connection, command).await?);
    }
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(outcomes)
}

async fn write(connection: &mut SqliteConnection, command: &Command) -> Result<Outcome, sqlx::Error> {
    let (event, epoch) = match command {
        Command::Claim { event, node } => return claim(connection, *event, node).await.map(Ok),
        Command::Append(append) => (append.event, append.epoch),
        Command::Chunk { event, epoch, .. }
        | Command::Manifest { event, epoch, .. }
        | Command::Published { event, epoch, .. }
        | Command::Release { event, epoch } => (*event, *epoch),
    };
    let event = event.to_string();
    if current(connection, &event).await? != Some(epoch) {
        return Ok(Err(AppendError::Fenced));
    }
    let refusal = match command {
        Command::Append(append) => self::append(connection, &event, append).await?,
        Command::Manifest { manifest, .. } => self::manifest(connection, &event, manifest).await?,
        Command::Chunk { generation, n, bytes, .. } => {
            sqlx::query("INSERT INTO chunk (event, generation, n, bytes) VALUES ($1, $2, $3, $4)")
                .bind(event)
                .bind(generation)
                .bind(n)
                .bind(bytes)
                .execute(connection)
                .await?;
            None
        }
        Command::Published { number, .. } => {
            sqlx::query(
                "INSERT INTO published (event, number) VALUES ($1, $2)
                 ON CONFLICT (event) DO UPDATE SET number = MAX(number, excluded.number)",
            )
            .bind(event)
            .bind(integer(*number))
            .execute(connection)
            .await?;
            None
        }
        Command::Release { .. } => {
            sqlx::query("UPDATE owner SET held = 0 WHERE event = $1").bind(event).execute(connection).await?;
            None
        }
        Command::Claim { .. } => None, // answered above
    };
    Ok(refusal.map_or(Ok(epoch), Err))
}

/// The counter is kept when the event is given up: an epoch is never used twice.
async fn claim(connection: &mut SqliteConnection, event: EventId, node: &str) -> Result<Epoch, sqlx::Error> {
    let epoch: i64 = sqlx::query_scalar(
        "INSERT INTO owner (event, epoch, node, held) VALUES ($1, 1, $2, 1)
         ON CONFLICT (event) DO UPDATE SET epoch = epoch + 1, node = excluded.node, held = 1 RETURNING epoch",
    )
    .bind(event.to_string())
    .bind(node)
    .fetch_one(connection)
    .await?;
    Ok(Epoch(epoch.unsigned_abs()))
}

async fn current(connection: &mut SqliteConnection, event: &str) -> Result<Option<Epoch>, sqlx::Error> {
    let epoch: Option<i64> = sqlx::query_scalar("SELECT epoch FROM owner WHERE event = $1 AND held = 1")
        .bind(event)
        .fetch_optional(connection)
        .await?;
    Ok(epoch.map(|epoch| Epoch(epoch.unsigned_abs())))
}

async fn append(
    connection: &mut SqliteConnection,
    event: &str,
    append: &Append,
) -> Result<Option<AppendError>, sqlx::Error> {
    let seq = integer(append.seq);
    // Trimming leaves the last segment, so this is the last one ever written.
    let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM segment WHERE event = $1")
        .bind(event)
        .fetch_one(&mut *connection)
        .await?;
    if seq != last + 1 {
        let found: Option<Vec<u8>> = sqlx::query_scalar("SELECT bytes FROM segment WHERE event = $1 AND seq = $2")
            .bind(event)
            .bind(seq)
            .fetch_optional(connection)
            .await?;
        return Ok(match found {
            Some(bytes) if bytes == append.bytes => None,
            Some(_) => Some(AppendError::Overwritten(append.seq)),
            None => Some(AppendError::Gap(append.seq)),
        });
    }
    sqlx::query("INSERT INTO segment (event, seq, bytes) VALUES ($1, $2, $3)")
        .bind(event)
        .bind(seq)
        .bind(&append.bytes)
        .execute(&mut *connection)
        .await?;
    for (ticket_type, free) in &append.counters {
        sqlx::query(
            "INSERT INTO available (event, ticket_type, free) VALUES ($1, $2, $3)
             ON CONFLICT (event, ticket_type) DO UPDATE SET free = excluded.free",
        )
        .bind(event)
        .bind(ticket_type)
        .bind(free)
        .execute(&mut *connection)
        .await?;
    }
    let mark = match append.active {
        None => return Ok(None),
        Some(true) => "INSERT INTO active (event) VALUES ($1) ON CONFLICT DO NOTHING",
        Some(false) => "DELETE FROM active WHERE event = $1",
    };
    sqlx::query(mark).bind(event).execute(connection).await?;
    Ok(None)
}

/// From here on the snapshot counts: what it covers goes, but for the last segment, and so do chunks of other generations.
async fn manifest(
    connection: &mut SqliteConnection,
    event: &str,
    manifest: &Manifest,
) -> Result<Option<AppendError>, sqlx::Error> {
    let seq = integer(manifest.seq);
    let covered: Option<i64> = sqlx::query_scalar("SELECT seq FROM segment WHERE event = $1 AND seq = $2")
        .bind(event)
        .bind(seq)
        .fetch_optional(&mut *connection)
        .await?;
    if covered.is_none() {
        return Ok(Some(AppendError::Gap(manifest.seq)));
    }
    let chunks: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM chunk WHERE event = $1 AND generation = $2")
        .bind(event)
        .bind(&manifest.generation)
        .fetch_one(&mut *connection)
        .await?;
    if chunks != i64::from(manifest.chunks) {
        // Another snapshot was made meanwhile, and took these for remains.
        return Ok(Some(AppendError::Overwritten(manifest.seq)));
    }
    sqlx::query(
        "INSERT INTO snapshot (event, manifest) VALUES ($1, $2)
         ON CONFLICT (event) DO UPDATE SET manifest = excluded.manifest",
    )
    .bind(event)
    .bind(manifest.to_json())
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM segment WHERE event = $1 AND seq < $2")
        .bind(event)
        .bind(seq)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM chunk WHERE event = $1 AND generation <> $2")
        .bind(event)
        .bind(&manifest.generation)
        .execute(connection)
        .await?;
    Ok(None)
}

/// SQLite's integers have a sign; what does not fit is beyond every number in use.
pub fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn writer(path: &Path, before: &'static str) -> Writer {
        let pool = sqlite::open(path, 1, super::super::SCHEMA).await.expect("open");
        let mut connection = pool.acquire().await.expect("open").detach();
        sqlx::raw_sql(before).execute(&mut connection).await.expect("set up");
        Writer::spawn(connection)
    }

    #[tokio::test]
    async fn a_full_disk_refuses_but_does_not_poison() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let writer = writer(&folder.path().join("journal.db"), "PRAGMA max_page_count = 60").await;
        let event = EventId::from_u128(1);
        let epoch = writer.run(Command::Claim { event, node: "node".into() }).await.expect("claim");
        let append = |seq, length| {
            let append = Append { event, epoch, seq, bytes: vec![7; length], counters: Vec::new(), active: None };
            writer.run(Command::Append(append))
        };
        append(1, 10).await.expect("room");
        for _ in 0..2 {
            let full = append(2, 1_000_000).await;
            assert!(matches!(full, Err(AppendError::ReadOnly(_))), "{full:?}");
        }
        assert!(!writer.is_poisoned());
        append(2, 20).await.expect("a shorter one finds room, and nothing of the longer one");
    }

    #[tokio::test]
    async fn an_error_that_nobody_can_judge_poisons_for_good() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let writer = writer(&folder.path().join("journal.db"), "DROP TABLE segment").await;
        let event = EventId::from_u128(1);
        let epoch = writer.run(Command::Claim { event, node: "node".into() }).await.expect("claim");
        let append = Append { event, epoch, seq: 1, bytes: Vec::new(), counters: Vec::new(), active: None };
        for command in [Command::Append(append), Command::Claim { event, node: "node".into() }] {
            let refused = writer.run(command).await;
            assert!(matches!(refused, Err(AppendError::ReadOnly(_))), "{refused:?}");
            writer.poisoned().await;
            assert!(writer.is_poisoned());
        }
    }
}
