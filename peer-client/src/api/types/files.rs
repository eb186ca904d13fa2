//! Files as searches, look-ups and browsing tell of them.

use std::path::PathBuf;

use choir_shared::index_api::{LibraryFolder, SearchRow, TotalIs};
use choir_shared::link::Link;
use choir_shared::{FileId, SafeName};
use serde::{Deserialize, Serialize};

use crate::download::about::About;

/// One page of results, merged over all indexes that were asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchReport {
    pub total: u64,
    pub total_is: TotalIs,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
    pub results: Vec<FileRow>,
    /// What an index had to say besides: that it did not answer, that it searched only a part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<IndexNote>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexNote {
    /// The index by name, or by URL if it has none.
    pub index: String,
    pub message: String,
}

/// One distinct file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRow {
    pub file_id: FileId,
    pub title: Option<String>,
    pub artist: Option<String>,
    pub album: Option<String>,
    pub album_artist: Option<String>,
    pub track: Option<u32>,
    pub year: Option<u32>,
    /// Lower-case name of the format: "flac", "mp3".
    pub format: String,
    pub size: u64,
    pub duration_ms: Option<u64>,
    pub bitrate_kbps: Option<u32>,
    pub sample_rate_hz: Option<u32>,
    /// Peers online that hold the whole file.
    pub sources: u32,
    /// Whether this peer has the file.
    pub have: bool,
    pub album_key: Option<String>,
    /// `choir:file/…`
    pub link: String,
    #[serde(default)]
    pub file_name: Option<String>,
    #[serde(default)]
    pub disc: Option<u32>,
    #[serde(default)]
    pub genre: Option<String>,
    /// Root and length of its audio, as its holders say; copies with other tags have the same.
    #[serde(default)]
    pub audio: Option<FileId>,
    /// Where this peer has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

impl FileRow {
    /// The row of an index, with what this peer knows of the file itself.
    pub fn new(row: SearchRow, here: Option<PathBuf>) -> Self {
        let mut row = Self {
            file_id: row.file_id,
            title: row.title,
            artist: row.artist,
            album: row.album,
            album_artist: row.album_artist,
            track: row.track,
            year: row.year,
            format: row.format,
            size: row.size,
            duration_ms: row.duration_ms,
            bitrate_kbps: row.bitrate_kbps,
            sample_rate_hz: row.sample_rate_hz,
            sources: row.sources,
            have: here.is_some(),
            album_key: row.album_key,
            link: String::new(),
            file_name: row.file_name,
            disc: row.disc,
            genre: row.genre,
            audio: row.audio,
            path: here,
        };
        // Made safe, the name is short as well: a link of any length could not be read again.
        let name = SafeName::sanitise(&row.download_name(), &row.file_id.short());
        row.link = Link::File { file: row.file_id, name: Some(name.into()) }.to_string();
        row
    }

    /// The name to finish a download under, not yet safe; see [`About::name`].
    pub fn download_name(&self) -> String {
        self.about().name(&self.file_id)
    }

    /// What its holders say of it.
    pub fn about(&self) -> About {
        About {
            title: self.title.clone(),
            artist: self.artist.clone(),
            album: self.album.clone(),
            album_artist: self.album_artist.clone(),
            track: self.track,
            disc: self.disc,
            year: self.year,
            genre: self.genre.clone(),
            file_name: self.file_name.clone(),
            format: self.format.clone(),
            duration_ms: self.duration_ms,
            bitrate_kbps: self.bitrate_kbps,
            sample_rate_hz: self.sample_rate_hz,
            audio: self.audio,
        }
    }
}

/// One folder of a peer's library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrowsePage {
    pub peer: choir_shared::PeerId,
    pub name: Option<String>,
    pub folder: String,
    /// Folders directly inside.
    pub folders: Vec<LibraryFolder>,
    /// Files directly inside.
    pub files: Vec<FileRow>,
    /// The `cursor` of the next page of files, if there is one.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_of_any_row_can_be_read_whatever_an_index_says_of_the_file() {
        let row = |name: &str| {
            serde_json::from_value(serde_json::json!({
                "file_id": format!("{}-3", "ab".repeat(32)), "title": name, "artist": name, "format": "flac", "size": 3,
                "sources": 1,
            }))
        };
        for name in ["愛".repeat(170), "x".repeat(100_000), "../\u{202e}".into(), String::new()] {
            let row = FileRow::new(row(&name).unwrap(), None);
            let Link::File { file, name: Some(name) } = row.link.parse().unwrap() else { panic!("{}", row.link) };
            assert_eq!(file, row.file_id);
            assert!(SafeName::new(&name).is_ok(), "{name}");
        }
    }
}
