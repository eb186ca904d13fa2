//! Other files in place of one that nobody can send: found by what is said of them, and offered with what differs.
//! People take them, and nothing else does.
//!
//! - **Same audio**: its holders say that it has the same audio and other tags. The root would prove it, but only once
//!   the file is here.
//! - **Same artist, title and length**: another encoding of the same song, as far as its tags can tell. Two lengths
//!   count as one if they are within [`SAME_LENGTH_MS`]: encoders add silence at both ends.
//! - Everything else is another song. What one of the two does not say is no likeness.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use choir_shared::FileId;
use choir_shared::index_api::SearchRow;
use choir_shared::text::fold;
use serde::{Deserialize, Serialize};

use super::about::About;

/// Encoders and gaps between the tracks of a disc differ by a fraction of a second; other versions of a song, by more.
pub const SAME_LENGTH_MS: u64 = 2_000;

/// More than people read.
pub const MAX_ALTERNATES: usize = 8;

/// A file that may serve in place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternate {
    pub file_id: FileId,
    pub why: Likeness,
    pub size: u64,
    /// Peers online that hold it.
    pub sources: u32,
    /// Where it is said to differ from the file that was asked for.
    pub differs: Vec<Difference>,
    /// What its holders say of it.
    #[serde(flatten)]
    pub about: About,
}

/// In what two files are said to be alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// Artist, title and length.
    SameSong,
    SameAudio,
}

/// One thing that is said of both differently; `None` where nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The field, with its unit: "format", "bitrate_kbps", "duration_ms", "size", "title".
    pub what: String,
    pub wanted: Option<Said>,
    pub offered: Option<Said>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Said {
    Number(u64),
    Text(String),
}

/// The better of two offers is the greater. The field order is the policy.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    why: Likeness,
    same_format: bool,
    sources: u32,
    bitrate_kbps: u32,
    /// Orders what is equal, so that the same rows give the same offers.
    id: Reverse<FileId>,
}

/// What of `rows` may serve in place of `wanted`, best first.
pub fn alternates(wanted: FileId, about: &About, rows: impl IntoIterator<Item = SearchRow>) -> Vec<Alternate> {
    let mut seen = BTreeSet::from([wanted]);
    let offers = rows.into_iter().filter(|row| row.sources > 0 && seen.insert(row.file_id));
    let mut alternates: Vec<Alternate> = offers
        .filter_map(|row| {
            let offered = About::of(&row);
            let why = likeness(about, &offered)?;
            let differs = differences((wanted, about), (row.file_id, &offered));
            let (file_id, size) = (row.file_id, row.file_id.length().bytes());
            Some(Alternate { file_id, why, size, sources: row.sources, differs, about: offered })
        })
        .collect();
    alternates.sort_by_key(|alternate| {
        Reverse(Rank {
            why: alternate.why,
            same_format: alternate.about.format == about.format,
            sources: alternate.sources,
            bitrate_kbps: alternate.about.bitrate_kbps.unwrap_or(0),
            id: Reverse(alternate.file_id),
        })
    });
    alternates.truncate(MAX_ALTERNATES);
    alternates
}

fn likeness(wanted: &About, offered: &About) -> Option<Likeness> {
    if wanted.audio.is_some() && wanted.audio == offered.audio {
        return Some(Likeness::SameAudio);
    }
    let same = |of: fn(&About) -> Option<&String>| match (of(wanted), of(offered)) {
        (Some(wanted), Some(offered)) => fold(wanted) == fold(offered),
        _ => false,
    };
    let same_length = match (wanted.duration_ms, offered.duration_ms) {
        (Some(wanted), Some(offered)) => wanted.abs_diff(offered) <= SAME_LENGTH_MS,
        _ => false,
    };
    let is_same = same_length && same(|about| about.artist.as_ref()) && same(|about| about.title.as_ref());
    is_same.then_some(Likeness::SameSong)
}

fn differences(wanted: (FileId, &About), offered: (FileId, &About)) -> Vec<Difference> {
    let pairs = said(wanted).into_iter().zip(said(offered));
    pairs
        .filter(|((_, wanted), (_, offered))| wanted != offered)
        .map(|((what, wanted), (_, offered))| Difference { what: what.to_owned(), wanted, offered })
        .collect()
}

/// All that is told of a file, in the order in which people want to know it.
fn said((file, about): (FileId, &About)) -> [(&'static str, Option<Said>); 13] {
    let text = |text: &Option<String>| text.clone().map(Said::Text);
    let number = |number: Option<u32>| number.map(|number| Said::Number(number.into()));
    let format = Some(&about.format).filter(|format| !format.is_empty());
    [
        ("format", format.cloned().map(Said::Text)),
        ("bitrate_kbps", number(about.bitrate_kbps)),
        ("sample_rate_hz", number(about.sample_rate_hz)),
        ("duration_ms", about.duration_ms.map(Said::Number)),
        ("size", Some(Said::Number(file.length().bytes()))),
        ("title", text(&about.title)),
        ("artist", text(&about.artist)),
        ("album", text(&about.album)),
        ("album_artist", text(&about.album_artist)),
        ("track", number(about.track)),
        ("disc", number(about.disc)),
        ("year", number(about.year)),
        ("genre", text(&about.genre)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u8) -> FileId {
        format!("{}-{}000", format!("{number:02x}").repeat(32), number).parse().unwrap()
    }

    /// A copy of one song, as an index tells of it.
    fn row(number: u8) -> SearchRow {
        serde_json::from_value(serde_json::json!({
            "file_id": file(number), "title": "Jóga", "artist": "Björk", "format": "flac", "duration_ms": 305_000,
            "size": file(number).length().bytes(), "sources": 1, "audio": file(99),
        }))
        .unwrap()
    }

    fn offered(rows: Vec<SearchRow>) -> Vec<(FileId, Likeness)> {
        let offers = alternates(file(1), &About::of(&row(1)), rows);
        offers.into_iter().map(|offer| (offer.file_id, offer.why)).collect()
    }

    #[test]
    fn likeness_is_same_audio_or_same_artist_title_and_length() {
        let other_audio = |row| SearchRow { audio: Some(file(98)), ..row };
        let renamed = SearchRow { title: Some("Track 2".into()), artist: None, duration_ms: None, ..row(2) };
        let folded = other_audio(SearchRow { artist: Some("BJORK".into()), duration_ms: Some(307_000), ..row(3) });
        let longer = other_audio(SearchRow { duration_ms: Some(307_001), ..row(4) });
        let shorter = other_audio(SearchRow { duration_ms: Some(302_999), ..row(5) });
        let live = other_audio(SearchRow { title: Some("Jóga (live)".into()), ..row(6) });
        let unknown = other_audio(SearchRow { duration_ms: None, ..row(7) });
        let offline = SearchRow { sources: 0, ..row(8) };
        let rows = vec![row(1), folded.clone(), renamed.clone(), renamed, longer, shorter, live, unknown, offline];
        assert_eq!(offered(rows), [(file(2), Likeness::SameAudio), (file(3), Likeness::SameSong)]);

        // What nothing is said of is like nothing.
        let nothing = About::default();
        let silent = SearchRow { audio: None, title: None, artist: None, duration_ms: None, ..row(2) };
        assert!(alternates(file(1), &nothing, [silent, folded]).is_empty());
    }

    #[test]
    fn the_best_offer_comes_first_and_there_are_not_too_many() {
        let song = |row| SearchRow { audio: None, ..row };
        let mp3 = |row| SearchRow { format: "mp3".into(), ..row };
        let rows = vec![
            song(SearchRow { sources: 9, ..row(2) }),
            mp3(SearchRow { sources: 9, ..row(3) }),
            row(4),
            SearchRow { sources: 2, ..row(5) },
        ];
        let order: Vec<_> = offered(rows).into_iter().map(|(file, _)| file).collect();
        assert_eq!(order, [5, 4, 3, 2].map(file));
        assert_eq!(offered((2..40).map(row).collect()).len(), MAX_ALTERNATES);
    }

    #[test]
    fn what_differs_is_told_of_both() {
        let mp3 =
            SearchRow { format: "mp3".into(), bitrate_kbps: Some(320), album: Some("Homogenic".into()), ..row(2) };
        let offers = alternates(file(1), &About::of(&row(1)), [mp3]);
        let differs = |what: &str, wanted, offered| Difference { what: what.into(), wanted, offered };
        let text = |text: &str| Some(Said::Text(text.into()));
        assert_eq!(
            offers[0].differs,
            [
                differs("format", text("flac"), text("mp3")),
                differs("bitrate_kbps", None, Some(Said::Number(320))),
                differs("size", Some(Said::Number(1_000)), Some(Said::Number(2_000))),
                differs("album", None, text("Homogenic")),
            ]
        );
        // As it stands in the JSON of scripts.
        let json = serde_json::to_value(&offers[0]).unwrap();
        assert_eq!((&json["why"], &json["format"], &json["sources"]), (&"same_audio".into(), &"mp3".into(), &1.into()));
        assert_eq!(serde_json::from_value::<Alternate>(json).unwrap(), offers[0]);
    }
}
