//! Which address each peer was last seen at, while its rendezvous connection lives.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use choir_shared::PeerId;
use choir_shared::wire::CloseCode;
use quinn::{Connection, VarInt};

/// One address for each key, the newest connection's.
#[derive(Default)]
pub(crate) struct AddressBook {
    seen: Mutex<HashMap<PeerId, Seen>>,
}

struct Seen {
    address: SocketAddr,
    connection: Connection,
}

impl AddressBook {
    /// Where the peer can be met, if it has a rendezvous connection.
    pub(crate) fn address(&self, peer: &PeerId) -> Option<SocketAddr> {
        self.seen().get(peer).map(|seen| seen.address)
    }

    pub(crate) fn len(&self) -> usize {
        self.seen().len()
    }

    /// Enters the address of a connection. An older connection of the same key is closed: one is enough.
    pub(super) fn enter(self: &Arc<Self>, peer: PeerId, address: SocketAddr, connection: &Connection) -> Entry {
        let seen = Seen { address, connection: connection.clone() };
        let before = self.seen().insert(peer, seen);
        if let Some(before) = before.filter(|before| before.connection.stable_id() != connection.stable_id()) {
            before.connection.close(VarInt::from_u32(CloseCode::Superseded.code()), b"");
        }
        Entry { book: Arc::clone(self), peer, address, connection: connection.stable_id() }
    }

    /// Closes the connection of a peer that is no longer welcome.
    pub(crate) fn expel(&self, peer: &PeerId) {
        if let Some(seen) = self.seen().remove(peer) {
            seen.connection.close(VarInt::from_u32(CloseCode::NotAMember.code()), b"");
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<PeerId, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands in the book until it is dropped or replaced.
pub(super) struct Entry {
    book: Arc<AddressBook>,
    peer: PeerId,
    address: SocketAddr,
    connection: usize,
}

impl Entry {
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut seen = self.book.seen();
        // A newer connection, or a newer address of this one, is somebody else's entry.
        let mine = |seen: &Seen| seen.connection.stable_id() == self.connection && seen.address == self.address;
        if seen.get(&self.peer).is_some_and(mine) {
            seen.remove(&self.peer);
        }
    }
}
