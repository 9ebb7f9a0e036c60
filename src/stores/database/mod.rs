//! Accounts, events, orders, payments, tickets and what belongs to them: one SQL text for PostgreSQL and SQLite.
//!
//! Owns connections, deadlines, transactions and what an error means. A module beside it for each table or two: reads take
//! a [`Database`]; writes that may be part of something larger take a [`Write`], and count when it is committed; writes that
//! must be one transaction of their own take a [`Database`] and are durable when they return. Decides nothing about stock.

pub mod access;
pub mod accounts;
pub mod audit;
pub mod checks;
pub mod events;
pub mod idempotency;
pub mod orders;
pub mod outbox;
pub mod page;
pub mod payments;
pub mod sandbox;
pub mod sessions;
pub mod tickets;
pub mod webhooks;

use super::{config::Config, error::StoreError};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {}

/// A transaction that writes. Dropped without [`Write::commit`], nothing was done. On SQLite it is the only one: hold it
/// across nothing but calls to the database. Must be committed within five seconds of [`Database::begin`].
#[derive(Debug)]
pub struct Write {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    pub connections: u32,
    pub idle: u32,
}

impl Database {
    /// Opens `database.db` in the data directory, or connects to PostgreSQL if an address is configured; refuses a standby.
    pub async fn connect(_config: &Config) -> Result<Self, StoreError> {
        todo!("database helper")
    }

    /// Brings the tables up to date. Several nodes may do so at once.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        todo!("database helper")
    }

    pub async fn ping(&self) -> Result<(), StoreError> {
        todo!("database helper")
    }

    pub async fn begin(&self) -> Result<Write, StoreError> {
        todo!("database helper")
    }

    /// An I/O error in a commit left it open what is on the disk: nothing more is written; the process must end and recover.
    pub fn is_poisoned(&self) -> bool {
        todo!("database helper")
    }

    pub fn pool_size(&self) -> PoolSize {
        todo!("database helper")
    }

    pub async fn close(&self) {
        todo!("database helper")
    }
}

impl Write {
    /// Durable when it returns `Ok`. [`StoreError::Unknown`] if the reply was lost.
    pub async fn commit(self) -> Result<(), StoreError> {
        todo!("database helper")
    }
}
