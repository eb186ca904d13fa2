//! The index as of one commit, as searches see it.
//!
//! tantivy keeps an index as a list of segments that never change but for files deleted from them. What each match
//! costs is kept in memory per segment: which file a document is, and how popular. A commit brings one new segment;
//! the others are shared with the snapshot before.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use choir_shared::album::AlbumTrack;
use tantivy::columnar::{Column, StrColumn};
use tantivy::index::SegmentId;
use tantivy::{DocId, Searcher, SegmentReader};

use super::ranking::{Exact, NameKey, Popularity, WantedNames};
use super::schema::{self, Fields};
use crate::store::FileNo;

/// As many documents share one bound of popularity: a byte for each thousand.
const BLOCK: usize = 1024;

pub(super) struct Snapshot {
    pub(super) searcher: Searcher,
    pub(super) fields: Fields,
    /// In the order of the searcher's segment readers.
    segments: Vec<Arc<Segment>>,
    /// Positions of segments, those with the most popular files first: what they hold raises the bar for the others.
    order: Vec<usize>,
}

impl Snapshot {
    pub(super) fn new(searcher: Searcher, fields: Fields, before: Option<&Self>) -> tantivy::Result<Self> {
        let known: HashMap<SegmentId, &Arc<Segment>> =
            before.into_iter().flat_map(|before| &before.segments).map(|segment| (segment.id, segment)).collect();
        let of_reader = |reader: &SegmentReader| match known.get(&reader.segment_id()) {
            Some(segment) => Ok(Arc::clone(segment)),
            None => Segment::load(reader).map(Arc::new),
        };
        let segments: Vec<_> = searcher.segment_readers().iter().map(of_reader).collect::<tantivy::Result<_>>()?;
        let mut order: Vec<usize> = (0..segments.len()).collect();
        let rank = |segment: &Arc<Segment>| (segment.ceiling(0), segment.files.len());
        order.sort_by_key(|position| Reverse(segments.get(*position).map(rank)));
        Ok(Self { searcher, fields, segments, order })
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = (&Segment, &SegmentReader)> {
        self.popular_first().map(|(_, segment, reader)| (segment, reader))
    }

    /// The segments with their positions.
    pub(super) fn popular_first(&self) -> impl Iterator<Item = (usize, &Segment, &SegmentReader)> {
        self.order.iter().filter_map(|&position| {
            Some((position, self.segment(position)?, self.searcher.segment_readers().get(position)?))
        })
    }

    pub(super) fn segment(&self, ordinal: usize) -> Option<&Segment> {
        self.segments.get(ordinal).map(Arc::as_ref)
    }
}

/// What is known of the documents of one segment.
pub(super) struct Segment {
    id: SegmentId,
    files: Vec<FileNo>,
    popularity: Vec<Popularity>,
    /// The greatest popularity from each block to the end.
    ceilings: Vec<Popularity>,
    pub(super) size: Option<Column<u64>>,
    pub(super) bitrate: Option<Column<u64>>,
    pub(super) sample_rate: Option<Column<u64>>,
    pub(super) duration: Option<Column<u64>>,
    pub(super) year: Option<Column<u64>>,
    pub(super) title_key: Option<Column<u64>>,
    pub(super) artist_key: Option<Column<u64>>,
    pub(super) audio_key: Option<Column<u64>>,
    pub(super) album_key: Option<Column<u64>>,
    album_title: Option<Column<u64>>,
    album_by: Option<Column<u64>>,
    lead_artist: Option<Column<u64>>,
    song: Option<Column<u64>>,
    place: Option<Column<u64>>,
    pub(super) format: Option<StrColumn>,
    pub(super) title_text: Option<StrColumn>,
    pub(super) artist_text: Option<StrColumn>,
    pub(super) album_text: Option<StrColumn>,
    pub(super) album_artist_text: Option<StrColumn>,
}

impl Segment {
    fn load(reader: &SegmentReader) -> tantivy::Result<Self> {
        let columns = reader.fast_fields();
        let numbers = |name| columns.column_opt::<u64>(name);
        let (no, popularity) = (columns.u64(schema::NO)?, columns.u64(schema::POPULARITY)?);
        let documents = 0..reader.max_doc();
        let of = |column: &Column<u64>, document| column.first(document).unwrap_or_default();
        // Both were written by `schema` from these very types.
        let files = documents.clone().map(|document| FileNo(of(&no, document) as u32)).collect();
        let popularity: Vec<_> = documents.map(|document| Popularity(of(&popularity, document) as u8)).collect();
        Ok(Self {
            id: reader.segment_id(),
            files,
            ceilings: ceilings(&popularity),
            popularity,
            size: numbers(schema::SIZE)?,
            bitrate: numbers(schema::BITRATE)?,
            sample_rate: numbers(schema::SAMPLE_RATE)?,
            duration: numbers(schema::DURATION)?,
            year: numbers(schema::YEAR)?,
            title_key: numbers(schema::TITLE_KEY)?,
            artist_key: numbers(schema::ARTIST_KEY)?,
            audio_key: numbers(schema::AUDIO_KEY)?,
            album_key: numbers(schema::ALBUM_KEY)?,
            album_title: numbers(schema::ALBUM_TITLE)?,
            album_by: numbers(schema::ALBUM_BY)?,
            lead_artist: numbers(schema::LEAD_ARTIST)?,
            song: numbers(schema::SONG)?,
            place: numbers(schema::PLACE)?,
            format: columns.str(schema::FORMAT)?,
            title_text: columns.str(schema::TITLE_TEXT)?,
            artist_text: columns.str(schema::ARTIST_TEXT)?,
            album_text: columns.str(schema::ALBUM_TEXT)?,
            album_artist_text: columns.str(schema::ALBUM_ARTIST_TEXT)?,
        })
    }

    /// What of the file is called exactly as `names` say.
    pub(super) fn exactness(&self, names: &WantedNames, document: DocId) -> Exact {
        let key = |column| NameKey(number(column, document).and_then(|key| u32::try_from(key).ok()).unwrap_or(0));
        names.compare(key(&self.artist_key), key(&self.title_key))
    }

    /// The file as a piece of its album, if it is on one.
    pub(super) fn album_track(&self, document: DocId) -> Option<AlbumTrack> {
        let schema::Place([disc, disc_total, track, track_total]) =
            schema::Place::unpacked(number(&self.place, document)?);
        Some(AlbumTrack {
            album: number(&self.album_title, document)?,
            by: number(&self.album_by, document),
            artist: number(&self.lead_artist, document),
            title: number(&self.song, document),
            year: number(&self.year, document).and_then(|year| u32::try_from(year).ok()),
            disc,
            disc_total,
            track,
            track_total,
        })
    }

    pub(super) fn file(&self, document: DocId) -> FileNo {
        self.files.get(document as usize).copied().unwrap_or(FileNo(u32::MAX))
    }

    pub(super) fn popularity(&self, document: DocId) -> Popularity {
        self.popularity.get(document as usize).copied().unwrap_or_default()
    }

    /// No document from this one to the end is more popular.
    pub(super) fn ceiling(&self, document: DocId) -> Popularity {
        self.ceilings.get(document as usize / BLOCK).copied().unwrap_or_default()
    }
}

fn ceilings(popularity: &[Popularity]) -> Vec<Popularity> {
    let mut ceilings: Vec<_> =
        popularity.chunks(BLOCK).map(|block| block.iter().copied().max().unwrap_or_default()).collect();
    let mut greatest = Popularity::default();
    for ceiling in ceilings.iter_mut().rev() {
        greatest = greatest.max(*ceiling);
        *ceiling = greatest;
    }
    ceilings
}

/// The number of a document, if it has one.
pub(super) fn number(column: &Option<Column<u64>>, document: DocId) -> Option<u64> {
    column.as_ref()?.first(document)
}

/// The text of a document, if it has one.
pub(super) fn text(column: &Option<StrColumn>, document: DocId) -> Option<String> {
    let column = column.as_ref()?;
    let mut text = String::new();
    let found = column.ord_to_str(column.term_ords(document).next()?, &mut text).ok()?;
    found.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_bounds_all_that_follows() {
        let mut popularity = vec![Popularity(1); 3 * BLOCK];
        (popularity[BLOCK + 1], popularity[5]) = (Popularity(9), Popularity(4));
        assert_eq!(ceilings(&popularity), [Popularity(9), Popularity(9), Popularity(1)]);
        assert_eq!(ceilings(&[]), []);
    }
}
