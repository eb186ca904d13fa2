//! A file as a query sees it.

use super::Query;
use crate::claim::{Claim, Kind};
use crate::file_id::FileId;
use crate::text;

/// A file and what is said of it.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    pub claim: &'a Claim,
    pub file: FileId,
}

/// The tokens by which a file is found. A search index must be filled with the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentTokens {
    /// Those of every field and of the file name.
    pub all: Vec<String>,
    pub title: Vec<String>,
    /// Those of artist and album artist.
    pub artist: Vec<String>,
    pub album: Vec<String>,
}

impl Document<'_> {
    pub fn tokens(&self) -> DocumentTokens {
        let of = |field: &Option<String>| field.as_deref().map(text::index_tokens).unwrap_or_default();
        let title = of(&self.claim.title);
        let artist = distinct([of(&self.claim.artist), of(&self.claim.album_artist)]);
        let album = of(&self.claim.album);
        let all = distinct([title.clone(), artist.clone(), album.clone(), self.file_name_tokens()]);
        DocumentTokens { all, title, artist, album }
    }

    /// Covers and texts beside songs are shared, but no search finds them.
    pub fn is_song(&self) -> bool {
        self.claim.kind == Kind::Song
    }

    /// Stem and extension apart, or every file would add a word `titlemp3`.
    fn file_name_tokens(&self) -> Vec<String> {
        let name = self.claim.file_name.as_deref().unwrap_or_default();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        distinct([text::index_tokens(stem), text::index_tokens(extension)])
    }
}

impl Query {
    /// Whether `document` passes the filters.
    pub(super) fn admits(&self, document: &Document<'_>) -> bool {
        let claim = document.claim;
        let (bitrate, duration) = (claim.bitrate_kbps, claim.duration_ms);
        let size = Some(document.file.length().bytes());
        let audio = claim.audio.map(|audio| audio.as_file());
        (self.formats.is_empty() || self.formats.contains(&claim.format))
            && (self.audio.is_none() || self.audio == audio)
            && is_within(bitrate, self.min_bitrate_kbps, self.max_bitrate_kbps)
            && is_within(claim.sample_rate_hz, self.min_sample_rate_hz, None)
            && is_within(duration, self.min_duration_ms, self.max_duration_ms)
            && is_within(size, self.min_size_bytes, self.max_size_bytes)
    }

    /// Whether there is anything but words that tells files apart.
    pub(super) fn has_filter(&self) -> bool {
        let limits = [
            self.min_bitrate_kbps.is_some(),
            self.max_bitrate_kbps.is_some(),
            self.min_sample_rate_hz.is_some(),
            self.min_duration_ms.is_some(),
            self.max_duration_ms.is_some(),
            self.min_size_bytes.is_some(),
            self.max_size_bytes.is_some(),
        ];
        limits.contains(&true) || !self.formats.is_empty() || self.audio.is_some() || self.peer.is_some()
    }
}

/// An unknown value is within no bounds.
fn is_within<T: PartialOrd>(value: Option<T>, least: Option<T>, greatest: Option<T>) -> bool {
    let above = least.is_none_or(|least| value.as_ref().is_some_and(|value| *value >= least));
    let below = greatest.is_none_or(|greatest| value.as_ref().is_some_and(|value| *value <= greatest));
    above && below
}

fn distinct<const N: usize>(lists: [Vec<String>; N]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    lists.into_iter().flatten().filter(|token| seen.insert(token.clone())).collect()
}
