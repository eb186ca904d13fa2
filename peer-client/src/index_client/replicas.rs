//! The URLs of one index: that by which it was joined, and those of its replicas.
//!
//! 1. One of them is asked until it fails; then the next, in the order of the list, and so round.
//! 2. The index names them in `/info`. What it names in clear text is not followed from an encrypted place: the way
//!    there is where somebody could stand in between.
//! 3. A replica that is no longer named is forgotten, but for the one that is asked at the moment. The URL by which the
//!    index was joined stays.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::address::IndexUrl;

/// More replicas than one PostgreSQL carries.
const MAX_REPLICAS: usize = 16;

pub(super) struct Replicas {
    home: IndexUrl,
    inside: Mutex<Inside>,
}

struct Inside {
    /// Without the home.
    others: Vec<IndexUrl>,
    at: IndexUrl,
}

impl Replicas {
    pub(super) fn new(home: IndexUrl) -> Self {
        let inside = Inside { others: Vec::new(), at: home.clone() };
        Self { home, inside: inside.into() }
    }

    pub(super) const fn home(&self) -> &IndexUrl {
        &self.home
    }

    /// The one to ask.
    pub(super) fn at(&self) -> IndexUrl {
        self.inside().at.clone()
    }

    /// All but the home.
    pub(super) fn others(&self) -> Vec<IndexUrl> {
        self.inside().others.clone()
    }

    /// All, the one to ask first.
    pub(super) fn in_turn(&self) -> Vec<IndexUrl> {
        let inside = self.inside();
        let mut all = self.all(&inside);
        let first = all.iter().position(|url| *url == inside.at).unwrap_or(0);
        all.rotate_left(first);
        all
    }

    /// Takes over what the index says now, or has said before this program was started.
    pub(super) fn learn(&self, named: impl IntoIterator<Item = IndexUrl>) {
        let mut others: Vec<IndexUrl> = Vec::new();
        for url in named.into_iter().take(MAX_REPLICAS) {
            let is_as_safe = url.is_encrypted() || !self.home.is_encrypted();
            if is_as_safe && url != self.home && !others.contains(&url) {
                others.push(url);
            }
        }
        let mut inside = self.inside();
        if inside.at != self.home && !others.contains(&inside.at) {
            others.push(inside.at.clone());
        }
        inside.others = others;
    }

    /// This one has failed: the next is to be asked, unless somebody has turned away from it already.
    pub(super) fn turn_from(&self, failed: &IndexUrl) {
        let next = self.in_turn().into_iter().nth(1);
        let mut inside = self.inside();
        if inside.at == *failed
            && let Some(next) = next
        {
            inside.at = next;
        }
    }

    fn all(&self, inside: &Inside) -> Vec<IndexUrl> {
        [std::slice::from_ref(&self.home), &inside.others].concat()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> IndexUrl {
        text.parse().unwrap()
    }

    fn index(home: &str, named: &[&str]) -> Replicas {
        let replicas = Replicas::new(url(home));
        replicas.learn(named.iter().copied().map(url));
        replicas
    }

    #[test]
    fn who_fails_is_asked_last_and_everybody_turns_away_from_it_once() {
        let (a, b, c) = (url("https://a:1"), url("https://b:1"), url("https://c:1"));
        let replicas = index("https://a:1", &["https://b:1", "https://a:1", "https://c:1", "https://b:1"]);
        assert_eq!(replicas.in_turn(), [a.clone(), b.clone(), c.clone()]);
        replicas.turn_from(&a);
        replicas.turn_from(&a);
        assert_eq!(replicas.in_turn(), [b.clone(), c.clone(), a.clone()]);
        replicas.turn_from(&b);
        replicas.turn_from(&c);
        assert_eq!(replicas.at(), a);
    }

    #[test]
    fn an_index_that_is_one_program_is_asked_again_and_again() {
        let replicas = index("http://a:1", &[]);
        replicas.turn_from(&url("http://a:1"));
        assert_eq!(replicas.in_turn(), [url("http://a:1")]);
    }

    #[test]
    fn a_replica_that_is_no_longer_named_is_forgotten_when_it_is_not_asked_any_more() {
        let (a, b, c) = (url("http://a:1"), url("http://b:1"), url("http://c:1"));
        let replicas = index("http://a:1", &["http://b:1"]);
        replicas.turn_from(&a);
        replicas.learn([c.clone()]);
        assert_eq!(replicas.in_turn(), [b.clone(), a.clone(), c.clone()]);
        replicas.turn_from(&b);
        replicas.learn([c.clone()]);
        assert_eq!(replicas.in_turn(), [a, c]);
    }

    #[test]
    fn nothing_is_asked_in_clear_text_for_an_index_that_was_joined_over_tls() {
        assert_eq!(index("https://a:1", &["http://b:1"]).others(), []);
        assert_eq!(index("http://a:1", &["https://b:1"]).others(), [url("https://b:1")]);
    }
}
