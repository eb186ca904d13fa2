//! The Merkle tree of BEP 52 above the leaves of a file, and the checks that rest on it.
//!
//! The rules:
//!
//! - **The tree is that of BitTorrent v2, bit for bit,** so that a file has the same root in every torrent:
//!   parent = SHA-256(left, right), and where the file has no leaf the *hash* is 32 zero bytes, up to the next
//!   power of two. A file of one leaf has that leaf's hash for a root.
//! - **A layer is believed only as a whole.** The root does not bind the length, but a
//!   [`FileId`](crate::FileId) carries both, and the length says how many nodes a layer has and how high it lies.
//!   Count first, then root: a layer that passes is the only one that can, unless SHA-256 is broken.
//! - **From then on nobody needs to be believed.** With a [`TreeLayer`] at hand every leaf, or for a large file
//!   every node's worth of leaf hashes, is checked by itself on arrival, and whoever sent a wrong one is known.
//! - **One layer travels, never the tree.** The hashes of the leaves are 0.2 % of the file, and all above follows
//!   from them. Only where they would not fit in one message does a higher layer go first, and the leaf hashes
//!   below it come with the data.

#[cfg(test)]
mod fixture;
mod hasher;
mod layer;

use crate::digest::Digest;
use crate::lanes;

pub use hasher::{HashedFile, TreeHasher};
pub use layer::{LayerMismatch, LeafHashMismatch, MAX_LAYER_NODES, TreeLayer};

/// The root of the tree above `leaves`. A file has at least one; the root of none is [`Digest::ZERO`].
pub fn root(leaves: &[Digest]) -> Digest {
    Layer::of_leaves(leaves).root()
}

/// Checks consecutive leaves against their hashes; of `data` only the last leaf may be short.
pub fn verify_leaves(data: &[u8], expected: &[Digest]) -> Result<(), WrongLeaf> {
    let mut hashes = Vec::new();
    lanes::hash_leaves(data, &mut hashes);
    let agreeing = hashes.iter().zip(expected).take_while(|(hash, expected)| hash == expected).count();
    if agreeing == hashes.len() && agreeing == expected.len() { Ok(()) } else { Err(WrongLeaf { position: agreeing }) }
}

/// One of several leaves is not what its hash says, or is missing, or is more than was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("leaf {position} of those received has the wrong hash")]
pub struct WrongLeaf {
    /// Counted from the first leaf that was checked, not from the start of the file.
    pub position: usize,
}

/// Some layer of some tree: the nodes above real leaves, and what stands in for each one further right.
#[derive(Clone)]
struct Layer {
    nodes: Vec<Digest>,
    filler: Digest,
}

impl Layer {
    fn of_leaves(leaves: &[Digest]) -> Self {
        Self { nodes: leaves.to_vec(), filler: Digest::ZERO }
    }

    fn root(mut self) -> Digest {
        while self.nodes.len() > 1 {
            self = self.raised(1);
        }
        self.nodes.first().copied().unwrap_or(Digest::ZERO)
    }

    /// The layer `levels` further up.
    fn raised(mut self, levels: u32) -> Self {
        for _ in 0..levels {
            let filler = self.filler;
            self.nodes = self
                .nodes
                .chunks(2)
                .filter_map(|pair| Some(parent(pair.first()?, pair.get(1).unwrap_or(&filler))))
                .collect();
            self.filler = parent(&filler, &filler);
        }
        self
    }
}

fn parent(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[left.as_bytes(), right.as_bytes()])
}

/// The node `height` above leaves that are all past the end of the file.
fn empty_subtree(height: u32) -> Digest {
    (0..height).fold(Digest::ZERO, |node, _| parent(&node, &node))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fixture::{LEAF, hashed, pattern};
    use super::*;

    #[test]
    fn a_missing_or_surplus_leaf_is_a_wrong_one() {
        let data = pattern(3 * LEAF + 10);
        let leaves = hashed([&data]).leaves;
        let wrong = |position| Err(WrongLeaf { position });
        assert_eq!(verify_leaves(&data, &leaves), Ok(()));
        assert_eq!(verify_leaves(&[], &[]), Ok(()));
        assert_eq!(verify_leaves(&data, &leaves[..3]), wrong(3));
        assert_eq!(verify_leaves(&data[..2 * LEAF], &leaves), wrong(2));
        assert_eq!(verify_leaves(&data[..2 * LEAF - 1], &leaves[..2]), wrong(1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_flipped_bit_of_a_leaf_is_found_where_it_is(bytes in 1..400_000usize, at: prop::sample::Index, bit in 0..8) {
            let mut data = pattern(bytes);
            let file = hashed([&data]);
            prop_assert_eq!(verify_leaves(&data, &file.leaves), Ok(()));
            let at = at.index(bytes);
            data[at] ^= 1u8 << bit;
            prop_assert_eq!(verify_leaves(&data, &file.leaves), Err(WrongLeaf { position: at / LEAF }));
        }
    }
}
