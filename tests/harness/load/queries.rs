//! What people type who look for the songs of a [`Corpus`].
//!
//! The mix is that of `research/index_measured.md`, with the beginnings of longer words added: those take another way
//! through the engine.

use choir_shared::query::{Query, SearchParams};

use super::Chance;
use super::corpus::Corpus;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    OneWord,
    TwoWords,
    ThreeWords,
    Artist,
    ArtistAndTitle,
    /// One to four letters, as they are typed.
    Beginning,
    /// Five to eight letters, half of the time behind another word.
    LongBeginning,
    Typo,
    /// One of the words that stand in most songs, or two.
    Common,
    NoHit,
}

impl Kind {
    /// With their weights.
    pub const ALL: [(Self, u64); 10] = [
        (Self::OneWord, 15),
        (Self::TwoWords, 20),
        (Self::ThreeWords, 15),
        (Self::Artist, 10),
        (Self::ArtistAndTitle, 15),
        (Self::Beginning, 12),
        (Self::LongBeginning, 8),
        (Self::Typo, 5),
        (Self::Common, 4),
        (Self::NoHit, 4),
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::OneWord => "one word",
            Self::TwoWords => "two words",
            Self::ThreeWords => "three words",
            Self::Artist => "artist",
            Self::ArtistAndTitle => "artist and title",
            Self::Beginning => "beginning, 1 to 4 letters",
            Self::LongBeginning => "beginning, 5 to 8 letters",
            Self::Typo => "typing error",
            Self::Common => "words that most songs have",
            Self::NoHit => "nothing to be found",
        }
    }
}

/// One search.
#[derive(Clone, Debug)]
pub struct Search {
    pub kind: Kind,
    pub params: SearchParams,
    pub query: Query,
}

/// So many searches, the same for the same seed.
pub fn mix(corpus: &Corpus, count: usize, seed: u64) -> Vec<Search> {
    let mut chance = Chance::new(seed, 1);
    let mut searches = Vec::with_capacity(count);
    while searches.len() < count {
        searches.extend(some_search(corpus, &mut chance));
    }
    searches
}

/// `None` if chance has picked a song with too few words for the kind.
fn some_search(corpus: &Corpus, chance: &mut Chance) -> Option<Search> {
    let kind = some_kind(chance);
    let songs = u64::from(corpus.songs());
    // Half of what is looked for is popular.
    let rank = if chance.percent(50) { chance.below(songs) } else { chance.zipf(songs, 1.0) } as u32;
    let words = corpus.words(rank);
    let mut some_word = || words.get(chance.below(words.len().max(1) as u64) as usize).cloned();
    // A space says that the word is finished.
    let whole = |words: &[String]| words_only(words.join(" ") + " ");
    let params = match kind {
        Kind::OneWord => whole(&[some_word()?]),
        Kind::TwoWords => whole(&[some_word()?, some_word()?]),
        Kind::ThreeWords => whole(&[some_word()?, some_word()?, some_word()?]),
        Kind::Artist => SearchParams { artist: corpus.claim(rank).artist, ..SearchParams::default() },
        Kind::ArtistAndTitle => {
            let claim = corpus.claim(rank);
            words_only(format!("{} {} ", claim.artist?, claim.title?))
        }
        Kind::Beginning => {
            let word = some_word()?;
            words_only(word.chars().take(1 + chance.below(4) as usize).collect())
        }
        Kind::LongBeginning => {
            let (before, word) = (some_word()?, some_word()?);
            let letters = 5 + chance.below(4) as usize;
            let beginning: String = word.chars().take(letters).collect();
            if word.chars().count() < letters {
                return None;
            }
            words_only(if chance.percent(50) { format!("{before} {beginning}") } else { beginning })
        }
        Kind::Typo => {
            let mut letters: Vec<char> = some_word()?.chars().collect();
            if letters.len() < 5 {
                return None;
            }
            let at = 1 + chance.below(letters.len() as u64 - 2) as usize;
            letters.swap(at, at + 1);
            words_only(letters.into_iter().chain([' ']).collect())
        }
        Kind::Common => {
            let count = 1 + chance.below(2);
            let words: Vec<String> = (0..count).map(|_| Corpus::frequent_word(chance.below(20))).collect();
            whole(&words)
        }
        Kind::NoHit => words_only(format!("zzq{:x} ", chance.next())),
    };
    let query = params.clone().parse().ok()?;
    Some(Search { kind, params, query })
}

fn words_only(q: String) -> SearchParams {
    SearchParams { q: Some(q), ..SearchParams::default() }
}

fn some_kind(chance: &mut Chance) -> Kind {
    let mut lot = chance.below(Kind::ALL.iter().map(|(_, weight)| weight).sum());
    for (kind, weight) in Kind::ALL {
        if lot < weight {
            return kind;
        }
        lot -= weight;
    }
    Kind::OneWord
}
