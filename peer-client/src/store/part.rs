//! One unfinished file. All calls block; run them off the async threads.

use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use choir_shared::lanes::hash_leaves;
use choir_shared::leaf::{LEAF_BYTES, LeafIndex, LeafRange, LeafSet};
use choir_shared::merkle::TreeLayer;
use choir_shared::{Digest, FileId};

use super::{PARTIAL_FOLDER, StoreError};

/// How much of a part is read at once when it is resumed. Nodes of the highest layer, that of the largest file,
/// have as many leaves, so a batch is always a whole number of nodes.
const RESUME_LEAVES: u32 = 128;

/// The part of one file, and the two folders it lives between.
pub struct Part {
    pub(super) file: std::fs::File,
    pub(super) id: FileId,
    pub(super) folder: Dir,
    pub(super) partial: Dir,
    /// For messages only.
    pub(super) path: PathBuf,
    pub(super) syncing: Syncing,
}

/// Bytes on their way from memory to the disk. If all of them waited for the end, the disk would stand idle during
/// the transfer, and the line during the sync.
#[derive(Default)]
pub(super) struct Syncing {
    /// Written since the last sync began.
    bytes: AtomicU64,
    /// A sync failed; see the rules of this module.
    pub(super) failed: AtomicBool,
}

/// One sync takes tens of milliseconds, however little there is; a disk of 1 GB/s needs as long for this much.
const SYNC_EVERY: u64 = 64 << 20;

/// What an earlier run left.
pub struct Resumed {
    pub layer: TreeLayer,
    pub held: LeafSet,
}

impl Part {
    /// Opens the part of `id` below `folder`, or begins one. The folder is made if it is missing.
    pub fn open(folder: &Path, id: FileId) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(StoreError::io("make the folder", folder))?;
        let path = folder.join(PARTIAL_FOLDER).join(part_name(id));
        let open = || {
            let folder = Dir::open_ambient_dir(folder, ambient_authority())?;
            folder.create_dir_all(PARTIAL_FOLDER)?;
            let partial = folder.open_dir(PARTIAL_FOLDER)?;
            let file = partial.open_with(part_name(id), OpenOptions::new().read(true).write(true).create(true))?;
            let file = file.into_std();
            // Sparse: takes no room until leaves come. A longer or shorter file is not ours; its leaves get checked.
            if file.metadata()?.len() != id.length().bytes() {
                file.set_len(id.length().bytes())?;
            }
            io::Result::Ok((file, folder, partial))
        };
        let (file, folder, partial) = open().map_err(StoreError::io("open", &path))?;
        Ok(Self { file, id, folder, partial, path, syncing: Syncing::default() })
    }

    /// Keeps the layer beside the part, so that a later run can tell which leaves are good.
    pub fn save_layer(&self, layer: &TreeLayer) -> Result<(), StoreError> {
        let save = || {
            let (name, draft) = (layer_name(self.id), format!("{}.new", layer_name(self.id)));
            let mut file = self.partial.create(&draft)?;
            file.write_all(&layer.to_bytes())?;
            file.sync_data()?;
            self.partial.rename(&draft, &self.partial, &name)
        };
        save().map_err(StoreError::io("keep the hashes of", &self.path))
    }

    /// What is already here, as far as its hashes prove it. `None` without a sound layer: then nothing is.
    pub fn resume(&self) -> Result<Option<Resumed>, StoreError> {
        let Ok(bytes) = self.partial.read(layer_name(self.id)) else { return Ok(None) };
        let Ok(layer) = TreeLayer::from_bytes(self.id, &bytes) else { return Ok(None) };
        let held = self.check(&layer).map_err(StoreError::io("read", &self.path))?;
        Ok(Some(Resumed { layer, held }))
    }

    fn check(&self, layer: &TreeLayer) -> io::Result<LeafSet> {
        let length = self.id.length();
        let mut held = LeafSet::empty(length);
        let mut buffer = vec![0; (RESUME_LEAVES * LEAF_BYTES) as usize];
        let mut hashes = Vec::new();
        let mut next = 0;
        while let Some(range) = length.range(next, RESUME_LEAVES.min(length.leaf_count() - next)) {
            next = range.end();
            let Some(bytes) = buffer.get_mut(..length.range_len(range) as usize) else { break };
            self.file.read_exact_at(bytes, length.byte_range(range).start)?;
            hashes.clear();
            hash_leaves(bytes, &mut hashes);
            self.keep_proved(layer, range, &hashes, &mut held);
        }
        Ok(held)
    }

    /// Node by node; where the layer is the leaf hashes themselves, a node is a leaf.
    fn keep_proved(&self, layer: &TreeLayer, range: LeafRange, hashes: &[Digest], held: &mut LeafSet) {
        let per_node = layer.leaves_per_node();
        for (number, of_node) in (0..).zip(hashes.chunks(per_node as usize)) {
            let first = range.first() + number * per_node;
            if let Some(node) = self.id.length().range(first, of_node.len() as u32)
                && layer.check_leaf_hashes(node, of_node).is_ok()
            {
                held.insert_range(node);
            }
        }
    }

    /// Writes verified leaves, `first` and those after it.
    pub fn write(&self, first: LeafIndex, data: &[u8]) -> Result<(), StoreError> {
        self.file.write_all_at(data, first.offset()).map_err(StoreError::io("write", &self.path))?;
        self.syncing.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Whether so much was written that it is time for [`Part::sync`]. Says so once.
    pub fn is_sync_due(&self) -> bool {
        let due = |bytes| (bytes >= SYNC_EVERY).then_some(0);
        self.syncing.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }

    /// Waits until what was written so far is on the disk. Others may write meanwhile.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|source| {
            self.syncing.failed.store(true, Ordering::Relaxed);
            // What was written may be gone although it can still be read. Not even a full disk is waited for here.
            let _ = self.partial.remove_file(part_name(self.id));
            StoreError::Io { doing: "save", path: self.path.clone(), source }
        })
    }

    /// Another handle, for whoever sends what is here.
    pub fn reader(&self) -> io::Result<std::fs::File> {
        self.file.try_clone()
    }

    /// Reads back verified leaves.
    pub fn read(&self, range: LeafRange) -> Result<Vec<u8>, StoreError> {
        let length = self.id.length();
        let mut data = vec![0; length.range_len(range) as usize];
        self.file
            .read_exact_at(&mut data, length.byte_range(range).start)
            .map_err(StoreError::io("read", &self.path))?;
        Ok(data)
    }

    /// Forgets everything that was fetched.
    pub fn discard(self) -> Result<(), StoreError> {
        let remove = || {
            for name in [part_name(self.id), layer_name(self.id)] {
                match self.partial.remove_file(name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            // Stays if other downloads are under way.
            let _ = self.folder.remove_dir(PARTIAL_FOLDER);
            Ok(())
        };
        remove().map_err(StoreError::io("remove", &self.path))
    }
}

pub(super) fn part_name(id: FileId) -> String {
    format!("{id}.part")
}

pub(super) fn layer_name(id: FileId) -> String {
    format!("{id}.layer")
}
