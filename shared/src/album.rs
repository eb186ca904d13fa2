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
//!
//! The key is all that one claim tells. Whoever sees all songs with the same title of an album knows more: [`grouped`]
//! brings the reissue to the original and the guest to the host, and [`track_total`] tells what is missing.

mod ending;
mod extent;
mod grouping;
mod track;

use crate::claim::Claim;
use crate::digest::Digest;
use crate::text;
use ending::base_title;

pub use extent::{Song, songs, track_total};
pub use grouping::grouped;
pub use track::AlbumTrack;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(artist: &str, album: &str, year: u32) -> Claim {
        Claim { artist: Some(artist.to_owned()), album: Some(album.to_owned()), year: Some(year), ..Claim::default() }
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
