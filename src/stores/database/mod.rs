//! Accounts, events, orders, payments, tickets and what belongs to them: one SQL text for PostgreSQL and SQLite.
//!
//! Owns connections, deadlines, transactions and what an error means. A module beside it for each table or two: reads take
//! a [`Database`]; writes that may be part of something larger take a [`Write`], and count when it is committed; writes that
//! must be one transaction of their own take a [`Database`] and are durable when they return. Decides nothing about stock.
//!
//! The one text works under these rules: times are BIGINT milliseconds, ids and JSON are TEXT, no BOOLEAN, `$1` for
//! parameters, sums are cast, rows are guarded by conditions and by the number of rows affected, and locked only where many
//! change the same. In a table that grows in a sale, what finds a row by its key does not repeat the condition of a partial
//! index (`delivered_at IS NULL`): PostgreSQL, which has seen that index empty at rest, may read all of it instead.

mod connect;
mod fault;
mod many;
mod row;
mod together;
mod write;

pub mod account_codes;
pub mod accounts;
pub mod attention;
pub mod audit;
pub mod checks;
pub mod dead_letters;
pub mod events;
pub mod idempotency;
pub mod instruments;
pub mod ledger;
pub mod mailings;
pub mod mails;
pub mod messages;
pub mod more_time;
pub mod orders;
pub mod outbox;
pub mod page;
pub mod payments;
pub mod refund_batches;
pub mod refunds;
pub mod returns;
pub mod sandbox;
pub mod scans;
pub mod seat_moves;
pub mod sessions;
pub mod templates;
pub mod tickets;
pub mod transfers;
pub mod webhook_deliveries;
pub mod webhook_endpoints;
pub mod webhooks;

use std::{fmt, sync::Arc};

use sqlx::{Any, AnyPool, AssertSqlSafe, any::AnyArguments, pool::PoolConnection};
use tokio::time::{error::Elapsed, timeout};
use tokio_util::sync::CancellationToken;

pub use self::write::Write;
use self::{connect::Target, fault::DeadlinePassed, row::Row, together::Desk, write::STATEMENT_DEADLINE};
use super::{config::Config, error::StoreError};

/// Cheap to clone.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    target: Target,
    writers: AnyPool,
    readers: AnyPool,
    poisoned: CancellationToken,
    more_time: more_time::Known,
    desks: Desks,
}

/// Where what many do at the same time is done together.
#[derive(Default)]
struct Desks {
    keys: Desk<idempotency::Begin>,
    orders: Desk<orders::Ensure>,
    orders_read: Desk<orders::ByReference>,
    checkouts: Desk<orders::Opening>,
    payments: Desk<payments::outstanding::Begin>,
    payments_opened: Desk<payments::outstanding::Answered>,
    payments_read: Desk<payments::BySession>,
    webhooks: Desk<webhooks::Receive>,
    settlings: Desk<orders::Settle>,
    outbox: Desk<outbox::Done>,
    sandbox_sessions: Desk<sandbox::Create>,
    sandbox_read: Desk<sandbox::ById>,
    sandbox_decisions: Desk<sandbox::Decide>,
    sandbox_deliveries: Desk<sandbox::Deliver>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Postgres,
    Sqlite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    pub connections: u32,
    pub idle: u32,
}

type Query = sqlx::query::Query<'static, Any, AnyArguments>;

/// A statement of constant parts: nothing that comes from outside is in its text.
fn statement<const N: usize>(parts: [&'static str; N]) -> Query {
    sqlx::query(AssertSqlSafe(parts.concat()))
}

#[derive(Debug, thiserror::Error)]
#[error("an earlier commit failed in the middle; the process must end and recover")]
struct Poisoned;

impl Database {
    /// Opens `database.db` in the data directory, or connects to PostgreSQL if an address is configured; refuses a standby.
    pub async fn connect(config: &Config) -> Result<Self, StoreError> {
        let target = Target::of(config)?;
        let (writers, readers) = target.pools().await?;
        let (poisoned, more_time) = (CancellationToken::new(), more_time::Known::default());
        let desks = Desks::default();
        let inner = Inner { backend: target.backend, target, writers, readers, poisoned, more_time, desks };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Brings the tables up to date. Several nodes may do so at once.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.inner.target.migrate().await
    }

    pub async fn ping(&self) -> Result<(), StoreError> {
        self.inner.refuse_if_poisoned()?;
        self.fetch_optional(sqlx::query("SELECT 1 AS one")).await.map(|_| ())
    }

    pub async fn begin(&self) -> Result<Write, StoreError> {
        self.inner.refuse_if_poisoned()?;
        Write::begin(Arc::clone(&self.inner)).await
    }

    fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// An I/O error in a commit left it open what is on the disk: nothing more is written; the process must end and recover.
    pub fn is_poisoned(&self) -> bool {
        self.inner.poisoned.is_cancelled()
    }

    /// Returns when it is.
    pub async fn poisoned(&self) {
        self.inner.poisoned.cancelled().await;
    }

    pub fn pool_size(&self) -> PoolSize {
        let Inner { backend, writers, readers, .. } = &*self.inner;
        let idle = |pool: &AnyPool| u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        match backend {
            Backend::Postgres => PoolSize { connections: writers.size(), idle: idle(writers) },
            Backend::Sqlite => {
                PoolSize { connections: writers.size() + readers.size(), idle: idle(writers) + idle(readers) }
            }
        }
    }

    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writers.close().await;
    }

    async fn fetch_optional(&self, query: Query) -> Result<Option<Row>, StoreError> {
        let mut read = self.read().await?;
        let answer = timeout(STATEMENT_DEADLINE, query.fetch_optional(&mut *read.connection)).await;
        read.answered(self.inner.backend, answer).map(|row| row.map(Row))
    }

    async fn fetch_all(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        let mut read = self.read().await?;
        let answer = timeout(STATEMENT_DEADLINE, query.fetch_all(&mut *read.connection)).await;
        read.answered(self.inner.backend, answer).map(|rows| rows.into_iter().map(Row).collect())
    }

    /// A single number.
    async fn count(&self, query: Query) -> Result<u64, StoreError> {
        match self.fetch_optional(query).await? {
            Some(row) => row.number("count"),
            None => Err(StoreError::Corrupt("a count gave no row".into())),
        }
    }

    async fn read(&self) -> Result<Read, StoreError> {
        let connection = self.inner.readers.acquire().await;
        let connection = connection.map_err(|error| fault::of_statement(self.inner.backend, error))?;
        Ok(Read { connection, is_answered: false })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("backend", &self.inner.backend).finish_non_exhaustive()
    }
}

impl Inner {
    fn poison(&self) {
        self.poisoned.cancel();
    }

    fn refuse_if_poisoned(&self) -> Result<(), StoreError> {
        if self.poisoned.is_cancelled() { Err(StoreError::Unavailable(Poisoned.into())) } else { Ok(()) }
    }
}

/// One statement that reads. Left without an answer, its connection is not used again.
struct Read {
    connection: PoolConnection<Any>,
    is_answered: bool,
}

impl Read {
    fn answered<T>(
        &mut self,
        backend: Backend,
        answer: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StoreError> {
        let Ok(answer) = answer else { return Err(StoreError::Unavailable(DeadlinePassed.into())) };
        self.is_answered = matches!(answer, Ok(_) | Err(sqlx::Error::Database(_)));
        answer.map_err(|error| fault::of_statement(backend, error))
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        if !self.is_answered {
            self.connection.close_on_drop();
        }
    }
}
