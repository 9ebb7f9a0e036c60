//! How mails go out. Times in seconds.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::InvalidConfig;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name or address of an SMTP server. Empty: files in the data directory.
    pub smtp_host: String,
    /// 0: the usual one, 465 (`on`), 587 (`starttls`) or 25 (`off`).
    pub smtp_port: u16,
    pub smtp_tls: Tls,
    /// Empty: without signing in.
    pub smtp_user: String,
    /// A file that only its owner can read.
    pub smtp_password_file: Option<PathBuf>,
    /// Certificates (PEM) that are believed besides the system's.
    pub smtp_ca_file: Option<PathBuf>,
    /// For one mail.
    pub smtp_timeout: u64,
    /// Whom mails are from: an address, or `Name <address>`.
    pub from: String,
    /// Mails under way at once.
    pub workers: usize,
    /// Before the second attempt; twice as long before each one after, up to a quarter of an hour.
    pub retry_after: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// From the first byte.
    On,
    /// From the server's word on; without it nothing is sent.
    Starttls,
    Off,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            smtp_host: String::new(),
            smtp_port: 0,
            smtp_tls: Tls::On,
            smtp_user: String::new(),
            smtp_password_file: None,
            smtp_ca_file: None,
            smtp_timeout: 30,
            from: "onsale <tickets@localhost>".into(),
            workers: 2,
            retry_after: 30,
        }
    }
}

impl Config {
    pub fn port(&self) -> u16 {
        match (self.smtp_port, self.smtp_tls) {
            (0, Tls::On) => 465,
            (0, Tls::Starttls) => 587,
            (0, Tls::Off) => 25,
            (port, _) => port,
        }
    }

    /// What sending needs to be true; the types allow more.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let is_here = matches!(self.smtp_host.as_str(), "localhost" | "127.0.0.1" | "::1");
        let checks = [
            ("smtp_timeout", (1..=120).contains(&self.smtp_timeout), "1 to 120 seconds"),
            ("workers", (1..=64).contains(&self.workers), "1 to 64"),
            ("retry_after", (1..=900).contains(&self.retry_after), "1 second to a quarter of an hour"),
            (
                "smtp_password_file",
                self.smtp_user.is_empty() == self.smtp_password_file.is_none(),
                "is needed with smtp_user, and is of no use without",
            ),
            (
                "smtp_tls",
                self.smtp_user.is_empty() || self.smtp_tls != Tls::Off || is_here,
                "a password does not go to another machine in the clear",
            ),
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
    fn the_defaults_are_good_and_what_would_leak_a_password_is_refused() {
        assert_eq!(Config::default().check(), Ok(()));
        let with_user = Config {
            smtp_host: "mail.example.org".into(),
            smtp_user: "shop".into(),
            smtp_password_file: Some("/etc/onsale/smtp.password".into()),
            ..Config::default()
        };
        assert_eq!(with_user.check(), Ok(()));
        let wrong = [
            ("smtp_tls", Config { smtp_tls: Tls::Off, ..with_user.clone() }),
            ("smtp_password_file", Config { smtp_password_file: None, ..with_user.clone() }),
            ("smtp_password_file", Config { smtp_user: String::new(), ..with_user.clone() }),
            ("workers", Config { workers: 0, ..Config::default() }),
            ("smtp_timeout", Config { smtp_timeout: 0, ..Config::default() }),
        ];
        for (key, config) in wrong {
            assert_eq!(config.check().expect_err(key).key, key);
        }
        let ports = [Tls::On, Tls::Starttls, Tls::Off].map(|smtp_tls| Config { smtp_tls, ..Config::default() }.port());
        assert_eq!(ports, [465, 587, 25]);
    }
}
