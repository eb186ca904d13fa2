//! Files for tests, made on the fly.

use super::{HashedFile, TreeHasher, root};
use crate::digest::Digest;
use crate::file_id::FileId;
use crate::leaf::{FileLength, LEAF_BYTES};

pub(super) const LEAF: usize = LEAF_BYTES as usize;

pub(super) fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (31 * i + 17 * (i >> 8) + 7) as u8).collect()
}

pub(super) fn hashed(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> HashedFile {
    let mut hasher = TreeHasher::new();
    pieces.into_iter().for_each(|piece| hasher.update(piece.as_ref()));
    hasher.finish().unwrap()
}

/// A file of `leaves` whole leaves, of which only the hashes exist.
pub(super) fn imagined(leaves: u32) -> HashedFile {
    let hashes: Vec<_> = (0..leaves).map(|leaf| Digest::of(&leaf.to_le_bytes())).collect();
    let length = FileLength::new(u64::from(leaves) * u64::from(LEAF_BYTES)).unwrap();
    HashedFile { id: FileId::new(root(&hashes), length), leaves: hashes }
}
