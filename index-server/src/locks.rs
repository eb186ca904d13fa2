//! A lock for each of very many: the library of a member, the searches of a network.
//!
//! Not some that many share: whoever publishes may hold one for as long as a database is locked, and nobody else is
//! to wait for that. A lock is there while somebody holds it or waits for it. Those who wait come in their order.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

pub(crate) struct Locks<K>(Arc<Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>>);

/// What it locks is this one's while it lives.
pub(crate) struct Lock<K: Copy + Eq + Hash> {
    locks: Locks<K>,
    key: K,
    held: Option<OwnedMutexGuard<()>>,
}

impl<K: Copy + Eq + Hash> Locks<K> {
    pub(crate) async fn lock(&self, key: K) -> Lock<K> {
        let (mut locked, lock) = self.one(key);
        locked.held = Some(lock.lock_owned().await);
        locked
    }

    /// `None` while somebody holds it or waits for it.
    pub(crate) fn try_lock(&self, key: K) -> Option<Lock<K>> {
        let (mut locked, lock) = self.one(key);
        locked.held = Some(lock.try_lock_owned().ok()?);
        Some(locked)
    }

    /// Made before the wait, so that a caller who gives up leaves nothing behind.
    fn one(&self, key: K) -> (Lock<K>, Arc<tokio::sync::Mutex<()>>) {
        let lock = Arc::clone(self.locks().entry(key).or_default());
        (Lock { locks: self.clone(), key, held: None }, lock)
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<K, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Clone for Locks<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Copy + Eq + Hash> Drop for Lock<K> {
    fn drop(&mut self) {
        self.held = None;
        let mut locks = self.locks.locks();
        // Who waits, or is about to, has a share in it; nobody new comes in here.
        if locks.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn each_waits_for_its_own_alone_and_leaves_nothing_behind() {
        let locks = Locks::default();
        let held = locks.lock(1).await;
        assert!(locks.try_lock(1).is_none() && locks.try_lock(2).is_some());
        for other in 2..100 {
            assert!(locks.lock(other).now_or_never().is_some(), "{other}");
        }
        assert!(locks.lock(1).now_or_never().is_none(), "who gives up");
        let mut waiting = Box::pin(locks.lock(1));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        assert!(locks.lock(1).now_or_never().is_none(), "those who wait come first");
        let held = waiting.await;
        assert_eq!(locks.locks().len(), 1);
        drop(held);
        assert!(locks.locks().is_empty());
    }
}
