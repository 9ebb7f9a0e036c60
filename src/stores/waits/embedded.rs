//! Where fans wait, in SQLite (`waits.db`), for one process. Outlives the process; a loss of power may take the last notes.

use std::path::Path;

use async_trait::async_trait;
use sqlx::SqlitePool;

use super::{KEPT_S, Wait, Waits, parsed};
use crate::{
    domain::id::FanId,
    stores::{error::StoreError, sqlite},
};

/// Not synchronised at each commit: what power takes is a note, no place.
const SCHEMA: &str = "
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS wait (
    organizer BLOB NOT NULL, fan BLOB NOT NULL, noted TEXT NOT NULL, at_s INTEGER NOT NULL, PRIMARY KEY (organizer, fan)
) WITHOUT ROWID;
";
const FORGET: &str = "DELETE FROM wait WHERE at_s < unixepoch() - ?1";
const NOTE: &str = "
INSERT INTO wait (organizer, fan, noted, at_s) VALUES (?1, ?2, ?3, unixepoch())
ON CONFLICT (organizer, fan) DO UPDATE SET noted = excluded.noted, at_s = excluded.at_s
WHERE substr(noted, 1, 32) = substr(excluded.noted, 1, 32) OR noted = ?4
RETURNING noted";
const READ: &str = "SELECT noted FROM wait WHERE organizer = ?1 AND fan = ?2";

pub struct EmbeddedWaits(SqlitePool);

impl EmbeddedWaits {
    /// Opens the file, made when missing. The data directory's lock keeps other processes away.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        // One connection, so that no note waits for another one's lock.
        let pool = sqlite::open(path, 1, SCHEMA).await?;
        sqlx::query(FORGET).bind(KEPT_S.cast_signed()).execute(&pool).await.map_err(sqlite::error)?;
        Ok(Self(pool))
    }
}

#[async_trait]
impl Waits for EmbeddedWaits {
    async fn note(
        &self,
        organizer: FanId,
        fan: FanId,
        wait: Wait,
        instead_of: Option<Wait>,
    ) -> Result<Wait, StoreError> {
        let (organizer, fan) = (organizer.as_bytes().as_slice(), fan.as_bytes().as_slice());
        let note = sqlx::query_scalar::<_, String>(NOTE).bind(organizer).bind(fan).bind(wait.to_string());
        let note = note.bind(instead_of.map_or_else(String::new, |wait| wait.to_string()));
        let noted = match note.fetch_optional(&self.0).await.map_err(sqlite::error)? {
            Some(noted) => noted,
            // Notes are not taken away while the process runs.
            None => {
                let read = sqlx::query_scalar(READ).bind(organizer).bind(fan);
                read.fetch_one(&self.0).await.map_err(sqlite::error)?
            }
        };
        parsed(&noted)
    }
}
