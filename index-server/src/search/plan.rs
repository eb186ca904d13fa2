//! From the words of a query to lists of files.
//!
//! - Every word is a [`Clause`], and a file must satisfy all of them.
//! - A clause is one term, or several of which one suffices: the completions of a long beginning, or the words that
//!   may have been meant by a misspelt one.
//! - The audio asked for is a clause as well: recordings are as many as files, and have no words.
//! - **Plans of single terms, and single clauses,** can be answered without looking at every match; tantivy keeps the
//!   best score of each block of files ([`Plan::skips`]). Only all words of one clause together with further clauses
//!   need the long way, and an audio, of which tantivy keeps no scores; it has few copies.

use std::io;

use choir_shared::query::{Query, Terms};
use choir_shared::text::is_unspaced;
use tantivy::Term;
use tantivy::query::{BooleanQuery, EnableScoring, Occur, Query as _, TermQuery, Weight};
use tantivy::schema::{Field, IndexRecordOption};

use super::schema::{MAX_PREFIX_CHARS, audio_key};
use super::snapshot::Snapshot;
use super::typo;

/// What a file must have.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    clauses: Vec<Clause>,
}

#[derive(Clone, Debug)]
struct Clause {
    /// The word as asked for, and where; no word for what is no text.
    word: Option<String>,
    field: Field,
    /// Any of these.
    terms: Vec<Term>,
}

impl Plan {
    pub(super) fn new(query: &Query, snapshot: &Snapshot) -> io::Result<Self> {
        let fields = &snapshot.fields;
        let Terms { all, title, artist, album, prefix } = query.terms();
        let lists = [(fields.all, all), (fields.title, title), (fields.artist, artist), (fields.album, album)];
        let mut clauses: Vec<Clause> = Vec::new();
        for (field, words) in lists {
            clauses.extend(words.into_iter().map(|word| Clause::whole(field, word)));
        }
        if let Some(beginning) = prefix {
            clauses.push(Clause::begun(snapshot, beginning)?);
        }
        if let Some(audio) = query.audio {
            let term = Term::from_field_u64(fields.audio_key, audio_key(&audio.root()));
            clauses.push(Clause { word: None, field: fields.audio_key, terms: vec![term] });
        }
        Ok(Self { clauses })
    }

    /// Whether nothing is asked of the words, so that every file satisfies the plan.
    pub(super) fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Whether blocks of files that score too low can be skipped.
    pub(super) fn skips(&self) -> bool {
        let scored = self.clauses.iter().all(|clause| clause.word.is_some());
        scored && (self.clauses.len() == 1 || self.clauses.iter().all(|clause| clause.terms.len() == 1))
    }

    /// Every word that is asked for with the terms that satisfy it.
    pub(super) fn terms(&self) -> impl Iterator<Item = (&str, &Term)> {
        let words = self.clauses.iter().filter_map(|clause| Some((clause.word.as_deref()?, &clause.terms)));
        words.flat_map(|(word, terms)| terms.iter().map(move |term| (word, term)))
    }

    /// The plan for tantivy; `None` if no file can satisfy it.
    pub(super) fn weight(&self, snapshot: &Snapshot) -> tantivy::Result<Option<Box<dyn Weight>>> {
        if self.clauses.iter().any(|clause| clause.terms.is_empty()) {
            return Ok(None);
        }
        let mut parts: Vec<Box<dyn tantivy::query::Query>> = self.clauses.iter().map(Clause::query).collect();
        let whole = match parts.pop() {
            Some(only) if parts.is_empty() => only,
            Some(last) => {
                parts.push(last);
                Box::new(BooleanQuery::new(parts.into_iter().map(|part| (Occur::Must, part)).collect()))
            }
            None => return Ok(None),
        };
        whole.weight(EnableScoring::enabled_from_searcher(&snapshot.searcher)).map(Some)
    }

    /// The plan that also takes similar words for the rarest one; `None` if there are no similar words.
    pub(super) fn corrected(&self, snapshot: &Snapshot) -> tantivy::Result<Option<Self>> {
        let mut rarest: Option<(u64, usize)> = None;
        for (position, clause) in self.clauses.iter().enumerate() {
            let doubtful = |word: &&String| typo::may_be_misspelt(word) && !is_unspaced(word);
            let Some(word) = clause.word.as_ref().filter(doubtful) else { continue };
            let found = (snapshot.frequency(clause.field, word)?, position);
            rarest = Some(rarest.map_or(found, |rarest| rarest.min(found)));
        }
        let Some((_, position)) = rarest else { return Ok(None) };
        let mut plan = self.clone();
        let Some(clause) = plan.clauses.get_mut(position) else { return Ok(None) };
        let Some(word) = &clause.word else { return Ok(None) };
        let alternatives = snapshot.alternatives(clause.field, word)?;
        if alternatives.is_empty() {
            return Ok(None);
        }
        clause.terms.extend(alternatives.iter().map(|word| Term::from_field_text(clause.field, word)));
        Ok(Some(plan))
    }
}

impl Clause {
    fn whole(field: Field, word: String) -> Self {
        let term = Term::from_field_text(field, &word);
        Self { word: Some(word), field, terms: vec![term] }
    }

    fn begun(snapshot: &Snapshot, beginning: String) -> io::Result<Self> {
        let fields = &snapshot.fields;
        let terms = if beginning.chars().count() <= MAX_PREFIX_CHARS {
            vec![Term::from_field_text(fields.prefix, &beginning)]
        } else {
            let words = snapshot.completions(fields.all, &beginning)?;
            words.iter().map(|word| Term::from_field_text(fields.all, word)).collect()
        };
        Ok(Self { word: Some(beginning), field: fields.all, terms })
    }

    fn query(&self) -> Box<dyn tantivy::query::Query> {
        let one = |term: &Term| Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs));
        match self.terms.as_slice() {
            [term] => one(term),
            terms => Box::new(BooleanQuery::new(terms.iter().map(|term| (Occur::Should, one(term) as _)).collect())),
        }
    }
}
