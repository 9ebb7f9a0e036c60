//! Generations of keys where there is one process: a file in the data directory (`keys.json`), written whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{CHANGED, InForce, KeyStore, Stored, Version, parsed, written};
use crate::{
    domain::keys::Schedule,
    stores::{data_dir, error::StoreError},
};

pub struct EmbeddedKeys {
    path: PathBuf,
    node: String,
    held: Mutex<Held>,
}

/// As in the file, which nobody else writes.
struct Held {
    schedule: Schedule,
    /// Counts what was written by this process.
    version: u64,
    in_force: Option<InForce>,
}

impl EmbeddedKeys {
    /// The data directory's lock keeps other processes away.
    pub fn open(path: &Path, node: impl Into<String>) -> Result<Self, StoreError> {
        let schedule = match fs::read(path) {
            Ok(text) => parsed(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Schedule::first(),
            Err(error) => return Err(StoreError::Unavailable(error.into())),
        };
        let held = Mutex::new(Held { schedule, version: 0, in_force: None });
        Ok(Self { path: path.to_owned(), node: node.into(), held })
    }

    /// Nothing that runs under the lock can panic half way.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyStore for EmbeddedKeys {
    async fn read(&self) -> Result<Stored, StoreError> {
        let held = self.held();
        let nodes = held.in_force.map(|in_force| (self.node.clone(), in_force)).into_iter().collect();
        Ok(Stored { schedule: held.schedule.clone(), version: Version(held.version), nodes })
    }

    /// Blocks for two syncs: it is done by hand, a few times a year.
    async fn replace(&self, read: Version, schedule: &Schedule) -> Result<(), StoreError> {
        let mut held = self.held();
        if read != Version(held.version) {
            return Err(StoreError::Conflict(CHANGED));
        }
        data_dir::write_whole(&self.path, &written(schedule))?;
        held.schedule = schedule.clone();
        held.version += 1;
        Ok(())
    }

    async fn report(&self, in_force: InForce) -> Result<(), StoreError> {
        self.held().in_force = Some(in_force);
        Ok(())
    }

    fn node(&self) -> &str {
        &self.node
    }
}
