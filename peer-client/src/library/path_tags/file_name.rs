//! The name of a song's file: `03 - Title`, `1-03 Artist - Title`, `Artist - Album - 03 - Title`, `B2. Title`.

use super::Depth;
use super::words;

/// Few albums have more tracks, and few songs begin with a smaller number of two digits.
const MAX_PLAIN_TRACK: u32 = 40;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) disc: Option<u32>,
    pub(super) track: Option<u32>,
    pub(super) year: Option<u32>,
    /// What stood between dashes, without numbers of tracks and years. Never empty but for a name of nothing.
    pub(super) texts: Vec<String>,
    /// `(Artist) Title`, which may as well be the beginning of the title.
    pub(super) artist_in_brackets: Option<String>,
}

impl FileName {
    pub(super) fn read(stem: &str, depth: Depth) -> Self {
        let cleaned = words::without_noise(&cleaned(stem));
        let leading = Leading::read(&cleaned, depth);
        let mut name = Self { disc: leading.disc, track: leading.track, ..Self::default() };
        let mut rest = leading.rest;

        let scene = stem.contains('_') && !stem.contains(' ') && !rest.contains(" - ") && name.track.is_some();
        let replaced;
        if scene && rest.contains('-') {
            // `01-pink_floyd-time`.
            replaced = rest.replace('-', " - ");
            rest = &replaced;
        }
        let mut parts = words::split_at_dashes(rest);
        name.take_numbers(&mut parts);
        name.texts = parts.iter().map(|part| (*part).to_owned()).collect();
        if let Some(last) = name.texts.last_mut()
            && name.track.is_none()
            && parts.len() > 1
        {
            // `Artist - Album - 03 Title`.
            let inner = Leading::read(last, Depth::Unknown);
            if inner.track.is_some() {
                (name.disc, name.track) = (name.disc.or(inner.disc), inner.track);
                *last = inner.rest.to_owned();
            }
        }
        if let [only] = name.texts.as_mut_slice()
            && let Some((artist, title)) = bracketed(only)
        {
            name.artist_in_brackets = Some(artist);
            *only = title;
        }
        if name.texts.is_empty() && !cleaned.is_empty() {
            name.texts = vec![cleaned];
        }
        name
    }

    /// Takes parts that are a track or a year out. The last part is a title, whatever it looks like.
    fn take_numbers(&mut self, parts: &mut Vec<&str>) {
        let mut position = 0;
        while position + 1 < parts.len() {
            let Some(part) = parts.get(position) else { return };
            let digits = part.trim_matches(|c| matches!(c, '(' | ')' | '[' | ']' | '#' | '.'));
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            // The first part may be a band; 311 is.
            if is_number && digits.len() < 4 && self.track.is_none() && position > 0 {
                self.track = digits.parse().ok();
                parts.remove(position);
            } else if let Some(year) = words::year(digits)
                && parts.len() > 2
                && self.year.is_none()
            {
                self.year = Some(year);
                parts.remove(position);
            } else {
                position += 1;
            }
        }
    }
}

/// Underscores and, where nothing else separates words, dots become spaces.
fn cleaned(stem: &str) -> String {
    let spaced = words::spaced(stem);
    let words: Vec<&str> = spaced.split('.').collect();
    let long = words.iter().filter(|word| word.chars().count() > 1).count();
    if spaced.contains(' ') || long < 2 || words.iter().skip(1).any(|word| word.is_empty()) {
        return spaced;
    }
    // The first dot may belong to a number and is needed to see that.
    match spaced.split_once('.') {
        Some((number, rest)) if number.len() < 4 && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{number}. {}", rest.replace('.', " "))
        }
        _ => words::spaced(&spaced.replace('.', " ")),
    }
}

/// What numbers stand in front, and what follows them.
#[derive(Debug)]
struct Leading<'a> {
    disc: Option<u32>,
    track: Option<u32>,
    rest: &'a str,
}

impl<'a> Leading<'a> {
    fn read(text: &'a str, depth: Depth) -> Self {
        Self::spelled_out(text)
            .or_else(|| Self::in_brackets(text))
            .or_else(|| Self::of_vinyl(text))
            .or_else(|| Self::digits(text, depth))
            .filter(|leading| leading.rest.contains(char::is_alphanumeric))
            .unwrap_or(Self { disc: None, track: None, rest: text })
    }

    /// `Track 03 - Title`; `Track 03` alone remains the title.
    fn spelled_out(text: &'a str) -> Option<Self> {
        let word = text.get(..5).filter(|word| word.eq_ignore_ascii_case("track"))?;
        let (number, rest) = split_digits(text.get(word.len()..)?.trim_start_matches([' ', '#', '-']));
        let track = number.parse().ok()?;
        let title = rest.trim_start_matches(SEPARATORS);
        Some(Self { disc: None, track: Some(track), rest: if title.is_empty() { text } else { title } })
    }

    /// `(03) Title`, `[03] Title`, `#3 Title`.
    fn in_brackets(text: &'a str) -> Option<Self> {
        let (number, rest) = split_digits(text.strip_prefix(['(', '[', '#'])?);
        let rest = if text.starts_with('#') { rest } else { rest.strip_prefix([')', ']'])? };
        let track = number.parse().ok().filter(|_| number.len() < 4)?;
        Some(Self { disc: None, track: Some(track), rest: rest.trim_start_matches(SEPARATORS) })
    }

    /// `A1 Title`, `B02. Title`: a side and its track.
    fn of_vinyl(text: &'a str) -> Option<Self> {
        let (number, rest) = split_digits(text.strip_prefix(|side: char| ('A'..='H').contains(&side))?);
        let short = number.len() == 1 || number.len() == 2 && number.starts_with('0');
        let title = rest.trim_start_matches(SEPARATORS);
        let track = number.parse().ok().filter(|&track| track > 0 && short && title.len() < rest.len())?;
        Some(Self { disc: None, track: Some(track), rest: title })
    }

    fn digits(text: &'a str, depth: Depth) -> Option<Self> {
        let (number, rest) = split_digits(text);
        let value: u32 = number.parse().ok().filter(|_| number.len() < 4)?;
        // `1-03 Title`, `1.03 - Title`.
        if let Some(after) = rest.strip_prefix(['-', '.']).filter(|_| number.len() < 3 && value > 0) {
            let (track, after) = split_digits(after);
            let title = after.trim_start_matches(SEPARATORS);
            if track.len() == 2 && title.len() < after.len() {
                return Some(Self { disc: Some(value), track: track.parse().ok(), rest: title });
            }
        }
        let title = rest.trim_start_matches(SEPARATORS);
        let between = rest.get(..rest.len() - title.len())?;
        let zero = number.starts_with('0');
        let is_track = if between.contains(['.', ')', ']', ':']) || between.contains('-') && !between.trim().is_empty()
        {
            // `7-Eleven` and `1.5 Degrees` are names.
            zero || between.contains(' ') || number.len() > 1 || !title.starts_with(|c: char| c.is_ascii_digit())
        } else if between.is_empty() {
            false
        } else {
            zero || number.len() == 2 && value <= MAX_PLAIN_TRACK && depth == Depth::Album
        };
        if !is_track {
            return None;
        }
        // `103 - Title` is the third track of the first disc, but 311 is a band.
        if number.len() == 3 && !zero {
            let on_a_disc = depth == Depth::Album && (1..=MAX_PLAIN_TRACK).contains(&(value % 100));
            if !on_a_disc {
                return None;
            }
            return Some(Self { disc: Some(value / 100), track: Some(value % 100), rest: title });
        }
        Some(Self { disc: None, track: Some(value), rest: title })
    }
}

/// What stands between a number and a title.
const SEPARATORS: [char; 8] = [' ', '.', '-', ')', ']', ':', '–', '—'];

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len())
}

/// `(Artist) Title` and `[Artist] Title`.
fn bracketed(text: &str) -> Option<(String, String)> {
    let (inner, rest) = match text.strip_prefix('(') {
        Some(inner) => inner.split_once(')')?,
        None => text.strip_prefix('[')?.split_once(']')?,
    };
    let (artist, title) = (inner.trim(), rest.trim_matches([' ', '-']));
    let says_something = artist.contains(char::is_alphabetic) && title.contains(char::is_alphanumeric);
    says_something.then(|| (artist.to_owned(), title.to_owned()))
}
