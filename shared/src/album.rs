//! Which album a claim belongs to.
//!
//! Files are tagged by many hands, so an album is known by what they agree on: who made it, what it is called, when
//! it came out, each in the spelling of [`text`].
//!
//! - **The album artist** counts before the artist; without either the album stands by its title. A compilation
//!   without album artist is by `various artists`, and so is whatever calls its artist that or `VA`.
//! - **Endings that name an edition or a disc** are cut from the title (`(Remastered 2011)`, `[Deluxe Edition]`,
//!   `CD1`), because taggers disagree about them and people look for the album. A title that is nothing else stays.
//! - **The year** counts, because self-titled albums come in series. An unknown year is a year of its own.

use crate::claim::Claim;
use crate::digest::Digest;
use crate::text;

/// The first bytes of what is hashed.
const KEY_DOMAIN: &[u8] = b"choir album 1\0";

/// Half a SHA-256: nobody gains anything by making two albums share a key, and it stands in every row and link.
const KEY_DIGITS: usize = 32;

const VARIOUS_ARTISTS: &str = "various artists";

/// The same 32 hexadecimal digits for all songs of one album; `None` if the claim names no album.
pub fn album_key(claim: &Claim) -> Option<String> {
    let album = spoken(base_title(claim.album.as_deref()?));
    if album.is_empty() {
        return None;
    }
    let year = claim.year.map(|year| year.to_string()).unwrap_or_default();
    let key = Digest::of_parts(&[
        KEY_DOMAIN,
        album_artist(claim).as_bytes(),
        b"\0",
        album.as_bytes(),
        b"\0",
        year.as_bytes(),
    ]);
    let mut digits = key.to_string();
    digits.truncate(KEY_DIGITS);
    Some(digits)
}

fn album_artist(claim: &Claim) -> String {
    let told = match claim.album_artist.as_deref().map(spoken) {
        Some(artist) if !artist.is_empty() => artist,
        _ if claim.compilation == Some(true) => return VARIOUS_ARTISTS.to_owned(),
        _ => claim.artist.as_deref().map(spoken).unwrap_or_default(),
    };
    match told.as_str() {
        "va" | "various" => VARIOUS_ARTISTS.to_owned(),
        _ => told,
    }
}

/// Words in one spelling, no matter how they are joined.
fn spoken(name: &str) -> String {
    text::tokens(name).join(" ")
}

/// `title` without endings that name an edition or a disc, as long as anything else is left.
fn base_title(title: &str) -> &str {
    let mut base = title.trim();
    while let Some((before, ending)) = last_bracket(base).or_else(|| last_segment(base)).or_else(|| last_words(base)) {
        let before = before.trim_end_matches([' ', ',', ':', '-', '–', '—']);
        if before.is_empty() || !(names_edition(ending) || names_disc(ending)) {
            break;
        }
        base = before;
    }
    base
}

/// `Title (ending)`, with any brackets.
fn last_bracket(title: &str) -> Option<(&str, &str)> {
    let inner = title.strip_suffix([')', ']', '}'])?;
    let open = inner.rfind(['(', '[', '{'])?;
    Some((inner.get(..open)?, inner.get(open + 1..)?))
}

/// `Title - ending`, if the ending names an edition or a disc.
fn last_segment(title: &str) -> Option<(&str, &str)> {
    title.rsplit_once(" - ").filter(|(_, ending)| names_edition(ending) || names_disc(ending))
}

/// `Title CD1`, `Title, Disc 2`.
fn last_words(title: &str) -> Option<(&str, &str)> {
    let mut spaces = title.rmatch_indices(' ').map(|(position, _)| position);
    let splits = [spaces.next(), spaces.next()];
    splits
        .into_iter()
        .flatten()
        .filter_map(|position| title.split_at_checked(position))
        .find(|(_, ending)| names_disc(ending))
}

/// Whether any word of an ending says that it names an edition.
fn names_edition(ending: &str) -> bool {
    text::tokens(ending).iter().any(|word| {
        matches!(
            word.as_str(),
            "anniversary"
                | "bonus"
                | "deluxe"
                | "edition"
                | "expanded"
                | "explicit"
                | "reissue"
                | "remaster"
                | "remastered"
        )
    })
}

/// `CD1`, `cd 1`, `Disc One`.
fn names_disc(ending: &str) -> bool {
    let words = text::tokens(ending);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (medium, number) = match *words.as_slice() {
        [word] => word.split_at(word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len())),
        [medium, number] => (medium, number),
        _ => return false,
    };
    let numbered = matches!(number, "one" | "two" | "three" | "four")
        || (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    matches!(medium, "cd" | "disc" | "disk") && numbered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(artist: &str, album: &str, year: u32) -> Claim {
        Claim { artist: Some(artist.to_owned()), album: Some(album.to_owned()), year: Some(year), ..Claim::default() }
    }

    #[test]
    fn endings_that_name_an_edition_or_a_disc_are_cut() {
        let cases = [
            ("Homogenic", "Homogenic"),
            ("Homogenic (Remastered)", "Homogenic"),
            ("OK Computer [Deluxe Edition]", "OK Computer"),
            ("Rumours (2004 Remaster) [Explicit] CD1", "Rumours"),
            ("The Wall, Disc 2", "The Wall"),
            ("The Wall - CD 2", "The Wall"),
            ("The Wall (Disc Two)", "The Wall"),
            ("Abbey Road - Remastered 2019", "Abbey Road"),
            ("MTV Unplugged (Live)", "MTV Unplugged (Live)"),
            ("Remastered", "Remastered"),
            ("(Deluxe Edition)", "(Deluxe Edition)"),
            ("CD1", "CD1"),
            ("Disc 2", "Disc 2"),
            ("Area 51", "Area 51"),
            ("Volume 2", "Volume 2"),
            ("Songs - Ohia", "Songs - Ohia"),
            (")(", ")("),
            ("", ""),
        ];
        for (title, base) in cases {
            assert_eq!(base_title(title), base, "{title}");
        }
    }

    #[test]
    fn songs_of_one_album_share_a_key_however_they_are_tagged() {
        let key = album_key(&claim("Sigur Rós", "Ágætis byrjun", 1999)).unwrap();
        assert_eq!(key, "7173980b88560769159866004ef98a66", "keys stand in links and may never change");
        assert_eq!(album_key(&claim("SIGUR ROS", "agaetis byrjun [Remastered]", 1999)), Some(key.clone()));
        let guest = Claim {
            album_artist: Some("Sigur Ros".to_owned()),
            ..claim("Somebody feat. Else", "Ágætis Byrjun", 1999)
        };
        assert_eq!(album_key(&guest), Some(key.clone()));
        assert_ne!(album_key(&claim("Sigur Rós", "Ágætis byrjun", 2000)), Some(key.clone()));
        assert_ne!(album_key(&claim("Björk", "Ágætis byrjun", 1999)), Some(key));
        assert!(album_key(&claim("!!!", "!!!", 2000)).is_some());
    }

    #[test]
    fn a_compilation_is_by_various_artists() {
        let compilation = |artist| Claim { compilation: Some(true), ..claim(artist, "Hits", 1990) };
        assert_eq!(album_key(&compilation("A")), album_key(&compilation("B")));
        let named = Claim { album_artist: Some("V.A.".to_owned()), ..claim("C", "Hits", 1990) };
        assert_eq!(album_key(&compilation("A")), album_key(&named));
    }

    #[test]
    fn without_album_there_is_no_key() {
        assert_eq!(album_key(&Claim { album: None, ..claim("A", "B", 1) }), None);
        assert_eq!(album_key(&claim("A", "\u{200b}", 1)), None);
    }

    proptest! {
        #[test]
        fn junk_never_panics(artist: String, album in "[()\\[\\]A-c 12\\-CDcdö]{0,30}") {
            album_key(&claim(&artist, &album, 1));
        }
    }
}
