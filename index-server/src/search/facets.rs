//! How the best matches divide: by format, artist, album and year.
//!
//! Names that are said alike count as one, under the spelling that most files have.

use std::collections::HashMap;

use choir_shared::index_api::search::{FacetCount, Facets};
use choir_shared::text::fold;

use super::sift::Match;
use super::snapshot::{Segment, Snapshot, number, text};

/// Most values of each facet: what fits a side bar.
const MAX_VALUES: usize = 20;

pub(super) fn facets(snapshot: &Snapshot, matches: &[Match]) -> Facets {
    let count = |value: &dyn Fn(&Segment, u32) -> Option<String>| {
        let mut tally = Tally::default();
        for found in matches {
            if let Some(value) = snapshot.segment(found.segment).and_then(|segment| value(segment, found.document)) {
                tally.add(value);
            }
        }
        tally.most_frequent()
    };
    Facets {
        format: count(&|segment, document| text(&segment.format, document)),
        artist: count(&|segment, document| text(&segment.artist_text, document)),
        album: count(&|segment, document| text(&segment.album_text, document)),
        year: count(&|segment, document| number(&segment.year, document).map(|year| year.to_string())),
    }
}

/// Spellings by what they fold to, with the number of files that have them.
#[derive(Default)]
pub(super) struct Tally(HashMap<String, HashMap<String, u32>>);

impl Tally {
    pub(super) fn add(&mut self, spelling: String) {
        *self.0.entry(fold(&spelling)).or_default().entry(spelling).or_default() += 1;
    }

    pub(super) fn most_frequent(self) -> Vec<FacetCount> {
        let counted = |spellings: HashMap<String, u32>| {
            let count = spellings.values().sum();
            let best =
                spellings.into_iter().max_by(|(a, a_count), (b, b_count)| a_count.cmp(b_count).then(b.cmp(a)))?;
            Some(FacetCount { value: best.0, count })
        };
        let mut values: Vec<FacetCount> = self.0.into_values().filter_map(counted).collect();
        values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        values.truncate(MAX_VALUES);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_counted_together_under_the_commonest() {
        let mut tally = Tally::default();
        ["Björk", "Bjork", "Björk", "BJÖRK", "Air"].map(str::to_owned).into_iter().for_each(|name| tally.add(name));
        let value = |value: &str, count| FacetCount { value: value.to_owned(), count };
        assert_eq!(tally.most_frequent(), [value("Björk", 4), value("Air", 1)]);
    }
}
