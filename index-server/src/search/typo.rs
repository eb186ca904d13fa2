//! The words that may have been meant by a misspelt one, as an automaton that dictionaries are searched with.
//!
//! Letters left out, put in, changed, or swapped with their neighbour count one each: swapped letters are the commonest
//! slip of fast typists. A dictionary is a transducer, and both run side by side, so that a search looks only at
//! beginnings that may still become near (K. U. Schulz, S. Mihov, "Fast string correction with Levenshtein automata",
//! 2002).

use tantivy::Term;
use tantivy::query::{DfaWrapper, FuzzyTermQuery};
use tantivy::schema::Field;

/// From this length on two slips are forgiven; in shorter words two changes make too many other words.
const LONG_WORD_CHARS: usize = 8;

/// Shorter words are not taken for misspelt: too many others are one letter away.
const LEAST_MISSPELT_CHARS: usize = 4;

/// Nor longer ones. The automaton of a word grows with its length, by a kilobyte for each state, and is made for one
/// search.
const MOST_MISSPELT_CHARS: usize = 24;

/// Whether `word` may be a misspelt one, by its length.
pub(super) fn may_be_misspelt(word: &str) -> bool {
    (LEAST_MISSPELT_CHARS..=MOST_MISSPELT_CHARS).contains(&word.chars().count())
}

/// Accepts all words near `word`, itself included.
pub(super) fn neighbourhood(word: &str) -> tantivy::Result<DfaWrapper> {
    let slips = if word.chars().count() < LONG_WORD_CHARS { 1 } else { 2 };
    // The automaton is of the word alone; the field serves the query around it, which is not asked.
    FuzzyTermQuery::new(Term::from_field_text(Field::from_field_id(0), word), slips, true).automaton()
}
