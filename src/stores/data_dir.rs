//! The data directory: made private, and used by one process at a time.
//!
//! Owns the lock, and how a small file is written; not what lies inside.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::error::StoreError;

/// https://docs.kernel.org/admin-guide/sysctl/kernel.html#random
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

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

    /// Names this directory on this machine since it was switched on: the same for every process that has held the lock,
    /// another one for a copy elsewhere.
    pub fn identity(&self) -> Result<String, DataDirError> {
        let path = self.file("identity");
        let failed = |source| DataDirError::Io { path: path.clone(), source };
        let mut name = match fs::read_to_string(&path) {
            Ok(name) => name,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        // Empty: somebody was killed while writing it.
        if name.is_empty() {
            name = format!("{:032x}", rand::random::<u128>());
            fs::write(&path, &name).map_err(failed)?;
        }
        // Where the system has no such name nobody is recognised, which costs a restarted node the wait for its lease.
        let machine = fs::read_to_string(BOOT_ID).unwrap_or_else(|_| format!("{:032x}", rand::random::<u128>()));
        Ok(format!("{} {}", name.trim(), machine.trim()))
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

/// A crash leaves the old file or the new one.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let prepare = || {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    prepare().map_err(|error: io::Error| StoreError::ReadOnly(error.into()))?;
    let swap = || {
        fs::rename(&new, path)?;
        sync_folder(path)
    };
    swap().map_err(|error: io::Error| StoreError::Unknown(error.into()))
}

/// One that is not there is no error.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path).map_err(|error| StoreError::Unknown(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::ReadOnly(error.into())),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
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
    fn a_directory_keeps_its_identity_and_another_one_has_another() {
        let (here, there) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
        let identity = |path| DataDir::open(path).expect("opened").identity().expect("an identity");
        assert_eq!(identity(here.path()), identity(here.path()));
        assert_ne!(identity(here.path()), identity(there.path()));
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
