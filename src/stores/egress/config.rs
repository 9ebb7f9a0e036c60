//! What webhooks may call, and how patiently they are delivered.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::target::Rules;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Of endpoints' URLs.
    pub ports: Vec<u16>,
    /// Networks that are called though they are not public, for receivers within one's own. Names without a dot are then taken, too.
    pub allow_networks: Vec<String>,
    /// Certificates (PEM) that are believed besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Endpoints that an organizer may have.
    pub per_organizer: u32,
    /// Deliveries under way at once, to all endpoints; and to one of them.
    pub workers: usize,
    pub workers_per_endpoint: usize,
    /// Seconds before the second attempt; twice as long before each one after, up to four hours, for three days.
    pub retry_after: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ports: vec![443],
            allow_networks: Vec::new(),
            ca_file: None,
            per_organizer: 10,
            workers: 64,
            workers_per_endpoint: 4,
            retry_after: 10,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("webhooks.{key}: {wrong}")]
pub struct InvalidConfig {
    pub key: &'static str,
    pub wrong: &'static str,
}

impl Config {
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let checks = [
            ("ports", !self.ports.is_empty() && !self.ports.contains(&0), "one at least, none of them 0"),
            ("per_organizer", (1..=100).contains(&self.per_organizer), "1 to 100"),
            ("workers", (1..=1_024).contains(&self.workers), "1 to 1024"),
            ("workers_per_endpoint", (1..=self.workers).contains(&self.workers_per_endpoint), "1 to workers"),
            ("retry_after", (1..=3_600).contains(&self.retry_after), "1 second to an hour"),
        ];
        match checks.into_iter().find(|(_, good, _)| !good) {
            Some((key, _, wrong)) => Err(InvalidConfig { key, wrong }),
            None => self.rules().map(|_| ()),
        }
    }

    pub fn rules(&self) -> Result<Rules, InvalidConfig> {
        let networks = self.allow_networks.iter().map(|text| text.parse()).collect::<Result<_, _>>();
        let wrong = "addresses or networks such as 10.0.0.0/8 are expected";
        let networks = networks.map_err(|_| InvalidConfig { key: "allow_networks", wrong })?;
        Ok(Rules::new(self.ports.clone(), networks))
    }
}
