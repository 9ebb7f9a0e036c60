//! How documents are made.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Font files (TrueType or OpenType) for what the built-in ones lack, looked through in this order.
    pub fonts: Vec<PathBuf>,
    /// PDFs made at once; more than `queue` waiting are answered 503.
    pub workers: usize,
    pub queue: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { fonts: Vec::new(), workers: 1, queue: 64 }
    }
}
