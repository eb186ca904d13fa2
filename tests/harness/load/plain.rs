//! The engine's own files read by tantivy alone: what the engine is measured against.

use std::collections::HashSet;
use std::path::Path;

use choir_index::online::Online;
use choir_index::store::FileNo;
use choir_shared::query::Query;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, EnableScoring, Occur, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Index, Searcher, SegmentReader, Term};

/// How many completions of a longer beginning are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completions {
    /// The most frequent 64, as the engine does.
    Frequent,
    All,
}

/// What one unit of stored popularity adds to a score: half a unit of BM25 for a doubling, which is 7.9 steps.
const BOOST: f32 = 0.5 / 7.9;

/// Scores are compared in these steps.
const STEPS_PER_UNIT: f32 = 64.0;

/// Longer beginnings have no list of their own.
const MAX_LISTED_CHARS: usize = 8;

const FREQUENT: usize = 64;

/// A search index, opened a second time to be read.
pub struct Plain {
    searcher: Searcher,
    fields: Fields,
    /// In the order of the segments.
    files: Vec<Vec<(FileNo, u8)>>,
}

#[derive(Clone, Copy)]
struct Fields {
    all: Field,
    title: Field,
    artist: Field,
    album: Field,
    prefix: Field,
}

/// Every match of a query, scored.
pub struct Scan {
    /// Of all files, online or not.
    pub matches: u64,
    /// Those online.
    scored: Vec<(u32, FileNo)>,
}

impl Plain {
    /// Opens what a [`SearchEngine`](choir_index::search::SearchEngine) keeps in `folder`, as of now.
    pub fn open(folder: &Path) -> tantivy::Result<Self> {
        let index = Index::open_in_dir(folder.join("files"))?;
        let schema = index.schema();
        let fields = Fields {
            all: schema.get_field("all")?,
            title: schema.get_field("title")?,
            artist: schema.get_field("artist")?,
            album: schema.get_field("album")?,
            prefix: schema.get_field("prefix")?,
        };
        let searcher = index.reader()?.searcher();
        let files = searcher.segment_readers().iter().map(files).collect::<tantivy::Result<_>>()?;
        Ok(Self { searcher, fields, files })
    }

    /// As plain tantivy would answer: ranked by BM25 alone, nobody's presence looked at. How many were found.
    pub fn top(&self, query: &Query, limit: usize) -> tantivy::Result<usize> {
        let Some(query) = self.query(query, Completions::Frequent)? else { return Ok(0) };
        Ok(self.searcher.search(&query, &TopDocs::with_limit(limit).order_by_score())?.len())
    }

    /// Scores every match.
    pub fn scan(&self, query: &Query, online: &Online) -> tantivy::Result<Scan> {
        let mut scan = Scan { matches: 0, scored: Vec::new() };
        let Some(query) = self.query(query, Completions::All)? else { return Ok(scan) };
        let weight = tantivy::query::Query::weight(&query, EnableScoring::enabled_from_searcher(&self.searcher))?;
        for (reader, files) in self.searcher.segment_readers().iter().zip(&self.files) {
            weight.for_each(reader, &mut |document, fit| {
                scan.matches += 1;
                let (file, popularity) = files[document as usize];
                if online.is_online(file) {
                    let score = fit + f32::from(popularity) * BOOST;
                    scan.scored.push(((score * STEPS_PER_UNIT).round() as u32, file));
                }
            })?;
        }
        Ok(scan)
    }

    fn query(&self, query: &Query, completions: Completions) -> tantivy::Result<Option<BooleanQuery>> {
        let terms = query.terms();
        let fields = &self.fields;
        let mut clauses = Vec::new();
        let lists = [
            (fields.all, &terms.all),
            (fields.title, &terms.title),
            (fields.artist, &terms.artist),
            (fields.album, &terms.album),
        ];
        for (field, words) in lists {
            clauses.extend(words.iter().map(|word| (Occur::Must, one(field, word))));
        }
        if let Some(beginning) = &terms.prefix {
            if beginning.chars().count() <= MAX_LISTED_CHARS {
                clauses.push((Occur::Must, one(fields.prefix, beginning)));
            } else {
                let words = self.completions(beginning, completions)?;
                if words.is_empty() {
                    return Ok(None);
                }
                let any = words.iter().map(|word| (Occur::Should, one(fields.all, word))).collect();
                clauses.push((Occur::Must, Box::new(BooleanQuery::new(any))));
            }
        }
        Ok(Some(BooleanQuery::new(clauses)))
    }

    fn completions(&self, beginning: &str, which: Completions) -> tantivy::Result<Vec<String>> {
        let mut words = std::collections::HashMap::<Vec<u8>, u64>::new();
        for reader in self.searcher.segment_readers() {
            let list = reader.inverted_index(self.fields.all)?;
            let mut stream = list.terms().range().ge(beginning).into_stream()?;
            while let Some((word, found)) = stream.next() {
                if !word.starts_with(beginning.as_bytes()) {
                    break;
                }
                *words.entry(word.to_vec()).or_default() += u64::from(found.doc_freq);
            }
        }
        let mut words: Vec<(Vec<u8>, u64)> = words.into_iter().collect();
        words.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        if which == Completions::Frequent {
            words.truncate(FREQUENT);
        }
        Ok(words.into_iter().filter_map(|(word, _)| String::from_utf8(word).ok()).collect())
    }
}

impl Scan {
    /// How many can be found: matches online.
    pub fn online(&self) -> usize {
        self.scored.len()
    }

    /// Which share of the best `count` is among `found`. Equals count as each other; `None` if there is nothing.
    pub fn recall(&mut self, found: &[FileNo], count: usize) -> Option<f64> {
        let count = count.min(self.scored.len());
        let last = count.checked_sub(1)?;
        let (_, &mut (bar, _), _) = self.scored.select_nth_unstable_by_key(last, |scored| std::cmp::Reverse(scored.0));
        let found: HashSet<FileNo> = found.iter().copied().collect();
        let good = self.scored.iter().filter(|(points, file)| *points >= bar && found.contains(file)).count();
        Some(good.min(count) as f64 / count as f64)
    }
}

fn one(field: Field, word: &str) -> Box<dyn tantivy::query::Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs))
}

fn files(reader: &SegmentReader) -> tantivy::Result<Vec<(FileNo, u8)>> {
    let columns = reader.fast_fields();
    let (no, popularity) = (columns.u64("no")?, columns.u64("popularity")?);
    let of = |document| {
        Some((FileNo(u32::try_from(no.first(document)?).ok()?), u8::try_from(popularity.first(document)?).ok()?))
    };
    let all: Option<Vec<_>> = (0..reader.max_doc()).map(of).collect();
    all.ok_or_else(|| tantivy::TantivyError::SchemaError("a document without number or popularity".to_owned()))
}
