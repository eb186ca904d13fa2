//! The words of a query, folded and cut like those of the files.

use super::{DocumentTokens, MAX_QUERY_TERMS, Query};
use crate::text;

/// What must be found; every list at once.
///
/// There are at most [`MAX_QUERY_TERMS`] in all. A long phrase in a script without spaces is cut into more pairs of
/// characters than that; the later pairs are then left out, since the first have told all but the same title apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// In any field.
    pub all: Vec<String>,
    pub title: Vec<String>,
    pub artist: Vec<String>,
    pub album: Vec<String>,
    /// The beginning of a word in any field.
    pub prefix: Option<String>,
}

impl Query {
    pub fn terms(&self) -> Terms {
        let mut terms = self.all_terms();
        let mut room = MAX_QUERY_TERMS.saturating_sub(terms.spaced_count());
        // The prefix is what is being typed, so it goes first.
        terms.prefix = terms.prefix.filter(|term| fits(term, &mut room));
        for list in [&mut terms.all, &mut terms.title, &mut terms.artist, &mut terms.album] {
            list.retain(|term| fits(term, &mut room));
        }
        terms
    }

    fn all_terms(&self) -> Terms {
        let of_field = |field: &Option<String>| field.as_deref().map(text::query_tokens).unwrap_or_default();
        let mut all = text::query_tokens(&self.text);
        let prefix = unfinished(&self.text);
        if let Some(prefix) = &prefix
            && !is_repeated(&self.text, prefix)
        {
            all.retain(|term| term != prefix);
        }
        let prefix = prefix.filter(|prefix| !all.contains(prefix));
        Terms {
            all,
            title: of_field(&self.title),
            artist: of_field(&self.artist),
            album: of_field(&self.album),
            prefix,
        }
    }
}

impl Terms {
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Whether a file with these tokens has all terms.
    pub fn matches(&self, tokens: &DocumentTokens) -> bool {
        let has_all = |terms: &[String], tokens: &[String]| terms.iter().all(|term| tokens.contains(term));
        has_all(&self.all, &tokens.all)
            && has_all(&self.title, &tokens.title)
            && has_all(&self.artist, &tokens.artist)
            && has_all(&self.album, &tokens.album)
            && self.prefix.as_ref().is_none_or(|prefix| tokens.all.iter().any(|token| token.starts_with(prefix)))
    }

    /// The words that were written as such.
    pub(super) fn spaced_count(&self) -> usize {
        self.iter().filter(|term| !text::is_unspaced(term)).count()
    }

    fn iter(&self) -> impl Iterator<Item = &String> {
        let lists = [&self.all, &self.title, &self.artist, &self.album];
        lists.into_iter().flatten().chain(&self.prefix)
    }
}

fn fits(term: &str, room: &mut usize) -> bool {
    if !text::is_unspaced(term) {
        return true;
    }
    let fits = *room > 0;
    *room = room.saturating_sub(1);
    fits
}

/// The last word, if it may still be being typed.
fn unfinished(typed: &str) -> Option<String> {
    let last = typed.chars().next_back()?;
    if last.is_whitespace() || matches!(last, '"' | '”' | '“' | '„' | '»' | '«' | '」' | '』') {
        return None;
    }
    let word = typed.split_whitespace().next_back()?;
    let token = text::tokens(word).pop()?;
    // Symbols beside words are no terms, and the words before them are finished.
    text::tokens(typed).pop().filter(|whole| *whole == token)
}

fn is_repeated(typed: &str, word: &str) -> bool {
    text::tokens(typed).iter().filter(|token| *token == word).count() > 1
}
