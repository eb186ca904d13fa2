//! How text is cut into words.
//!
//! Spaces, brackets, commas and the like always separate. What they separate is a *chunk*; within one
//!
//! - **apostrophes vanish** (`don't` is `dont`), because people leave them out;
//! - **`!` between letters is `i` and `$` beside a letter is `s`**: `P!nk` and `Pink` are one artist, as are `A$AP`
//!   and `ASAP`. No other digit or sign is read as a letter; `4` and `3` mean themselves far too often;
//! - **single letters with points are one word** (`R.E.M.` is `rem`, `Run-D.M.C.` is `run` and `dmc`), because single
//!   letters match everything;
//! - **other punctuation splits** (`AC/DC` is `ac` and `dc`).
//!
//! That is the reading of [`tokens`], and a query uses it alone: all its words must match, so a query may take only
//! one reading. The index adds the others, so that `acdc`, `p nk`, `l amour` and `simon and garfunkel` hit as well.
//!
//! **Scripts without spaces** (Chinese, Japanese, Thai; Korean, whose particles stick to the word) are cut into
//! overlapping pairs of characters, which finds any part of a title without a dictionary. A single character is a
//! token too, in queries only when it stands alone.
//!
//! **Text without any letter or digit** is searched by its symbols, one token per word: `!!!` is a band.

use std::collections::HashSet;

use unicode_normalization::char::is_combining_mark;

use super::{fold, truncated};

/// Longer words are cut here, in index and query alike, so they still match. The longest word in an English
/// dictionary has 45 letters; more is noise or an attempt to fill the index.
pub const MAX_TOKEN_BYTES: usize = 64;

/// Tokens past these are left out. The longest text of a claim ([`MAX_TEXT_BYTES`](crate::claim::MAX_TEXT_BYTES))
/// has fewer in every script: at most two for each character of three bytes, or one for each pair of ASCII.
pub const MAX_TOKENS: usize = 512;

/// Chunks of more parts are not indexed as one word: they are whole sentences with points for spaces.
const MAX_JOINED_PARTS: usize = 8;

/// The words of `text` in order, as a reader says them.
pub fn tokens(text: &str) -> Vec<String> {
    let folded = fold(text);
    let mut out = Tokens::all();
    if !has_words(&folded) {
        folded.split_whitespace().for_each(|symbols| out.push(symbols));
        return out.list;
    }
    for chunk in folded.split(separates).filter(|chunk| has_words(chunk)) {
        if is_plain(chunk) {
            out.push(chunk);
            continue;
        }
        spoken(chunk).iter().for_each(|word| out.push_word(word, Singles::WhenAlone));
    }
    out.list
}

/// The words of `text` that a document must have, each once.
pub fn query_tokens(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    tokens(text).into_iter().filter(|token| seen.insert(token.clone())).collect()
}

/// Every token by which `text` can be found, each once: those of [`query_tokens`], and the other readings.
pub fn index_tokens(text: &str) -> Vec<String> {
    let folded = fold(text);
    let mut out = Tokens::distinct();
    let wordless = !has_words(&folded);
    for symbols in folded.split_whitespace().filter(|word| !has_words(word)) {
        if wordless || is_telling(symbols) {
            out.push(symbols);
        }
    }
    if wordless {
        return out.list;
    }
    for chunk in folded.split(separates) {
        if is_plain(chunk) {
            out.push(chunk);
            continue;
        }
        if chunk == "+" || chunk.contains('&') {
            out.push("and");
        }
        spoken(chunk).iter().for_each(|word| out.push_word(word, Singles::Always));
        for reading in [parts(&signs_as_letters(chunk)), parts(chunk)] {
            reading.iter().for_each(|word| out.push_word(word, Singles::Always));
            if reading.len() <= MAX_JOINED_PARTS {
                out.push_word(&reading.concat(), Singles::Always);
            }
        }
    }
    out.list
}

/// The words of a name without the `the` that it may begin with; a name that is nothing else keeps it.
pub fn without_article(tokens: &[String]) -> &[String] {
    match tokens.split_first() {
        Some((first, rest)) if first == "the" && !rest.is_empty() => rest,
        _ => tokens,
    }
}

/// Whether `token` is of a script that is written without spaces, and so one of many that a word was cut into.
pub fn is_unspaced(token: &str) -> bool {
    token.chars().any(is_unspaced_char)
}

/// What ends a chunk: everything after which the next word surely is another.
fn separates(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '_' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '|' | '"' | '~')
        || matches!(c, '“' | '”' | '„' | '«' | '»' | '‹' | '›' | '–' | '—' | '、' | '。' | '\u{3008}'..='\u{301f}')
}

/// Whether a chunk has one reading only: itself. Most have, and need not be taken apart.
fn is_plain(chunk: &str) -> bool {
    chunk.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Symbols amid words are worth a token if they are more than punctuation: `!!!`, `♥`.
fn is_telling(symbols: &str) -> bool {
    /// Here the arrows begin, and after them signs and pictures; before it Unicode has punctuation.
    const FIRST_SIGN: char = '\u{2190}';
    let mut chars = symbols.chars();
    chars.next().is_some_and(|first| first >= FIRST_SIGN || chars.next().is_some())
}

/// The one reading of a chunk that queries use.
fn spoken(chunk: &str) -> Vec<String> {
    let letters = signs_as_letters(chunk);
    let joins = |c: char| c == '.' || c.is_alphanumeric() || is_combining_mark(c);
    letters.split(|c| !joins(c)).flat_map(with_initials).collect()
}

/// What stands between other signs than points: initials as one word, or the words.
fn with_initials(chunk: &str) -> Vec<String> {
    let words = parts(chunk);
    let initials = words.len() > 1 && words.iter().all(|word| word.chars().count() == 1 && !is_unspaced(word));
    if initials { vec![words.concat()] } else { words.into_iter().map(str::to_owned).collect() }
}

/// `chunk` with `!` and `$` read as letters where they stand for one, and without apostrophes.
fn signs_as_letters(chunk: &str) -> String {
    let chars: Vec<char> = chunk.chars().filter(|&c| c != '\'').collect();
    let at = |position: Option<usize>| position.and_then(|position| chars.get(position)).copied();
    let letter = |position| at(position).is_some_and(char::is_alphabetic);
    let digit = |position| at(position).is_some_and(char::is_numeric);
    let read = |(position, &c): (usize, &char)| {
        let (before, after) = (position.checked_sub(1), position.checked_add(1));
        match c {
            '!' if letter(before) && letter(after) => 'i',
            '$' if (letter(before) || letter(after)) && !digit(before) && !digit(after) => 's',
            _ => c,
        }
    };
    chars.iter().enumerate().map(read).collect()
}

/// The runs of letters, digits and their marks.
fn parts(chunk: &str) -> Vec<&str> {
    let mut in_word = false;
    chunk
        .split(|c: char| {
            in_word = c.is_alphanumeric() || in_word && is_combining_mark(c);
            !in_word
        })
        .filter(|part| !part.is_empty())
        .collect()
}

/// When a single character of a script without spaces is a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Singles {
    Always,
    WhenAlone,
}

/// A list of tokens that keeps the limits.
struct Tokens {
    list: Vec<String>,
    /// What is in the list, if nothing is to be in it twice.
    seen: Option<HashSet<String>>,
}

impl Tokens {
    const fn all() -> Self {
        Self { list: Vec::new(), seen: None }
    }

    fn distinct() -> Self {
        Self { list: Vec::new(), seen: Some(HashSet::new()) }
    }

    fn push(&mut self, token: &str) {
        let token = truncated(token, MAX_TOKEN_BYTES);
        if token.is_empty() || self.list.len() >= MAX_TOKENS {
            return;
        }
        if self.seen.as_mut().is_none_or(|seen| seen.insert(token.to_owned())) {
            self.list.push(token.to_owned());
        }
    }

    fn push_word(&mut self, word: &str, singles: Singles) {
        if word.is_ascii() {
            return self.push(word);
        }
        let chars: Vec<char> = word.chars().collect();
        for run in chars.chunk_by(|&a, &b| is_unspaced_char(a) == is_unspaced_char(b)) {
            if !run.first().copied().is_some_and(is_unspaced_char) {
                self.push(&String::from_iter(run));
                continue;
            }
            if singles == Singles::Always || run.len() == 1 {
                run.iter().for_each(|c| self.push(c.encode_utf8(&mut [0; 4])));
            }
            run.windows(2).for_each(|pair| self.push(&String::from_iter(pair)));
        }
    }
}

/// Thai, Lao, Myanmar, Hangul, Khmer, kana, Bopomofo, Han.
const fn is_unspaced_char(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3031}'..='\u{318f}' | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'
        | '\u{1b000}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn awkward_names_are_cut_as_a_reader_says_them() {
        let cases: [(&str, &[&str]); 22] = [
            ("Björk", &["bjork"]),
            ("Sigur Rós", &["sigur", "ros"]),
            ("The The", &["the", "the"]),
            ("!!!", &["!!!"]),
            ("††† (Crosses)", &["crosses"]),
            ("♥ ≠", &["♥", "≠"]),
            ("AC/DC", &["ac", "dc"]),
            ("P!nk", &["pink"]),
            ("A$AP Rocky, Ke$ha & $uicideboy$", &["asap", "rocky", "kesha", "suicideboys"]),
            ("$100 Wow! Wow!", &["100", "wow", "wow"]),
            ("R.E.M. N.W.A k.d. lang", &["rem", "nwa", "kd", "lang"]),
            ("S. Carey", &["s", "carey"]),
            ("Don't Rock 'n' Roll", &["dont", "rock", "n", "roll"]),
            ("宇多田ヒカル", &["宇多", "多田", "田ヒ", "ヒカ", "カル"]),
            ("愛 Love愛", &["愛", "love", "愛"]),
            ("2NE1 한국", &["2ne1", "한국"]),
            ("Đorđe Balašević", &["dorde", "balasevic"]),
            ("Ω", &["ω"]),
            ("مُحَمَّد عبده", &["محمد", "عبده"]),
            ("שלום חנוך", &["שלום", "חנוך"]),
            ("हिन्दी गाना", &["हिन्दी", "गाना"]),
            ("01_-_Some_Song[live]", &["01", "some", "song", "live"]),
        ];
        for (text, words) in cases {
            assert_eq!(tokens(text), words, "{text}");
        }
        assert_eq!(query_tokens("The The"), ["the"]);
    }

    #[test]
    fn names_are_found_by_every_way_of_writing_them() {
        let cases: [(&str, &[&str]); 15] = [
            ("AC/DC", &["acdc", "AC/DC", "ac dc", "AC-DC"]),
            ("P!nk", &["pink", "p nk", "P!nk", "p!nk"]),
            ("Pink", &["P!nk"]),
            ("A$AP Rocky", &["asap rocky", "A$AP", "a ap"]),
            ("Kesha", &["Ke$ha"]),
            ("R.E.M.", &["rem", "R.E.M.", "r e m"]),
            ("REM", &["R.E.M."]),
            ("Run-D.M.C.", &["run dmc", "Run-DMC", "run d m c", "rundmc"]),
            ("Don’t Stop", &["dont stop", "don't", "don t"]),
            ("L'amour", &["amour", "lamour"]),
            ("Simon & Garfunkel", &["simon and garfunkel", "simon garfunkel", "Simon & Garfunkel"]),
            ("宇多田ヒカル", &["宇多田", "ヒカル", "田", "ヒ"]),
            ("マイケル・ジャクソン", &["マイケルジャクソン", "ジャクソン"]),
            ("!!! - Louden Up Now", &["!!!", "louden"]),
            ("blink-182", &["blink182", "blink 182", "blink"]),
        ];
        for (text, queries) in cases {
            let index = index_tokens(text);
            for query in queries {
                assert!(query_tokens(query).iter().all(|token| index.contains(token)), "{query} in {index:?}");
            }
        }
    }

    #[test]
    fn limits_hold_and_characters_stay_whole() {
        let long = "ø".repeat(1000) + &"愛憎".repeat(1000);
        for token in index_tokens(&long) {
            assert!(token.len() <= MAX_TOKEN_BYTES);
        }
        let many: String = (0..10_000).map(|n| format!("{n} ")).collect();
        assert_eq!(tokens(&many).len(), MAX_TOKENS);
        assert_eq!(index_tokens(&many).len(), MAX_TOKENS);
        assert!(tokens("").is_empty() && tokens(" \u{200b} ").is_empty());
    }

    proptest! {
        #[test]
        fn a_plain_chunk_has_one_reading(chunk in "[a-z0-9]{1,20}") {
            prop_assert!(is_plain(&chunk));
            prop_assert_eq!(spoken(&chunk), [chunk.as_str()]);
            let letters = signs_as_letters(&chunk);
            prop_assert_eq!(parts(&letters), [chunk.as_str()]);
            prop_assert_eq!(parts(&chunk), [chunk.as_str()]);
        }

        #[test]
        fn a_text_is_found_by_itself(text in prop_oneof![".{0,60}", "[a-cA!$'./&+ -éが愛क\u{301}\u{94d}]{0,40}"]) {
            let index = index_tokens(&text);
            for token in query_tokens(&text) {
                prop_assert!(index.contains(&token), "{} of {} in {:?}", token, text, index);
            }
        }

        #[test]
        fn two_texts_side_by_side_are_found_by_the_tokens_of_both(a in "[a-c!$'. ♥愛]{0,20}", b in ".{0,20}") {
            let index = [index_tokens(&a), index_tokens(&b)].concat();
            for token in query_tokens(&format!("{a} {b}")) {
                prop_assert!(index.contains(&token), "{} in {:?}", token, index);
            }
        }
    }
}
