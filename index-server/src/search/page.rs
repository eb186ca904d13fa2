//! From the best matches to one page.
//!
//! - **By relevance** every match can be paged to: the best [`HEAD`] in the order of their
//!   ranks, the rest by points.
//! - **Other orders, and groups,** cover the best [`WINDOW`] matches: sorting a million files by size would first have
//!   to find them all, and who searches for a common word and sorts by size wants the size among good matches.
//! - **A group** is shown as the first of its rows; a file that belongs to none stands for itself.

use std::cmp::Reverse;
use std::collections::HashSet;

use choir_shared::album::{AlbumTrack, grouped};
use choir_shared::query::{Group, Query, Sort};
use choir_shared::text::fold;

use super::cursor::MAX_TEXT_KEY_BYTES;
use super::ranking::{HEAD, Place, Rank, WantedNames};
use super::sift::Match;
use super::snapshot::{Snapshot, number, text};
use crate::online::Online;
use crate::store::FileNo;

/// How many of the best matches are sorted, grouped and counted.
pub(super) const WINDOW: usize = 1_000;

/// A row and its place.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) no: FileNo,
    pub(super) place: Place,
    pub(super) found: Match,
    /// What the row stands for; `None` if it is only itself.
    pub(super) group: Option<u64>,
}

/// Whether only the best [`WINDOW`] matches can be paged to.
pub(super) fn is_windowed(query: &Query) -> bool {
    query.sort != Sort::Relevance || query.group != Group::File
}

/// How many matches are needed for the page behind `after`.
pub(super) fn matches_needed(query: &Query, after: Option<&Place>) -> usize {
    // One more than the page tells whether there is another.
    let page = usize::from(query.limit) + 1;
    match after {
        _ if is_windowed(query) => WINDOW,
        Some(Place::Tail(_)) => page,
        _ => HEAD + page,
    }
}

/// All rows of `best`, in their order.
pub(super) fn rows(
    query: &Query,
    snapshot: &Snapshot,
    online: &Online,
    best: &[Match],
    after: Option<&Place>,
) -> Vec<Row> {
    let names = WantedNames::of(query);
    let in_tail = !is_windowed(query) && matches!(after, Some(Place::Tail(_)));
    let head = if in_tail { 0 } else { HEAD };
    let place = |(position, found): (usize, &Match)| {
        let no = found.scored.no;
        let row = |place| Some(Row { no: no.0, place, found: *found, group: None });
        let (segment, document) = (snapshot.segment(found.segment)?, found.document);
        let by_number = |number: Option<u64>| row(Place::Number(number, no));
        let by_text = |text: Option<String>| row(Place::Text(text.map(|text| Reverse(sort_key(&text))), no));
        match query.sort {
            Sort::Relevance if position >= head => row(Place::Tail(found.scored)),
            Sort::Relevance => {
                let exact = segment.exactness(&names, document);
                row(Place::Head(Rank { exact, points: found.scored.points, sources: online.sources(no.0), no }))
            }
            Sort::Size => by_number(number(&segment.size, document)),
            Sort::Bitrate => by_number(number(&segment.bitrate, document)),
            Sort::Duration => by_number(number(&segment.duration, document)),
            Sort::Sources => by_number(Some(u64::from(online.sources(no.0)))),
            Sort::Title => by_text(text(&segment.title_text, document)),
            Sort::Artist => by_text(text(&segment.artist_text, document)),
        }
    };
    let mut rows: Vec<Row> = Vec::with_capacity(best.len());
    for ((position, found), group) in best.iter().enumerate().zip(groups(query, snapshot, best)) {
        rows.extend(place((position, found)).map(|row| Row { group, ..row }));
    }
    rows.sort_by(|a, b| b.place.cmp(&a.place));
    let mut seen = HashSet::new();
    rows.retain(|row| row.group.is_none_or(|group| seen.insert(group)));
    rows
}

/// The rows of the page behind `after`, and the place where the next begins.
pub(super) fn page(query: &Query, mut rows: Vec<Row>, after: Option<&Place>) -> (Vec<Row>, Option<Place>) {
    if let Some(after) = after {
        rows.retain(|row| row.place < *after);
    }
    let more = rows.len() > usize::from(query.limit);
    rows.truncate(usize::from(query.limit));
    let next = rows.last().filter(|_| more).map(|last| last.place.clone());
    (rows, next)
}

/// For each match what it is folded by.
fn groups(query: &Query, snapshot: &Snapshot, best: &[Match]) -> Vec<Option<u64>> {
    let audio = |found: &Match| number(&snapshot.segment(found.segment)?.audio_key, found.document);
    match query.group {
        Group::File => vec![None; best.len()],
        Group::Audio => best.iter().map(audio).collect(),
        Group::Album => albums(snapshot, best),
    }
}

/// The albums that the matches are on, as far as the matches tell.
fn albums(snapshot: &Snapshot, best: &[Match]) -> Vec<Option<u64>> {
    let track = |found: &Match| snapshot.segment(found.segment)?.album_track(found.document);
    let (positions, tracks): (Vec<usize>, Vec<AlbumTrack>) =
        best.iter().enumerate().filter_map(|(position, found)| Some((position, track(found)?))).unzip();
    let mut albums = vec![None; best.len()];
    for (position, album) in positions.into_iter().zip(grouped(&tracks)) {
        albums.get_mut(position).into_iter().for_each(|of| *of = Some(album as u64));
    }
    albums
}

/// Alphabetical by what is read, not by its capitals and accents.
fn sort_key(text: &str) -> String {
    let mut key = fold(text);
    key.truncate(key.floor_char_boundary(MAX_TEXT_KEY_BYTES));
    key
}
