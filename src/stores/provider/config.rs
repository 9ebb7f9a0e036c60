//! Which payment providers there are, and how patiently they are asked. Secrets stand in files of their own.

use std::{path::PathBuf, time::Duration};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::guard::Settings;
use crate::domain::{breaker, inventory::request::MOST_AWAITED, time::Millis};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The built-in provider, for trials: no money moves. Never beside one where it does.
    pub sandbox: bool,
    /// How much longer a hold lasts, once, while its provider says that the money is under way.
    pub processing_seconds: u64,
    /// For one call of a provider.
    pub timeout_ms: u64,
    /// Of what a fan waits for, all within `request_timeout`; the second after `retry_after_ms`, then twice as long each time.
    pub tries: u32,
    pub retry_after_ms: u64,
    /// A provider is not asked for `breaker_open_ms` when of the calls of the last `breaker_window_ms` at least `breaker_calls`
    /// have ended and `breaker_percent` of them failed.
    pub breaker_window_ms: u64,
    pub breaker_calls: u32,
    pub breaker_percent: u32,
    pub breaker_open_ms: u64,
    pub stripe: StripeConfig,
    pub toss: TossConfig,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StripeConfig {
    /// Holds the secret key. Without it Stripe is not offered.
    pub secret_key_file: Option<PathBuf>,
    /// Holds the signing secret of the webhook; a second line while it is being rolled.
    pub webhook_secrets_file: Option<PathBuf>,
    pub api_url: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TossConfig {
    /// Holds the secret key. Without it Toss is not offered.
    pub secret_key_file: Option<PathBuf>,
    /// The client key, which is public.
    pub client_key: String,
    pub api_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sandbox: true,
            processing_seconds: 300,
            timeout_ms: 5_000,
            tries: 3,
            retry_after_ms: 250,
            breaker_window_ms: 30_000,
            breaker_calls: 5,
            breaker_percent: 50,
            breaker_open_ms: 30_000,
            stripe: StripeConfig::default(),
            toss: TossConfig::default(),
        }
    }
}

impl Default for StripeConfig {
    fn default() -> Self {
        Self { secret_key_file: None, webhook_secrets_file: None, api_url: "https://api.stripe.com".into() }
    }
}

impl Default for TossConfig {
    fn default() -> Self {
        Self { secret_key_file: None, client_key: String::new(), api_url: "https://api.tosspayments.com".into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("payments.{key}: {wrong}")]
pub struct InvalidConfig {
    pub key: &'static str,
    pub wrong: &'static str,
}

/// What a fan waits for is over by then, a little before a request is.
const PATIENCE: Duration = Duration::from_secs(8);

impl Config {
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub fn settings(&self) -> Settings {
        Settings {
            breaker: breaker::Settings {
                window: Millis(self.breaker_window_ms),
                calls: self.breaker_calls,
                percent: self.breaker_percent,
                rest: Millis(self.breaker_open_ms),
            },
            timeout: self.timeout(),
            tries: self.tries,
            pause: Duration::from_millis(self.retry_after_ms),
            patience: PATIENCE,
        }
    }

    /// What asking needs to be true; the types allow more.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let (stripe, toss) = (&self.stripe, &self.toss);
        let checks = [
            ("processing_seconds", (1..=MOST_AWAITED.0 / 1_000).contains(&self.processing_seconds), "1 to 900 seconds"),
            ("timeout_ms", (100..=8_000).contains(&self.timeout_ms), "100 ms to 8 seconds"),
            ("tries", (1..=10).contains(&self.tries), "1 to 10"),
            ("breaker_calls", self.breaker_calls > 0, "at least 1"),
            ("breaker_percent", (1..=100).contains(&self.breaker_percent), "1 to 100"),
            ("breaker_open_ms", self.breaker_open_ms >= 100, "at least 100 ms"),
            (
                "stripe.webhook_secrets_file",
                stripe.secret_key_file.is_some() == stripe.webhook_secrets_file.is_some(),
                "is needed with stripe.secret_key_file, and is of no use without",
            ),
            (
                "toss.client_key",
                toss.secret_key_file.is_some() != toss.client_key.is_empty(),
                "is needed with toss.secret_key_file, and is of no use without",
            ),
            (
                "sandbox",
                !self.sandbox || (stripe.secret_key_file.is_none() && toss.secret_key_file.is_none()),
                "must be false where money moves: whoever chooses it pays nothing",
            ),
            ("stripe.api_url", is_safe(&stripe.api_url), "an https URL is expected (http on this machine)"),
            ("toss.api_url", is_safe(&toss.api_url), "an https URL is expected (http on this machine)"),
        ];
        match checks.into_iter().find(|(_, good, _)| !good) {
            Some((key, _, wrong)) => Err(InvalidConfig { key, wrong }),
            None => Ok(()),
        }
    }
}

/// A secret key does not go to another machine in the clear.
fn is_safe(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_half_a_provider_or_an_open_wire_is_refused() {
        assert_eq!(Config::default().check(), Ok(()));
        let file = || Some(PathBuf::from("/etc/onsale/key"));
        let stripe = |stripe| Config { sandbox: false, stripe, ..Config::default() };
        let toss = |toss| Config { sandbox: false, toss, ..Config::default() };
        let good = StripeConfig { secret_key_file: file(), webhook_secrets_file: file(), ..StripeConfig::default() };
        assert_eq!(stripe(good.clone()).check(), Ok(()));
        assert_eq!(stripe(StripeConfig { api_url: "http://127.0.0.1:8420".into(), ..good.clone() }).check(), Ok(()));
        for (key, config) in [
            ("stripe.webhook_secrets_file", stripe(StripeConfig { webhook_secrets_file: None, ..good.clone() })),
            ("stripe.webhook_secrets_file", stripe(StripeConfig { secret_key_file: None, ..good.clone() })),
            ("sandbox", Config { sandbox: true, ..stripe(good.clone()) }),
            ("stripe.api_url", stripe(StripeConfig { api_url: "http://stripe.example".into(), ..good.clone() })),
            ("stripe.api_url", stripe(StripeConfig { api_url: "stripe".into(), ..good })),
            ("toss.client_key", toss(TossConfig { secret_key_file: file(), ..TossConfig::default() })),
            ("toss.client_key", toss(TossConfig { client_key: "test_ck".into(), ..TossConfig::default() })),
            ("timeout_ms", Config { timeout_ms: 9_000, ..Config::default() }),
            ("breaker_percent", Config { breaker_percent: 0, ..Config::default() }),
        ] {
            assert_eq!(config.check().expect_err(key).key, key);
        }
    }
}
