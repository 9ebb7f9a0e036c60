//! Opening SQLite files: how safe they are, and what their errors mean.
//!
//! One file per store, so that writers do not wait for each other. Owns no table. That only one process uses the files is
//! the data directory's lock ([`super::data_dir`]).

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use super::error::StoreError;

/// How long a statement waits for another connection's lock before it fails as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for a free connection of a pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// For connections that are not opened with [`options`] (the driver that hides which database it speaks to): to be run on
/// each new one. A commit is durable when it returns: write-ahead log, synchronised at every commit.
pub const PRAGMAS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;";

/// Made when missing.
pub fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// The same file as a URL, for the driver that takes nothing else; [`PRAGMAS`] are not in it.
pub fn url(path: &Path) -> String {
    options(path).to_url_lossy().into()
}

/// Opens the file, made when missing, and creates its tables: `schema` must do no harm when they are there.
pub async fn open(path: &Path, connections: u32, schema: &'static str) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options(path))
        .await
        .map_err(error)?;
    sqlx::raw_sql(schema).execute(&pool).await.map_err(error)?;
    Ok(pool)
}

/// What an error of SQLite lets one conclude. An I/O error is `Unknown`: what was to be written may be found again after a
/// restart.
pub fn error(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) => match primary_code(database.code().as_deref()) {
            Some(SQLITE_FULL | SQLITE_READONLY) => StoreError::ReadOnly(error.into()),
            Some(SQLITE_BUSY | SQLITE_LOCKED | SQLITE_CANTOPEN) => StoreError::Unavailable(error.into()),
            Some(SQLITE_CORRUPT | SQLITE_NOTADB) => StoreError::Corrupt(error.to_string()),
            Some(SQLITE_CONSTRAINT) => StoreError::Conflict("a constraint refuses it"),
            _ => StoreError::Unknown(error.into()),
        },
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => StoreError::Unavailable(error.into()),
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Unknown(error.into()),
    }
}

/// Another connection has the file's lock.
pub fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| primary_code(error.code().as_deref()));
    code == Some(SQLITE_BUSY)
}

// https://www.sqlite.org/rescode.html
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_READONLY: u32 = 8;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_FULL: u32 = 13;
const SQLITE_CANTOPEN: u32 = 14;
const SQLITE_CONSTRAINT: u32 = 19;
const SQLITE_NOTADB: u32 = 26;

/// The lowest byte of an extended code says what kind it is.
fn primary_code(extended: Option<&str>) -> Option<u32> {
    Some(extended?.parse::<u32>().ok()? & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_is_synchronised_and_foreign_keys_hold() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let pool = open(&folder.path().join("a b?#.db"), 2, "CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY)")
            .await
            .expect("open");
        for (pragma, expected) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
            let found: String =
                sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}")))
                    .fetch_one(&pool)
                    .await
                    .expect("pragma");
            assert_eq!(found, expected, "{pragma}");
        }
    }

    #[tokio::test]
    async fn errors_say_what_may_be_concluded() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("small.db");
        let pool =
            open(&path, 1, "CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY, bytes BLOB)").await.expect("open");
        let insert = "INSERT INTO t (id, bytes) VALUES (1, zeroblob(100000))";

        sqlx::raw_sql("PRAGMA max_page_count = 4").execute(&pool).await.expect("limit");
        let full = sqlx::query(insert).execute(&pool).await.expect_err("full");
        assert!(matches!(error(full), StoreError::ReadOnly(_)));

        sqlx::raw_sql("PRAGMA max_page_count = 1000").execute(&pool).await.expect("limit");
        sqlx::query(insert).execute(&pool).await.expect("room again");
        let twice = sqlx::query(insert).execute(&pool).await.expect_err("the same key");
        assert!(matches!(error(twice), StoreError::Conflict(_)));

        std::fs::write(folder.path().join("other"), [7; 4096]).expect("write");
        let foreign = open(&folder.path().join("other"), 1, "SELECT 1").await.expect_err("not a database");
        assert!(matches!(foreign, StoreError::Corrupt(_)), "{foreign:?}");
    }
}
