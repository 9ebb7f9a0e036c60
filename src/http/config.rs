//! The edge: addresses, limits, tokens. Times in seconds unless the name says otherwise.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::challenge::Asking;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Public listener. Port 0: any free one.
    pub listen: String,
    /// Admin API and metrics.
    pub admin_listen: String,
    /// How the outside reaches us, for links; empty: from `listen`.
    pub public_url: String,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// For a trial: makes a certificate at each start.
    pub tls_self_signed: bool,
    /// Addresses (CIDR) of proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<String>,
    /// Origins that may open sockets from a browser; the public URL's is always allowed.
    pub allowed_origins: Vec<String>,
    /// Root secret: at least 32 random bytes, base64 or hex. Empty: made in the data directory, mode 0600.
    pub root_secret_file: Option<PathBuf>,
    pub issuer: String,
    pub access_ttl: u64,
    pub refresh_idle_ttl: u64,
    pub refresh_absolute_ttl: u64,
    /// A refresh token used twice within this gives the same successor to the same client; 0: never.
    pub refresh_grace: u64,
    /// 4 to 31. Below 10 is refused unless `insecure_demo`.
    pub bcrypt_cost: u32,
    /// Password hashes computed at once; more than `bcrypt_queue` waiting are answered 429.
    pub bcrypt_workers: usize,
    pub bcrypt_queue: usize,
    pub max_connections: usize,
    /// Requests under way at once, on each listener; more are answered 503.
    pub max_in_flight: usize,
    pub max_sockets_per_account: usize,
    pub header_timeout: u64,
    pub request_timeout: u64,
    pub body_limit: usize,
    pub seat_plan_limit: usize,
    /// Requests a second of one address, and its burst, on login and register.
    pub login_per_minute: u32,
    pub join_per_second: u32,
    pub join_burst: u32,
    /// Whether a proof of work is asked of who has no place yet: `off`, `on`, or `under_load`.
    pub join_challenge: Asking,
    /// Zero bits that its hash begins with: each one more doubles the work.
    pub join_challenge_bits: u32,
    /// More joins than this in one second, at this node, are a load.
    pub join_rush: u32,
    /// Whether a captcha is asked of who has no place yet: `off`, `on`, or `under_load`.
    pub captcha: Asking,
    /// Who checks it: takes a form with `secret`, `response`, `remoteip`, answers JSON with `success`.
    pub captcha_url: String,
    /// What we are known by there; a file that only its owner can read.
    pub captcha_secret_file: Option<PathBuf>,
    /// For one check; later it counts as not answered.
    pub captcha_timeout: u64,
    /// From when a new generation of keys is believed until it signs; nodes see it within seconds.
    pub keys_overlap: u64,
    /// How old a node's list of ended sessions may be, at most 60; it is read anew four times within that.
    pub ended_sessions_max_age: u64,
    pub shutdown_grace: u64,
    /// Relaxes limits for a demonstration on one machine; says so at start.
    /// Whether only those may buy whose address is confirmed; a link goes to each who registers then.
    pub verify_mail: bool,
    pub insecure_demo: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            admin_listen: "127.0.0.1:9090".into(),
            public_url: String::new(),
            tls_cert: None,
            tls_key: None,
            tls_self_signed: false,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            root_secret_file: None,
            issuer: "onsale".into(),
            access_ttl: 15 * 60,
            refresh_idle_ttl: 7 * 24 * 3600,
            refresh_absolute_ttl: 30 * 24 * 3600,
            refresh_grace: 10,
            bcrypt_cost: 12,
            bcrypt_workers: 2,
            bcrypt_queue: 64,
            max_connections: 100_000,
            max_in_flight: 16_384,
            max_sockets_per_account: 5,
            header_timeout: 10,
            request_timeout: 10,
            body_limit: 64 * 1024,
            seat_plan_limit: 8 * 1024 * 1024,
            login_per_minute: 30,
            join_per_second: 10,
            join_burst: 20,
            join_challenge: Asking::Off,
            join_challenge_bits: 18,
            join_rush: 500,
            captcha: Asking::Off,
            captcha_url: String::new(),
            captcha_secret_file: None,
            captcha_timeout: 3,
            keys_overlap: 30,
            ended_sessions_max_age: 30,
            shutdown_grace: 25,
            verify_mail: false,
            insecure_demo: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("http.{key}: {wrong}")]
pub struct InvalidConfig {
    pub key: &'static str,
    pub wrong: &'static str,
}

/// S-4: what changes an account is in force within this.
const MAX_ENDED_SESSIONS_AGE: u64 = 60;
/// Longer, and who rotates because a key has leaked waits for nothing.
const MAX_KEYS_OVERLAP: u64 = 3_600;
/// A cheaper hash is guessed too quickly.
const MIN_BCRYPT_COST: u32 = 10;

impl Config {
    /// What the server needs to be true; the types allow more.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let cheapest = if self.insecure_demo { 4 } else { MIN_BCRYPT_COST };
        let checks = [
            ("bcrypt_cost", (cheapest..=31).contains(&self.bcrypt_cost), "10 to 31 (from 4 with insecure_demo)"),
            ("bcrypt_workers", self.bcrypt_workers > 0, "at least 1"),
            ("issuer", !self.issuer.is_empty(), "must not be empty"),
            ("access_ttl", (1..=86_400).contains(&self.access_ttl), "1 second to a day"),
            ("refresh_idle_ttl", self.refresh_idle_ttl > 0, "at least 1 second"),
            ("refresh_absolute_ttl", self.refresh_absolute_ttl >= self.refresh_idle_ttl, "not below refresh_idle_ttl"),
            ("ended_sessions_max_age", self.ended_sessions_max_age <= MAX_ENDED_SESSIONS_AGE, "at most 60 seconds"),
            ("keys_overlap", self.keys_overlap <= MAX_KEYS_OVERLAP, "at most an hour"),
            ("max_connections", self.max_connections > 0, "at least 1"),
            ("max_in_flight", self.max_in_flight > 0, "at least 1"),
            ("max_sockets_per_account", self.max_sockets_per_account > 0, "at least 1"),
            ("header_timeout", self.header_timeout > 0, "at least 1 second"),
            ("request_timeout", self.request_timeout > 0, "at least 1 second"),
            ("body_limit", self.body_limit > 0, "at least 1 byte"),
            ("seat_plan_limit", self.seat_plan_limit >= self.body_limit, "not below body_limit"),
            ("login_per_minute", self.login_per_minute > 0, "at least 1"),
            ("join_per_second", self.join_per_second > 0, "at least 1"),
            ("join_burst", self.join_burst > 0, "at least 1"),
            ("captcha_timeout", (1..=10).contains(&self.captcha_timeout), "1 to 10 seconds"),
            ("join_challenge_bits", (1..=32).contains(&self.join_challenge_bits), "1 to 32"),
        ];
        match checks.into_iter().find(|(_, good, _)| !good) {
            Some((key, _, wrong)) => Err(InvalidConfig { key, wrong }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_what_would_weaken_the_edge_is_refused() {
        assert_eq!(Config::default().check(), Ok(()));
        let wrong = [
            ("bcrypt_cost", Config { bcrypt_cost: 9, ..Config::default() }),
            ("bcrypt_cost", Config { bcrypt_cost: 3, insecure_demo: true, ..Config::default() }),
            ("ended_sessions_max_age", Config { ended_sessions_max_age: 61, ..Config::default() }),
            ("header_timeout", Config { header_timeout: 0, ..Config::default() }),
            ("issuer", Config { issuer: String::new(), ..Config::default() }),
        ];
        for (key, config) in wrong {
            assert_eq!(config.check().expect_err(key).key, key);
        }
        assert_eq!(Config { bcrypt_cost: 4, insecure_demo: true, ..Config::default() }.check(), Ok(()));
    }
}
