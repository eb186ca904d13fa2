//! The folder that an index owns: nobody else may read it, and only one index at a time may use it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// An open data folder. The lock is the kernel's and ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Unusable { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The 32 bytes that are the index's identity.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.path.join("index.key")
    }

    /// The invite in the link that is printed at every start.
    pub(crate) fn invite_file(&self) -> PathBuf {
        self.path.join("first-invite")
    }

    /// A rebuildable folder of the search engine.
    pub(crate) fn search_dir(&self) -> PathBuf {
        self.path.join("search")
    }

    /// Where the operator's commands come in.
    pub(crate) fn admin_socket(path: &Path) -> PathBuf {
        path.join("admin.sock")
    }
}

/// Writes a small secret: either the whole file is there afterwards, or nothing is.
pub(crate) fn write_secret(path: &Path, contents: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(contents)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("the data folder {path} cannot be used")]
    Unusable { path: PathBuf, source: io::Error },
    #[error("another index is running on the data folder {0}")]
    InUse(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_index_on_the_same_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::open(&path).unwrap();
        assert!(matches!(DataDir::open(&path), Err(DataDirError::InUse(_))));
        drop(first);
        DataDir::open(&path).unwrap();
    }
}
