//! Which of the numbers from 1 were seen, in a bit each.

#[derive(Default)]
pub(super) struct NumberSet(Vec<u64>);

impl NumberSet {
    pub(super) fn insert(&mut self, number: u32) {
        let word = number as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0.get_mut(word).into_iter().for_each(|bits| *bits |= 1 << (number % 64));
    }

    /// The first `most` numbers after `after`, up to `last`, that were not seen.
    pub(super) fn missing(&self, after: u32, last: u32, most: usize) -> Vec<u32> {
        let first = after.saturating_add(1);
        let words = (first / 64..=last / 64).filter(|word| self.word(*word) != u64::MAX);
        let numbers = words.flat_map(|word| {
            (0..64).filter(move |bit| self.word(word) & (1 << bit) == 0).map(move |bit| word * 64 + bit)
        });
        numbers.filter(|number| (first..=last).contains(number)).take(most).collect()
    }

    fn word(&self, word: u32) -> u64 {
        self.0.get(word as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_missing_is_all_the_rest(seen: BTreeSet<u8>, after in 0..300u32, last in 0..300u32, most in 0..300usize) {
            let mut set = NumberSet::default();
            seen.iter().for_each(|number| set.insert((*number).into()));
            let rest = (after + 1..=last).filter(|number| !seen.iter().any(|seen| u32::from(*seen) == *number));
            prop_assert_eq!(set.missing(after, last, most), rest.take(most).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_last_number_of_all_is_one() {
        let set = NumberSet::default();
        assert_eq!(set.missing(u32::MAX - 2, u32::MAX, 9), [u32::MAX - 1, u32::MAX]);
        assert!(set.missing(u32::MAX, u32::MAX, 9).len() <= 1, "and there is none after it");
    }
}
