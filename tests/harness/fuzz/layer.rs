//! Tree layers, and the leaf hashes below them.

use std::sync::LazyLock;

use choir_shared::leaf::{FileLength, LEAF_BYTES};
use choir_shared::merkle::{LayerMismatch, LeafHashMismatch, TreeLayer, root};
use choir_shared::{Digest, FileId};

/// Four numbers of two bytes that say what is tried, and the hashes of a file's leaves.
pub fn tree_layer(bytes: &[u8]) {
    let Some((numbers, hashes)) = bytes.split_first_chunk::<8>() else { return };
    let [first, count, missing, flipped] = [0, 2, 4, 6].map(|at| u16::from_le_bytes([numbers[at], numbers[at + 1]]));
    the_leaf_hashes_are_the_only_layer(hashes, missing, flipped);
    leaf_hashes_lie_under_their_nodes(first, count, flipped);
}

/// Of a small file, `missing` bytes shorter than its leaves are long.
fn the_leaf_hashes_are_the_only_layer(hashes: &[u8], missing: u16, flipped: u16) {
    let (leaves, junk) = hashes.as_chunks();
    let leaves: Vec<Digest> = leaves.iter().copied().map(Digest::new).collect();
    let bytes = leaves.len() as u64 * u64::from(LEAF_BYTES);
    let Ok(length) = FileLength::new(bytes.saturating_sub(u64::from(missing) % u64::from(LEAF_BYTES))) else { return };
    let id = FileId::new(root(&leaves), length);

    let layer = TreeLayer::of_leaves(id, &leaves).expect("the layer of the file's own leaves");
    let mut written = layer.to_bytes();
    assert_eq!(TreeLayer::from_bytes(id, &written).as_ref(), Ok(&layer));
    let longer = [&written[..], junk, b"x"].concat();
    for wrong in [&longer, &written[1..], &[]] {
        assert!(matches!(TreeLayer::from_bytes(id, wrong), Err(LayerMismatch::Count { .. })));
    }
    let at = usize::from(flipped) % written.len();
    written[at] ^= 1 << (missing % 8);
    assert_eq!(TreeLayer::from_bytes(id, &written), Err(LayerMismatch::Root));
}

/// A file whose layer lies above its leaves: four for each node, and one for the last.
static LARGE: LazyLock<(TreeLayer, Vec<Digest>)> = LazyLock::new(|| {
    let leaves: Vec<Digest> = (0..20_001u32).map(|leaf| Digest::of(&leaf.to_le_bytes())).collect();
    let length = FileLength::new(20_001 * u64::from(LEAF_BYTES)).expect("a length that files have");
    let id = FileId::new(root(&leaves), length);
    (TreeLayer::of_leaves(id, &leaves).expect("the layer of the file's own leaves"), leaves)
});

fn leaf_hashes_lie_under_their_nodes(first: u16, count: u16, flipped: u16) {
    let (layer, leaves) = &*LARGE;
    let length = layer.id().length();
    let Some(asked) = length.range(first.into(), u32::from(count % 600)) else { return };
    let range = layer.align(asked);
    assert!(range.first() <= asked.first() && asked.end() <= range.end());
    assert_eq!(layer.align(range), range);
    let mut hashes = leaves[range.first() as usize..range.end() as usize].to_vec();
    assert_eq!(layer.check_leaf_hashes(range, &hashes), Ok(()));
    if asked != range {
        let unaligned = layer.check_leaf_hashes(asked, &hashes[..asked.count() as usize]);
        assert_eq!(unaligned, Err(LeafHashMismatch::Unaligned));
    }

    let wrong = u32::from(flipped) % range.count();
    hashes[wrong as usize] = Digest::ZERO;
    let node = (range.first() + wrong) / layer.leaves_per_node() * layer.leaves_per_node();
    assert_eq!(layer.check_leaf_hashes(range, &hashes), Err(LeafHashMismatch::Node { first_leaf: node }));
    hashes.pop();
    assert!(matches!(layer.check_leaf_hashes(range, &hashes), Err(LeafHashMismatch::Count { .. })));
}
