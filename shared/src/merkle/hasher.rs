//! From the bytes of a file to its name.

use super::root;
use crate::digest::Digest;
use crate::file_id::FileId;
use crate::lanes;
use crate::leaf::{FileLength, InvalidLength, LEAF_BYTES, MAX_FILE_BYTES};

/// A file as its bytes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedFile {
    pub id: FileId,
    pub leaves: Vec<Digest>,
}

/// Hashes a file that comes in pieces of any size.
#[derive(Debug, Default)]
pub struct TreeHasher {
    length: u64,
    leaves: Vec<Digest>,
    /// What did not fill a batch yet: always less than [`BATCH_BYTES`].
    rest: Vec<u8>,
}

/// As many leaves as the widest kernel hashes at once.
const BATCH_BYTES: usize = 16 * LEAF_BYTES as usize;

impl TreeHasher {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file. They may come in pieces of any size; pieces that are whole batches are
    /// hashed where they lie, what remains of others is copied first.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        if self.length > MAX_FILE_BYTES {
            // The file has no name, whatever follows: collect no more hashes.
            return;
        }
        if !self.rest.is_empty() {
            let missing = BATCH_BYTES - self.rest.len();
            let (head, tail) = bytes.split_at(missing.min(bytes.len()));
            self.rest.extend_from_slice(head);
            bytes = tail;
            if self.rest.len() < BATCH_BYTES {
                return;
            }
            lanes::hash_leaves(&self.rest, &mut self.leaves);
            self.rest.clear();
        }
        let (batches, rest) = bytes.split_at(bytes.len() - bytes.len() % BATCH_BYTES);
        lanes::hash_leaves(batches, &mut self.leaves);
        self.rest.extend_from_slice(rest);
    }

    /// Fails if the file was empty or too long to have a name.
    pub fn finish(mut self) -> Result<HashedFile, InvalidLength> {
        let length = FileLength::new(self.length)?;
        lanes::hash_leaves(&self.rest, &mut self.leaves);
        Ok(HashedFile { id: FileId::new(root(&self.leaves), length), leaves: self.leaves })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{LEAF, hashed, pattern};
    use super::*;
    use crate::lanes::Kernel;

    const VECTORS: &str = include_str!("../../vectors/bep52_roots.tsv");

    #[test]
    fn every_kernel_and_the_hasher_give_the_roots_that_three_implementations_agree_on() {
        let rows = VECTORS.lines().filter(|line| !line.starts_with('#'));
        let mut count = 0;
        for (size, expected) in rows.map(|row| row.split_once('\t').unwrap()) {
            let data = match size.strip_prefix("zeros:") {
                Some(zeros) => vec![0; zeros.parse().unwrap()],
                None => pattern(size.parse().unwrap()),
            };
            let expected: Digest = expected.parse().unwrap();
            for kernel in Kernel::available() {
                let mut leaves = Vec::new();
                lanes::hash_leaves_with(kernel, &data, &mut leaves);
                assert_eq!(root(&leaves), expected, "{size} bytes by {kernel}");
            }
            let file = hashed([&data]);
            assert_eq!((file.id.root(), file.id.length().bytes()), (expected, data.len() as u64));
            count += 1;
        }
        assert_eq!(count, 22);
    }

    #[test]
    fn empty_and_endless_files_have_no_name() {
        assert_eq!(TreeHasher::new().finish(), Err(InvalidLength(0)));
        let endless = TreeHasher { length: MAX_FILE_BYTES, ..TreeHasher::new() };
        let mut one_more = TreeHasher { length: MAX_FILE_BYTES, ..TreeHasher::new() };
        one_more.update(&[0]);
        assert!(endless.finish().is_ok());
        assert_eq!(one_more.finish(), Err(InvalidLength(MAX_FILE_BYTES + 1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_pieces_a_file_comes_in_do_not_matter(
            bytes in 1..1_500_000usize,
            cuts in prop::collection::vec(prop_oneof![1..40_000usize, 200_000..600_000usize, Just(BATCH_BYTES), Just(LEAF)], 1..40),
        ) {
            let data = pattern(bytes);
            let mut cuts = cuts.into_iter().cycle();
            let mut rest = data.as_slice();
            let pieces = std::iter::from_fn(|| {
                let (piece, tail) = rest.split_at(cuts.next()?.min(rest.len()));
                rest = tail;
                (!piece.is_empty()).then_some(piece)
            });
            prop_assert_eq!(hashed(pieces), hashed([&data]));
        }
    }
}
