//! Opening the database: which one it is, its pools, and the limits every connection gets.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _, Row as _,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::{MigrateError, Migrator},
};
use tokio::time::{sleep, timeout};

use super::{Backend, fault};
use crate::stores::{config::Config, error::StoreError, sqlite};

const MIGRATIONS: Migrator = sqlx::migrate!();

/// How long to wait for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// Of all migrations together, waiting for another node's included.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(120);
/// A connection that has idled this long is asked whether it still is one before it is used.
const TRUSTED: Duration = Duration::from_secs(1);
/// Prepared on each connection: more than there are texts, each of which has several sizes.
const STATEMENTS: &str = "400";
/// Readers of the one file; they do not wait for the writer.
const SQLITE_READERS: u32 = 4;

/// A statement that is still answered is worth waiting for only as long as whoever asked is.
const POSTGRES_LIMITS: &str =
    "SET statement_timeout = '5s'; SET lock_timeout = '4s'; SET idle_in_transaction_session_timeout = '15s'";
/// Every statement goes by keys. A plan that was made while a table was small, and is kept, would read all of it when it is large.
/// None is worth compiling; PostgreSQL would compile those that do what is switched off, for their cost is thought immense.
const POSTGRES_PLANS: &str =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";
const IN_RECOVERY: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END";

#[derive(Debug, thiserror::Error)]
#[error("the server is a standby, which takes no writes and may be behind")]
struct Standby;

pub(super) struct Target {
    pub(super) backend: Backend,
    options: AnyConnectOptions,
    connections: u32,
}

impl Target {
    pub(super) fn of(config: &Config) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (backend, url) = if config.database.is_empty() {
            let path = std::path::absolute(&config.data_dir).map_err(|error| StoreError::Invalid(error.into()))?;
            (Backend::Sqlite, sqlite::url(&path.join("database.db")))
        } else {
            (Backend::Postgres, config.database.clone())
        };
        let mut options = AnyConnectOptions::from_str(&url).map_err(|error| StoreError::Invalid(error.into()))?;
        let is_postgres = matches!(options.database_url.scheme(), "postgres" | "postgresql");
        if is_postgres != (backend == Backend::Postgres) {
            return Err(StoreError::Invalid("a postgres:// address is expected".into()));
        }
        if is_postgres {
            options.database_url.query_pairs_mut().append_pair("statement-cache-capacity", STATEMENTS);
        }
        Ok(Self {
            backend,
            options: options.disable_statement_logging(),
            connections: config.database_connections.max(1),
        })
    }

    /// A pool that writes, and one that reads; on PostgreSQL they are one.
    pub(super) async fn pools(&self) -> Result<(AnyPool, AnyPool), StoreError> {
        // The pool would call a standby a passing trouble, and try again until its time is over.
        let mut first = self.connection().await?;
        if self.backend == Backend::Postgres && is_standby(&mut first).await.map_err(|error| self.failed(error))? {
            return Err(StoreError::ReadOnly(Standby.into()));
        }
        // It has answered; how it ends says nothing about the next ones.
        let _ = first.close().await;
        match self.backend {
            Backend::Postgres => {
                let pool = self.pool(self.connections, Access::Postgres);
                Ok((pool.clone(), pool))
            }
            // SQLite has one writer; others would only wait by polling.
            Backend::Sqlite => Ok((
                self.pool(1, Access::SqliteWrite),
                self.pool(self.connections.min(SQLITE_READERS), Access::SqliteRead),
            )),
        }
    }

    fn pool(&self, connections: u32, access: Access) -> AnyPool {
        let mut options = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for < TRUSTED {
                        return Ok(true);
                    }
                    Ok(matches!(timeout(CONNECT_TIMEOUT, connection.ping()).await, Ok(Ok(()))))
                })
            })
            .after_connect(move |connection, _| Box::pin(access.prepare(connection)));
        if self.backend == Backend::Sqlite {
            // Nothing to gain from closing a file, and a last one closed would tidy the log away while we work.
            options = options.idle_timeout(None).max_lifetime(None);
        }
        options.connect_lazy_with(self.options.clone())
    }

    /// Several nodes may do so at once: PostgreSQL's migrator takes a lock, on SQLite the transaction is one.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let migrated = timeout(MIGRATE_TIMEOUT, run_migrations(self.backend, &mut connection)).await;
        match migrated {
            Ok(Ok(())) => connection.close().await.map_err(|error| self.failed(error)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StoreError::Unknown(fault::DeadlinePassed.into())),
        }
    }

    async fn connection(&self) -> Result<AnyConnection, StoreError> {
        match timeout(CONNECT_TIMEOUT, self.connect()).await {
            Ok(connected) => connected.map_err(|error| self.failed(error)),
            Err(_) => Err(StoreError::Unavailable(fault::DeadlinePassed.into())),
        }
    }

    /// Of several that open a new file at once only one can turn its log on, and there SQLite does not wait.
    async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        loop {
            match self.connect_once().await {
                Err(error) if self.backend == Backend::Sqlite && sqlite::is_busy(&error) => sleep(BUSY_PAUSE).await,
                connected => return connected,
            }
        }
    }

    async fn connect_once(&self) -> Result<AnyConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        if self.backend == Backend::Sqlite {
            connection.execute(sqlite::PRAGMAS).await?;
        }
        Ok(connection)
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        fault::of_statement(self.backend, error)
    }
}

#[derive(Clone, Copy)]
enum Access {
    Postgres,
    SqliteWrite,
    SqliteRead,
}

impl Access {
    async fn prepare(self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres => {
                connection.execute(POSTGRES_LIMITS).await?;
                connection.execute(POSTGRES_PLANS).await?;
                // An address may lead elsewhere after a failover.
                if is_standby(connection).await? {
                    return Err(sqlx::Error::Configuration(Standby.into()));
                }
            }
            Self::SqliteWrite => {
                connection.execute(sqlite::PRAGMAS).await?;
            }
            Self::SqliteRead => {
                connection.execute(sqlite::PRAGMAS).await?;
                connection.execute("PRAGMA query_only = ON").await?;
            }
        }
        Ok(())
    }
}

async fn is_standby(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    let row = connection.fetch_one(IN_RECOVERY).await?;
    Ok(row.try_get::<i32, _>(0)? != 0)
}

async fn run_migrations(backend: Backend, connection: &mut AnyConnection) -> Result<(), StoreError> {
    let mut transaction = match backend {
        Backend::Postgres => return migrated(MIGRATIONS.run_direct(None, connection, false).await),
        Backend::Sqlite => connection.begin_with("BEGIN IMMEDIATE").await,
    }
    .map_err(|error| fault::of_statement(backend, error))?;
    migrated(MIGRATIONS.run_direct(None, &mut *transaction, false).await)?;
    transaction.commit().await.map_err(|error| fault::of_commit(backend, error))
}

fn migrated(outcome: Result<(), MigrateError>) -> Result<(), StoreError> {
    outcome.map_err(|error| StoreError::Unavailable(error.into()))
}
