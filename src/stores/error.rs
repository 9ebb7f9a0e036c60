//! What can go wrong with a store, told apart by what the caller may conclude.

/// The technology's own error rides along as the source; it is logged where it is handled and never shown to a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was first, or the state asked for is not there: nothing was done.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// What was asked for can never be done, however often it is asked: nothing was done. The asker's mistake, or the
    /// configuration's.
    #[error("that can never be stored: {0}")]
    Invalid(#[source] Source),
    /// Certainly not done.
    #[error("the store cannot be reached, nothing was done: {0}")]
    Unavailable(#[source] Source),
    /// May have been done.
    #[error("the store did not answer, it may have been done: {0}")]
    Unknown(#[source] Source),
    /// What is stored cannot be right.
    #[error("stored data is corrupt: {0}")]
    Corrupt(String),
    /// The disk or quota is full, or the store is read-only: nothing was done, and trying again soon will not help.
    #[error("the store takes no writes: {0}")]
    ReadOnly(#[source] Source),
}

impl StoreError {
    /// Whether asking again, with the same, must end the same.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Invalid(_) | Self::Corrupt(_) => true,
            Self::Unavailable(_) | Self::Unknown(_) | Self::ReadOnly(_) => false,
        }
    }

    /// The same conclusion for one more caller, where one write served several.
    pub fn for_another(&self) -> Self {
        let source = |source: &Source| source.to_string().into();
        match self {
            Self::Conflict(reason) => Self::Conflict(reason),
            Self::Invalid(error) => Self::Invalid(source(error)),
            Self::Unavailable(error) => Self::Unavailable(source(error)),
            Self::Unknown(error) => Self::Unknown(source(error)),
            Self::Corrupt(what) => Self::Corrupt(what.clone()),
            Self::ReadOnly(error) => Self::ReadOnly(source(error)),
        }
    }
}

pub type Source = Box<dyn std::error::Error + Send + Sync>;
