//! The wallets of telephones: packs and signs passes, where the operator has the certificates for it.

pub mod apple;
pub mod config;
pub mod google;

use std::sync::Arc;

use self::{
    apple::Apple,
    config::{Config, InvalidConfig},
    google::Google,
};

/// Those that passes can be made for. Cheap to clone.
#[derive(Clone, Default)]
pub struct Wallets {
    pub apple: Option<Arc<Apple>>,
    pub google: Option<Arc<Google>>,
}

impl Wallets {
    /// Reads the files that the configuration names.
    pub fn open(config: &Config) -> Result<Self, InvalidConfig> {
        Ok(Self { apple: Apple::open(config)?.map(Arc::new), google: Google::open(config)?.map(Arc::new) })
    }
}

/// A pass cannot be made: what the operator gave does not work.
#[derive(Debug, thiserror::Error)]
#[error("a pass is not made: {0}")]
pub struct NotPacked(pub String);

impl NotPacked {
    fn because(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}
