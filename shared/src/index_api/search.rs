//! `GET /search` and `GET /files/{id}`. The parameters of a search are [`crate::query::SearchParams`].

use serde::{Deserialize, Serialize};

use crate::file_id::FileId;

/// One page of results, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchPage {
    pub total: u64,
    pub total_is: TotalIs,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
    pub results: Vec<SearchRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<Facets>,
}

/// Counting all matches of a common word would cost more than finding the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TotalIs {
    Exact,
    /// Also what a later version may say: no number is more exact than this reader can tell.
    #[serde(other)]
    AtLeast,
}

/// One distinct file: what most of its holders say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchRow {
    pub file_id: FileId,
    pub title: Option<String>,
    pub artist: Option<String>,
    pub album: Option<String>,
    pub album_artist: Option<String>,
    pub track: Option<u32>,
    pub disc: Option<u32>,
    pub year: Option<u32>,
    pub genre: Option<String>,
    pub file_name: Option<String>,
    /// Lower-case name of the format: "flac", "mp3".
    pub format: String,
    pub size: u64,
    pub duration_ms: Option<u64>,
    pub bitrate_kbps: Option<u32>,
    pub sample_rate_hz: Option<u32>,
    /// What its holders say that it sounds like: see [`AudioId::as_file`](crate::audio::AudioId::as_file).
    pub audio: Option<FileId>,
    /// Peers online that hold the whole file.
    pub sources: u32,
    pub album_key: Option<String>,
}

/// How the best matches divide, most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets {
    pub format: Vec<FacetCount>,
    pub artist: Vec<FacetCount>,
    pub album: Vec<FacetCount>,
    pub year: Vec<FacetCount>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FacetCount {
    pub value: String,
    pub count: u32,
}
