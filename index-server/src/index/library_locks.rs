//! A lock for each member's library.
//!
//! Not some that members share: whoever publishes may hold one for as long as a database is locked, and nobody else
//! is to wait for that. A lock is there while somebody holds it or waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::store::MemberNo;

#[derive(Clone, Default)]
pub(crate) struct LibraryLocks(Arc<Mutex<HashMap<MemberNo, Arc<tokio::sync::Mutex<()>>>>>);

/// The library of one member is this one's while it lives.
pub(crate) struct LibraryLock {
    locks: LibraryLocks,
    member: MemberNo,
    held: Option<OwnedMutexGuard<()>>,
}

impl LibraryLocks {
    pub(super) async fn lock(&self, member: MemberNo) -> LibraryLock {
        let (mut library, lock) = self.one(member);
        library.held = Some(lock.lock_owned().await);
        library
    }

    /// `None` while somebody holds it or waits for it.
    pub(super) fn try_lock(&self, member: MemberNo) -> Option<LibraryLock> {
        let (mut library, lock) = self.one(member);
        library.held = Some(lock.try_lock_owned().ok()?);
        Some(library)
    }

    /// Made before the wait, so that a caller who gives up leaves nothing behind.
    fn one(&self, member: MemberNo) -> (LibraryLock, Arc<tokio::sync::Mutex<()>>) {
        let lock = Arc::clone(self.locks().entry(member).or_default());
        (LibraryLock { locks: self.clone(), member, held: None }, lock)
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<MemberNo, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LibraryLock {
    fn drop(&mut self) {
        self.held = None;
        let mut locks = self.locks.locks();
        // Who waits, or is about to, has a share in it; nobody new comes in here.
        if locks.get(&self.member).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.member);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn members_wait_for_themselves_alone_and_leave_nothing_behind() {
        let locks = LibraryLocks::default();
        let held = locks.lock(MemberNo(1)).await;
        assert!(locks.try_lock(MemberNo(1)).is_none() && locks.try_lock(MemberNo(2)).is_some());
        for other in 2..100 {
            assert!(locks.lock(MemberNo(other)).now_or_never().is_some(), "{other}");
        }
        assert!(locks.lock(MemberNo(1)).now_or_never().is_none(), "who gives up");
        let mut waiting = Box::pin(locks.lock(MemberNo(1)));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        assert!(locks.lock(MemberNo(1)).now_or_never().is_none(), "those who wait come first");
        let held = waiting.await;
        assert_eq!(locks.locks().len(), 1);
        drop(held);
        assert!(locks.locks().is_empty());
    }
}
