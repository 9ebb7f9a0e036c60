//! Where mails go: an SMTP server, or files for people to look at.
//!
//! Owns what an attempt's end means. What it tells of a failure never has an address or a server's own words in it, for those go
//! into logs and lists (S-52).

pub mod config;
mod folder;
mod smtp;

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;

use self::{config::Config, folder::Folder, smtp::Smtp};

/// Sends one mail at a time, many at once.
#[async_trait]
pub trait Post: Send + Sync {
    async fn send(&self, mail: &Outgoing) -> Result<Accepted, PostError>;
}

/// A mail as it goes out.
pub struct Outgoing {
    /// Names its file, where there is one.
    pub id: String,
    /// Addresses alone, without names.
    pub from: String,
    pub to: String,
    /// RFC 5322.
    pub message: Vec<u8>,
}

/// Addresses are nobody's business.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("id", &self.id).field("bytes", &self.message.len()).finish_non_exhaustive()
    }
}

/// By whom, for the log of deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted(pub &'static str);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// It may have gone out all the same.
    #[error("{0}")]
    Later(String),
    /// This mail will never be taken.
    #[error("{0}")]
    Never(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mail.{key}: {wrong}")]
pub struct InvalidConfig {
    pub key: &'static str,
    pub wrong: &'static str,
}

/// What the configuration says; files lie in `data_dir`.
pub fn open(config: &Config, data_dir: &Path) -> Result<Arc<dyn Post>, InvalidConfig> {
    config.check()?;
    if config.smtp_host.is_empty() {
        return Ok(Arc::new(Folder::new(data_dir)));
    }
    Ok(Arc::new(Smtp::new(config)?))
}
