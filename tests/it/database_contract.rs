//! What the database promises, on SQLite and on PostgreSQL, and what it does when the way to it fails.

mod accounts;
mod books;
mod events;
mod faults;
mod hooks;
mod instruments;
mod mails;
mod messages;
mod money;
mod moves;
mod orders;
mod outstanding;
mod records;
mod returns;
mod sample;
mod scans;
mod sessions;
mod together;
mod transactions;

use onsale::stores::{config::Config, database::Database};
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tempfile::TempDir;

use crate::harness::{database_of_its_own, in_time};

/// Where the tables of one test are kept, opened as often as the test likes.
struct Home {
    config: Config,
    _folder: TempDir,
}

impl Home {
    /// One for each database, with nothing in it.
    async fn all() -> Vec<Self> {
        let mut homes = vec![Self::embedded()];
        homes.extend(Self::postgres().await);
        homes
    }

    fn embedded() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let config = Config { data_dir: folder.path().into(), ..Config::default() };
        Self { config, _folder: folder }
    }

    async fn postgres() -> Option<Self> {
        let mut home = Self::embedded();
        home.config.database = database_of_its_own().await?;
        home.config.database_connections = 12;
        Some(home)
    }

    /// Ready to use.
    async fn open(&self) -> Database {
        println!("database: {}", if self.config.database.is_empty() { "SQLite" } else { "PostgreSQL" });
        let database = Database::connect(&self.config).await.expect("connect");
        database.migrate().await.expect("migrate");
        database
    }

    /// Past everything that guards the tables.
    async fn meddle(&self, sql: &'static str) {
        let url = match self.config.database.as_str() {
            "" => format!("sqlite://{}", self.config.data_dir.join("database.db").display()),
            url => url.to_owned(),
        };
        let mut connection = AnyConnection::connect(&url).await.expect("connect");
        connection.execute(sql).await.expect("meddle");
    }

    /// On SQLite nobody waits for a row.
    async fn until_one_waits_for_a_row_of_payments(&self) {
        if self.config.database.is_empty() {
            return;
        }
        let mut connection = AnyConnection::connect(&self.config.database).await.expect("connect");
        let waiting = "SELECT waits.pid FROM pg_locks waits JOIN pg_locks has ON has.pid = waits.pid \
                       WHERE NOT waits.granted AND has.relation = 'payments'::regclass";
        in_time(async { while connection.fetch_optional(waiting).await.expect("locks").is_none() {} }).await;
    }
}
