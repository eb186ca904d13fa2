//! How many connections others may hold open with us: so many for one network, so many for one key.
//!
//! The count for all together is the endpoint's. A place is a value: dropping it frees it, so none can leak.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use choir_shared::PeerId;
use choir_shared::address::NetworkPrefix;

/// A household with many machines, or a small campus.
const MAX_FOR_PREFIX: usize = 16;

/// One is used; more exist for moments, when both sides dial at once or an old one has not yet timed out.
const MAX_FOR_KEY: usize = 4;

#[derive(Clone, Debug, Default)]
pub(super) struct Door(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    prefixes: HashMap<NetworkPrefix, usize>,
    keys: HashMap<PeerId, usize>,
}

impl Door {
    /// A place for one more connection, unless its network or its key has enough.
    pub(super) fn enter(&self, address: IpAddr, peer: PeerId) -> Option<Place> {
        let prefix = NetworkPrefix::of(address);
        let mut counts = self.counts();
        let full = counts.prefixes.get(&prefix).is_some_and(|count| *count >= MAX_FOR_PREFIX)
            || counts.keys.get(&peer).is_some_and(|count| *count >= MAX_FOR_KEY);
        if full {
            return None;
        }
        *counts.prefixes.entry(prefix).or_default() += 1;
        *counts.keys.entry(peer).or_default() += 1;
        Some(Place { door: self.clone(), prefix, peer })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Place {
    door: Door,
    prefix: NetworkPrefix,
    peer: PeerId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.door.counts();
        release(&mut counts.prefixes, &self.prefix);
        release(&mut counts.keys, &self.peer);
    }
}

fn release<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed(&[seed; 32]).peer_id()
    }

    #[test]
    fn a_key_gets_four_and_a_network_sixteen() {
        let door = Door::default();
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        let elsewhere: IpAddr = "198.51.100.1".parse().unwrap();
        let mut places: Vec<_> = (0..4).map(|_| door.enter(home, peer(1)).unwrap()).collect();
        assert!(door.enter(elsewhere, peer(1)).is_none(), "the key has its four");
        places.extend((2..14).map(|seed| door.enter(home, peer(seed)).unwrap()));
        assert!(door.enter(home, peer(100)).is_none(), "the network has its sixteen");
        assert!(door.enter(elsewhere, peer(100)).is_some());
        places.clear();
        assert!(door.enter(home, peer(1)).is_some());
        assert!(
            door.counts().keys.is_empty() && door.counts().prefixes.is_empty(),
            "nothing is remembered of the gone"
        );
    }
}
