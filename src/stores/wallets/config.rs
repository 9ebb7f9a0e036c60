//! What passes for telephones are signed with. Keys stand in files that only their owner can read.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Who gives out the passes, as people read it.
    pub organization: String,
    /// As Apple has it, such as `pass.org.example.tickets`. Empty: no passes for Apple's wallet.
    pub apple_pass_type: String,
    pub apple_team: String,
    /// PEM: the certificate of the pass type, then Apple's intermediate one.
    pub apple_certificate_file: Option<PathBuf>,
    /// PEM (PKCS #8): its key.
    pub apple_key_file: Option<PathBuf>,
    /// As Google has it, digits. Empty: no passes for Google's wallet.
    pub google_issuer: String,
    /// The service account's key, as Google gives it (JSON).
    pub google_account_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("wallets.{key}: {wrong}")]
pub struct InvalidConfig {
    pub key: &'static str,
    pub wrong: String,
}

impl InvalidConfig {
    pub(super) fn new(key: &'static str, wrong: impl std::fmt::Display) -> Self {
        Self { key, wrong: wrong.to_string() }
    }
}
