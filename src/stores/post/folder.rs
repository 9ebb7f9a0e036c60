//! Mails as files, one `.eml` each, for a shop that has no SMTP server yet.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Accepted, Outgoing, Post, PostError};
use crate::stores::data_dir;

pub(super) struct Folder(PathBuf);

impl Folder {
    pub fn new(data_dir: &Path) -> Self {
        Self(data_dir.join("mails"))
    }
}

#[async_trait]
impl Post for Folder {
    async fn send(&self, mail: &Outgoing) -> Result<Accepted, PostError> {
        let (folder, file) = (self.0.clone(), self.0.join(format!("{}.eml", mail.id)));
        let message = mail.message.clone();
        let written = tokio::task::spawn_blocking(move || {
            data_dir::make(&folder).map_err(|error| error.to_string())?;
            data_dir::write_whole(&file, &message).map_err(|error| error.to_string())
        });
        let written = written.await.map_err(|error| PostError::Later(error.to_string()))?;
        written.map(|()| Accepted("written to the data directory")).map_err(PostError::Later)
    }
}
