//! Finds files by words: a query goes in, numbers of files come out, best first.
//!
//! The [`Indexer`] fills the index from the store, the [`SearchEngine`] answers from it. Neither knows SQL, HTTP or
//! the time; rows are fetched from the store by the numbers found here.
//!
//! One search goes this way:
//!
//! 1. [`plan`] turns the words into lists of files: whole words, completions of the last one.
//! 2. [`mod@sift`] finds the best matches by points. [`filter`] lets through what may be shown: what somebody online
//!    holds ([`Online`]), of the right format, length, size.
//! 3. With fewer than [`ENOUGH`] matches a word may be misspelt: [`dictionary`] and [`typo`] find what was meant, and
//!    the search runs once more with both.
//! 4. [`page`] puts the best into their order, by [`ranking`], and cuts out one page; [`cursor`] remembers its end.
//!
//! An answer depends only on the query, the snapshot of the index and who is online. Paging through an index that does
//! not change shows every match once.

mod albums;
mod cursor;
mod dictionary;
mod explain;
mod facets;
mod file_set;
mod filter;
mod indexer;
mod page;
mod plan;
mod ranking;
mod schema;
mod sift;
mod snapshot;
mod typo;

use std::path::Path;
use std::sync::{Arc, PoisonError};

use choir_shared::index_api::search::{Explanation, Facets, TotalIs};
use choir_shared::query::Query;

pub use albums::FoundAlbum;
pub use indexer::{Indexer, IndexerError};

use crate::online::Online;
use crate::store::FileNo;
use filter::Filter;
use indexer::Shelf;
use plan::Plan;
use ranking::{Place, WantedNames};
use sift::{COUNTED, Sifted, sift};
use snapshot::Snapshot;

/// With so many matches nobody needs help with spelling.
const ENOUGH: u64 = 5;

/// The reading half of the search index. Cheap to clone; all clones see the newest commit.
#[derive(Clone)]
pub struct SearchEngine {
    shelf: Shelf,
}

/// One page of results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Best first.
    pub hits: Vec<FileNo>,
    /// Of all pages.
    pub total: u64,
    pub total_is: TotalIs,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// Only on the first page, and if the query asks for them.
    pub facets: Option<Facets>,
    /// Of the first hits, if the query asks for it.
    pub explanations: Option<Vec<Explanation>>,
    /// How many matches were looked at; for the metrics.
    pub visited: u64,
}

/// One page of albums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAlbums {
    /// Best first.
    pub albums: Vec<FoundAlbum>,
    pub total: u64,
    pub total_is: TotalIs,
    pub next: Option<String>,
}

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("the cursor belongs to another search")]
    BadCursor,
    #[error("the search index cannot be read: {0}")]
    Engine(#[from] tantivy::TantivyError),
}

impl From<std::io::Error> for SearchError {
    fn from(error: std::io::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl SearchEngine {
    /// Opens both halves of the search index in `folder`, or begins a new one there.
    pub fn open(folder: &Path) -> Result<(Indexer, Self), IndexerError> {
        let indexer = Indexer::open(folder)?;
        let engine = Self { shelf: indexer.shelf() };
        Ok((indexer, engine))
    }

    /// The last revision that the search index in `folder` has seen, after all of it was read; 0 if there is none.
    /// Nothing is changed, and nobody may write to it meanwhile.
    pub fn inspect(folder: &Path) -> Result<u64, IndexerError> {
        Indexer::inspect(folder)
    }

    /// Answers `query`. `held` are the files of the peer that the query names, if it names one.
    ///
    /// This takes milliseconds of processor time, and more if the index must be read from disk.
    pub fn search(&self, query: &Query, online: &Online, held: Option<&[FileNo]>) -> Result<Found, SearchError> {
        let snapshot = self.snapshot();
        let after = place(query)?;
        let filter = Filter::new(query, online, held.map(|held| held.iter().copied().collect()));
        let (plan, sifted) = best_matches(query, &snapshot, &filter, after.as_ref())?;

        let rows = page::rows(query, &snapshot, online, &sifted.best, after.as_ref());
        let total = if page::is_windowed(query) { rows.len() as u64 } else { sifted.total.min(COUNTED) };
        let (rows, next) = page::page(query, rows, after.as_ref());
        let explanations = match query.explain {
            true => Some(explain::explain(&WantedNames::of(query), &snapshot, online, &plan, &rows)?),
            false => None,
        };
        let first_page = after.is_none();
        Ok(Found {
            hits: rows.iter().map(|row| row.no).collect(),
            total,
            total_is: total_is(&sifted),
            next: next.map(|place| cursor::encode(query, &place)),
            facets: (query.facets && first_page).then(|| {
                let window = sifted.best.get(..page::WINDOW).unwrap_or(&sifted.best);
                facets::facets(&snapshot, window)
            }),
            explanations,
            visited: sifted.visited,
        })
    }

    /// The albums whose songs answer `query`, which groups by album.
    pub fn albums(&self, query: &Query, online: &Online, held: Option<&[FileNo]>) -> Result<FoundAlbums, SearchError> {
        let snapshot = self.snapshot();
        let after = place(query)?;
        let filter = Filter::new(query, online, held.map(|held| held.iter().copied().collect()));
        let (_, sifted) = best_matches(query, &snapshot, &filter, after.as_ref())?;
        let mut rows = page::rows(query, &snapshot, online, &sifted.best, after.as_ref());
        rows.retain(|row| row.group.is_some());
        let total = rows.len() as u64;
        let total_is = total_is(&sifted);
        let (rows, next) = page::page(query, rows, after.as_ref());
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.extend(albums::of(&snapshot, online, row.found.segment, row.found.document)?);
        }
        Ok(FoundAlbums { albums: found, total, total_is, next: next.map(|place| cursor::encode(query, &place)) })
    }

    /// The album with this key: the first half of its digits.
    pub fn album(&self, key: u64, online: &Online) -> Result<Option<FoundAlbum>, SearchError> {
        Ok(albums::with_key(&self.snapshot(), online, key)?)
    }

    /// How many files can be found.
    pub fn file_count(&self) -> u64 {
        self.snapshot().searcher.num_docs()
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the page before ended.
fn place(query: &Query) -> Result<Option<Place>, SearchError> {
    let decoded = |cursor: &String| cursor::decode(query, cursor).ok_or(SearchError::BadCursor);
    query.cursor.as_ref().map(decoded).transpose()
}

fn total_is(sifted: &Sifted) -> TotalIs {
    if sifted.complete && sifted.total <= COUNTED { TotalIs::Exact } else { TotalIs::AtLeast }
}

/// The best matches of what the query says, or of what it may mean if that is too little; and the plan that found them.
fn best_matches(
    query: &Query,
    snapshot: &Snapshot,
    filter: &Filter<'_>,
    after: Option<&Place>,
) -> Result<(Plan, Sifted), SearchError> {
    let mut room = page::matches_needed(query, after);
    if query.facets && after.is_none() {
        room = room.max(page::WINDOW);
    }
    let behind = match after {
        Some(Place::Tail(scored)) if !page::is_windowed(query) => Some(*scored),
        _ => None,
    };
    let plan = Plan::new(query, snapshot)?;
    let said = sift(snapshot, &plan, filter, room, behind)?;
    if said.total >= ENOUGH || !said.complete {
        return Ok((plan, said));
    }
    let Some(meant) = plan.corrected(snapshot)? else { return Ok((plan, said)) };
    let mut found = sift(snapshot, &meant, filter, room, behind)?;
    found.visited += said.visited;
    Ok((meant, found))
}

#[cfg(test)]
mod tests;
