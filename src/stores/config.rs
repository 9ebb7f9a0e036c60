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

impl Config {
    /// What it leads to, for people.
    pub fn technologies(&self) -> String {
        let all = [
            ("etcd", self.etcd.is_empty()),
            ("Redis", self.redis.is_empty()),
            ("RabbitMQ", self.rabbitmq.is_empty()),
            ("PostgreSQL", self.database.is_empty()),
        ];
        let servers: Vec<_> = all.iter().filter(|(_, embedded)| !embedded).map(|(name, _)| *name).collect();
        match servers.len() {
            0 => "embedded".to_owned(),
            count if count == all.len() => servers.join(", "),
            _ => format!("{}, the others embedded", servers.join(", ")),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_embedded_and_what_is_a_server_is_said() {
        let mut config = Config::default();
        assert_eq!(config.technologies(), "embedded");
        config.etcd = vec!["http://e".into()];
        assert_eq!(config.technologies(), "etcd, the others embedded");
        (config.redis, config.rabbitmq, config.database) = ("r".into(), "q".into(), "d".into());
        assert_eq!(config.technologies(), "etcd, Redis, RabbitMQ, PostgreSQL");
    }
}
