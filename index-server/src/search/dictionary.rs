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
use super::typo::{Neighbourhood, Proximity};

/// Most completions of one beginning; each is a list of files to read. With so many, 99 of 100 beginnings of 5 to 8
/// letters took less than 1.5 ms among 10 million files (`research/index_measured.md`).
pub(super) const MAX_COMPLETIONS: usize = 64;

/// Most words of one segment that are looked at for completions.
const MAX_WALK: usize = 4_096;

/// Most words of one segment that are looked at for typing errors.
const MAX_TYPO_WALK: usize = 65_536;

/// Further words are stepped over one by one before the walk jumps, because a jump costs as much as some steps.
const STEPS_BEFORE_JUMP: usize = 8;

/// Words with a typing error are asked for as the most frequent of these.
pub(super) const MAX_ALTERNATIVES: usize = 3;

/// From this length on two errors are forgiven; in shorter words two changes make too many other words.
const LONG_WORD_CHARS: usize = 8;

/// A word and the number of files that have it.
type Frequencies = HashMap<String, u64>;

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
    pub(super) fn alternatives(&self, field: Field, word: &str) -> io::Result<Vec<String>> {
        let radius = if word.chars().count() < LONG_WORD_CHARS { 1 } else { 2 };
        let Some(first) = word.chars().next() else { return Ok(Vec::new()) };
        let mut words = Frequencies::new();
        self.each_dictionary(field, |dictionary| {
            let mut neighbourhood = Neighbourhood::new(word, radius);
            walk(dictionary, first, &mut neighbourhood, |near, files| add(&mut words, near, files))
        })?;
        words.remove(word);
        let least = self.frequency(field, word)?.max(1);
        words.retain(|_, files| *files >= least);
        Ok(most_frequent(words, MAX_ALTERNATIVES))
    }

    fn each_dictionary(&self, field: Field, mut look: impl FnMut(&TermDictionary) -> io::Result<()>) -> io::Result<()> {
        for (_, reader) in self.segments() {
            let words = reader.inverted_index(field).map_err(io::Error::other)?;
            look(words.terms())?;
        }
        Ok(())
    }
}

/// Shows all words of the neighbourhood that begin with `first`.
fn walk(
    dictionary: &TermDictionary,
    first: char,
    neighbourhood: &mut Neighbourhood,
    mut found: impl FnMut(&[u8], u32),
) -> io::Result<()> {
    let mut buffer = [0; 4];
    let end = after(first.encode_utf8(&mut buffer).as_bytes());
    let mut stream = dictionary.range().ge(&buffer[..first.len_utf8()]).lt(&end).into_stream()?;
    let mut far: Vec<u8> = Vec::new();
    let mut steps = 0;
    for _ in 0..MAX_TYPO_WALK {
        let Some((word, info)) = stream.next() else { break };
        if !far.is_empty() && word.starts_with(&far) {
            steps += 1;
            if steps > STEPS_BEFORE_JUMP {
                stream = dictionary.range().ge(after(&far)).lt(&end).into_stream()?;
                far.clear();
            }
            continue;
        }
        // Words come from claims, which are text.
        let Ok(text) = std::str::from_utf8(word) else { continue };
        match neighbourhood.proximity(text) {
            Proximity::Near => found(word, info.doc_freq),
            Proximity::Far => {}
            Proximity::FarFrom { bytes } => {
                far = word.get(..bytes).unwrap_or_default().to_vec();
                steps = 0;
            }
        }
    }
    Ok(())
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
