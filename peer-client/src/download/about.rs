//! What was said of a file when it was asked for: what it is called and what it sounds like.
//!
//! It comes from holders by way of an index, and nobody has checked it. It is kept with the download, which may have
//! to wait for days and finds other copies by it.

use choir_shared::claim::MAX_TEXT_BYTES;
use choir_shared::index_api::SearchRow;
use choir_shared::{FileId, SafeName};
use serde::{Deserialize, Serialize};

use crate::config::Field;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    pub title: Option<String>,
    pub artist: Option<String>,
    pub album: Option<String>,
    pub album_artist: Option<String>,
    pub track: Option<u32>,
    pub disc: Option<u32>,
    pub year: Option<u32>,
    pub genre: Option<String>,
    pub file_name: Option<String>,
    /// Lower-case name of the format; empty if nothing is known of the file.
    pub format: String,
    pub duration_ms: Option<u64>,
    pub bitrate_kbps: Option<u32>,
    pub sample_rate_hz: Option<u32>,
    /// Root and length of the audio, which copies with other tags have in common.
    pub audio: Option<FileId>,
}

impl About {
    /// Of what an index answered. Texts are cut to what a claim may hold: an index need not keep to it.
    pub fn of(row: &SearchRow) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(short);
        Self {
            title: text(&row.title),
            artist: text(&row.artist),
            album: text(&row.album),
            album_artist: text(&row.album_artist),
            track: row.track,
            disc: row.disc,
            year: row.year,
            genre: text(&row.genre),
            file_name: text(&row.file_name),
            format: short(&row.format),
            duration_ms: row.duration_ms,
            bitrate_kbps: row.bitrate_kbps,
            sample_rate_hz: row.sample_rate_hz,
            audio: row.audio,
        }
    }

    /// Whether it says enough to find other copies by.
    pub fn identifies(&self) -> bool {
        self.audio.is_some() || (self.artist.is_some() && self.title.is_some() && self.duration_ms.is_some())
    }

    /// Whether it is said to be a song at all, and not a cover or a text beside songs.
    pub const fn has_tags(&self) -> bool {
        self.title.is_some() || self.artist.is_some()
    }

    /// The name to finish a download under: the holders' own, or one made of artist and title. Not yet safe.
    pub fn name(&self, file: &FileId) -> String {
        if let Some(name) = self.file_name.as_ref().filter(|name| !name.trim().is_empty()) {
            return name.clone();
        }
        let song = match (&self.artist, &self.title) {
            (Some(artist), Some(title)) => format!("{artist} - {title}"),
            (None, Some(only)) | (Some(only), None) => only.clone(),
            (None, None) => file.short(),
        };
        format!("{song}.{}", self.format)
    }

    /// For a template. The artist stands for an album artist that is missing, and the other way round.
    pub fn field(&self, field: Field) -> Option<String> {
        match field {
            Field::Artist => self.artist.clone().or_else(|| self.album_artist.clone()),
            Field::AlbumArtist => self.album_artist.clone().or_else(|| self.artist.clone()),
            Field::Album => self.album.clone(),
            Field::Title => self.title.clone(),
            // So that files sort as they play.
            Field::Track => self.track.map(|track| format!("{track:02}")),
            Field::Disc => self.disc.map(|disc| disc.to_string()),
            Field::Year => self.year.map(|year| year.to_string()),
            Field::Genre => self.genre.clone(),
            // That of the name, whatever is said of the format.
            Field::Ext => None,
        }
    }
}

fn short(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or_default().to_owned()
}

/// `wanted` with the extension of `offered`: another copy goes where the first was to go.
pub fn name_in_place_of(wanted: &str, offered: &str) -> SafeName {
    let (wanted, offered) = (SafeName::sanitise(wanted, "unnamed"), SafeName::sanitise(offered, "unnamed"));
    let stem = match wanted.extension() {
        Some(extension) => wanted.as_str().strip_suffix(extension).unwrap_or(wanted.as_str()).trim_end_matches('.'),
        None => wanted.as_str(),
    };
    match offered.extension() {
        Some(extension) => SafeName::sanitise(&format!("{stem}.{extension}"), wanted.as_str()),
        None => SafeName::sanitise(stem, wanted.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_copy_goes_where_the_first_was_to_go() {
        let table = [
            ("01 Jóga.flac", "whatever.mp3", "01 Jóga.mp3"),
            ("01 Jóga", "whatever.mp3", "01 Jóga.mp3"),
            ("Vol. 1.ogg", "x", "Vol. 1"),
            ("a.flac", "../b.\u{202e}mp3", "a.mp3"),
        ];
        for (wanted, offered, expected) in table {
            assert_eq!(name_in_place_of(wanted, offered).as_str(), expected, "{wanted} {offered}");
        }
    }

    #[test]
    fn an_index_that_talks_without_end_is_cut_short() {
        let row: SearchRow = serde_json::from_value(serde_json::json!({
            "file_id": format!("{}-3", "ab".repeat(32)), "title": "愛".repeat(9_999), "format": "x".repeat(9_999),
            "size": 3, "sources": 1,
        }))
        .unwrap();
        let about = About::of(&row);
        assert_eq!(about.title.map(|title| title.len()), Some(510));
        assert_eq!(about.format.len(), MAX_TEXT_BYTES);
    }

    #[test]
    fn one_artist_stands_for_the_other() {
        let about = About { artist: Some("Björk".into()), track: Some(2), ..About::default() };
        assert_eq!(about.field(Field::AlbumArtist).as_deref(), Some("Björk"));
        assert_eq!(about.field(Field::Track).as_deref(), Some("02"));
        let about = About { album_artist: Some("Various".into()), ..About::default() };
        assert_eq!(about.field(Field::Artist).as_deref(), Some("Various"));
    }
}
