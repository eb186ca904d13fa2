//! The words that the index knows: how one goes on, and which one was meant.
//!
//! Every segment has a sorted dictionary of each field; a word counts with its files in all of them. Deleted files
//! count until their segment is merged, which is good enough to choose between words.
//!
//! All walks are bounded: who types one letter after another asks for one at every stroke.

use std::collections::HashMap;
use std::io;

use tantivy::schema::Field;
use tantivy::termdict::TermDictionary;

use super::snapshot::Snapshot;
use super::typo;

/// Most completions of one long beginning; each is a list of files to read.
pub(super) const MAX_COMPLETIONS: usize = 64;

/// Most words of one segment that are looked at for completions.
const MAX_WALK: usize = 4_096;

/// Misspelt words are asked for as the most frequent of these.
pub(super) const MAX_ALTERNATIVES: usize = 3;

/// A word and the number of files that have it.
pub(super) type Frequencies = HashMap<String, u64>;

impl Snapshot {
    /// The number of files with `word`.
    pub(super) fn frequency(&self, field: Field, word: &str) -> io::Result<u64> {
        let mut sum = 0;
        self.each_dictionary(field, |dictionary| {
            sum += dictionary.get(word)?.map_or(0, |found| u64::from(found.doc_freq));
            Ok(())
        })?;
        Ok(sum)
    }

    /// The most frequent words that begin with `beginning`, itself included if there is such a word.
    pub(super) fn completions(&self, field: Field, beginning: &str) -> io::Result<Vec<String>> {
        let mut words = Frequencies::new();
        self.each_dictionary(field, |dictionary| {
            let mut stream = dictionary.range().ge(beginning).lt(after(beginning.as_bytes())).into_stream()?;
            for _ in 0..MAX_WALK {
                let Some((word, found)) = stream.next() else { break };
                add(&mut words, word, found.doc_freq);
            }
            Ok(())
        })?;
        let itself = words.remove(beginning).map(|_| beginning.to_owned());
        let room = MAX_COMPLETIONS - usize::from(itself.is_some());
        Ok(itself.into_iter().chain(most_frequent(words, room)).collect())
    }

    /// The words that somebody may have meant who wrote `word`: with the same first letter, in at least as many files.
    pub(super) fn alternatives(&self, field: Field, word: &str) -> tantivy::Result<Vec<String>> {
        let mut words = self.near(field, word)?;
        words.remove(word);
        let least = self.frequency(field, word)?.max(1);
        words.retain(|_, files| *files >= least);
        Ok(most_frequent(words, MAX_ALTERNATIVES))
    }

    /// All words near `word` that begin with the same letter.
    pub(super) fn near(&self, field: Field, word: &str) -> tantivy::Result<Frequencies> {
        let neighbourhood = typo::neighbourhood(word)?;
        let first = word.chars().next().map(String::from).unwrap_or_default();
        let end = after(first.as_bytes());
        let mut words = Frequencies::new();
        self.each_dictionary(field, |dictionary| {
            let mut stream = dictionary.search(&neighbourhood).ge(&first).lt(&end).into_stream()?;
            while let Some((word, found)) = stream.next() {
                add(&mut words, word, found.doc_freq);
            }
            Ok(())
        })?;
        Ok(words)
    }

    fn each_dictionary(&self, field: Field, mut look: impl FnMut(&TermDictionary) -> io::Result<()>) -> io::Result<()> {
        for (_, reader) in self.segments() {
            let words = reader.inverted_index(field).map_err(io::Error::other)?;
            look(words.terms())?;
        }
        Ok(())
    }
}

/// The first text behind all that begin with `beginning`. No byte of UTF-8 is so great that it could not be counted up.
fn after(beginning: &[u8]) -> Vec<u8> {
    let mut end = beginning.to_vec();
    match end.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => end.push(u8::MAX),
    }
    end
}

fn add(words: &mut Frequencies, word: &[u8], files: u32) {
    if let Ok(word) = std::str::from_utf8(word) {
        *words.entry(word.to_owned()).or_default() += u64::from(files);
    }
}

/// Most frequent first; of equals the first in the alphabet, so that the same question has the same answer.
fn most_frequent(words: Frequencies, count: usize) -> Vec<String> {
    let mut words: Vec<(String, u64)> = words.into_iter().collect();
    words.sort_by(|(a, a_files), (b, b_files)| b_files.cmp(a_files).then_with(|| a.cmp(b)));
    words.into_iter().take(count).map(|(word, _)| word).collect()
}
