//! Finds the best matches without looking at all of them.
//!
//! - One heap of the best serves all segments, so that what was found in one raises the bar for the next.
//! - A match must reach the points of the worst in the heap. Popularity is part of the points and tantivy knows only
//!   how well words fit, so the bar shown to tantivy is lowered by the greatest popularity still to come in the
//!   segment. The result is exact in any order of files, and fast because each segment begins with the popular ones.
//! - Until [`COUNTED`] matches are counted every match is looked at, so that small totals are exact.
//! - Where few files are online, many matches are looked at for that reason, and nearly none is let through. Then they
//!   are not scored before it is known whether they are, until so many are counted.
//! - Whatever is asked costs at most [`MAX_VISITED`]; beyond that the answer is what was found so far, and the total
//!   says that there may be more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::query::Weight;
use tantivy::{DocId, DocSet as _, TERMINATED};

use super::filter::{Filter, SegmentFilter};
use super::plan::Plan;
use super::ranking::{Points, Scored};
use super::snapshot::{Segment, Snapshot};

/// Totals up to this are exact.
pub(super) const COUNTED: u64 = 1_000;

/// Most matches that one search looks at, about eight times what a full scan for one word looked at on average among
/// 10 million files (`research/index_measured.md`). Popular files come first, so what is left out is seldom missed.
pub(super) const MAX_VISITED: u64 = 2_000_000;

/// A match and where its numbers are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    pub(super) scored: Scored,
    pub(super) segment: usize,
    pub(super) document: DocId,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Sifted {
    /// Best first.
    pub(super) best: Vec<Match>,
    /// Of all matches, up to one more than [`COUNTED`].
    pub(super) total: u64,
    /// Whether everything was looked at or proven worse.
    pub(super) complete: bool,
    pub(super) visited: u64,
}

/// Finds the best `room` matches of those behind `after`.
pub(super) fn sift(
    snapshot: &Snapshot,
    plan: &Plan,
    filter: &Filter<'_>,
    room: usize,
    after: Option<Scored>,
) -> tantivy::Result<Sifted> {
    let few = filter.admits_few(snapshot.searcher.num_docs());
    sift_where(few, snapshot, plan, filter, room, after)
}

/// The same, whether or not it is known that few pass the filter: what is found is the same, but not how fast.
pub(super) fn sift_where(
    few: bool,
    snapshot: &Snapshot,
    plan: &Plan,
    filter: &Filter<'_>,
    room: usize,
    after: Option<Scored>,
) -> tantivy::Result<Sifted> {
    let mut sieve = Sieve { room, after, heap: BinaryHeap::new(), total: 0, visited: 0 };
    if plan.is_empty() {
        for (ordinal, segment, reader) in snapshot.popular_first() {
            let filter = filter.on(segment, reader)?;
            sieve.browse(&InSegment { ordinal, segment, filter }, reader.max_doc());
        }
    } else if let Some(weight) = plan.weight(snapshot)? {
        for (ordinal, segment, reader) in snapshot.popular_first() {
            let here = InSegment { ordinal, segment, filter: filter.on(segment, reader)? };
            let mut rest = 0;
            if !plan.skips() {
                rest = sieve.scan(&here, weight.as_ref(), reader, Until::TheEnd)?;
            } else if few && sieve.points_to_beat().is_none() {
                rest = sieve.scan(&here, weight.as_ref(), reader, Until::EnoughAreCounted)?;
            }
            if rest != TERMINATED {
                weight.for_each_pruning(sieve.bar(&here, rest), reader, &mut |document, fit| {
                    if document >= rest && sieve.visit() && here.filter.admits(document) {
                        sieve.take(&here, document, fit);
                    }
                    sieve.bar(&here, document.max(rest))
                })?;
            }
        }
    }
    let best = sieve.heap.into_sorted_vec().into_iter().map(|Reverse(found)| found).collect();
    let (total, visited) = (sieve.total, sieve.visited);
    Ok(Sifted { best, total: total.min(COUNTED + 1), complete: visited <= MAX_VISITED, visited })
}

struct InSegment<'a> {
    ordinal: usize,
    segment: &'a Segment,
    filter: SegmentFilter<'a>,
}

/// How far matches are looked at one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    TheEnd,
    /// From there on those that score too low can be skipped.
    EnoughAreCounted,
}

struct Sieve {
    room: usize,
    after: Option<Scored>,
    /// The worst on top.
    heap: BinaryHeap<Reverse<Match>>,
    total: u64,
    visited: u64,
}

impl Sieve {
    /// Whether one more match may be looked at.
    fn visit(&mut self) -> bool {
        self.visited += 1;
        self.visited <= MAX_VISITED
    }

    /// The fit that a match from `document` on must exceed to be of interest.
    fn bar(&self, here: &InSegment<'_>, document: DocId) -> f32 {
        if self.visited > MAX_VISITED {
            return f32::INFINITY;
        }
        match self.points_to_beat() {
            Some(points) => points.least_fit(here.segment.ceiling(document)),
            None => f32::MIN,
        }
    }

    /// The points that a further match needs, once the total is of no more interest and the heap is full.
    fn points_to_beat(&self) -> Option<Points> {
        let worst = self.heap.peek().filter(|_| self.heap.len() >= self.room && self.total > COUNTED)?;
        Some(worst.0.scored.points)
    }

    fn take(&mut self, here: &InSegment<'_>, document: DocId, fit: f32) {
        self.total += 1;
        let segment = here.segment;
        let scored =
            Scored { points: Points::new(fit, segment.popularity(document)), no: Reverse(segment.file(document)) };
        if self.after.is_some_and(|after| scored >= after) {
            return;
        }
        let found = Match { scored, segment: here.ordinal, document };
        if self.heap.len() < self.room {
            self.heap.push(Reverse(found));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && worst.0 < found
        {
            *worst = Reverse(found);
        }
    }

    /// Looks at every match. Returns the first that it has left out.
    fn scan(
        &mut self,
        here: &InSegment<'_>,
        weight: &dyn Weight,
        reader: &tantivy::SegmentReader,
        until: Until,
    ) -> tantivy::Result<DocId> {
        let mut scorer = weight.scorer(reader, 1.0)?;
        let mut document = scorer.doc();
        while document != TERMINATED && self.visit() {
            let admitted = here.filter.admits(document);
            if admitted {
                let fit = scorer.score();
                self.take(here, document, fit);
            }
            document = scorer.advance();
            if admitted && until == Until::EnoughAreCounted && self.points_to_beat().is_some() {
                return Ok(document);
            }
        }
        Ok(TERMINATED)
    }

    /// Looks at files by popularity alone.
    fn browse(&mut self, here: &InSegment<'_>, documents: DocId) {
        for document in 0..documents {
            if !here.filter.is_held(document) {
                continue;
            }
            let best_to_come = Points::new(0.0, here.segment.ceiling(document));
            let settled = self.points_to_beat().is_some_and(|points| best_to_come < points);
            if settled || !self.visit() {
                return;
            }
            if here.filter.admits(document) {
                self.take(here, document, 0.0);
            }
        }
    }
}
