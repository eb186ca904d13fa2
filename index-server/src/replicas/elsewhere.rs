//! Who has a place at another program.

use std::collections::HashMap;

use choir_shared::PeerId;

use crate::store::{MemberNo, ReplicaNo};

/// Both directions; they always agree.
#[derive(Default)]
pub(super) struct Elsewhere {
    places: HashMap<PeerId, ReplicaNo>,
    peers: HashMap<MemberNo, PeerId>,
}

impl Elsewhere {
    pub(super) fn insert(&mut self, peer: PeerId, member: MemberNo, at: ReplicaNo) {
        self.remove(member);
        self.peers.insert(member, peer);
        self.places.insert(peer, at);
    }

    pub(super) fn remove(&mut self, member: MemberNo) {
        if let Some(peer) = self.peers.remove(&member) {
            self.places.remove(&peer);
        }
    }

    pub(super) fn of(&self, peer: &PeerId) -> Option<ReplicaNo> {
        self.places.get(peer).copied()
    }
}
