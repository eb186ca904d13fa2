//! One command at a time for what concerns one part on disk, so that no job begins on a part that is being discarded
//! or that another job has not let go of.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use choir_shared::FileId;
use tokio::sync::OwnedMutexGuard;

#[derive(Default)]
pub(super) struct PartLocks(Mutex<HashMap<(PathBuf, FileId), Arc<tokio::sync::Mutex<()>>>>);

/// While this is held, nothing else begins, halts or discards the part.
pub(super) type PartLock = OwnedMutexGuard<()>;

impl PartLocks {
    pub(super) async fn lock(&self, folder: PathBuf, file: FileId) -> PartLock {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or waits for have no other owner.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry((folder, file)).or_default())
        };
        lock.lock_owned().await
    }
}
