//! Albums as objects: all songs of one, how much of it can be had, and what it is called.
//!
//! A search finds some songs of an album; the others have the same title of an album and are looked up by it. Among
//! them [`grouped`] tells which are on the same album. Looked at are the songs with the very key that is asked for, and
//! then the most popular ones, [`MAX_CANDIDATES`] in all: there are thousands of albums called "Greatest Hits".

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use choir_shared::album::{AlbumTrack, Song, grouped, songs, track_total};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet as _, TERMINATED, Term};

use super::facets::Tally;
use super::snapshot::{Snapshot, number, text};
use crate::online::Online;
use crate::store::FileNo;

/// Most songs that are looked at to find those of one album.
const MAX_CANDIDATES: usize = 1_000;

/// Most songs of one album: a box of a hundred discs has no more. Copies count.
const MAX_ALBUM_FILES: usize = 500;

/// One album and its songs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAlbum {
    /// Its claim has the key that most songs of the album have.
    pub named_by: FileNo,
    /// As most songs say it.
    pub title: String,
    /// `None` if it is by many.
    pub artist: Option<String>,
    pub year: Option<u32>,
    /// Different songs that somebody online holds, and that anybody ever has.
    pub tracks_online: u32,
    pub tracks: u32,
    /// How many there should be, if the tags say it.
    pub track_total: Option<u32>,
    /// By disc and track; copies of one song one after another, those with most sources first.
    pub files: Vec<(Song, FileNo)>,
}

/// A document and what it says of its album.
#[derive(Clone, Copy)]
struct Piece {
    segment: usize,
    document: DocId,
    track: AlbumTrack,
}

/// The album with this key: the first half of its text form, as the index keeps it.
pub(super) fn with_key(snapshot: &Snapshot, online: &Online, key: u64) -> tantivy::Result<Option<FoundAlbum>> {
    let pieces = pieces(snapshot, Term::from_field_u64(snapshot.fields.album_key, key), 1)?;
    match pieces.first() {
        Some(piece) => of(snapshot, online, piece.segment, piece.document),
        None => Ok(None),
    }
}

/// The album that a document is on; `None` if it is on none.
pub(super) fn of(
    snapshot: &Snapshot,
    online: &Online,
    segment: usize,
    document: DocId,
) -> tantivy::Result<Option<FoundAlbum>> {
    let here = snapshot.segment(segment);
    let key = here.and_then(|here| number(&here.album_key, document));
    let Some((key, track)) = key.zip(here.and_then(|here| here.album_track(document))) else { return Ok(None) };
    let fields = &snapshot.fields;
    let mut all = vec![Piece { segment, document, track }];
    all.extend(pieces(snapshot, Term::from_field_u64(fields.album_key, key), MAX_ALBUM_FILES)?);
    all.extend(pieces(snapshot, Term::from_field_u64(fields.album_title, track.album), MAX_CANDIDATES)?);
    let mut seen = HashSet::new();
    all.retain(|piece| seen.insert((piece.segment, piece.document)));
    all.truncate(MAX_CANDIDATES);

    let groups = grouped(&all.iter().map(|piece| piece.track).collect::<Vec<_>>());
    let wanted = groups.first().copied();
    let mut groups = groups.into_iter();
    all.retain(|_| groups.next() == wanted);
    all.truncate(MAX_ALBUM_FILES);
    Ok(described(snapshot, online, &all))
}

/// The documents with a term, at most `max`, popular ones first.
fn pieces(snapshot: &Snapshot, term: Term, max: usize) -> tantivy::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for (ordinal, segment, reader) in snapshot.popular_first() {
        let inverted = reader.inverted_index(term.field())?;
        let Some(mut postings) = inverted.read_postings(&term, IndexRecordOption::Basic)? else { continue };
        let mut document = postings.doc();
        while document != TERMINATED && pieces.len() < max {
            if let Some(track) = segment.album_track(document)
                && !reader.is_deleted(document)
            {
                pieces.push(Piece { segment: ordinal, document, track });
            }
            document = postings.advance();
        }
    }
    Ok(pieces)
}

/// What all songs of an album say together.
fn described(snapshot: &Snapshot, online: &Online, pieces: &[Piece]) -> Option<FoundAlbum> {
    let tracks: Vec<AlbumTrack> = pieces.iter().map(|piece| piece.track).collect();
    let (mut titles, mut makers, mut artists) = (Tally::default(), Tally::default(), Tally::default());
    let mut years: BTreeMap<u32, u32> = BTreeMap::new();
    let mut keys: BTreeMap<u64, (usize, FileNo)> = BTreeMap::new();
    let mut files: Vec<(Song, FileNo)> = Vec::with_capacity(pieces.len());
    for (piece, song) in pieces.iter().zip(songs(&tracks)) {
        let segment = snapshot.segment(piece.segment)?;
        let (document, no) = (piece.document, segment.file(piece.document));
        files.push((song, no));
        text(&segment.album_text, document).into_iter().for_each(|title| titles.add(title));
        text(&segment.album_artist_text, document).into_iter().for_each(|maker| makers.add(maker));
        text(&segment.artist_text, document).into_iter().for_each(|artist| artists.add(artist));
        piece.track.year.into_iter().for_each(|year| *years.entry(year).or_default() += 1);
        let key = number(&segment.album_key, document)?;
        keys.entry(key).or_insert((0, no)).0 += 1;
    }
    files.sort_by_key(|(song, no)| (*song, Reverse(online.sources(*no)), *no));
    let leads: HashSet<u64> = tracks.iter().filter_map(|track| track.artist).collect();
    let only_artist = if leads.len() == 1 { first(artists) } else { None };
    Some(FoundAlbum {
        named_by: keys.into_iter().max_by_key(|(key, (files, _))| (*files, Reverse(*key)))?.1.1,
        title: first(titles)?,
        artist: first(makers).or(only_artist),
        year: years.into_iter().max_by_key(|(year, files)| (*files, Reverse(*year))).map(|(year, _)| year),
        tracks_online: distinct(files.iter().filter(|(_, no)| online.is_online(*no))),
        tracks: distinct(files.iter()),
        track_total: track_total(&tracks),
        files,
    })
}

/// The commonest spelling.
fn first(spellings: Tally) -> Option<String> {
    spellings.most_frequent().into_iter().next().map(|spelling| spelling.value)
}

fn distinct<'a>(songs: impl Iterator<Item = &'a (Song, FileNo)>) -> u32 {
    u32::try_from(songs.map(|(song, _)| song).collect::<BTreeSet<_>>().len()).unwrap_or(u32::MAX)
}

impl FoundAlbum {
    /// The copies of each song.
    pub fn copies(&self) -> Vec<Vec<FileNo>> {
        self.files.chunk_by(|(a, _), (b, _)| a == b).map(|copies| copies.iter().map(|(_, no)| *no).collect()).collect()
    }
}
