//! A set of files in a bit each: files have dense numbers.

use crate::store::FileNo;

#[derive(Clone, Debug, Default)]
pub(super) struct FileSet(Vec<u64>);

impl FileSet {
    pub(super) fn contains(&self, no: FileNo) -> bool {
        let (word, bit) = Self::place(no);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub(super) fn insert(&mut self, no: FileNo) {
        let (word, bit) = Self::place(no);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0.get_mut(word).into_iter().for_each(|bits| *bits |= bit);
    }

    pub(super) fn remove(&mut self, no: FileNo) {
        let (word, bit) = Self::place(no);
        self.0.get_mut(word).into_iter().for_each(|bits| *bits &= !bit);
    }

    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|bits| u64::from(bits.count_ones())).sum()
    }

    fn place(no: FileNo) -> (usize, u64) {
        (no.0 as usize / 64, 1 << (no.0 % 64))
    }
}

impl FromIterator<FileNo> for FileSet {
    fn from_iter<I: IntoIterator<Item = FileNo>>(files: I) -> Self {
        let mut set = Self::default();
        files.into_iter().for_each(|no| set.insert(no));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_in_it_until_taken_out() {
        let mut set: FileSet = [0, 63, 64, 1000].map(FileNo).into_iter().collect();
        assert!(set.contains(FileNo(63)) && set.contains(FileNo(1000)));
        assert!(!set.contains(FileNo(1)) && !set.contains(FileNo(u32::MAX)));
        assert_eq!(set.len(), 4);
        set.remove(FileNo(63));
        set.remove(FileNo(u32::MAX));
        assert!(!set.contains(FileNo(63)) && set.contains(FileNo(64)));
    }
}
