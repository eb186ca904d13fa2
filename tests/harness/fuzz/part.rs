//! What an earlier run left beside an unfinished download, on a disk that may have lost or changed any of it.

use std::fs;

use choir_peer::store::{PARTIAL_FOLDER, Part};
use choir_shared::leaf::LEAF_BYTES;
use choir_shared::merkle::{TreeHasher, TreeLayer};
use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("a temporary folder");
}

/// Three bytes that say what happened to the disk, and what the file is made of. Whatever happened, only leaves that
/// are right count as held, and every right one does.
pub fn part(bytes: &[u8]) {
    let Some((&[shape, damage, layer_damage], pattern)) = bytes.split_first_chunk() else { return };
    if pattern.is_empty() {
        return;
    }
    let leaf = LEAF_BYTES as usize;
    let content: Vec<u8> =
        pattern.iter().copied().cycle().take(leaf * usize::from(shape % 4) + pattern.len()).collect();
    let mut hasher = TreeHasher::new();
    hasher.update(&content);
    let file = hasher.finish().expect("a file that has a name");
    let layer = TreeLayer::of_leaves(file.id, &file.leaves).expect("the layer of the file's own leaves");

    let mut on_disk = content.clone();
    match damage % 4 {
        0 => {}
        1 => on_disk.truncate(content.len() * usize::from(damage) / 256),
        2 => on_disk.extend_from_slice(pattern),
        _ => {
            let at = content.len() * usize::from(damage) / 256;
            on_disk[at] ^= damage;
        }
    }
    let mut layer_on_disk = layer.to_bytes();
    match layer_damage % 4 {
        0 => {}
        1 => layer_on_disk.truncate(layer_on_disk.len() * usize::from(layer_damage) / 256),
        2 => layer_on_disk = pattern.to_vec(),
        _ => {
            let at = layer_on_disk.len() * usize::from(layer_damage) / 256;
            layer_on_disk[at] ^= layer_damage;
        }
    }

    FOLDER.with(|folder| {
        let partial = folder.path().join(PARTIAL_FOLDER);
        fs::create_dir_all(&partial).expect("a folder for parts");
        fs::write(partial.join(format!("{}.part", file.id)), &on_disk).expect("a part written");
        fs::write(partial.join(format!("{}.layer", file.id)), &layer_on_disk).expect("a layer written");

        let part = Part::open(folder.path(), file.id).expect("a part opened");
        let resumed = part.resume().expect("a part read");
        assert_eq!(resumed.is_some(), layer_on_disk == layer.to_bytes(), "a layer is believed if it is the file's");
        if let Some(resumed) = resumed {
            assert_eq!(resumed.layer, layer);
            // What is missing on the disk is read as zeros.
            on_disk.resize(content.len(), 0);
            for leaf in file.id.length().whole().leaves() {
                let start = leaf.offset() as usize;
                let bytes = start..start + file.id.length().leaf_len(leaf) as usize;
                assert_eq!(resumed.held.contains(leaf), on_disk[bytes.clone()] == content[bytes]);
            }
            for run in resumed.held.runs(choir_shared::leaf::Presence::Present) {
                let bytes = file.id.length().byte_range(run);
                assert_eq!(part.read(run).expect("leaves read"), content[bytes.start as usize..bytes.end as usize]);
            }
        }
        part.discard().expect("a part discarded");
        assert!(!partial.exists(), "nothing is left of it");
    });
}
