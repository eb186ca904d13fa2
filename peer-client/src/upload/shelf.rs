//! What uploading needs of those who have files: the library, and downloads that are not finished.
//!
//! A file is sent only while it is what was hashed. The library knows how the file looked from outside when it was
//! hashed; uploading compares that before the first byte and after every piece it read, so that not even a piece of
//! another version leaves the house.

use std::fs::{File, Metadata};
use std::io;
use std::sync::Arc;

use choir_shared::leaf::LeafSet;
use choir_shared::merkle::TreeLayer;
use choir_shared::{Digest, FileId};
use futures_util::future::BoxFuture;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use super::admit::Audience;

/// The files that are shared.
pub trait Shelf: Send + Sync {
    fn find(&self, file: FileId) -> BoxFuture<'_, Option<ShelvedFile>>;

    /// The hashes of all leaves of a shared file that is here whole.
    fn leaves(&self, file: FileId) -> BoxFuture<'_, Option<Arc<[Digest]>>>;

    /// The file is not what it was, or somebody says so: hash it again, and correct what was published.
    /// Returns at once; asked again while it is at it, the library does nothing.
    fn recheck(&self, file: FileId);
}

type Open = dyn Fn() -> Result<CheckedFile, Unreadable> + Send + Sync;

/// A shared file, not yet opened.
#[derive(Clone)]
pub struct ShelvedFile {
    pub visibility: Visibility,
    pub contents: Contents,
    open: Arc<Open>,
}

/// Who may have a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Whoever may have any of these collections.
    Collections(Vec<String>),
    /// Nobody asked its owner; those may have it among whom it is passed around anyway.
    Audience(Audience),
}

/// How much of a file is here.
#[derive(Clone, Debug)]
pub enum Contents {
    Whole,
    /// These leaves, which its layer proved.
    Part {
        held: LeafSet,
        layer: Arc<TreeLayer>,
    },
}

impl ShelvedFile {
    /// `open` may block.
    pub fn new(
        visibility: Visibility,
        contents: Contents,
        open: impl Fn() -> Result<CheckedFile, Unreadable> + Send + Sync + 'static,
    ) -> Self {
        Self { visibility, contents, open: Arc::new(open) }
    }

    /// Blocks.
    pub fn open(&self) -> Result<CheckedFile, Unreadable> {
        (self.open)()
    }
}

type Unchanged = dyn Fn(&Metadata) -> bool + Send + Sync;

/// An open file that can tell whether it still is what was hashed.
pub struct CheckedFile {
    file: File,
    unchanged: Box<Unchanged>,
}

impl CheckedFile {
    /// Fails if the file is not `unchanged` already.
    pub fn new(file: File, unchanged: impl Fn(&Metadata) -> bool + Send + Sync + 'static) -> Result<Self, Unreadable> {
        let checked = Self { file, unchanged: Box::new(unchanged) };
        checked.check()?;
        Ok(checked)
    }

    pub fn check(&self) -> Result<(), Unreadable> {
        if (self.unchanged)(&self.file.metadata()?) { Ok(()) } else { Err(Unreadable::Changed) }
    }

    /// Reads `bytes` bytes that were those of the hashed file after they were read. Blocks.
    pub fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, Unreadable> {
        // Not filled with zeros first: that alone was 3 % of what sending costs.
        let mut buffer = Vec::with_capacity(bytes);
        let read = self.fill(&mut buffer, offset, bytes);
        // First this: a file that was cut short fails to be read, but the cause is that it changed.
        self.check()?;
        read?;
        Ok(buffer)
    }

    fn fill(&self, buffer: &mut Vec<u8>, offset: u64, bytes: usize) -> io::Result<()> {
        while buffer.len() < bytes {
            let next = offset + buffer.len() as u64;
            match pread(&self.file, spare_capacity(buffer), next) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // There may have been room for more than was asked for.
        buffer.truncate(bytes);
        Ok(())
    }
}

/// Why a shared file cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("the file changed since it was hashed")]
    Changed,
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_that_changes_gives_no_more_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"words and music").unwrap();
        let checked = CheckedFile::new(file.try_clone().unwrap(), |metadata| metadata.len() == 15).unwrap();
        assert_eq!(checked.read(10, 5).unwrap(), b"music");
        file.set_len(12).unwrap();
        assert!(matches!(checked.read(10, 5), Err(Unreadable::Changed)));
        assert!(matches!(CheckedFile::new(file, |metadata| metadata.len() == 15), Err(Unreadable::Changed)));
    }
}
