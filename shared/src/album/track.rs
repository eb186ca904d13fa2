//! What is looked at of a song to find its album: numbers, so that an index can keep them for millions.

use super::ending::split_title;
use super::{VARIOUS_ARTISTS, album_artist, spoken};
use crate::claim::Claim;
use crate::digest::Digest;
use crate::text;

/// One song as a piece of an album. Names stand as hashes of what is spoken; they mean nothing outside this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlbumTrack {
    /// The title of the album, without endings.
    pub album: u64,
    /// Who made the album, if the claim says so: album artist, or that it is a compilation.
    pub by: Option<u64>,
    /// Who made the song, without guests.
    pub artist: Option<u64>,
    /// The title of the song.
    pub title: Option<u64>,
    pub year: Option<u32>,
    pub disc: Option<u32>,
    pub disc_total: Option<u32>,
    pub track: Option<u32>,
    pub track_total: Option<u32>,
}

impl AlbumTrack {
    /// `None` if the claim names no album.
    pub fn of(claim: &Claim) -> Option<Self> {
        let (title, disc) = split_title(claim.album.as_deref()?);
        let told = claim.compilation == Some(true) || claim.album_artist.is_some();
        let title_of_song = claim.title.as_deref().map(spoken);
        Some(Self {
            album: hash(&spoken(title))?,
            by: Some(album_artist(claim)).filter(|_| told).and_then(|by| lead(&by)),
            artist: claim.artist.as_deref().and_then(lead),
            title: title_of_song.and_then(|title| hash(before_guests(&title))),
            year: claim.year,
            disc: claim.disc.or(disc),
            disc_total: claim.disc_total,
            track: claim.track,
            track_total: claim.track_total,
        })
    }

    /// What [`by`](Self::by) is for an album of many artists.
    pub(super) fn various() -> Option<u64> {
        hash(VARIOUS_ARTISTS)
    }

    /// Where the song stands on the album.
    pub(super) fn slot(&self) -> Option<(u32, u32)> {
        Some((self.disc.unwrap_or(1), self.track?))
    }
}

/// The first of those who are named, without `the`.
fn lead(artist: &str) -> Option<u64> {
    let words = text::tokens(before_guests(&spoken(artist)));
    hash(&text::without_article(&words).join(" "))
}

/// `spoken` up to the word that introduces guests. A name that begins with it is taken whole.
fn before_guests(spoken: &str) -> &str {
    let guests = [" feat ", " featuring ", " ft "].into_iter().filter_map(|word| spoken.find(word)).min();
    guests.and_then(|end| spoken.get(..end)).unwrap_or(spoken)
}

/// Taggers write `AC/DC` and `ACDC`, `&` and `and`: neither spaces nor that word tell names apart.
fn hash(spoken: &str) -> Option<u64> {
    let mut name: String = spoken.split(' ').filter(|word| *word != "and").collect();
    if name.is_empty() {
        name.push_str(spoken);
    }
    let [a, b, c, d, e, f, g, h, ..] = *Digest::of(name.as_bytes()).as_bytes();
    (!name.is_empty()).then_some(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}
