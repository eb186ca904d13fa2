//! How a file is cut into leaves, the smallest pieces that are verified and the unit of every request.
//!
//! All arithmetic about the short last leaf lives here, so that nobody else has to think of it.

use std::num::NonZeroU64;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// BEP 52 fixes the block at 16 KiB; with another size no torrent would carry the same root.
pub const LEAF_BYTES: u32 = 16 * 1024;

/// The largest file that Choir names: leaf numbers stay below 2^20, a bitmap of all leaves below 128 KiB.
pub const MAX_FILE_BYTES: u64 = 16 << 30;

/// The length of a file, 1 byte to [`MAX_FILE_BYTES`]. BEP 52 gives an empty file no root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct FileLength(NonZeroU64);

impl FileLength {
    pub const fn new(bytes: u64) -> Result<Self, InvalidLength> {
        match NonZeroU64::new(bytes) {
            Some(length) if bytes <= MAX_FILE_BYTES => Ok(Self(length)),
            _ => Err(InvalidLength(bytes)),
        }
    }

    pub const fn bytes(self) -> u64 {
        self.0.get()
    }

    pub const fn leaf_count(self) -> u32 {
        self.0.get().div_ceil(LEAF_BYTES as u64) as u32
    }

    /// Leaf `index`, if the file has one.
    pub const fn leaf(self, index: u32) -> Option<LeafIndex> {
        if index < self.leaf_count() { Some(LeafIndex(index)) } else { None }
    }

    /// `count` leaves from `first`, if the file has them all and `count` is not 0.
    pub const fn range(self, first: u32, count: u32) -> Option<LeafRange> {
        match first.checked_add(count) {
            Some(end) if count > 0 && end <= self.leaf_count() => Some(LeafRange { first, count }),
            _ => None,
        }
    }

    pub const fn whole(self) -> LeafRange {
        LeafRange { first: 0, count: self.leaf_count() }
    }

    /// Every leaf is [`LEAF_BYTES`] long but the last.
    pub const fn leaf_len(self, leaf: LeafIndex) -> u32 {
        if leaf.0 + 1 < self.leaf_count() { LEAF_BYTES } else { (self.0.get() - leaf.offset()) as u32 }
    }

    /// The bytes that `range` covers.
    pub fn byte_range(self, range: LeafRange) -> Range<u64> {
        let start = u64::from(range.first) * u64::from(LEAF_BYTES);
        let end = u64::from(range.end()) * u64::from(LEAF_BYTES);
        start..end.min(self.bytes())
    }

    pub fn range_len(self, range: LeafRange) -> u64 {
        let bytes = self.byte_range(range);
        bytes.end - bytes.start
    }

    /// The leaves that hold any of `bytes`; none if that is empty or past the end.
    pub fn leaves_of(self, bytes: Range<u64>) -> Option<LeafRange> {
        let end = bytes.end.min(self.bytes());
        if bytes.start >= end {
            return None;
        }
        let first = (bytes.start / u64::from(LEAF_BYTES)) as u32;
        let last = ((end - 1) / u64::from(LEAF_BYTES)) as u32;
        self.range(first, last - first + 1)
    }
}

impl TryFrom<u64> for FileLength {
    type Error = InvalidLength;

    fn try_from(bytes: u64) -> Result<Self, InvalidLength> {
        Self::new(bytes)
    }
}

impl From<FileLength> for u64 {
    fn from(length: FileLength) -> Self {
        length.bytes()
    }
}

/// A file that Choir does not name: empty, or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a file has 1 to {MAX_FILE_BYTES} bytes, not {0}")]
pub struct InvalidLength(pub u64);

/// The number of a leaf that the file really has: only [`FileLength`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(u32);

impl LeafIndex {
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Where the leaf begins in its file.
    pub const fn offset(self) -> u64 {
        self.0 as u64 * LEAF_BYTES as u64
    }
}

/// One or more neighbouring leaves that the file really has: only [`FileLength`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeafRange {
    first: u32,
    count: u32,
}

impl LeafRange {
    pub const fn first(self) -> u32 {
        self.first
    }

    pub const fn count(self) -> u32 {
        self.count
    }

    /// One past the last leaf.
    pub const fn end(self) -> u32 {
        self.first + self.count
    }

    pub fn leaves(self) -> impl ExactSizeIterator<Item = LeafIndex> + DoubleEndedIterator + Clone {
        (self.first..self.end()).map(LeafIndex)
    }

    pub const fn contains(self, leaf: LeafIndex) -> bool {
        self.first <= leaf.0 && leaf.0 < self.end()
    }

    /// The part of this range from leaf number `from` on, if any.
    pub const fn tail(self, from: u32) -> Option<Self> {
        if from <= self.first {
            Some(self)
        } else if from < self.end() {
            Some(Self { first: from, count: self.end() - from })
        } else {
            None
        }
    }

    /// The part of this range before leaf number `end`, if any.
    pub const fn head(self, end: u32) -> Option<Self> {
        if end >= self.end() {
            Some(self)
        } else if end > self.first {
            Some(Self { first: self.first, count: end - self.first })
        } else {
            None
        }
    }
}

/// A set of the leaves of one file, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafSet {
    length: FileLength,
    words: Vec<u64>,
    count: u32,
}

impl LeafSet {
    pub fn empty(length: FileLength) -> Self {
        Self { length, words: vec![0; length.leaf_count().div_ceil(64) as usize], count: 0 }
    }

    pub fn full(length: FileLength) -> Self {
        let leaves = length.leaf_count();
        let mut words = vec![u64::MAX; leaves.div_ceil(64) as usize];
        if let Some(last) = words.last_mut().filter(|_| !leaves.is_multiple_of(64)) {
            *last = (1 << (leaves % 64)) - 1;
        }
        Self { length, words, count: leaves }
    }

    /// `true` if the leaf was not there before. The leaf must be one of this file.
    pub fn insert(&mut self, leaf: LeafIndex) -> bool {
        let Some(word) = self.words.get_mut(leaf.0 as usize / 64) else { return false };
        let bit = 1 << (leaf.0 % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.count += u32::from(new);
        new
    }

    pub fn insert_range(&mut self, range: LeafRange) {
        for leaf in range.leaves() {
            self.insert(leaf);
        }
    }

    pub fn remove(&mut self, leaf: LeafIndex) -> bool {
        let Some(word) = self.words.get_mut(leaf.0 as usize / 64) else { return false };
        let bit = 1 << (leaf.0 % 64);
        let there = *word & bit != 0;
        *word &= !bit;
        self.count -= u32::from(there);
        there
    }

    pub fn contains(&self, leaf: LeafIndex) -> bool {
        self.words.get(leaf.0 as usize / 64).is_some_and(|word| word >> (leaf.0 % 64) & 1 == 1)
    }

    pub fn contains_range(&self, range: LeafRange) -> bool {
        range.leaves().all(|leaf| self.contains(leaf))
    }

    /// Keeps only the leaves that are in `other`, a set of the same file.
    pub fn intersect(&mut self, other: &Self) {
        self.combine(other, |mine, theirs| mine & theirs);
    }

    /// Takes out the leaves that are in `other`, a set of the same file.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, |mine, theirs| mine & !theirs);
    }

    fn combine(&mut self, other: &Self, word: impl Fn(u64, u64) -> u64) {
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine = word(*mine, *theirs);
        }
        self.count = self.words.iter().map(|word| word.count_ones()).sum();
    }

    pub const fn count(&self) -> u32 {
        self.count
    }

    pub const fn is_full(&self) -> bool {
        self.count == self.length.leaf_count()
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub const fn length(&self) -> FileLength {
        self.length
    }

    /// The sum of the lengths of the leaves in the set.
    pub fn bytes(&self) -> u64 {
        let Some(last) = self.length.leaf(self.length.leaf_count() - 1) else { return 0 };
        let missing = if self.contains(last) { LEAF_BYTES - self.length.leaf_len(last) } else { 0 };
        u64::from(self.count) * u64::from(LEAF_BYTES) - u64::from(missing)
    }

    /// Maximal runs of leaves that are in the set (`present`) or missing from it, in order.
    pub fn runs(&self, presence: Presence) -> impl Iterator<Item = LeafRange> + '_ {
        let other = match presence {
            Presence::Present => Presence::Missing,
            Presence::Missing => Presence::Present,
        };
        let mut next = 0;
        std::iter::from_fn(move || {
            let first = self.next_leaf(next, presence);
            next = self.next_leaf(first, other);
            self.length.range(first, next - first)
        })
    }

    /// The first leaf from `from` on that is present or missing; the leaf count if there is none.
    /// Goes by whole words: a scheduler asks this for every batch of a file of a million leaves.
    fn next_leaf(&self, from: u32, presence: Presence) -> u32 {
        let leaves = self.length.leaf_count();
        let mut skipped = u64::MAX.checked_shl(from % 64).unwrap_or(0);
        for (number, word) in (from / 64..).zip(self.words.iter().skip(from as usize / 64)) {
            let wanted = match presence {
                Presence::Present => *word,
                Presence::Missing => !*word,
            } & skipped;
            if wanted != 0 {
                return (number * 64 + wanted.trailing_zeros()).min(leaves);
            }
            skipped = u64::MAX;
        }
        leaves
    }

    /// Bit `n % 8` of byte `n / 8`, least significant first, stands for leaf `n`.
    pub fn to_bitmap(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(self.length.leaf_count().div_ceil(8) as usize);
        bytes
    }

    /// Reads [`LeafSet::to_bitmap`]; `None` if the length is wrong or a bit past the last leaf is set.
    pub fn from_bitmap(length: FileLength, bitmap: &[u8]) -> Option<Self> {
        let leaves = length.leaf_count();
        if bitmap.len() != leaves.div_ceil(8) as usize {
            return None;
        }
        let mut set = Self::empty(length);
        for (byte_number, byte) in (0u32..).zip(bitmap) {
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                set.insert(length.leaf(byte_number * 8 + bit)?);
            }
        }
        Some(set)
    }
}

/// Which runs of a [`LeafSet`] are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Present,
    Missing,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn length(bytes: u64) -> FileLength {
        FileLength::new(bytes).unwrap()
    }

    #[test]
    fn empty_and_oversized_files_have_no_length() {
        assert_eq!(FileLength::new(0), Err(InvalidLength(0)));
        assert!(FileLength::new(MAX_FILE_BYTES).is_ok());
        assert!(FileLength::new(MAX_FILE_BYTES + 1).is_err());
    }

    #[test]
    fn only_the_last_leaf_is_short() {
        let file = length(2 * u64::from(LEAF_BYTES) + 5);
        let lengths: Vec<_> = file.whole().leaves().map(|leaf| file.leaf_len(leaf)).collect();
        assert_eq!(lengths, [LEAF_BYTES, LEAF_BYTES, 5]);
        assert_eq!(file.leaf(3), None);
        assert_eq!(file.range(2, 2), None);
        assert_eq!(file.range(1, 0), None);
        assert_eq!(file.range(u32::MAX, 2), None);
    }

    proptest! {
        #[test]
        fn the_leaves_of_a_file_cover_its_bytes_once(bytes in 1..5_000_000u64) {
            let file = length(bytes);
            let sum: u64 = file.whole().leaves().map(|leaf| u64::from(file.leaf_len(leaf))).sum();
            prop_assert_eq!(sum, bytes);
            prop_assert_eq!(file.range_len(file.whole()), bytes);
        }

        #[test]
        fn a_set_survives_its_bitmap_and_its_runs(bytes in 1..3_000_000u64, picks: Vec<u32>) {
            let file = length(bytes);
            let mut set = LeafSet::empty(file);
            for pick in picks {
                set.insert(file.leaf(pick % file.leaf_count()).unwrap());
            }
            prop_assert_eq!(LeafSet::from_bitmap(file, &set.to_bitmap()), Some(set.clone()));

            let mut rebuilt = LeafSet::empty(file);
            set.runs(Presence::Present).for_each(|run| rebuilt.insert_range(run));
            prop_assert_eq!(&rebuilt, &set);
            prop_assert_eq!(set.runs(Presence::Present).map(|run| file.range_len(run)).sum::<u64>(), set.bytes());
            set.runs(Presence::Missing).for_each(|run| rebuilt.insert_range(run));
            prop_assert_eq!(rebuilt, LeafSet::full(file));
        }

        #[test]
        fn sets_combine_leaf_by_leaf(bytes in 1..3_000_000u64, picks: Vec<(u32, bool, bool)>) {
            let file = length(bytes);
            let (mut left, mut right) = (LeafSet::empty(file), LeafSet::empty(file));
            for (pick, in_left, in_right) in picks {
                let leaf = file.leaf(pick % file.leaf_count()).unwrap();
                if in_left { left.insert(leaf); }
                if in_right { right.insert(leaf); }
            }
            let (mut both, mut only_left) = (left.clone(), left.clone());
            both.intersect(&right);
            only_left.subtract(&right);
            for leaf in file.whole().leaves() {
                prop_assert_eq!(both.contains(leaf), left.contains(leaf) && right.contains(leaf));
                prop_assert_eq!(only_left.contains(leaf), left.contains(leaf) && !right.contains(leaf));
            }
            prop_assert_eq!(both.count() + only_left.count(), left.count());
        }

        #[test]
        fn a_bitmap_from_a_stranger_never_names_a_leaf_that_is_not_there(bytes in 1..600_000u64, bitmap: Vec<u8>) {
            let file = length(bytes);
            if let Some(set) = LeafSet::from_bitmap(file, &bitmap) {
                prop_assert!(set.count() <= file.leaf_count());
                prop_assert_eq!(set.to_bitmap(), bitmap);
            }
        }
    }
}
