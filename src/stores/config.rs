//! Where things are kept. Empty addresses mean the embedded stores.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Holds the embedded stores, and the root secret where none is given. Locked by the process that uses it.
    pub data_dir: PathBuf,
    /// etcd client URLs; the journal and ownership.
    pub etcd: Vec<String>,
    /// `redis://` URL; the queues.
    pub redis: String,
    /// `amqp://` URL; the order bus.
    pub rabbitmq: String,
    /// `postgres://` URL; accounts, events, orders, tickets.
    pub database: String,
    /// Connections to the database.
    pub database_connections: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "onsale-data".into(),
            etcd: Vec::new(),
            redis: String::new(),
            rabbitmq: String::new(),
            database: String::new(),
            database_connections: 16,
        }
    }
}
