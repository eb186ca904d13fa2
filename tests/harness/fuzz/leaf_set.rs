//! Bitmaps of leaves.

use choir_shared::leaf::{FileLength, LEAF_BYTES, LeafSet, Presence};

/// One byte that decides how long the file is, and the bitmap.
pub fn leaf_set(bytes: &[u8]) {
    let Some((&shape, bitmap)) = bytes.split_first() else { return };
    // The last byte of the bitmap has up to seven bits to spare, and the last leaf up to all bytes but one.
    let spare = u32::from(shape & 7);
    let missing = u64::from(shape >> 3) * 528;
    let leaves = (bitmap.len() as u32 * 8).saturating_sub(spare);
    let Ok(length) = FileLength::new((u64::from(leaves) * u64::from(LEAF_BYTES)).saturating_sub(missing)) else {
        return;
    };
    assert_eq!(length.leaf_count(), leaves);

    for other in [leaves.saturating_sub(8), leaves + 8] {
        if let Ok(other) = FileLength::new(u64::from(other) * u64::from(LEAF_BYTES)) {
            assert_eq!(LeafSet::from_bitmap(other, bitmap), None, "a bitmap of another length");
        }
    }
    let spare_bits = bitmap.last().map_or(0, |last| u16::from(*last) >> (8 - spare));
    let Some(set) = LeafSet::from_bitmap(length, bitmap) else {
        assert_ne!(spare_bits, 0, "a bitmap whose bits all stand for leaves is one");
        return;
    };
    assert_eq!(spare_bits, 0, "a bit for no leaf");
    assert_eq!(set.to_bitmap(), bitmap);
    assert_eq!(set.count(), bitmap.iter().map(|byte| byte.count_ones()).sum::<u32>());
    assert_eq!((set.is_empty(), set.is_full()), (set.count() == 0, set.count() == leaves));

    let mut rebuilt = LeafSet::empty(length);
    set.runs(Presence::Present).for_each(|run| rebuilt.insert_range(run));
    assert_eq!(rebuilt, set);
    assert_eq!(set.bytes(), set.runs(Presence::Present).map(|run| length.range_len(run)).sum::<u64>());
    for leaf in set.runs(Presence::Missing).flat_map(|run| run.leaves()) {
        assert!(!set.contains(leaf) && rebuilt.insert(leaf) && !rebuilt.insert(leaf));
    }
    assert_eq!(rebuilt, LeafSet::full(length));
    assert_eq!(rebuilt.bytes(), length.bytes());
    for leaf in set.runs(Presence::Present).flat_map(|run| run.leaves()) {
        assert!(rebuilt.remove(leaf) && !rebuilt.remove(leaf));
    }
    let mut others = LeafSet::full(length);
    others.subtract(&set);
    assert_eq!((&others, others.count()), (&rebuilt, leaves - set.count()));
    others.intersect(&set);
    assert!(others.is_empty());
}
