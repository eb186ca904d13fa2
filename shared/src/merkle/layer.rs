//! The layer of a tree that travels, and what can be checked with it.

use super::{Layer, empty_subtree};
use crate::digest::Digest;
use crate::file_id::FileId;
use crate::leaf::{FileLength, LeafIndex, LeafRange};

/// The most nodes that a [`TreeLayer`] has: 256 KiB of hashes, which is one message, and at 16 KiB a leaf the
/// leaf hashes themselves for every file up to 128 MiB.
pub const MAX_LAYER_NODES: u32 = 8192;

/// The lowest layer of a file's tree that has at most [`MAX_LAYER_NODES`] nodes, known to lie under its root.
///
/// Only nodes above real leaves are counted; those further right follow from the length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeLayer {
    id: FileId,
    nodes: Vec<Digest>,
}

impl TreeLayer {
    /// How far the layer lies above the leaves; 0 if it is the leaf hashes themselves.
    pub const fn height(length: FileLength) -> u32 {
        length.leaf_count().div_ceil(MAX_LAYER_NODES).next_power_of_two().ilog2()
    }

    pub const fn node_count(length: FileLength) -> u32 {
        length.leaf_count().div_ceil(1 << Self::height(length))
    }

    /// The layer above all leaf hashes of a file.
    pub fn of_leaves(id: FileId, leaves: &[Digest]) -> Result<Self, LayerMismatch> {
        check_count(id.length().leaf_count(), leaves.len())?;
        Self::verify(id, Layer::of_leaves(leaves).raised(Self::height(id.length())).nodes)
    }

    /// A layer from a stranger.
    pub fn verify(id: FileId, nodes: Vec<Digest>) -> Result<Self, LayerMismatch> {
        check_count(Self::node_count(id.length()), nodes.len())?;
        let layer = Layer { nodes, filler: empty_subtree(Self::height(id.length())) };
        if layer.clone().root() == id.root() { Ok(Self { id, nodes: layer.nodes }) } else { Err(LayerMismatch::Root) }
    }

    /// Reads what [`TreeLayer::to_bytes`] wrote, on any machine, and believes none of it.
    pub fn from_bytes(id: FileId, bytes: &[u8]) -> Result<Self, LayerMismatch> {
        let (nodes, rest) = bytes.as_chunks();
        // A torn node counts as one too many.
        check_count(Self::node_count(id.length()), nodes.len() + usize::from(!rest.is_empty()))?;
        Self::verify(id, nodes.iter().copied().map(Digest::new).collect())
    }

    /// The nodes one after the other, 32 bytes each.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.nodes.iter().flat_map(|node| *node.as_bytes()).collect()
    }

    pub const fn id(&self) -> FileId {
        self.id
    }

    pub fn nodes(&self) -> &[Digest] {
        &self.nodes
    }

    /// How many leaves a node stands for; the last node may stand for fewer.
    pub const fn leaves_per_node(&self) -> u32 {
        1 << Self::height(self.id.length())
    }

    /// `range`, a range of this file, widened to whole nodes: the least that can be checked without others.
    pub fn align(&self, range: LeafRange) -> LeafRange {
        let length = self.id.length();
        let per_node = self.leaves_per_node();
        let first = range.first() / per_node * per_node;
        let end = range.end().next_multiple_of(per_node).min(length.leaf_count());
        // A range of another file has nothing to be aligned to.
        end.checked_sub(first).and_then(|count| length.range(first, count)).unwrap_or(range)
    }

    /// The hash of a leaf, if this layer is that of the leaves.
    pub fn leaf(&self, leaf: LeafIndex) -> Option<Digest> {
        self.leaf_hashes(self.id.length().range(leaf.number(), 1)?)?.first().copied()
    }

    /// The hashes of neighbouring leaves, if this layer is that of the leaves.
    pub fn leaf_hashes(&self, range: LeafRange) -> Option<&[Digest]> {
        if self.leaves_per_node() != 1 {
            return None;
        }
        self.nodes.get(range.first() as usize..range.end() as usize)
    }

    /// Checks the leaf hashes of `range`, which must consist of whole nodes (see [`TreeLayer::align`]).
    pub fn check_leaf_hashes(&self, range: LeafRange, hashes: &[Digest]) -> Result<(), LeafHashMismatch> {
        let length = self.id.length();
        let per_node = self.leaves_per_node();
        if length.range(range.first(), range.count()) != Some(range) || self.align(range) != range {
            return Err(LeafHashMismatch::Unaligned);
        }
        if hashes.len() != range.count() as usize {
            return Err(LeafHashMismatch::Count { expected: range.count(), got: hashes.len() });
        }
        let nodes = self.nodes.iter().skip((range.first() / per_node) as usize);
        let firsts = (range.first()..range.end()).step_by(per_node as usize);
        for ((node, first), leaves) in nodes.zip(firsts).zip(hashes.chunks(per_node as usize)) {
            let raised = Layer::of_leaves(leaves).raised(Self::height(length));
            if raised.nodes.first() != Some(node) {
                return Err(LeafHashMismatch::Node { first_leaf: first });
            }
        }
        Ok(())
    }
}

fn check_count(expected: u32, got: usize) -> Result<(), LayerMismatch> {
    if got == expected as usize { Ok(()) } else { Err(LayerMismatch::Count { expected, got }) }
}

/// A layer that is not the file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerMismatch {
    #[error("a file of this length has {expected} nodes in its layer, not {got}")]
    Count { expected: u32, got: usize },
    #[error("the layer does not lie under the file's root")]
    Root,
}

/// Leaf hashes that are not the file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafHashMismatch {
    /// Our own mistake: such a range cannot be checked and should never have been asked for.
    #[error("the range does not consist of whole nodes of the file's layer")]
    Unaligned,
    #[error("the range has {expected} leaves, but {got} hashes came")]
    Count { expected: u32, got: usize },
    #[error("the leaf hashes from leaf {first_leaf} on do not lie under their node")]
    Node { first_leaf: u32 },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{LEAF, hashed, imagined, pattern};
    use super::*;
    use crate::leaf::MAX_FILE_BYTES;

    #[test]
    fn a_file_and_the_64_bytes_of_its_two_leaf_hashes_are_never_confused() {
        let file = hashed([pattern(2 * LEAF)]);
        let counterpart: Vec<u8> = file.leaves.iter().flat_map(|leaf| *leaf.as_bytes()).collect();
        let short = hashed([&counterpart]);
        assert_eq!(file.id.root(), short.id.root());
        assert_ne!(file.id, short.id);

        let wrong_count = |expected, got| Err(LayerMismatch::Count { expected, got });
        assert_eq!(TreeLayer::verify(short.id, file.leaves.clone()), wrong_count(1, 2));
        assert_eq!(TreeLayer::verify(file.id, short.leaves.clone()), wrong_count(2, 1));
        assert_eq!(TreeLayer::of_leaves(file.id, &short.leaves), wrong_count(2, 1));
        let longer = FileId::new(file.id.root(), FileLength::new(2 * LEAF as u64 + 1).unwrap());
        assert_eq!(
            TreeLayer::verify(longer, [file.leaves, vec![Digest::ZERO]].concat()).err(),
            Some(LayerMismatch::Root)
        );
    }

    #[test]
    fn the_layer_is_that_of_the_leaves_up_to_128_mib_and_never_has_more_nodes_than_allowed() {
        let shape = |bytes| {
            let length = FileLength::new(bytes).unwrap();
            (TreeLayer::height(length), TreeLayer::node_count(length))
        };
        const MIB: u64 = 1 << 20;
        assert_eq!(shape(1), (0, 1));
        assert_eq!(shape(128 * MIB), (0, 8192));
        assert_eq!(shape(128 * MIB + 1), (1, 4097));
        assert_eq!(shape(256 * MIB), (1, 8192));
        assert_eq!(shape(256 * MIB + 1), (2, 4097));
        assert_eq!(shape(MAX_FILE_BYTES), (7, 8192));
    }

    #[test]
    fn a_layer_above_the_leaves_has_the_same_root() {
        for leaves in [8193, 16_384, 16_385, 20_001, 40_000] {
            let file = imagined(leaves);
            let layer = TreeLayer::of_leaves(file.id, &file.leaves).unwrap();
            assert_eq!(layer.nodes().len(), TreeLayer::node_count(file.id.length()) as usize);
            assert_eq!(layer.leaf(file.id.length().leaf(0).unwrap()), None);
            assert_eq!(TreeLayer::from_bytes(file.id, &layer.to_bytes()).as_ref(), Ok(&layer));
            assert_eq!(layer.check_leaf_hashes(file.id.length().whole(), &file.leaves), Ok(()));
        }
    }

    #[test]
    fn a_wrong_leaf_hash_names_its_node() {
        let file = imagined(20_001);
        let length = file.id.length();
        let layer = TreeLayer::of_leaves(file.id, &file.leaves).unwrap();
        assert_eq!(layer.leaves_per_node(), 4);

        let range = layer.align(length.range(101, 6).unwrap());
        assert_eq!((range.first(), range.count()), (100, 8));
        let mut hashes = file.leaves[100..108].to_vec();
        assert_eq!(layer.check_leaf_hashes(range, &hashes), Ok(()));
        hashes[5] = Digest::ZERO;
        assert_eq!(layer.check_leaf_hashes(range, &hashes), Err(LeafHashMismatch::Node { first_leaf: 104 }));
        hashes.pop();
        let short = Err(LeafHashMismatch::Count { expected: 8, got: 7 });
        assert_eq!(layer.check_leaf_hashes(range, &hashes), short);
        let crooked = length.range(101, 8).unwrap();
        assert_eq!(layer.check_leaf_hashes(crooked, &file.leaves[101..109]), Err(LeafHashMismatch::Unaligned));

        // The last node stands for a single leaf, and a range of another file for none.
        let last = layer.align(length.range(20_000, 1).unwrap());
        assert_eq!((last.first(), last.count()), (20_000, 1));
        assert_eq!(layer.check_leaf_hashes(last, &file.leaves[20_000..]), Ok(()));
        let elsewhere = FileLength::new(MAX_FILE_BYTES).unwrap().range(30_000, 4).unwrap();
        assert_eq!(layer.align(elsewhere), elsewhere);
        assert_eq!(layer.check_leaf_hashes(elsewhere, &file.leaves[..4]), Err(LeafHashMismatch::Unaligned));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_flipped_bit_of_a_layer_is_found(leaves in prop_oneof![1..300u32, 8193..9000u32], at: prop::sample::Index, bit in 0..8) {
            let file = imagined(leaves);
            let layer = TreeLayer::of_leaves(file.id, &file.leaves).unwrap();
            let mut bytes = layer.to_bytes();
            prop_assert_eq!(TreeLayer::from_bytes(file.id, &bytes), Ok(layer));
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert_eq!(TreeLayer::from_bytes(file.id, &bytes), Err(LayerMismatch::Root));
        }

        #[test]
        fn junk_is_no_layer(leaves in 1..100u32, junk: Vec<u8>) {
            prop_assert!(TreeLayer::from_bytes(imagined(leaves).id, &junk).is_err());
        }

        #[test]
        fn aligned_ranges_consist_of_whole_nodes_and_hold_what_was_asked(leaves in 8193..40_000u32, first: u32, count: u32) {
            let file = imagined(leaves);
            let length = file.id.length();
            let layer = TreeLayer::of_leaves(file.id, &file.leaves).unwrap();
            let first = first % leaves;
            let range = length.range(first, 1 + count % (leaves - first)).unwrap();
            let aligned = layer.align(range);
            prop_assert!(aligned.first() <= range.first() && aligned.end() >= range.end());
            prop_assert_eq!(layer.align(aligned), aligned);
            let hashes = &file.leaves[aligned.first() as usize..aligned.end() as usize];
            prop_assert_eq!(layer.check_leaf_hashes(aligned, hashes), Ok(()));
        }
    }
}
