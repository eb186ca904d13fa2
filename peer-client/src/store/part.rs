//! One unfinished file. All calls block; run them off the async threads.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use choir_shared::lanes::hash_leaves;
use choir_shared::leaf::{LEAF_BYTES, LeafIndex, LeafRange, LeafSet};
use choir_shared::merkle::TreeLayer;
use choir_shared::{Digest, FileId};

use super::disk::{Disk, DiskFile, Folder, LocalDisk};
use super::{PARTIAL_FOLDER, StoreError};

/// How much of a part is read at once when it is resumed. Nodes of the highest layer, that of the largest file,
/// have as many leaves, so a batch is always a whole number of nodes.
const RESUME_LEAVES: u32 = 128;

/// The part of one file, and the folder it will be finished in.
pub struct Part {
    pub(super) file: Box<dyn DiskFile>,
    pub(super) id: FileId,
    pub(super) folder: Box<dyn Folder>,
    /// For messages only.
    pub(super) path: PathBuf,
    syncing: Syncing,
}

/// Bytes on their way from memory to the disk. If all of them waited for the end, the disk would stand idle during
/// the transfer, and the line during the sync.
#[derive(Default)]
struct Syncing {
    /// Written since the last sync began.
    bytes: AtomicU64,
    /// The kernel tells of a failure once: whoever syncs next must wait until this one has taken note.
    turn: Mutex<()>,
    /// Why a sync failed; see the rules of this module.
    failed: OnceLock<Arc<io::Error>>,
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
        Self::open_on(&LocalDisk, folder, id)
    }

    /// As [`Part::open`], on any disk.
    pub fn open_on(disk: &dyn Disk, folder: &Path, id: FileId) -> Result<Self, StoreError> {
        let path = folder.join(PARTIAL_FOLDER).join(part_name(id));
        let open = || {
            let folder = disk.open(folder)?;
            let mut file = folder.draft(&part_name(id))?;
            if file.names()? > 1 {
                // Finishing it was cut short between two names, or somebody linked it: the other name is not ours.
                folder.remove_draft(&part_name(id))?;
                file = folder.draft(&part_name(id))?;
            }
            // Sparse: takes no room until leaves come. A longer or shorter file is not ours; its leaves get checked.
            if file.size()? != id.length().bytes() {
                file.set_len(id.length().bytes())?;
            }
            io::Result::Ok((file, folder))
        };
        let (file, folder) = open().map_err(StoreError::io("open", &path))?;
        Ok(Self { file, id, folder, path, syncing: Syncing::default() })
    }

    /// Keeps the layer beside the part, so that a later run can tell which leaves are good.
    pub fn save_layer(&self, layer: &TreeLayer) -> Result<(), StoreError> {
        let save = || {
            let file = self.folder.draft(&layer_draft_name(self.id))?;
            file.set_len(0)?;
            // Not synced: it is checked against the file's id whenever it is read, and one that a power failure took
            // is fetched again.
            file.write_all_at(&layer.to_bytes(), 0)?;
            self.folder.replace_draft(&layer_draft_name(self.id), &layer_name(self.id))
        };
        save().map_err(StoreError::io("keep the hashes of", &self.path))
    }

    /// What is already here, as far as its hashes prove it. `None` without a sound layer: then nothing is.
    pub fn resume(&self) -> Result<Option<Resumed>, StoreError> {
        let Ok(bytes) = self.folder.read_draft(&layer_name(self.id)) else { return Ok(None) };
        let Ok(layer) = TreeLayer::from_bytes(self.id, &bytes) else { return Ok(None) };
        let held = self.check(&layer);
        Ok(Some(Resumed { layer, held }))
    }

    /// What cannot be read counts as missing: it is fetched again, and writing a bad sector often mends it.
    fn check(&self, layer: &TreeLayer) -> LeafSet {
        let length = self.id.length();
        let mut held = LeafSet::empty(length);
        let mut buffer = vec![0; (RESUME_LEAVES * LEAF_BYTES) as usize];
        let mut hashes = Vec::new();
        let mut next = 0;
        while let Some(range) = length.range(next, RESUME_LEAVES.min(length.leaf_count() - next)) {
            next = range.end();
            let Some(bytes) = buffer.get_mut(..length.range_len(range) as usize) else { break };
            if let Err(error) = self.file.read_exact_at(bytes, length.byte_range(range).start) {
                tracing::warn!(path = %self.path.display(), %error, "some of an unfinished download cannot be read");
                continue;
            }
            hashes.clear();
            hash_leaves(bytes, &mut hashes);
            self.keep_proved(layer, range, &hashes, &mut held);
        }
        held
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

    /// Writes verified leaves, `first` and those after it. Fails if a sync did: nothing here can be kept any more.
    pub fn write(&self, first: LeafIndex, data: &[u8]) -> Result<(), StoreError> {
        self.expect_sound()?;
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
        let _turn = self.syncing.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.expect_sound()?;
        self.file.sync().or_else(|error| {
            let _ = self.syncing.failed.set(Arc::new(error));
            self.throw_away();
            self.expect_sound()
        })
    }

    fn expect_sound(&self) -> Result<(), StoreError> {
        let Some(error) = self.syncing.failed.get() else { return Ok(()) };
        Err(StoreError::lost(&self.path, error))
    }

    /// What was written may be gone although it can still be read, so nobody may find and believe it. Where even
    /// removing it fails, nothing is left in it; and without a layer nothing would be proved. A disk that refuses all
    /// three has to be mounted again, and then nothing is read from memory.
    fn throw_away(&self) {
        if self.folder.remove_draft(&part_name(self.id)).is_err() {
            let _ = self.file.set_len(0);
        }
        let _ = self.folder.remove_draft(&layer_name(self.id));
    }

    /// Another handle, for whoever sends what is here.
    pub fn reader(&self) -> io::Result<std::fs::File> {
        self.file.handle()
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
            for name in [part_name(self.id), layer_name(self.id), layer_draft_name(self.id)] {
                match self.folder.remove_draft(&name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            // Stays if other downloads are under way.
            self.folder.remove_partial();
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

pub(super) fn layer_draft_name(id: FileId) -> String {
    format!("{id}.layer.new")
}
