//! What the others have not been told yet.

use std::collections::HashMap;

use crate::store::MemberNo;

/// Where a member is, as far as this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Here,
    Gone,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outbox(HashMap<MemberNo, News>);

#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    place: Option<Place>,
    changed: bool,
}

impl Outbox {
    /// The last word counts.
    pub(super) fn place(&mut self, member: MemberNo, place: Place) {
        self.0.entry(member).or_default().place = Some(place);
    }

    pub(super) fn changed(&mut self, member: MemberNo) {
        self.0.entry(member).or_default().changed = true;
    }

    pub(crate) fn is_coming(&self, member: MemberNo) -> bool {
        self.0.get(&member).is_some_and(|news| news.place == Some(Place::Here))
    }

    /// Those of whom the last word is this.
    pub(crate) fn placed(&self, place: Place) -> Vec<MemberNo> {
        self.0.iter().filter(|(_, news)| news.place == Some(place)).map(|(member, _)| *member).collect()
    }

    /// Those who share something else. Who has come is looked at anyway.
    pub(crate) fn changes(&self) -> Vec<MemberNo> {
        let changed = |news: &News| news.changed && news.place != Some(Place::Here);
        self.0.iter().filter(|(_, news)| changed(news)).map(|(member, _)| *member).collect()
    }

    /// What was taken out comes back, older than what has come in since.
    pub(super) fn take_back(&mut self, older: Self) {
        for (member, older) in older.0 {
            let news = self.0.entry(member).or_default();
            news.place = news.place.or(older.place);
            news.changed |= older.changed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_also_after_a_beat_was_lost() {
        let (anna, ben, carla) = (MemberNo(1), MemberNo(2), MemberNo(3));
        let mut lost = Outbox::default();
        lost.place(anna, Place::Here);
        lost.place(ben, Place::Here);
        lost.changed(carla);
        let mut outbox = Outbox::default();
        outbox.place(anna, Place::Gone);
        outbox.take_back(lost);
        assert_eq!(outbox.placed(Place::Gone), [anna]);
        assert_eq!(outbox.placed(Place::Here), [ben]);
        assert_eq!(outbox.changes(), [carla]);
        assert!(outbox.is_coming(ben) && !outbox.is_coming(anna));
    }
}
