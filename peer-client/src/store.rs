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
//!    clean; asking again would "succeed" (ATC '20, "Can Applications Recover from fsync Failures?").
//! 3. Nothing is ever replaced: an occupied name gets a number.
//! 4. Everything is opened relative to a handle of the folder, and links are neither followed out of it nor made.

mod finish;
mod part;

pub use part::{Part, Resumed};

use std::io;
use std::path::{Path, PathBuf};

/// Below each download folder.
pub const PARTIAL_FOLDER: &str = ".partial";

/// Bytes that still fit on the disk of `folder`, as far as its file system tells. A quota may leave less. Blocks.
pub fn room(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    // Some network file systems say that they have no size at all.
    (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Why bytes could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the disk is full")]
    DiskFull,
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl StoreError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io { doing, path, source },
        }
    }
}
