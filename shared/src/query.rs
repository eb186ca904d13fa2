//! What somebody looks for.
//!
//! A [`Query`] is a value: an index answers it, and a standing wish tests it against files as they arrive. It exists
//! only within its limits, because whoever answers it pays for every word.
//!
//! - **All words must match**, in any order. Words of `q` may stand in title, artist, album, album artist or file
//!   name; words of a field in that field, where the album artist counts as artist.
//! - **The last word of `q` matches by its beginning**, so that results come while one types; a space or a quotation
//!   mark after it says that the word is finished.
//! - **A filter is passed only by what is known to pass**: a file of unknown bit rate is neither above nor below any.
//! - **Only songs are found**, never the covers and texts that are shared beside them.
//!
//! [`SearchParams`] are the same as names and texts, as they stand in a URL.

mod document;
mod params;
mod terms;

use std::str::FromStr;

pub use document::{Document, DocumentTokens};
pub use params::SearchParams;
pub use terms::Terms;

use crate::claim::Format;
use crate::file_id::FileId;
use crate::identity::PeerId;

/// Most bytes of all texts of a query together.
pub const MAX_QUERY_BYTES: usize = 256;

/// Most words of a query. Each costs a pass over all files that hold it.
pub const MAX_QUERY_TERMS: usize = 16;

/// Most formats in one query; there are not many more that anyone shares.
pub const MAX_QUERY_FORMATS: usize = 16;

/// Most bytes of a cursor: the sort key and the id of the last row, as text.
pub const MAX_CURSOR_BYTES: usize = 512;

/// The rows of a page if nobody says otherwise.
pub const DEFAULT_LIMIT: u16 = 50;

/// The most rows of a page: as many as are put into their exact order.
pub const MAX_LIMIT: u16 = 200;

/// A search within its limits. Made by [`SearchParams::parse`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Words in any field, as typed.
    pub text: String,
    pub title: Option<String>,
    pub artist: Option<String>,
    pub album: Option<String>,
    /// Any of these; all if empty.
    pub formats: Vec<Format>,
    pub min_bitrate_kbps: Option<u32>,
    pub max_bitrate_kbps: Option<u32>,
    pub min_sample_rate_hz: Option<u32>,
    pub min_duration_ms: Option<u64>,
    pub max_duration_ms: Option<u64>,
    pub min_size_bytes: Option<u64>,
    pub max_size_bytes: Option<u64>,
    /// Only what is said to hold this audio, as [`AudioId::as_file`](crate::audio::AudioId::as_file) names it.
    pub audio: Option<FileId>,
    /// Only what this peer holds.
    pub peer: Option<PeerId>,
    pub group: Group,
    pub sort: Sort,
    pub limit: u16,
    /// Where the page before ended, in the index's own words.
    pub cursor: Option<String>,
    /// Also files that nobody online holds.
    pub offline: bool,
    /// Also count formats, artists, albums and years.
    pub facets: bool,
    /// Also say what the scores are made of.
    pub explain: bool,
}

impl Query {
    /// Whether `document` is what is looked for, as far as the file itself can tell: `peer` and `offline` are about
    /// its holders, and the rest about how results are shown.
    pub fn matches(&self, document: &Document<'_>) -> bool {
        document.is_song() && self.admits(document) && self.terms().matches(&document.tokens())
    }
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident, $error:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $type {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl FromStr for $type {
            type Err = InvalidQuery;

            fn from_str(name: &str) -> Result<Self, InvalidQuery> {
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(InvalidQuery::$error),
                }
            }
        }
    };
}

names! {
    /// What one row of the results is.
    Group, Group {
        /// A distinct file.
        #[default]
        File = "file",
        /// All files with the same audio, whatever their tags.
        Audio = "audio",
        /// All files of one album.
        Album = "album",
    }
}

names! {
    /// The order of the results. Numbers begin with the greatest, texts with A.
    Sort, Sort {
        #[default]
        Relevance = "relevance",
        Size = "size",
        Bitrate = "bitrate",
        Duration = "duration",
        Title = "title",
        Artist = "artist",
        /// Peers online that hold the file.
        Sources = "sources",
    }
}

/// Why a search is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    #[error("say what to search for: words, a filter or a peer")]
    Empty,
    #[error("a search has at most {MAX_QUERY_BYTES} bytes of text")]
    TooLong,
    #[error("a search has at most {MAX_QUERY_TERMS} words")]
    TooManyTerms,
    #[error("format is a list of names like flac,mp3, at most {MAX_QUERY_FORMATS}")]
    Format,
    #[error("the least {0} is above the greatest")]
    EmptyRange(&'static str),
    #[error("audio is the root and the length of some audio, written like a file id")]
    Audio,
    #[error("peer is not the id of a peer")]
    Peer,
    #[error("group is file, audio or album")]
    Group,
    #[error("sort is relevance, size, bitrate, duration, title, artist or sources")]
    Sort,
    #[error("limit is 1 to {MAX_LIMIT}")]
    Limit,
    #[error("the cursor is not one that an index has given")]
    Cursor,
}

#[cfg(test)]
mod tests;
