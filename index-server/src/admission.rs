//! How many connections may be open, in all and from one network.
//!
//! A permit is counted while it lives and moves into the connection that it allows. Connections from this machine
//! and from trusted proxies count in all, but for no network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use choir_shared::address::NetworkPrefix;

/// Counts the connections of one kind.
pub(crate) struct Doorkeeper {
    kind: &'static str,
    most: u32,
    most_per_network: u32,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    all: u32,
    by_network: HashMap<NetworkPrefix, u32>,
}

impl Doorkeeper {
    /// `kind` names the connections in metrics.
    pub(crate) fn new(kind: &'static str, most: u32, most_per_network: u32) -> Arc<Self> {
        Arc::new(Self { kind, most, most_per_network, inside: Mutex::default() })
    }

    /// A permit, or `None` if the house or this network's part of it is full.
    pub(crate) fn admit(self: &Arc<Self>, network: Option<NetworkPrefix>) -> Option<ConnectionPermit> {
        let admitted = self.inside().enter(self.most, self.most_per_network, network);
        if admitted {
            metrics::gauge!("choir_index_connections", "kind" => self.kind).increment(1);
            Some(ConnectionPermit { keeper: Arc::clone(self), network })
        } else {
            metrics::counter!("choir_index_connections_refused_total", "kind" => self.kind).increment(1);
            None
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn enter(&mut self, most: u32, most_per_network: u32, network: Option<NetworkPrefix>) -> bool {
        if self.all >= most {
            return false;
        }
        if let Some(network) = network {
            let count = self.by_network.entry(network).or_default();
            if *count >= most_per_network {
                return false;
            }
            *count += 1;
        }
        self.all += 1;
        true
    }

    fn leave(&mut self, network: Option<NetworkPrefix>) {
        self.all = self.all.saturating_sub(1);
        let Some(network) = network else { return };
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}

/// One open connection.
pub(crate) struct ConnectionPermit {
    keeper: Arc<Doorkeeper>,
    network: Option<NetworkPrefix>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.keeper.inside().leave(self.network);
        metrics::gauge!("choir_index_connections", "kind" => self.keeper.kind).decrement(1);
    }
}

impl std::fmt::Debug for ConnectionPermit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConnectionPermit({})", self.keeper.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_network_does_not_fill_the_house_and_leavers_make_room() {
        let keeper = Doorkeeper::new("test", 3, 1);
        let network = |ip: &str| Some(NetworkPrefix::of(ip.parse().unwrap()));
        let first = keeper.admit(network("5.6.7.8")).unwrap();
        assert!(keeper.admit(network("5.6.7.9")).is_none());
        let _elsewhere = keeper.admit(network("5.6.8.8")).unwrap();
        let _here = keeper.admit(None).unwrap();
        assert!(keeper.admit(None).is_none(), "the house is full");
        drop(first);
        let _again = keeper.admit(network("5.6.7.9")).unwrap();
        assert_eq!(keeper.inside().all, 3);
    }
}
