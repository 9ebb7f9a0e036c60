//! A transaction that writes.

use std::{fmt, sync::Arc, time::Duration};

use sqlx::{Any, AnyConnection, Executor as _, pool::PoolConnection};
use tokio::time::{error::Elapsed, timeout};

use super::{
    Backend, Inner, Query,
    fault::{self, DeadlinePassed},
    row::Row,
};
use crate::stores::{
    crash_point::{self, Step},
    error::StoreError,
};

/// Longer than the server's own limit for a statement, so that usually the server's answer tells what happened.
pub(super) const STATEMENT_DEADLINE: Duration = Duration::from_secs(6);

/// A transaction that writes. Dropped without [`Write::commit`], nothing was done. After any error it cannot be committed.
///
/// On SQLite it is the only one: hold it across nothing but calls to the database. PostgreSQL ends one that idles.
pub struct Write {
    /// Taken only when dropped.
    connection: Option<PoolConnection<Any>>,
    database: Arc<Inner>,
    state: State,
    /// Which of the saga it is, if it is one.
    step: Option<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A statement failed: PostgreSQL would answer COMMIT by rolling back, and call it a success.
    Failed,
    /// An answer is still under way, or none will come: the connection is of no more use.
    Lost,
    Over,
}

impl Write {
    pub(super) async fn begin(database: Arc<Inner>) -> Result<Self, StoreError> {
        let backend = database.backend;
        let connection = database.writers.acquire().await.map_err(|error| fault::of_statement(backend, error))?;
        let mut write = Self { connection: Some(connection), database, state: State::Open, step: None };
        let begin = match backend {
            // A lock that is taken later can be refused at once, whatever the busy timeout says.
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        };
        let answer = timeout(STATEMENT_DEADLINE, write.asked()?.execute(begin)).await;
        write.answered(answer)?;
        Ok(write)
    }

    pub(super) fn backend(&self) -> Backend {
        self.database.backend
    }

    /// Whether no other that writes can be open.
    pub(super) fn is_alone(&self) -> bool {
        self.database.backend == Backend::Sqlite
    }

    pub(super) fn is_step(&mut self, step: Step) {
        self.step = Some(step);
    }

    /// Durable when it returns `Ok`. [`StoreError::Unknown`] if the reply was lost.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        crash_point::before(self.step);
        let answer = timeout(STATEMENT_DEADLINE, self.asked()?.execute("COMMIT")).await;
        let error = match answer {
            Ok(Ok(_)) => {
                self.state = State::Over;
                crash_point::after(self.step);
                return Ok(());
            }
            Ok(Err(error)) => fault::of_commit(self.database.backend, error),
            Err(_) => StoreError::Unknown(DeadlinePassed.into()),
        };
        if self.database.backend == Backend::Sqlite && matches!(error, StoreError::Unknown(_)) {
            // What is in the log now is found only by opening it anew.
            self.database.poison();
        }
        Err(error)
    }

    /// Says how many rows it changed.
    pub(super) async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        let answer = timeout(STATEMENT_DEADLINE, query.execute(self.asked()?)).await;
        self.answered(answer).map(|done| done.rows_affected())
    }

    pub(super) async fn fetch_optional(&mut self, query: Query) -> Result<Option<Row>, StoreError> {
        let answer = timeout(STATEMENT_DEADLINE, query.fetch_optional(self.asked()?)).await;
        self.answered(answer).map(|row| row.map(Row))
    }

    pub(super) async fn fetch_all(&mut self, query: Query) -> Result<Vec<Row>, StoreError> {
        let answer = timeout(STATEMENT_DEADLINE, query.fetch_all(self.asked()?)).await;
        self.answered(answer).map(|rows| rows.into_iter().map(Row).collect())
    }

    /// Until the answer is there, being dropped means that none will come.
    fn asked(&mut self) -> Result<&mut AnyConnection, StoreError> {
        match (self.state, &mut self.connection) {
            (State::Open, Some(connection)) => {
                self.state = State::Lost;
                Ok(connection)
            }
            _ => Err(StoreError::Conflict("a statement of the transaction failed")),
        }
    }

    fn answered<T>(&mut self, answer: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, StoreError> {
        let error = match answer {
            Ok(Ok(value)) => {
                self.state = State::Open;
                return Ok(value);
            }
            Ok(Err(error)) => error,
            Err(_) => return Err(StoreError::Unavailable(DeadlinePassed.into())),
        };
        if matches!(error, sqlx::Error::Database(_)) {
            self.state = State::Failed;
        }
        Err(fault::of_statement(self.database.backend, error))
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match self.state {
            State::Over => {}
            State::Lost => connection.close_on_drop(),
            State::Open | State::Failed => drop(tokio::spawn(async move {
                let answer = timeout(STATEMENT_DEADLINE, connection.execute("ROLLBACK")).await;
                if !matches!(answer, Ok(Ok(_))) {
                    connection.close_on_drop();
                }
            })),
        }
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").finish_non_exhaustive()
    }
}
