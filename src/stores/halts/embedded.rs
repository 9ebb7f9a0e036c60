//! The halt of all events where there is one process: a file in the data directory (`halted.json`), there while it is on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{HaltStore, Halted, parsed, written};
use crate::stores::{data_dir, error::StoreError};

pub struct EmbeddedHalts {
    path: PathBuf,
    /// As in the file, which nobody else writes.
    held: Mutex<Option<Halted>>,
}

impl EmbeddedHalts {
    /// The data directory's lock keeps other processes away.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let held = match fs::read(path) {
            Ok(text) => Some(parsed(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::Unavailable(error.into())),
        };
        Ok(Self { path: path.to_owned(), held: Mutex::new(held) })
    }
}

#[async_trait]
impl HaltStore for EmbeddedHalts {
    async fn read(&self) -> Result<Option<Halted>, StoreError> {
        Ok(self.held.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Blocks for two syncs: it is done by hand, on the worst of days.
    async fn write(&self, halted: Option<&Halted>) -> Result<(), StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match halted {
            Some(halted) => data_dir::write_whole(&self.path, written(halted).as_bytes())?,
            None => data_dir::remove(&self.path)?,
        }
        *held = halted.cloned();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_halt_outlives_the_process_and_so_does_its_end() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("halted.json");
        let halted = Halted { at_ms: 7, reason: "fire".into() };
        let store = EmbeddedHalts::open(&path).expect("opened");
        assert_eq!(store.read().await.expect("read"), None);
        for _ in 0..2 {
            store.write(Some(&halted)).await.expect("written");
        }
        let store = EmbeddedHalts::open(&path).expect("opened");
        assert_eq!(store.read().await.expect("read"), Some(halted));
        for _ in 0..2 {
            store.write(None).await.expect("written");
        }
        assert_eq!(EmbeddedHalts::open(&path).expect("opened").read().await.expect("read"), None);
        fs::write(&path, "{").expect("written");
        assert!(EmbeddedHalts::open(&path).is_err(), "who cannot tell does not start");
    }
}
