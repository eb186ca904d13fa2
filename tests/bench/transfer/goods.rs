//! What is moved.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use harness::{fixtures, peer::files_below};

/// One large file, or as many songs as make a good evening.
pub(crate) struct Goods {
    /// A file, or a folder of files.
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

const SONGS: usize = 200;
const SONG_BYTES: usize = 2_100_000;

/// As many as five evenings' songs, as large as four minutes from a disc are without loss.
const LOSSLESS_SONGS: usize = 100;
const LOSSLESS_BYTES: usize = 20_000_000;

impl Goods {
    pub(crate) fn one_file(place: &Path, bytes: usize) -> anyhow::Result<Self> {
        let path = place.join("Bench - Long Song.wav");
        fs::write(&path, fixtures::noise("Long Song", "Bench", bytes, 1))?;
        Self::at(path)
    }

    pub(crate) fn songs(place: &Path) -> anyhow::Result<Self> {
        Self::folder(place.join("Songs"), SONGS, SONG_BYTES)
    }

    pub(crate) fn lossless(place: &Path) -> anyhow::Result<Self> {
        Self::folder(place.join("Lossless"), LOSSLESS_SONGS, LOSSLESS_BYTES)
    }

    fn folder(folder: PathBuf, songs: usize, bytes: usize) -> anyhow::Result<Self> {
        fs::create_dir(&folder)?;
        for number in 1..=songs {
            let song = fixtures::noise(&format!("Song {number}"), "Bench", bytes, number as u64);
            fs::write(folder.join(format!("{number:03} Song.wav")), song)?;
        }
        Self::at(folder)
    }

    fn at(path: PathBuf) -> anyhow::Result<Self> {
        Ok(Self { bytes: bytes_at(&path)?, path })
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.path.is_dir()
    }

    /// Puts the same files below `folder`, without copying where that is possible.
    pub(crate) fn link_into(&self, folder: &Path) -> anyhow::Result<()> {
        let above = self.path.parent().unwrap_or(&self.path);
        for file in files_of(&self.path) {
            let link = folder.join(file.strip_prefix(above)?);
            fs::create_dir_all(link.parent().unwrap_or(folder))?;
            fs::hard_link(&file, &link).or_else(|_| fs::copy(&file, &link).map(drop))?;
        }
        Ok(())
    }

    /// Whether all of it is below `folder`, by its size.
    pub(crate) fn check(&self, folder: &Path) -> anyhow::Result<()> {
        let found = bytes_at(folder)?;
        ensure!(found == self.bytes, "{found} of {} bytes came", self.bytes);
        Ok(())
    }
}

/// A file itself, or all below a folder.
pub(crate) fn files_of(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() { files_below(path) } else { vec![path.to_owned()] }
}

fn bytes_at(path: &Path) -> anyhow::Result<u64> {
    files_of(path).iter().map(|file| Ok(file.metadata()?.len())).sum()
}
