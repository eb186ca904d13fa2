//! Tree layers that were asked for lately.
//!
//! A layer above the leaves takes up to half a second to compute for the largest files, and every downloader begins
//! by asking for it. A layer belongs to its file id for ever, so what is kept is never stale.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use choir_shared::merkle::{LayerMismatch, TreeLayer};
use choir_shared::{Digest, FileId};

/// Of at most 256 KiB each.
const KEPT: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Layers(Mutex<VecDeque<Arc<TreeLayer>>>);

impl Layers {
    /// The layer above `leaves`. Blocks while it is computed.
    pub(super) fn above(&self, file: FileId, leaves: &[Digest]) -> Result<Arc<TreeLayer>, LayerMismatch> {
        let kept =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|layer| layer.id() == file).cloned();
        if let Some(layer) = kept {
            return Ok(layer);
        }
        // Without the lock: another file need not wait. Two who ask for the same may both compute it.
        let layer = Arc::new(TreeLayer::of_leaves(file, leaves)?);
        let mut layers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        layers.truncate(KEPT - 1);
        layers.push_front(Arc::clone(&layer));
        Ok(layer)
    }
}
