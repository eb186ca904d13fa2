//! One page of results from the pages of several indexes. Pure.
//!
//! - **Each index has ranked its own results**, and scores of different indexes cannot be compared; so the pages are
//!   dealt out like cards: the best of each, then the second of each.
//! - **A file is shown once.** Of how many peers hold it the greatest number is shown: which of them are the same
//!   people nobody knows.
//! - **The next page goes on where each index was left**: its cursor, and how many rows of that page were used.

use std::collections::HashMap;

use choir_shared::FileId;
use choir_shared::identity::IndexKey;
use choir_shared::index_api::{FacetCount, Facets, SearchPage, SearchRow, TotalIs};
use choir_shared::link::{decode, encode};

use super::error::IndexError;

/// What several indexes have found.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    pub rows: Vec<MergedRow>,
    /// Of one index as it says; of several at least the greatest.
    pub total: u64,
    pub total_is: TotalIs,
    pub facets: Option<Facets>,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
    /// Indexes that have not answered. With rows these are worth a remark, without any a failure.
    pub errors: Vec<(IndexKey, IndexError)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MergedRow {
    pub row: SearchRow,
    /// Who knows the file.
    pub indexes: Vec<IndexKey>,
}

impl Merged {
    pub(super) fn failed(errors: Vec<(IndexKey, IndexError)>) -> Self {
        Self { rows: Vec::new(), total: 0, total_is: TotalIs::AtLeast, facets: None, next: None, errors }
    }
}

/// Where to go on at one index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: IndexKey,
    /// The index's own; `None` for its first page.
    pub(super) cursor: Option<String>,
    /// Rows of that page that were used before.
    pub(super) skip: usize,
}

/// Which page to ask of each index. Without a cursor that is the first of each; with one, those it names.
pub(super) fn plan(indexes: &[IndexKey], cursor: Option<&str>) -> Result<Vec<Place>, IndexError> {
    let Some(cursor) = cursor else {
        return Ok(indexes.iter().map(|&index| Place { index, cursor: None, skip: 0 }).collect());
    };
    let foreign = || IndexError::nonsense("this cursor does not come from a search here");
    let mut places = Vec::new();
    for part in cursor.split(',') {
        let [name, skip, own] = part.split(':').collect::<Vec<_>>()[..] else { return Err(foreign()) };
        let skip = skip.parse().map_err(|_| foreign())?;
        let own = decode(own).ok_or_else(foreign)?;
        // An index that was left in the meantime has no next page.
        if let Some(&index) = indexes.iter().find(|index| index.short() == name) {
            places.push(Place { index, cursor: Some(own).filter(|own| !own.is_empty()), skip });
        }
    }
    Ok(places)
}

/// Deals out `pages`, at most `limit` rows of them.
pub(super) fn merge(pages: Vec<(Place, SearchPage)>, limit: usize, errors: Vec<(IndexKey, IndexError)>) -> Merged {
    let mut rows: Vec<MergedRow> = Vec::new();
    let mut at: HashMap<FileId, usize> = HashMap::new();
    let mut used: Vec<usize> = pages.iter().map(|(place, page)| place.skip.min(page.results.len())).collect();
    'deal: loop {
        let mut dealt = false;
        for ((place, page), used) in pages.iter().zip(&mut used) {
            let Some(row) = page.results.get(*used) else { continue };
            if rows.len() == limit && !at.contains_key(&row.file_id) {
                break 'deal;
            }
            *used += 1;
            dealt = true;
            match at.get(&row.file_id).and_then(|&at| rows.get_mut(at)) {
                Some(known) => {
                    known.row.sources = known.row.sources.max(row.sources);
                    known.indexes.push(place.index);
                }
                None => {
                    at.insert(row.file_id, rows.len());
                    rows.push(MergedRow { row: row.clone(), indexes: vec![place.index] });
                }
            }
        }
        if !dealt {
            break;
        }
    }
    let next = pages
        .iter()
        .zip(&used)
        .filter_map(|((place, page), &used)| after(place, page, used))
        .collect::<Vec<_>>()
        .join(",");
    let greatest = pages.iter().map(|(_, page)| page.total).max().unwrap_or(0);
    let total_is = match &pages[..] {
        [(_, page)] if errors.is_empty() => page.total_is,
        _ => TotalIs::AtLeast,
    };
    let facets = pages.iter().filter_map(|(_, page)| page.facets.clone()).reduce(merge_facets);
    Merged { rows, total: greatest, total_is, facets, next: Some(next).filter(|next| !next.is_empty()), errors }
}

/// Where to go on after `used` rows of a page; `None` at the end of all results.
fn after(place: &Place, page: &SearchPage, used: usize) -> Option<String> {
    let (cursor, skip) = if used < page.results.len() {
        (place.cursor.as_deref().unwrap_or_default(), used)
    } else {
        (page.next.as_deref()?, 0)
    };
    Some(format!("{}:{skip}:{}", place.index.short(), encode(cursor)))
}

fn merge_facets(one: Facets, other: Facets) -> Facets {
    Facets {
        format: merge_counts(one.format, other.format),
        artist: merge_counts(one.artist, other.artist),
        album: merge_counts(one.album, other.album),
        year: merge_counts(one.year, other.year),
    }
}

/// The greater count of each value, for the same reason as with sources.
fn merge_counts(mut counts: Vec<FacetCount>, others: Vec<FacetCount>) -> Vec<FacetCount> {
    for other in others {
        match counts.iter_mut().find(|known| known.value == other.value) {
            Some(known) => known.count = known.count.max(other.count),
            None => counts.push(other),
        }
    }
    counts.sort_by_key(|one| std::cmp::Reverse(one.count));
    counts
}

#[cfg(test)]
mod tests {
    use choir_shared::Digest;
    use choir_shared::identity::SecretKey;
    use choir_shared::leaf::FileLength;

    use super::*;

    fn index(seed: u8) -> IndexKey {
        SecretKey::from_seed(&[seed; 32]).index_key()
    }

    fn row(number: u64, sources: u32) -> SearchRow {
        let file_id = FileId::new(Digest::of(&number.to_be_bytes()), FileLength::new(number).unwrap());
        SearchRow {
            file_id,
            title: None,
            artist: None,
            album: None,
            album_artist: None,
            track: None,
            disc: None,
            year: None,
            genre: None,
            file_name: None,
            format: "flac".into(),
            size: number,
            duration_ms: None,
            bitrate_kbps: None,
            sample_rate_hz: None,
            audio: None,
            sources,
            album_key: None,
        }
    }

    fn page(numbers: &[u64], next: Option<&str>) -> SearchPage {
        let results: Vec<_> = numbers.iter().map(|&number| row(number, number as u32)).collect();
        let next = next.map(str::to_owned);
        SearchPage { total: numbers.len() as u64, total_is: TotalIs::Exact, next, results, facets: None, explain: None }
    }

    fn first(seed: u8) -> Place {
        Place { index: index(seed), cursor: None, skip: 0 }
    }

    fn numbers(merged: &Merged) -> Vec<u64> {
        merged.rows.iter().map(|row| row.row.size).collect()
    }

    #[test]
    fn pages_are_dealt_out_by_rank_and_files_shown_once() {
        let mut second = page(&[5, 1, 6], None);
        second.results[1].sources = 9;
        let merged = merge(vec![(first(1), page(&[1, 2, 3], None)), (first(2), second)], 50, vec![]);
        assert_eq!(numbers(&merged), [1, 5, 2, 3, 6]);
        assert_eq!(merged.rows[0].indexes, [index(1), index(2)]);
        assert_eq!(merged.rows[0].row.sources, 9);
        assert_eq!((merged.total, merged.total_is, merged.next), (3, TotalIs::AtLeast, None));
    }

    #[test]
    fn one_index_is_passed_through() {
        let merged = merge(vec![(first(1), page(&[1, 2], Some("abc")))], 2, vec![]);
        assert_eq!((numbers(&merged), merged.total_is), (vec![1, 2], TotalIs::Exact));
        let places = plan(&[index(1)], merged.next.as_deref()).unwrap();
        assert_eq!(places, [Place { index: index(1), cursor: Some("abc".into()), skip: 0 }]);
    }

    #[test]
    fn paging_shows_every_row_of_every_index_once() {
        let library = |seed: u8, cursor: Option<&str>| match (seed, cursor) {
            (1, None) => page(&[1, 2], Some("p,2:")),
            (1, Some("p,2:")) => page(&[3, 4], None),
            (2, None) => page(&[11, 12], Some("x")),
            (2, Some("x")) => page(&[13], None),
            other => panic!("no such page: {other:?}"),
        };
        let (mut shown, mut cursor) = (Vec::new(), None);
        for _ in 0..10 {
            let places = plan(&[index(1), index(2)], cursor.as_deref()).unwrap();
            let pages = places.into_iter().map(|place| {
                let seed = if place.index == index(1) { 1 } else { 2 };
                let page = library(seed, place.cursor.as_deref());
                (place, page)
            });
            let merged = merge(pages.collect(), 2, vec![]);
            shown.extend(numbers(&merged));
            cursor = merged.next;
            if cursor.is_none() {
                break;
            }
        }
        shown.sort_unstable();
        assert_eq!(shown, [1, 2, 3, 4, 11, 12, 13]);
    }

    #[test]
    fn a_cursor_from_elsewhere_is_refused() {
        for cursor in ["", "abc", "a:b:c", "a:1:%zz", ":::"] {
            assert!(plan(&[index(1)], Some(cursor)).is_err(), "{cursor}");
        }
    }
}
