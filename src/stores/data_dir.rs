//! The data directory: made private, and used by one process at a time.
//!
//! Owns the lock, not what lies inside.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// Held for as long as the process uses the directory. The lock is the kernel's: it is gone when the process is, however
/// that ended.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("data directory {}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl DataDir {
    /// Makes the directory (mode 0700) when missing, and locks it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io { path: path.to_owned(), source };
        make(path)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file inside.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes the directory (mode 0700) when missing, without locking it.
pub fn make(path: &Path) -> Result<(), DataDirError> {
    let failed = |source| DataDirError::Io { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_directory_is_private_and_has_one_user_at_a_time() {
        let parent = tempfile::tempdir().expect("temporary folder");
        let path = parent.path().join("a/b");
        let first = DataDir::open(&path).expect("made");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);

        let refused = DataDir::open(&path).expect_err("in use");
        assert!(matches!(refused, DataDirError::InUse(_)), "{refused}");

        drop(first);
        DataDir::open(&path).expect("free again");
    }

    #[test]
    fn a_file_in_its_place_is_an_error_that_names_it() {
        let parent = tempfile::tempdir().expect("temporary folder");
        let path = parent.path().join("file");
        fs::write(&path, "").expect("write");
        let error = DataDir::open(&path).expect_err("a file");
        assert!(error.to_string().contains("file"), "{error}");
    }
}
