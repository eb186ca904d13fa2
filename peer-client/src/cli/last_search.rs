//! The rows that were shown last, so that `@N` means what the user sees.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use choir_shared::FileId;
use serde::{Deserialize, Serialize};

use crate::api::types::FileRow;
use crate::api::{Answer, ErrorKind, ServiceError};

/// Some ten thousand rows.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Fewer digits of a file id would be words: `decade`, `facade`.
pub(super) const MIN_PREFIX_DIGITS: usize = 8;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct LastSearch {
    pub(super) results: Vec<FileRow>,
}

impl LastSearch {
    /// Nothing is remembered if there is no such file, or it cannot be read: another search makes a new one.
    pub(super) fn read(path: &Path) -> Self {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
        read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Losing it costs one more search; so a failure is no more than logged.
    pub(super) fn write(path: &Path, results: &[FileRow]) {
        if let Err(error) = Self::try_write(path, results) {
            tracing::warn!(%error, "the rows are not remembered for @N");
        }
    }

    fn try_write(path: &Path, results: &[FileRow]) -> io::Result<()> {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".search-").tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec(&Self { results: results.to_vec() })?)?;
        file.persist(path)?;
        Ok(())
    }

    pub(super) fn row(&self, number: usize) -> Answer<FileRow> {
        let row = number.checked_sub(1).and_then(|position| self.results.get(position)).cloned();
        row.ok_or_else(|| {
            let message = match self.results.len() {
                0 => "there is no earlier search that @ could mean".to_owned(),
                rows => format!("the last search has no row {number}, only 1 to {rows}"),
            };
            ServiceError::new(ErrorKind::NotFound, message).hint("`choir search WORDS` numbers its rows")
        })
    }

    /// The one row whose id begins so.
    pub(super) fn begins_with(&self, digits: &str) -> Answer<Option<FileRow>> {
        let mut found = self.results.iter().filter(|row| row.file_id.to_string().starts_with(digits));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                Err(ServiceError::new(ErrorKind::Ambiguous, format!("several files begin with {digits}")))
            }
            (row, _) => Ok(row.cloned()),
        }
    }

    pub(super) fn of(&self, file: FileId) -> Option<FileRow> {
        self.results.iter().find(|row| row.file_id == file).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::row;

    #[test]
    fn rows_are_remembered_and_junk_is_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state").join("last_search.json");
        assert_eq!(LastSearch::read(&path).row(1).unwrap_err().code, ErrorKind::NotFound);
        LastSearch::write(&path, &[row(1, "a"), row(2, "b"), row(2, "c")]);
        let last = LastSearch::read(&path);
        assert_eq!(last.row(2).unwrap(), row(2, "b"));
        assert!(last.row(0).is_err() && last.row(4).is_err());
        assert_eq!(last.begins_with("01010101").unwrap(), Some(row(1, "a")));
        assert_eq!(last.begins_with("03030303").unwrap(), None);
        assert_eq!(last.begins_with("02020202").unwrap_err().code, ErrorKind::Ambiguous);
        std::fs::write(&path, "{\"results\":[{}]}").unwrap();
        assert!(LastSearch::read(&path).results.is_empty());
    }
}
