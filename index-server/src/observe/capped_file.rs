//! A log file that never takes more than its share of the disk.
//!
//! When it is half full it is renamed, in place of the one before it, and begun anew: at least half of what may be
//! kept is always there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const MEGABYTE: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct CappedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Of one file.
    limit: u64,
}

impl CappedFile {
    /// Goes on in the file that is there.
    pub(super) fn open(path: &Path, megabytes: NonZeroU32) -> io::Result<Self> {
        Self::with_limit(path, u64::from(megabytes.get()) * MEGABYTE / 2)
    }

    fn with_limit(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        Ok(Self { path: path.to_owned(), bytes: file.metadata()?.len(), file, limit })
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        fs::rename(&self.path, self.path.with_added_extension("1"))?;
        *self = Self::with_limit(&self.path, self.limit)?;
        Ok(())
    }
}

impl Write for CappedFile {
    /// Lines come whole, and are not cut in two.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.limit {
            self.begin_anew()?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_within_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.log");
        for number in 0..25 {
            // As after a restart, now and then.
            let mut log = CappedFile::with_limit(&path, 100).unwrap();
            log.write_all(format!("line {number:04}\n").as_bytes()).unwrap();
        }
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let (now, before) = (read(&path), read(&path.with_added_extension("1")));
        assert!(now.len() <= 100 && before.len() <= 100);
        assert!(now.ends_with("line 0024\n") && before.contains("line 0019"), "{before}{now}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
