//! `GET /albums` and `GET /albums/{album_key}`. The parameters of a search for albums are
//! [`crate::query::SearchParams`].

use serde::{Deserialize, Serialize};

use super::search::{SearchRow, TotalIs};
use crate::identity::PeerId;

/// Most albums of a page: each is looked up.
pub const MAX_ALBUMS: u16 = 20;

/// Most holders that are named.
pub const MAX_ALBUM_HOLDERS: usize = 20;

/// One page of albums, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AlbumPage {
    pub total: u64,
    pub total_is: TotalIs,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
    pub albums: Vec<AlbumRow>,
}

/// One album, as most of its songs describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AlbumRow {
    /// The key that most of its songs have; copies with other tags may have others.
    pub album_key: String,
    pub title: String,
    /// Nothing if it is by many.
    pub artist: Option<String>,
    pub year: Option<u32>,
    /// Different songs that anybody has ever shared.
    pub tracks: u32,
    /// Those of them that somebody online has.
    pub tracks_online: u32,
    /// How many songs it should have, if the tags say so of every disc.
    pub track_total: Option<u32>,
    /// Whether all of it can be had now, as far as anybody knows.
    pub complete: bool,
}

/// One album with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Album {
    #[serde(flatten)]
    pub row: AlbumRow,
    /// All copies of all songs, by disc and track, at most 500; of one song those with most sources first.
    pub files: Vec<SearchRow>,
    /// Who is online and has most of it, at most [`MAX_ALBUM_HOLDERS`].
    pub holders: Vec<AlbumHolder>,
}

/// Somebody online who has songs of an album.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AlbumHolder {
    pub peer: PeerId,
    pub name: Option<String>,
    /// Different songs.
    pub tracks: u32,
}
