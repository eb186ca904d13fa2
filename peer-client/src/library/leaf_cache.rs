//! Leaf hashes of the files that are uploaded just now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use choir_shared::{Digest, FileId};

/// Those of a thousand songs.
const MAX_BYTES: usize = 32 << 20;

/// Keeps what was used last, up to a number of bytes.
#[derive(Debug, Default)]
pub(super) struct LeafCache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<FileId, (u64, Arc<[Digest]>)>,
    bytes: usize,
    uses: u64,
}

impl LeafCache {
    pub(super) fn get(&self, file: &FileId) -> Option<Arc<[Digest]>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let (used, leaves) = kept.files.get_mut(file)?;
        *used = now;
        Some(Arc::clone(leaves))
    }

    pub(super) fn insert(&self, file: FileId, leaves: Arc<[Digest]>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        kept.bytes += size_of_val(&*leaves);
        if let Some((_, old)) = kept.files.insert(file, (now, leaves)) {
            kept.bytes -= size_of_val(&*old);
        }
        while kept.bytes > MAX_BYTES
            && let Some(oldest) = kept.files.iter().min_by_key(|(_, (used, _))| *used).map(|(&file, _)| file)
            && let Some((_, gone)) = kept.files.remove(&oldest)
        {
            kept.bytes -= size_of_val(&*gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::leaf::FileLength;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let file = |n: u8| FileId::new(Digest::of(&[n]), FileLength::new(1).unwrap());
        let third: Arc<[Digest]> = vec![Digest::ZERO; MAX_BYTES / 32 / 3].into();
        let cache = LeafCache::default();
        (0..3).for_each(|n| cache.insert(file(n), Arc::clone(&third)));
        assert!(cache.get(&file(0)).is_some());
        cache.insert(file(3), Arc::clone(&third));
        assert_eq!([0, 1, 2, 3].map(|n| cache.get(&file(n)).is_some()), [true, false, true, true]);
        cache.insert(file(3), third);
        assert!(cache.get(&file(0)).is_some());
    }
}
