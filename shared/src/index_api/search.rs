//! `GET /search` and `GET /files/{id}`. The parameters of a search are [`crate::query::SearchParams`].

use serde::{Deserialize, Serialize};

use crate::file_id::FileId;

/// One page of results, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchPage {
    pub total: u64,
    pub total_is: TotalIs,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
    pub results: Vec<SearchRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<Facets>,
    /// Why the first of the results stand where they stand, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Vec<Explanation>>,
}

/// What the rank of one row is made of. Scores are in thousandths of a unit of BM25.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    pub exact: Exactness,
    /// Popularity and the fit of all words.
    pub score_milli: u32,
    /// For everybody who holds the file, online or not.
    pub popularity_milli: u32,
    pub sources: u32,
    pub words: Vec<ExplainedWord>,
}

/// A word that a row was found by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExplainedWord {
    /// In the query.
    pub asked: String,
    /// In the row: another than was asked if that is taken for a beginning or a typing error.
    pub found: String,
    pub field: String,
    pub fit_milli: u32,
}

/// What of a row is called exactly as the query says; that comes before all scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Exactness {
    ArtistAndTitle,
    Title,
    Artist,
    /// Also what a later version may say.
    #[serde(other)]
    Nothing,
}

/// Counting all matches of a common word would cost more than finding the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TotalIs {
    Exact,
    /// Also what a later version may say: no number is more exact than this reader can tell.
    #[serde(other)]
    AtLeast,
}

/// One distinct file: what most of its holders say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Facets {
    pub format: Vec<FacetCount>,
    pub artist: Vec<FacetCount>,
    pub album: Vec<FacetCount>,
    pub year: Vec<FacetCount>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FacetCount {
    pub value: String,
    pub count: u32,
}
