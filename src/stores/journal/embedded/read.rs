//! Reading an event's journal back, piece by piece.

use sqlx::{Decode, Row as _, Sqlite, SqliteConnection, SqlitePool, Type};
use tokio::sync::mpsc;

use super::writer::integer;
use crate::stores::{
    error::StoreError,
    journal::{Piece, discard, manifest::Manifest, tail::Tail},
    sqlite,
};

/// Segments in one piece: with the longest, a few tens of MiB.
const PAGE: usize = 32;

/// All of it as of one moment, whatever is written meanwhile: in one transaction.
pub async fn read(readers: &SqlitePool, event: &str, pieces: &mpsc::Sender<Piece>) -> Result<(), StoreError> {
    let mut transaction = readers.begin().await.map_err(sqlite::error)?;
    let published: Option<i64> =
        about(&mut transaction, "SELECT number FROM published WHERE event = $1", event).await?;
    let json: Option<String> = about(&mut transaction, "SELECT manifest FROM snapshot WHERE event = $1", event).await?;
    let manifest = json.map(|json| Manifest::from_json(json.as_bytes())).transpose()?;
    let covered = manifest.as_ref().map(|manifest| manifest.seq);
    let begin = Piece::Begin { published: published.unwrap_or(0).unsigned_abs(), covered };
    if pieces.send(begin).await.is_err() {
        return Ok(());
    }
    if let Some(manifest) = manifest {
        read_chunks(&mut transaction, event, &manifest, pieces).await?;
    }
    read_segments(&mut transaction, event, Tail::after(covered), pieces).await
}

async fn about<T>(connection: &mut SqliteConnection, select: &'static str, event: &str) -> Result<Option<T>, StoreError>
where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + Send + Unpin,
{
    sqlx::query_scalar(select).bind(event).fetch_optional(connection).await.map_err(sqlite::error)
}

/// Whether the chunks that are stored are those of the manifest.
pub async fn check_chunks(readers: &SqlitePool, event: &str, manifest: &Manifest) -> Result<(), StoreError> {
    let mut connection = readers.acquire().await.map_err(sqlite::error)?;
    let (sender, pieces) = mpsc::channel(1);
    let read = async move { read_chunks(&mut connection, event, manifest, &sender).await };
    tokio::join!(read, discard(pieces)).0
}

/// One by one: a query for all would read tens of them ahead.
async fn read_chunks(
    connection: &mut SqliteConnection,
    event: &str,
    manifest: &Manifest,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), StoreError> {
    let mut found = manifest.begin_again();
    for n in 0..manifest.chunks {
        let chunk: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT bytes FROM chunk WHERE event = $1 AND generation = $2 AND n = $3")
                .bind(event)
                .bind(&manifest.generation)
                .bind(n)
                .fetch_optional(&mut *connection)
                .await
                .map_err(sqlite::error)?;
        let Some(chunk) = chunk else { break };
        found.add(&chunk);
        if pieces.send(Piece::Chunk(chunk)).await.is_err() {
            return Ok(());
        }
    }
    manifest.compare(&found)
}

async fn read_segments(
    connection: &mut SqliteConnection,
    event: &str,
    mut tail: Tail,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), StoreError> {
    loop {
        let rows = sqlx::query("SELECT seq, bytes FROM segment WHERE event = $1 AND seq >= $2 ORDER BY seq LIMIT $3")
            .bind(event)
            .bind(integer(tail.next()))
            .bind(PAGE as i64)
            .fetch_all(&mut *connection)
            .await
            .map_err(sqlite::error)?;
        let mut page = Vec::with_capacity(rows.len());
        for row in rows {
            let seq: i64 = row.try_get(0).map_err(sqlite::error)?;
            page.push((seq.unsigned_abs(), row.try_get(1).map_err(sqlite::error)?));
        }
        let is_last = page.len() < PAGE;
        if pieces.send(Piece::Segments(tail.follow(page)?)).await.is_err() {
            return Ok(());
        }
        if is_last {
            return tail.end();
        }
    }
}
