//! Verified bytes on disk: unfinished downloads, and how they become finished files.
//!
//! An unfinished file lies in `.partial` below the folder where it will end, so that finishing is a rename within
//! one file system: `<file id>.part`, sparse, and `<file id>.layer`, its tree layer. There is no list of which
//! leaves are there. Resuming hashes the part and believes what it finds; that costs tens of milliseconds for a
//! song, and a crash cannot make it lie.
//!
//! Rules:
//! 1. Only verified leaves are written. The final name never holds a wrong byte, whenever the power fails:
//!    contents reach the disk before the rename, the rename before success is reported.
//! 2. A failed `fdatasync` is final: the part is thrown away. The kernel may have dropped the pages and marked them
//!    clean; asking again would "succeed", and so would reading them (ATC '20, "Can Applications Recover from fsync
//!    Failures?"). A download whose disk was merely full begins again once there is room.
//! 3. Nothing is ever replaced: an occupied name gets a number.
//! 4. A file that was finished is found again, whether or not anybody lived to report it.
//! 5. Everything is opened relative to a handle of the folder, and links are neither followed out of it nor made.

pub mod disk;
mod finish;
mod part;

#[cfg(test)]
pub(crate) mod faulty;
#[cfg(test)]
mod tests;

pub use disk::{Disk, LocalDisk};
pub use finish::find_finished;
pub use part::{Part, Resumed};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Below each download folder.
pub const PARTIAL_FOLDER: &str = ".partial";

/// Why bytes could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the disk is full")]
    DiskFull,
    /// What was written found no room on its way from memory to the disk; nothing of it is left.
    #[error("the disk is full, and {} was lost", .path.display())]
    LostToFullDisk { path: PathBuf },
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl StoreError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| if is_full(&source) { Self::DiskFull } else { Self::Io { doing, path, source } }
    }

    /// Of a part that could not be synced.
    fn lost(path: &Path, error: &Arc<io::Error>) -> Self {
        let path = path.to_owned();
        if is_full(error) {
            return Self::LostToFullDisk { path };
        }
        Self::Io { doing: "save", path, source: io::Error::new(error.kind(), Arc::clone(error)) }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
