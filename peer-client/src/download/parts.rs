//! The verified parts of unfinished downloads, for others to fetch: a popular file spreads faster than one sharer
//! could send it.
//!
//! A download [opens](Parts::open) its part once it has the tree layer, and adds to it what it has verified and
//! written. When the [`Offer`] is dropped, nothing of it is to be had any more; what is being sent goes on, for
//! whoever sends it holds the part.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use choir_shared::FileId;
use choir_shared::leaf::{LeafRange, LeafSet};
use choir_shared::merkle::TreeLayer;
use tokio::sync::watch;

use crate::store::Part;

/// All open parts. Clones share everything.
#[derive(Clone, Default)]
pub struct Parts(Arc<Shared>);

#[derive(Default)]
struct Shared {
    open: Mutex<HashMap<FileId, Arc<OpenPart>>>,
    changes: watch::Sender<u64>,
}

/// The verified leaves of one unfinished download.
pub struct OpenPart {
    pub part: Arc<Part>,
    pub layer: Arc<TreeLayer>,
    held: Mutex<LeafSet>,
}

/// A part that others may fetch from, for as long as this lives.
pub struct Offer {
    parts: Parts,
    open: Arc<OpenPart>,
}

impl Parts {
    /// Offers what is `held` of a part. Of two downloads of one file, to two folders, the later is offered.
    pub fn open(&self, part: Arc<Part>, layer: Arc<TreeLayer>, held: LeafSet) -> Offer {
        let file = layer.id();
        let open = Arc::new(OpenPart { part, layer, held: Mutex::new(held) });
        self.lock().insert(file, Arc::clone(&open));
        self.changed();
        Offer { parts: self.clone(), open }
    }

    pub fn find(&self, file: &FileId) -> Option<Arc<OpenPart>> {
        self.lock().get(file).cloned()
    }

    /// The files of which there is something to be had.
    pub fn files(&self) -> Vec<FileId> {
        self.lock().iter().filter(|(_, open)| !open.lock().is_empty()).map(|(file, _)| *file).collect()
    }

    /// Changes whenever [`Parts::files`] does. The number means nothing.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn changed(&self) {
        self.0.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FileId, Arc<OpenPart>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenPart {
    /// What is verified and on disk at this moment.
    pub fn held(&self) -> LeafSet {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, LeafSet> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Offer {
    /// These leaves are verified and written.
    pub fn add(&self, leaves: LeafRange) {
        let mut held = self.open.lock();
        let is_first = held.is_empty();
        held.insert_range(leaves);
        drop(held);
        if is_first {
            self.parts.changed();
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        let file = self.open.layer.id();
        let mut open = self.parts.lock();
        if open.get(&file).is_some_and(|offered| Arc::ptr_eq(offered, &self.open)) {
            open.remove(&file);
        }
        drop(open);
        self.parts.changed();
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::merkle::TreeHasher;

    use super::*;

    #[test]
    fn a_part_is_to_be_had_from_its_first_leaf_until_its_offer_is_dropped() {
        let mut hasher = TreeHasher::new();
        hasher.update(&[7; 100_000]);
        let file = hasher.finish().unwrap();
        let layer = Arc::new(TreeLayer::of_leaves(file.id, &file.leaves).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let part = Arc::new(Part::open(folder.path(), file.id).unwrap());
        let nothing = || LeafSet::empty(file.id.length());

        let parts = Parts::default();
        let mut changes = parts.watch();
        let first = parts.open(Arc::clone(&part), Arc::clone(&layer), nothing());
        assert!(parts.files().is_empty(), "nothing of it is here yet");
        changes.mark_unchanged();
        first.add(file.id.length().range(2, 3).unwrap());
        assert!(changes.has_changed().unwrap());
        assert_eq!(parts.files(), [file.id]);
        assert_eq!(parts.find(&file.id).unwrap().held().count(), 3);

        let second = parts.open(part, layer, nothing());
        drop(first);
        assert_eq!(parts.find(&file.id).unwrap().held().count(), 0, "the later offer stays");
        drop(second);
        assert!(parts.find(&file.id).is_none());
    }
}
