//! The journal in one SQLite file, for one process.
//!
//! Owns `journal.db`: journals and, beside them, the epochs that ownership hands out. One task writes
//! ([`writer`]), a few connections read ([`read`]).

mod read;
mod writer;

use std::{collections::HashMap, path::Path};

use async_trait::async_trait;
use sqlx::{Row as _, SqlitePool};
use tokio::sync::mpsc;

use self::writer::{Command, Writer};
use super::{Append, AppendError, Epoch, InventoryJournal, NewSnapshot, Piece, check_length, manifest::Manifest};
use crate::{
    domain::id::EventId,
    stores::{error::StoreError, ownership::Owner, sqlite},
};

const READERS: u32 = 4;

/// `segment` keeps its rows in the order of writing: an append touches the last pages only.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS owner (
        event TEXT PRIMARY KEY, epoch BIGINT NOT NULL, node TEXT NOT NULL, held BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS segment (
        id INTEGER PRIMARY KEY, event TEXT NOT NULL, seq BIGINT NOT NULL, bytes BLOB NOT NULL, UNIQUE (event, seq));
    CREATE TABLE IF NOT EXISTS snapshot (event TEXT PRIMARY KEY, manifest TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS chunk (
        event TEXT NOT NULL, generation TEXT NOT NULL, n BIGINT NOT NULL, bytes BLOB NOT NULL,
        UNIQUE (event, generation, n));
    CREATE TABLE IF NOT EXISTS published (event TEXT PRIMARY KEY, number BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS active (event TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS available (
        event TEXT NOT NULL, ticket_type TEXT NOT NULL, free BIGINT NOT NULL, PRIMARY KEY (event, ticket_type));";

pub struct EmbeddedJournal {
    readers: SqlitePool,
    writer: Writer,
}

impl EmbeddedJournal {
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let readers = sqlite::open(path, READERS, SCHEMA).await?;
        Ok(Self { readers, writer: Writer::start(path).await? })
    }

    /// A new epoch for this node. There is no other process, so nobody is in the way.
    pub async fn claim(&self, event: EventId, node: &str) -> Result<Epoch, StoreError> {
        self.writer.run(Command::Claim { event, node: node.to_owned() }).await.map_err(as_store_error)
    }

    pub async fn release(&self, event: EventId, epoch: Epoch) -> Result<(), StoreError> {
        match self.writer.run(Command::Release { event, epoch }).await {
            // Somebody else's by now: not ours to give up, and given up all the same.
            Ok(_) | Err(AppendError::Fenced) => Ok(()),
            Err(error) => Err(as_store_error(error)),
        }
    }

    pub async fn owner(&self, event: EventId) -> Result<Option<Owner>, StoreError> {
        self.refuse_if_poisoned()?;
        let row = sqlx::query("SELECT epoch, node FROM owner WHERE event = $1 AND held = 1")
            .bind(event.to_string())
            .fetch_optional(&self.readers)
            .await
            .map_err(sqlite::error)?;
        let Some(row) = row else { return Ok(None) };
        let epoch: i64 = row.try_get(0).map_err(sqlite::error)?;
        Ok(Some(Owner { node: row.try_get(1).map_err(sqlite::error)?, epoch: Epoch(epoch.unsigned_abs()) }))
    }

    pub async fn owners(&self) -> Result<HashMap<EventId, Owner>, StoreError> {
        self.refuse_if_poisoned()?;
        let rows: Vec<(String, i64, String)> = sqlx::query_as("SELECT event, epoch, node FROM owner WHERE held = 1")
            .fetch_all(&self.readers)
            .await
            .map_err(sqlite::error)?;
        let owners = rows
            .into_iter()
            .map(|(event, epoch, node)| Ok((parse(&event)?, Owner { node, epoch: Epoch(epoch.unsigned_abs()) })));
        owners.collect()
    }

    pub fn is_poisoned(&self) -> bool {
        self.writer.is_poisoned()
    }

    /// What is read then may be gone after a restart.
    fn refuse_if_poisoned(&self) -> Result<(), StoreError> {
        if self.is_poisoned() { Err(StoreError::Unavailable(writer::POISONED.into())) } else { Ok(()) }
    }

    async fn read_events(&self, query: &'static str) -> Result<Vec<EventId>, StoreError> {
        self.refuse_if_poisoned()?;
        let events: Vec<String> = sqlx::query_scalar(query).fetch_all(&self.readers).await.map_err(sqlite::error)?;
        events.iter().map(|event| parse(event)).collect()
    }
}

fn parse(event: &str) -> Result<EventId, StoreError> {
    event.parse().map_err(|_| StoreError::Corrupt(format!("{event:?} is not an event")))
}

#[async_trait]
impl InventoryJournal for EmbeddedJournal {
    async fn append(&self, append: Append) -> Result<(), AppendError> {
        check_length(&append)?;
        self.writer.run(Command::Append(append)).await.map(drop)
    }

    async fn read(&self, event: EventId, pieces: mpsc::Sender<Piece>) -> Result<(), StoreError> {
        self.refuse_if_poisoned()?;
        read::read(&self.readers, &event.to_string(), &pieces).await
    }

    async fn begin_snapshot(
        &self,
        event: EventId,
        epoch: Epoch,
        seq: u64,
    ) -> Result<Box<dyn NewSnapshot + '_>, AppendError> {
        Ok(Box::new(NewEmbedded { journal: self, event, epoch, manifest: Manifest::new(seq) }))
    }

    async fn mark_published(&self, event: EventId, epoch: Epoch, number: u64) -> Result<(), AppendError> {
        self.writer.run(Command::Published { event, epoch, number }).await.map(drop)
    }

    async fn active(&self) -> Result<Vec<EventId>, StoreError> {
        self.read_events("SELECT event FROM active ORDER BY event").await
    }

    async fn events(&self) -> Result<Vec<EventId>, StoreError> {
        self.read_events(
            "SELECT event FROM owner WHERE EXISTS (SELECT 1 FROM segment WHERE segment.event = owner.event)
             ORDER BY event",
        )
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.refuse_if_poisoned()
    }

    async fn poisoned(&self) {
        self.writer.poisoned().await;
    }
}

struct NewEmbedded<'a> {
    journal: &'a EmbeddedJournal,
    event: EventId,
    epoch: Epoch,
    manifest: Manifest,
}

#[async_trait]
impl NewSnapshot for NewEmbedded<'_> {
    async fn chunk(&mut self, bytes: Vec<u8>) -> Result<(), AppendError> {
        let n = self.manifest.add(&bytes);
        let generation = self.manifest.generation.clone();
        let Self { journal, event, epoch, .. } = *self;
        journal.writer.run(Command::Chunk { event, epoch, generation, n, bytes }).await.map(drop)
    }

    async fn finish(self: Box<Self>) -> Result<(), AppendError> {
        let Self { journal, event, epoch, manifest } = *self;
        let checked = read::check_chunks(&journal.readers, &event.to_string(), &manifest).await;
        checked.map_err(|error| AppendError::ReadOnly(error.into()))?;
        journal.writer.run(Command::Manifest { event, epoch, manifest }).await.map(drop)
    }
}

fn as_store_error(error: AppendError) -> StoreError {
    match error {
        AppendError::ReadOnly(source) => StoreError::ReadOnly(source),
        AppendError::Fenced => StoreError::Conflict("another epoch"),
        AppendError::Overwritten(_) | AppendError::Gap(_) => StoreError::Conflict("another segment"),
    }
}
