//! Why rows stand where they stand: each part of their scores.

use choir_shared::index_api::search::{Exactness, ExplainedWord, Explanation};
use tantivy::DocSet as _;
use tantivy::query::{EnableScoring, Query as _, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::page::Row;
use super::plan::Plan;
use super::ranking::{Exact, Points, STEPS_PER_UNIT, WantedNames};
use super::snapshot::Snapshot;
use crate::online::Online;

/// Most rows of a page that are explained: each costs a look at every word.
pub(super) const EXPLAINED: usize = 50;

/// Explains the first rows of a page that `plan` found.
pub(super) fn explain(
    names: &WantedNames,
    snapshot: &Snapshot,
    online: &Online,
    plan: &Plan,
    rows: &[Row],
) -> tantivy::Result<Vec<Explanation>> {
    let rows = rows.get(..EXPLAINED).unwrap_or(rows);
    let mut explanations: Vec<Explanation> = rows
        .iter()
        .map(|row| {
            let segment = snapshot.segment(row.found.segment);
            let popularity = segment.map(|segment| segment.popularity(row.found.document)).unwrap_or_default();
            let exact = segment.map(|segment| segment.exactness(names, row.found.document)).unwrap_or_default();
            Explanation {
                exact: exact.into(),
                score_milli: milli(score(row.found.scored.points)),
                popularity_milli: milli(popularity.boost()),
                sources: online.sources(row.no),
                words: Vec::new(),
            }
        })
        .collect();
    for (asked, term) in plan.terms() {
        let field = snapshot.searcher.schema().get_field_name(term.field());
        let found = term.value().as_str().unwrap_or_default().to_owned();
        let weight = TermQuery::new(term.clone(), IndexRecordOption::WithFreqs)
            .weight(EnableScoring::enabled_from_searcher(&snapshot.searcher))?;
        for (row, explanation) in rows.iter().zip(&mut explanations) {
            let reader = snapshot.searcher.segment_reader(row.found.segment as u32);
            let mut scorer = weight.scorer(reader, 1.0)?;
            let document = row.found.document;
            if scorer.doc() <= document && scorer.seek(document) == document {
                explanation.words.push(ExplainedWord {
                    asked: asked.to_owned(),
                    found: found.clone(),
                    field: field.to_owned(),
                    fit_milli: milli(scorer.score()),
                });
            }
        }
    }
    Ok(explanations)
}

impl From<Exact> for Exactness {
    fn from(exact: Exact) -> Self {
        match exact {
            Exact::Nothing => Self::Nothing,
            Exact::Artist => Self::Artist,
            Exact::Title => Self::Title,
            Exact::ArtistAndTitle => Self::ArtistAndTitle,
        }
    }
}

fn score(points: Points) -> f32 {
    points.0 as f32 / STEPS_PER_UNIT
}

/// The cast saturates, and there are no negative scores.
fn milli(units: f32) -> u32 {
    (units * 1_000.0).round() as u32
}
