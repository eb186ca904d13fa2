//! What the search index holds of each file.
//!
//! - **Words** come from [`DocumentTokens`](choir_shared::query::DocumentTokens), which a query is tested against
//!   elsewhere too; tantivy only splits them at spaces again. No word is twice in a field: so the best score of a
//!   block of files does not depend on the mean length of a field at the time it was written, and skipping blocks by
//!   it stays exact as the index grows.
//! - **`prefix`** holds the first 1 to [`MAX_PREFIX_CHARS`] characters of every word, for search as one types. Longer
//!   beginnings are found in the dictionary of `all`; short ones have too many completions there.
//! - **Numbers** serve filters, orders and groups, and are read only for files whose words match.
//! - **Texts as their holders write them** serve facets and the alphabetical orders.
//!
//! Nothing is stored for display: rows are fetched from the store.

use std::collections::HashSet;

use choir_shared::Digest;
use choir_shared::album::{AlbumTrack, album_key};
use choir_shared::query::Document;
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, SchemaBuilder, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager, WhitespaceTokenizer};
use tantivy::{IndexSettings, IndexSortByField, Order, TantivyDocument, Term};

use super::ranking::{NameKey, Popularity};
use crate::store::{FileNo, IndexedFile};

/// To be raised whenever documents made by this module change in a way that the fields do not show, such as the
/// words that a text is cut into. An index of another version is built anew.
pub(super) const SCHEMA_VERSION: u32 = 3;

/// Longer beginnings have few completions, which are looked up in the dictionary. Shorter ones have many: looking up 64
/// of them took up to 50 ms among a million files, and showed 73 to 85 % of the best twenty.
pub(super) const MAX_PREFIX_CHARS: usize = 8;

const TOKENIZER: &str = "words";

pub(super) const NO: &str = "no";
pub(super) const POPULARITY: &str = "popularity";
pub(super) const SIZE: &str = "size";
pub(super) const BITRATE: &str = "bitrate_kbps";
pub(super) const SAMPLE_RATE: &str = "sample_rate_hz";
pub(super) const DURATION: &str = "duration_ms";
pub(super) const YEAR: &str = "year";
pub(super) const TITLE_KEY: &str = "title_key";
pub(super) const ARTIST_KEY: &str = "artist_key";
pub(super) const AUDIO_KEY: &str = "audio_key";
pub(super) const ALBUM_KEY: &str = "album_key";
pub(super) const ALBUM_TITLE: &str = "album_title";
pub(super) const ALBUM_BY: &str = "album_by";
pub(super) const LEAD_ARTIST: &str = "lead_artist";
pub(super) const SONG: &str = "song";
pub(super) const PLACE: &str = "place";
pub(super) const FORMAT: &str = "format";
pub(super) const TITLE_TEXT: &str = "title_text";
pub(super) const ARTIST_TEXT: &str = "artist_text";
pub(super) const ALBUM_TEXT: &str = "album_text";
pub(super) const ALBUM_ARTIST_TEXT: &str = "album_artist_text";

/// The fields of the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// The words of every field.
    pub(super) all: Field,
    pub(super) title: Field,
    pub(super) artist: Field,
    pub(super) album: Field,
    pub(super) prefix: Field,
    no: Field,
    popularity: Field,
    size: Field,
    bitrate: Field,
    sample_rate: Field,
    duration: Field,
    year: Field,
    title_key: Field,
    artist_key: Field,
    /// The beginning of the root, which is enough to find a recording by.
    pub(super) audio_key: Field,
    pub(super) album_key: Field,
    pub(super) album_title: Field,
    album_by: Field,
    lead_artist: Field,
    song: Field,
    place: Field,
    format: Field,
    title_text: Field,
    artist_text: Field,
    album_text: Field,
    album_artist_text: Field,
}

impl Fields {
    pub(super) fn new() -> (Self, Schema) {
        let mut schema = SchemaBuilder::new();
        let indexing = TextFieldIndexing::default().set_tokenizer(TOKENIZER);
        let words =
            TextOptions::default().set_indexing_options(indexing.set_index_option(IndexRecordOption::WithFreqs));
        let text = TextOptions::default().set_fast("raw");
        let fields = Self {
            all: schema.add_text_field("all", words.clone()),
            title: schema.add_text_field("title", words.clone()),
            artist: schema.add_text_field("artist", words.clone()),
            album: schema.add_text_field("album", words.clone()),
            prefix: schema.add_text_field("prefix", words),
            no: schema.add_u64_field(NO, FAST | INDEXED),
            popularity: schema.add_u64_field(POPULARITY, FAST),
            size: schema.add_u64_field(SIZE, FAST),
            bitrate: schema.add_u64_field(BITRATE, FAST),
            sample_rate: schema.add_u64_field(SAMPLE_RATE, FAST),
            duration: schema.add_u64_field(DURATION, FAST),
            year: schema.add_u64_field(YEAR, FAST),
            title_key: schema.add_u64_field(TITLE_KEY, FAST),
            artist_key: schema.add_u64_field(ARTIST_KEY, FAST),
            audio_key: schema.add_u64_field(AUDIO_KEY, FAST | INDEXED),
            album_key: schema.add_u64_field(ALBUM_KEY, FAST | INDEXED),
            album_title: schema.add_u64_field(ALBUM_TITLE, FAST | INDEXED),
            album_by: schema.add_u64_field(ALBUM_BY, FAST),
            lead_artist: schema.add_u64_field(LEAD_ARTIST, FAST),
            song: schema.add_u64_field(SONG, FAST),
            place: schema.add_u64_field(PLACE, FAST),
            format: schema.add_text_field(FORMAT, text.clone()),
            title_text: schema.add_text_field(TITLE_TEXT, text.clone()),
            artist_text: schema.add_text_field(ARTIST_TEXT, text.clone()),
            album_text: schema.add_text_field(ALBUM_TEXT, text.clone()),
            album_artist_text: schema.add_text_field(ALBUM_ARTIST_TEXT, text),
        };
        (fields, schema.build())
    }

    /// The term that only this file's document has.
    pub(super) fn term_of(&self, no: FileNo) -> Term {
        Term::from_field_u64(self.no, u64::from(no.0))
    }

    /// The document of a file; `None` if no search may find it.
    pub(super) fn document(&self, file: &IndexedFile) -> Option<TantivyDocument> {
        if !file.is_searchable() {
            return None;
        }
        let claim = &file.claim;
        let tokens = Document { claim, file: file.id }.tokens();
        let mut document = TantivyDocument::new();
        document.add_text(self.prefix, beginnings(&tokens.all).join(" "));
        let words = [
            (self.all, tokens.all),
            (self.title, tokens.title),
            (self.artist, tokens.artist),
            (self.album, tokens.album),
        ];
        for (field, tokens) in words {
            document.add_text(field, tokens.join(" "));
        }
        let name_key = |name: &Option<String>| name.as_deref().map(|name| u64::from(NameKey::of(name).0));
        let numbers = [
            (self.no, Some(u64::from(file.no.0))),
            (self.popularity, Some(u64::from(Popularity::of(file.holders).0))),
            (self.size, Some(file.id.length().bytes())),
            (self.bitrate, claim.bitrate_kbps.map(u64::from)),
            (self.sample_rate, claim.sample_rate_hz.map(u64::from)),
            (self.duration, claim.duration_ms),
            (self.year, claim.year.map(u64::from)),
            (self.title_key, name_key(&claim.title)),
            (self.artist_key, name_key(&claim.artist)),
            (self.audio_key, claim.audio.map(|audio| audio_key(&audio.root))),
            (self.album_key, album_key(claim).and_then(|key| u64::from_str_radix(key.get(..16)?, 16).ok())),
        ];
        let track = AlbumTrack::of(claim);
        let of_album = [
            (self.album_title, track.map(|track| track.album)),
            (self.album_by, track.and_then(|track| track.by)),
            (self.lead_artist, track.and_then(|track| track.artist)),
            (self.song, track.and_then(|track| track.title)),
            (self.place, track.map(|track| Place::of(&track).packed())),
        ];
        for (field, number) in numbers.into_iter().chain(of_album) {
            number.into_iter().for_each(|number| document.add_u64(field, number));
        }
        document.add_text(self.format, &claim.format);
        let texts = [
            (self.title_text, &claim.title),
            (self.artist_text, &claim.artist),
            (self.album_text, &claim.album),
            (self.album_artist_text, &claim.album_artist),
        ];
        for (field, text) in texts {
            text.iter().for_each(|text| document.add_text(field, text));
        }
        Some(document)
    }
}

/// Files in order of popularity in every part of the index, so that a search may stop early in each.
pub(super) fn settings() -> IndexSettings {
    let by_popularity = IndexSortByField { field: POPULARITY.to_owned(), order: Order::Desc };
    IndexSettings { sort_by_field: Some(by_popularity), ..IndexSettings::default() }
}

pub(super) fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    tokenizers.register(TOKENIZER, TextAnalyzer::from(WhitespaceTokenizer::default()));
    tokenizers
}

/// The first 1 to [`MAX_PREFIX_CHARS`] characters of all `tokens`, each once.
fn beginnings(tokens: &[String]) -> Vec<&str> {
    let mut seen = HashSet::new();
    let ends = |token: &str| token.char_indices().skip(1).map(|(end, _)| end).chain([token.len()]).collect::<Vec<_>>();
    let of_token = |token| ends(token).into_iter().take(MAX_PREFIX_CHARS).filter_map(move |end| token.get(..end));
    tokens.iter().map(String::as_str).flat_map(of_token).filter(|beginning| seen.insert(*beginning)).collect()
}

/// Disc, discs, track and tracks, as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) [Option<u32>; 4]);

impl Place {
    /// Stands for nothing; the numbers of a claim are smaller.
    const NOTHING: u16 = u16::MAX;

    fn of(track: &AlbumTrack) -> Self {
        Self([track.disc, track.disc_total, track.track, track.track_total])
    }

    fn packed(self) -> u64 {
        let narrow =
            |number: Option<u32>| number.and_then(|number| u16::try_from(number).ok()).unwrap_or(Self::NOTHING);
        self.0.into_iter().fold(0, |packed, number| packed << 16 | u64::from(narrow(number)))
    }

    pub(super) fn unpacked(packed: u64) -> Self {
        let part = |shift: u32| Some(packed >> shift & 0xffff).filter(|part| *part != u64::from(Self::NOTHING));
        Self([48, 32, 16, 0].map(|shift| part(shift).map(|part| part as u32)))
    }
}

pub(super) fn audio_key(root: &Digest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *root.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_whole() {
        for place in
            [[None, None, None, None], [Some(2), None, Some(0), Some(9_999)], [Some(9_999), Some(1), None, None]]
        {
            assert_eq!(Place::unpacked(Place(place).packed()), Place(place));
        }
    }

    #[test]
    fn beginnings_are_distinct_and_whole_characters() {
        let tokens: Vec<String> = ["愛憎", "abcdefghi", "abcdefgx", "ö"].map(str::to_owned).into();
        let expected =
            ["愛", "愛憎", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh", "abcdefgx", "ö"];
        assert_eq!(beginnings(&tokens), expected);
    }
}
