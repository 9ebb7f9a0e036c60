//! What an error of the database lets one conclude.

use sqlx::error::DatabaseError;

use super::Backend;
use crate::stores::{error::StoreError, sqlite};

#[derive(Debug, thiserror::Error)]
#[error("no answer within the deadline")]
pub(super) struct DeadlinePassed;

#[derive(Debug, thiserror::Error)]
#[error("others change the same rows all the time")]
struct Contended;

/// Given up: somebody else was in between each time.
pub(super) fn contended() -> StoreError {
    StoreError::Unavailable(Contended.into())
}

/// Of a statement within a transaction, or of a read: whatever it was, nothing is done.
pub(super) fn of_statement(backend: Backend, error: sqlx::Error) -> StoreError {
    let found = match (backend, &error) {
        (Backend::Sqlite, sqlx::Error::Database(database)) if database.is_unique_violation() => TAKEN,
        (Backend::Sqlite, _) => sqlite::error(error),
        (Backend::Postgres, sqlx::Error::Database(database)) => match of_postgres(database.as_ref()) {
            Some(known) => known(error),
            None => StoreError::Unavailable(error.into()),
        },
        (Backend::Postgres, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) => {
            StoreError::Corrupt(error.to_string())
        }
        (Backend::Postgres, _) => StoreError::Unavailable(error.into()),
    };
    match found {
        StoreError::Unknown(source) => StoreError::Unavailable(source),
        found => found,
    }
}

/// Of a COMMIT: only a definite answer of the server says that nothing was done.
pub(super) fn of_commit(backend: Backend, error: sqlx::Error) -> StoreError {
    match (backend, &error) {
        (Backend::Sqlite, _) => sqlite::error(error),
        (Backend::Postgres, sqlx::Error::Database(database)) => match of_postgres(database.as_ref()) {
            Some(known) => known(error),
            None => StoreError::Unknown(error.into()),
        },
        (Backend::Postgres, _) => StoreError::Unknown(error.into()),
    }
}

const TAKEN: StoreError = StoreError::Conflict("it is there already");

/// Answers that mean one thing, in a statement and in a commit alike; `None` for the others, among them those of a server
/// that goes down. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn of_postgres(error: &dyn DatabaseError) -> Option<fn(sqlx::Error) -> StoreError> {
    let code = error.code()?;
    match code.as_ref() {
        "23505" => Some(|_| TAKEN),
        // Disk full, out of memory for it, or a standby.
        "53100" | "25006" => Some(|error| StoreError::ReadOnly(error.into())),
        "XX001" | "XX002" => Some(|error| StoreError::Corrupt(error.to_string())),
        // Deadlock, serialization: rolled back, and may be tried again.
        code if code.starts_with("40") && code != "40003" => Some(|error| StoreError::Unavailable(error.into())),
        code if code.starts_with("23") => Some(|_| StoreError::Conflict("a constraint refuses it")),
        // Such as a zero byte, which SQLite would keep.
        code if code.starts_with("22") => Some(|error| StoreError::Invalid(error.into())),
        _ => None,
    }
}

/// Whether the database has answered, and said no: to a part of what was asked it may say yes.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else { return error.is_final() };
    matches!(source.downcast_ref(), Some(sqlx::Error::Database(_)))
}

/// Whether the database gave way to another transaction: nothing was done, and doing it again may succeed.
pub(super) fn is_collision(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else { return false };
    let Some(sqlx::Error::Database(database)) = source.downcast_ref::<sqlx::Error>() else { return false };
    matches!(database.code().as_deref(), Some("40P01" | "40001"))
}
