//! Searching, and looking files up.

use choir_shared::FileId;
use choir_shared::index_api::SearchRow;
use choir_shared::query::SearchParams;

use super::PeerService;
use crate::api::types::{FileRow, IndexNote, SearchReport, Within};
use crate::api::{Answer, ErrorKind, ServiceError};
use crate::daemon::errors::index_error;

/// Fewer digits of a root would match by accident.
const FEWEST_DIGITS: usize = 8;

impl PeerService {
    pub(super) async fn search_indexes(&self, params: SearchParams, within: &Within) -> Answer<SearchReport> {
        let query = params.parse().map_err(|error| ServiceError::new(ErrorKind::Usage, error.to_string()))?;
        let asked = self.indexes.within(within).await?;
        let merged = self.client.search_all(&query, &asked).await;
        if merged.rows.is_empty()
            && let [(_, error), ..] = merged.errors.as_slice()
            && merged.errors.len() == asked.len()
        {
            return Err(index_error(error));
        }
        let mut results = Vec::with_capacity(merged.rows.len());
        for found in merged.rows {
            results.push(self.row(found.row).await);
        }
        self.seen.remember(&results);
        let notes =
            merged.errors.iter().map(|(index, error)| IndexNote { index: index.short(), message: error.to_string() });
        Ok(SearchReport {
            total: merged.total,
            total_is: merged.total_is,
            next: merged.next,
            results,
            notes: notes.collect(),
        })
    }

    /// What an index says of a file, and what this peer knows of it.
    pub(super) async fn row(&self, row: SearchRow) -> FileRow {
        let here = self.here(&row.file_id).await;
        FileRow::new(row, here)
    }

    /// Where this peer has the file: shared, or downloaded.
    pub(super) async fn here(&self, file: &FileId) -> Option<std::path::PathBuf> {
        match self.library.holds(file).await {
            Ok(Some(path)) => Some(path),
            Ok(None) | Err(_) => self.downloads.finished(*file),
        }
    }

    pub(super) async fn look_up(&self, id: &str, within: &Within) -> Answer<FileRow> {
        let file = match id.parse::<FileId>() {
            Ok(file) => file,
            Err(_) if id.len() >= FEWEST_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') => {
                return self.look_up_digits(&id.to_ascii_lowercase());
            }
            Err(error) => {
                return Err(ServiceError::new(ErrorKind::Usage, error.to_string())
                    .hint("the first 8 digits are enough for a file that a search here has shown"));
            }
        };
        if let Some(row) = self.seen.starting_with(id).pop() {
            let path = self.here(&file).await;
            return Ok(FileRow { have: path.is_some(), path, ..row });
        }
        if let Some(path) = self.here(&file).await {
            return Ok(FileRow::new(bare_row(file), Some(path)));
        }
        let mut failure = ServiceError::new(ErrorKind::NotFound, "no index knows this file");
        for key in self.indexes.within(within).await? {
            let Some(index) = self.client.index(&key) else { continue };
            match index.file(&file).await {
                Ok(row) => return Ok(self.row(row).await),
                Err(error) => failure = index_error(&error),
            }
        }
        match failure.code {
            // Nobody online has it now, but somebody may later: the id alone is enough to wait for it.
            ErrorKind::NotFound => Ok(FileRow::new(bare_row(file), None)),
            _ => Err(failure),
        }
    }

    fn look_up_digits(&self, digits: &str) -> Answer<FileRow> {
        match self.seen.starting_with(digits).as_slice() {
            [] => Err(ServiceError::new(ErrorKind::NotFound, format!("no file {digits}… was seen here"))
                .hint("search first, or give the whole id")),
            [row] => Ok(row.clone()),
            several => {
                Err(ServiceError::new(ErrorKind::Ambiguous, format!("{} files begin with {digits}", several.len())))
            }
        }
    }
}

/// A file of which only the id is known.
fn bare_row(file: FileId) -> SearchRow {
    SearchRow {
        file_id: file,
        title: None,
        artist: None,
        album: None,
        album_artist: None,
        track: None,
        disc: None,
        year: None,
        genre: None,
        file_name: None,
        format: "unknown".to_owned(),
        size: file.length().bytes(),
        duration_ms: None,
        bitrate_kbps: None,
        sample_rate_hz: None,
        audio: None,
        sources: 0,
        album_key: None,
    }
}
