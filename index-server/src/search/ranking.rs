//! Which result comes first.
//!
//! 1. Every match has a [`Points`]: how well its words fit (BM25) and how many people hold it. The best [`HEAD`]
//!    by points are found exactly.
//! 2. Those are put in the order of [`Rank`]: what is called exactly as asked comes first, however short or rare its
//!    name; and of equals, the one that can be had from more people now.
//! 3. The others follow by points alone, because availability changes while one pages.
//!
//! All orders here are "greater comes first".

use std::cmp::Reverse;

use choir_shared::query::Query;
use choir_shared::text;
use sha2::{Digest as _, Sha256};

use crate::store::FileNo;

/// How many of the best are put into their exact order: the most rows that a page can have.
pub(super) const HEAD: usize = choir_shared::query::MAX_LIMIT as usize;

/// What doubling the number of holders is worth, in units of BM25. Chosen where the measurements of
/// `research/index_measured.md` were made; a rare word is worth some ten.
const POINTS_PER_DOUBLING: f32 = 0.5;

/// Scores are rounded to this part of a unit of BM25. Sums of floats depend on the order of addition, and a page must
/// end where the next begins.
pub(super) const STEPS_PER_UNIT: f32 = 64.0;

/// How many people hold a file, online or not, on a scale where doubling is [`Self::LEVELS_PER_DOUBLING`] steps:
/// a byte holds every number of people there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Popularity(pub(super) u8);

impl Popularity {
    const LEVELS_PER_DOUBLING: f32 = 7.9;

    pub(super) fn of(holders: u32) -> Self {
        // The cast saturates.
        Self(((holders as f32 + 1.0).log2() * Self::LEVELS_PER_DOUBLING).round() as u8)
    }

    /// What it adds to a score.
    pub(super) fn boost(self) -> f32 {
        f32::from(self.0) * (POINTS_PER_DOUBLING / Self::LEVELS_PER_DOUBLING)
    }
}

/// A score in whole steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Points(pub(super) u32);

impl Points {
    pub(super) fn new(fit: f32, popularity: Popularity) -> Self {
        // The cast saturates, and there are no negative scores.
        Self(((fit + popularity.boost()) * STEPS_PER_UNIT).round() as u32)
    }

    /// A fit below which nothing of at most this popularity reaches these points.
    pub(super) fn least_fit(self, popularity: Popularity) -> f32 {
        /// More than rounding errors can add up to.
        const SLACK: f32 = 1.0;
        (self.0 as f32 - 0.5 - SLACK) / STEPS_PER_UNIT - popularity.boost()
    }
}

/// A match by points; of equals, the file that the index has known for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scored {
    pub(super) points: Points,
    pub(super) no: Reverse<FileNo>,
}

/// A match among the best. The order of the fields is the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) exact: Exact,
    pub(super) points: Points,
    pub(super) sources: u32,
    pub(super) no: Reverse<FileNo>,
}

/// What of a file is called exactly as the query says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exact {
    #[default]
    Nothing,
    Artist,
    Title,
    ArtistAndTitle,
}

/// Where a row stands among the results of one query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Behind every row of the head.
    Tail(Scored),
    Head(Rank),
    /// Unknown numbers come last.
    Number(Option<u64>, Reverse<FileNo>),
    /// Unknown texts come last.
    Text(Option<Reverse<String>>, Reverse<FileNo>),
}

/// Stands for a name in the index; names that are said alike are equal, with or without `The` before them, because half
/// of all people leave it out. 0 is no name.
///
/// 32 bits are enough: a wrong guess lifts one result of billions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NameKey(pub(super) u32);

impl NameKey {
    pub(super) fn of(name: &str) -> Self {
        Self::of_tokens(&text::tokens(name))
    }

    fn of_tokens(tokens: &[String]) -> Self {
        if tokens.is_empty() {
            return Self(0);
        }
        let hash: [u8; 32] = Sha256::digest(text::without_article(tokens).join(" ").as_bytes()).into();
        let [a, b, c, d, ..] = hash;
        Self(u32::from_le_bytes([a, b, c, d]).max(1))
    }
}

/// The names that a query may mean.
#[derive(Clone, Debug)]
pub(super) struct WantedNames {
    titles: [NameKey; 2],
    artists: [NameKey; 2],
    /// Both ways of reading the words as a name and another.
    pairs: Vec<[NameKey; 2]>,
}

impl WantedNames {
    pub(super) fn of(query: &Query) -> Self {
        let key = |name: &Option<String>| name.as_deref().map(NameKey::of).unwrap_or_default();
        let words = text::tokens(&query.text);
        let whole = NameKey::of_tokens(&words);
        let split = |at| words.split_at_checked(at).map(|(a, b)| [NameKey::of_tokens(a), NameKey::of_tokens(b)]);
        Self {
            titles: [key(&query.title), whole],
            artists: [key(&query.artist), whole],
            pairs: (1..words.len()).filter_map(split).collect(),
        }
    }

    pub(super) fn compare(&self, artist: NameKey, title: NameKey) -> Exact {
        let is = |wanted: &[NameKey], name: NameKey| name != NameKey(0) && wanted.contains(&name);
        let is_pair = |pair: &[NameKey; 2]| *pair == [artist, title] || *pair == [title, artist];
        match (is(&self.artists, artist), is(&self.titles, title)) {
            (true, true) => Exact::ArtistAndTitle,
            _ if self.pairs.iter().any(is_pair) => Exact::ArtistAndTitle,
            (_, true) => Exact::Title,
            (true, _) => Exact::Artist,
            (false, false) => Exact::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::query::SearchParams;
    use proptest::prelude::*;

    use super::*;

    fn compare(q: &str, artist: &str, title: &str) -> Exact {
        let query = SearchParams { q: Some(q.to_owned()), ..SearchParams::default() }.parse().unwrap();
        WantedNames::of(&query).compare(NameKey::of(artist), NameKey::of(title))
    }

    #[test]
    fn artist_and_title_are_exact_in_either_order() {
        assert_eq!(compare("portishead glory box", "Portishead", "Glory Box"), Exact::ArtistAndTitle);
        assert_eq!(compare("Glory Box - Portishead", "Portishead", "Glory Box"), Exact::ArtistAndTitle);
        assert_eq!(compare("the the", "The The", "The The"), Exact::ArtistAndTitle);
        assert_eq!(compare("who", "The Who", "Boris the Spider"), Exact::Artist);
        assert_eq!(compare("the who boris the spider", "Who", "Boris the Spider"), Exact::ArtistAndTitle);
        assert_eq!(compare("björk", "BJORK", "Jóga"), Exact::Artist);
        assert_eq!(compare("joga", "Björk", "Jóga"), Exact::Title);
        assert_eq!(compare("jog", "Björk", "Jóga"), Exact::Nothing);
        assert_eq!(compare("x", "", ""), Exact::Nothing);
    }

    #[test]
    fn popularity_grows_with_every_doubling_and_never_overflows() {
        let levels: Vec<u8> = (0..32).map(|power| Popularity::of(1 << power).0).collect();
        assert!(levels.is_sorted_by(|a, b| a < b));
        assert!(Popularity::of(u32::MAX).0 < u8::MAX);
        assert_eq!(Popularity::of(0), Popularity(0));
        assert!((Popularity::of(1023).boost() - 5.0).abs() < 0.05);
    }

    proptest! {
        #[test]
        fn nothing_below_the_least_fit_reaches_the_points(fit in 0.0..600.0f32, level: u8, wanted in 0..40_000u32) {
            let (popularity, wanted) = (Popularity(level), Points(wanted));
            if Points::new(fit, popularity) >= wanted {
                prop_assert!(fit > wanted.least_fit(popularity));
            }
        }
    }
}
