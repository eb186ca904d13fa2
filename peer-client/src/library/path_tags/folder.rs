//! The name of a folder that holds an album: `2003 - Album`, `Album (2003) [FLAC]`, `Artist - Album CD1`.

use super::words;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FolderName {
    pub(super) artist: Option<String>,
    pub(super) album: String,
    pub(super) year: Option<u32>,
    pub(super) disc: Option<u32>,
}

impl FolderName {
    pub(super) fn read(name: &str) -> Self {
        let name = words::without_noise(&words::spaced(name));
        let (name, year) = take_year(&name);
        let (name, disc) = take_disc(&words::without_noise(name));
        // A year may stand behind the disc or before it.
        let (name, year) = if year.is_some() { (name.as_str(), year) } else { take_year(&name) };
        let mut parts = words::split_at_dashes(name);
        let mut year = year;
        if parts.len() > 1
            && let Some(position) = parts.iter().position(|part| words::year(bare(part)).is_some())
        {
            year = year.or_else(|| words::year(bare(parts.remove(position))));
        }
        match parts.as_slice() {
            [] => Self { album: name.trim().to_owned(), year, disc, artist: None },
            [album] => Self { album: (*album).to_owned(), year, disc, artist: None },
            [artist, album @ ..] => {
                Self { artist: Some(words::artist_folder(artist)), album: album.join(" - "), year, disc }
            }
        }
    }

    /// The album, where what stands before the dash is not taken for the artist.
    pub(super) fn whole(&self) -> String {
        match &self.artist {
            Some(artist) if !words::is_various(artist) => format!("{artist} - {}", self.album),
            _ => self.album.clone(),
        }
    }
}

fn bare(text: &str) -> &str {
    text.trim_matches(|c| matches!(c, '(' | ')' | '[' | ']' | ' '))
}

/// `2003 - Album`, `(2003) Album`, `2003. Album`, `2003 Album`; `Album (2003)`, `Album [2003]`.
fn take_year(name: &str) -> (&str, Option<u32>) {
    let (front, rest) = match name.strip_prefix(['(', '[']) {
        Some(inner) => (inner.get(..4), inner.get(5..)),
        None => (name.get(..4), name.get(4..)),
    };
    if let (Some(year), Some(rest)) = (front.and_then(words::year), rest) {
        let album = rest.trim_start_matches([' ', '-', '.', '–', ':']);
        if album.len() < rest.len() && !album.is_empty() {
            return (album, Some(year));
        }
    }
    if let Some(open) = name.rfind(['(', '['])
        && let (Some(before), Some(group)) = (name.get(..open), name.get(open..))
        && group.ends_with([')', ']'])
        && let Some(year) = words::year(bare(group))
        && !before.trim().is_empty()
    {
        return (before.trim_end(), Some(year));
    }
    (name, None)
}

/// `Album CD1`, `Album (Disc 2)`, `Album [CD 2]`, `Album - Disc 1`.
fn take_disc(name: &str) -> (String, Option<u32>) {
    let bracket = name.rfind(['(', '[']).filter(|_| name.ends_with([')', ']']));
    let starts = bracket.into_iter().chain(name.rmatch_indices(' ').map(|(position, _)| position + 1).take(2));
    for start in starts {
        let (Some(before), Some(last)) = (name.get(..start), name.get(start..)) else { continue };
        let before = before.trim_end_matches([' ', '-', ',', '(', '[']);
        if let (Some(disc), false) = (words::disc_folder(bare(last)), before.is_empty()) {
            return (before.to_owned(), Some(disc));
        }
    }
    (name.to_owned(), None)
}
