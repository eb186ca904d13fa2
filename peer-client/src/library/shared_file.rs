//! A file that others may have.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use choir_shared::{Claim, FileId};

use super::beneath;
use super::stamp::Stamp;
use super::store::Located;

/// A file that is shared, and where.
#[derive(Clone, Debug)]
pub struct SharedFile {
    pub id: FileId,
    /// Absolute.
    pub path: PathBuf,
    /// What it looked like when it was hashed.
    pub stamp: Stamp,
    pub claim: Claim,
    /// The collections it is in.
    pub collections: Vec<String>,
    /// What its shared folder is called.
    pub alias: String,
    /// The absolute path of its shared folder.
    pub folder: PathBuf,
    /// Below that.
    pub relative: PathBuf,
}

impl SharedFile {
    /// Of all places of one file, the first counts.
    pub(super) fn of(places: Vec<Located>) -> Option<Self> {
        let mut collections: Vec<String> = places.iter().map(|place| place.share.collection.clone()).collect();
        collections.sort();
        collections.dedup();
        let Located { share, directory, name, id, stamp, claim } = places.into_iter().next()?;
        let relative = directory.join(name);
        Some(Self {
            id,
            path: share.path.join(&relative),
            stamp,
            claim,
            collections,
            alias: share.alias,
            folder: share.path,
            relative,
        })
    }

    /// Opens the file for reading, if it is still the one that was hashed. It blocks for as long as the disk does.
    ///
    /// While it is open it can still be written to: whoever reads checks the leaves, or [`SharedFile::is_unchanged`]
    /// afterwards.
    pub fn open_checked(&self) -> Result<File, Changed> {
        let file = beneath::open_file(&self.folder, &self.relative).map_err(Changed::Gone)?;
        if self.is_unchanged(&file)? { Ok(file) } else { Err(Changed::Different) }
    }

    /// Whether this open file looks as it did when it was hashed.
    pub fn is_unchanged(&self, file: &File) -> Result<bool, Changed> {
        let metadata = file.metadata().map_err(Changed::Gone)?;
        Ok(self.stamp.still_holds(&Stamp::of(&metadata)))
    }
}

/// A shared file is not what was hashed. Tell the library by [`Library::recheck`](super::Library::recheck).
#[derive(Debug, thiserror::Error)]
pub enum Changed {
    #[error("the file cannot be opened any more: {0}")]
    Gone(#[source] io::Error),
    #[error("the file has changed since it was hashed")]
    Different,
}
