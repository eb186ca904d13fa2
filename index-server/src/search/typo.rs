//! How far apart two words are, for a walk through a sorted dictionary.
//!
//! The distance is optimal string alignment: letters left out, put in, changed, or swapped with their neighbour count
//! one each (L. Boytsov, "Indexing methods for approximate dictionary searching", 2011, section 2.1). Swapped letters
//! are the commonest slip of fast typists.
//!
//! The table of the classic algorithm is kept row by row, one row for each letter of the dictionary's word. The next
//! word in the dictionary mostly begins like the last one, so only the rows of its own letters are made; and where no
//! continuation can come near enough, all words with that beginning are skipped.

/// The words that lie within a distance of one word.
pub(super) struct Neighbourhood {
    word: Vec<char>,
    radius: u8,
    /// The letters that the rows stand for.
    letters: Vec<char>,
    /// One more than letters: the first is that of the empty word.
    rows: Vec<Vec<u8>>,
}

/// What a word of the dictionary is to a neighbourhood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proximity {
    Near,
    Far,
    /// All words that begin with the first so many bytes are far.
    FarFrom {
        bytes: usize,
    },
}

impl Neighbourhood {
    /// All words within `radius` changes of `word`.
    pub(super) fn new(word: &str, radius: u8) -> Self {
        let word: Vec<char> = word.chars().collect();
        let first = (0..=u8::try_from(word.len()).unwrap_or(u8::MAX)).collect();
        Self { word, radius, letters: Vec::new(), rows: vec![first] }
    }

    /// Fastest when words come in their order.
    pub(super) fn proximity(&mut self, other: &str) -> Proximity {
        let common = self.letters.iter().zip(other.chars()).take_while(|(a, b)| **a == *b).count();
        self.letters.truncate(common);
        self.rows.truncate(common + 1);
        for (position, letter) in other.char_indices().skip(common) {
            self.push(letter);
            if self.is_hopeless() {
                return Proximity::FarFrom { bytes: position + letter.len_utf8() };
            }
        }
        let distance = self.rows.last().and_then(|row| row.last()).copied().unwrap_or(u8::MAX);
        if distance <= self.radius { Proximity::Near } else { Proximity::Far }
    }

    fn push(&mut self, letter: char) {
        let above = self.rows.last().map(Vec::as_slice).unwrap_or_default();
        let two_above = self.rows.len().checked_sub(2).and_then(|row| self.rows.get(row));
        let before = self.letters.last().copied();
        let at = |row: &[u8], column: usize| row.get(column).copied().unwrap_or(u8::MAX);

        let mut row = Vec::with_capacity(self.word.len() + 1);
        row.push(at(above, 0).saturating_add(1));
        let mut left_of = None;
        for (column, &wanted) in self.word.iter().enumerate() {
            let changed = at(above, column).saturating_add(u8::from(wanted != letter));
            let left_out = at(&row, column).saturating_add(1);
            let put_in = at(above, column + 1).saturating_add(1);
            let swapped = match (two_above, column.checked_sub(1)) {
                (Some(two_above), Some(earlier)) if before == Some(wanted) && left_of == Some(letter) => {
                    at(two_above, earlier).saturating_add(1)
                }
                _ => u8::MAX,
            };
            row.push(changed.min(left_out).min(put_in).min(swapped));
            left_of = Some(wanted);
        }
        self.letters.push(letter);
        self.rows.push(row);
    }

    /// Whether no word that begins with these letters is near. The least of a row never exceeds that of the row before
    /// by more than one, so a swap, which reaches two rows back at the cost of one, gains nothing either.
    fn is_hopeless(&self) -> bool {
        self.rows.last().and_then(|row| row.iter().min()).is_none_or(|least| *least > self.radius)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The textbook's table, whole.
    fn distance(a: &str, b: &str) -> usize {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = match (i, j) {
                    (0, _) => j,
                    (_, 0) => i,
                    _ => {
                        let changed = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                        let plain = changed.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                        let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                        if swapped { plain.min(table[i - 2][j - 2] + 1) } else { plain }
                    }
                };
            }
        }
        table[a.len()][b.len()]
    }

    #[test]
    fn common_slips_are_near() {
        for slip in ["porishead", "portisheadd", "portishaed", "portizhead", "portishead"] {
            assert_eq!(Neighbourhood::new("portishead", 1).proximity(slip), Proximity::Near, "{slip}");
        }
        assert_ne!(Neighbourhood::new("portishead", 1).proximity("prtishaed"), Proximity::Near);
        assert_eq!(Neighbourhood::new("portishead", 2).proximity("prtishaed"), Proximity::Near);
    }

    proptest! {
        #[test]
        fn a_walk_finds_what_the_textbook_finds(
            word in "[abö]{0,6}",
            dictionary in proptest::collection::btree_set("[abö]{0,6}", 0..60),
            radius in 0..3u8,
        ) {
            let mut neighbourhood = Neighbourhood::new(&word, radius);
            for other in &dictionary {
                let near = distance(&word, other) <= usize::from(radius);
                match neighbourhood.proximity(other) {
                    Proximity::Near => prop_assert!(near, "{other}"),
                    Proximity::Far => prop_assert!(!near, "{other}"),
                    Proximity::FarFrom { bytes } => {
                        for skipped in dictionary.iter().filter(|skipped| skipped.starts_with(&other[..bytes])) {
                            prop_assert!(distance(&word, skipped) > usize::from(radius), "{skipped}");
                        }
                    }
                }
            }
        }
    }
}
