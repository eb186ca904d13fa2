//! Which files a search may show, apart from their words.
//!
//! The tests go from the cheapest to the dearest: whether the file is still there and can be had now is a bit in
//! memory, a number is read from a column of the segment, and formats are compared by their place in the segment's
//! list of formats.

use choir_shared::query::Query;
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocId, SegmentReader};

use super::file_set::FileSet;
use super::snapshot::Segment;
use crate::online::Online;

/// With one in a hundred online, a hundred thousand matches are looked at before a thousand of them are counted.
const FEW: u64 = 100;

/// What all segments have in common.
pub(super) struct Filter<'a> {
    query: &'a Query,
    online: Option<&'a Online>,
    held: Option<FileSet>,
}

/// A filter on one segment.
pub(super) struct SegmentFilter<'a> {
    filter: &'a Filter<'a>,
    segment: &'a Segment,
    reader: &'a SegmentReader,
    ranges: Vec<Range<'a>>,
    formats: Option<Formats<'a>>,
}

/// A document without a number is outside every range.
struct Range<'a> {
    column: Option<&'a Column<u64>>,
    least: u64,
    greatest: u64,
}

struct Formats<'a> {
    column: Option<&'a StrColumn>,
    wanted: Vec<u64>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(query: &'a Query, online: &'a Online, held: Option<FileSet>) -> Self {
        Self { query, online: (!query.offline).then_some(online), held }
    }

    /// Whether it lets through no more than one in [`FEW`] of so many files.
    pub(super) fn admits_few(&self, files: u64) -> bool {
        let most = match (&self.held, self.online) {
            (Some(held), _) => held.len(),
            (None, Some(online)) => online.file_count(),
            (None, None) => return false,
        };
        most.saturating_mul(FEW) < files
    }

    pub(super) fn on(&'a self, segment: &'a Segment, reader: &'a SegmentReader) -> std::io::Result<SegmentFilter<'a>> {
        let query = self.query;
        let wide = |bound: Option<u32>| bound.map(u64::from);
        let bounds = [
            (&segment.bitrate, wide(query.min_bitrate_kbps), wide(query.max_bitrate_kbps)),
            (&segment.sample_rate, wide(query.min_sample_rate_hz), None),
            (&segment.duration, query.min_duration_ms, query.max_duration_ms),
            (&segment.size, query.min_size_bytes, query.max_size_bytes),
        ];
        let asked = bounds.into_iter().filter(|(_, least, greatest)| least.is_some() || greatest.is_some());
        let ranges = asked.map(|(column, least, greatest)| Range {
            column: column.as_ref(),
            least: least.unwrap_or(0),
            greatest: greatest.unwrap_or(u64::MAX),
        });
        let formats = if query.formats.is_empty() { None } else { Some(Formats::new(query, segment)?) };
        Ok(SegmentFilter { filter: self, segment, reader, ranges: ranges.collect(), formats })
    }
}

impl SegmentFilter<'_> {
    /// Whether the document is of the peer asked for: of some peers there is little in a large index, so this does
    /// not count as work.
    pub(super) fn is_held(&self, document: DocId) -> bool {
        self.filter.held.as_ref().is_none_or(|held| held.contains(self.segment.file(document)))
    }

    pub(super) fn admits(&self, document: DocId) -> bool {
        self.is_held(document)
            && self.filter.online.is_none_or(|online| online.is_online(self.segment.file(document)))
            && !self.reader.is_deleted(document)
            && self.ranges.iter().all(|range| range.contains(document))
            && self.formats.as_ref().is_none_or(|formats| formats.contain(document))
    }
}

impl Range<'_> {
    fn contains(&self, document: DocId) -> bool {
        let number = self.column.and_then(|column| column.first(document));
        number.is_some_and(|number| (self.least..=self.greatest).contains(&number))
    }
}

impl<'a> Formats<'a> {
    fn new(query: &Query, segment: &'a Segment) -> std::io::Result<Self> {
        let column = segment.format.as_ref();
        let mut wanted = Vec::new();
        for format in &query.formats {
            if let Some(column) = column {
                wanted.extend(column.dictionary().term_ord(format.as_str())?);
            }
        }
        Ok(Self { column, wanted })
    }

    fn contain(&self, document: DocId) -> bool {
        let format = self.column.and_then(|column| column.ords().first(document));
        format.is_some_and(|format| self.wanted.contains(&format))
    }
}
