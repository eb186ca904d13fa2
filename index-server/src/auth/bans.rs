//! Which keys and networks are kept out, and until when.

use std::collections::HashMap;

use choir_shared::PeerId;

use crate::origin::Origin;
use crate::store::{Ban, BanTarget};

#[derive(Default)]
pub(crate) struct Bans {
    peers: HashMap<PeerId, Ban>,
    /// Few: an operator types them.
    networks: Vec<Ban>,
}

impl Bans {
    /// In place of an earlier ban of the same target.
    pub(crate) fn add(&mut self, ban: Ban) {
        self.lift(&ban.target);
        match ban.target {
            BanTarget::Peer(peer) => drop(self.peers.insert(peer, ban)),
            BanTarget::Prefix(_) => self.networks.push(ban),
        }
    }

    pub(crate) fn lift(&mut self, target: &BanTarget) {
        match target {
            BanTarget::Peer(peer) => drop(self.peers.remove(peer)),
            BanTarget::Prefix(_) => self.networks.retain(|ban| ban.target != *target),
        }
    }

    pub(crate) fn of_peer(&self, peer: &PeerId, now_unix_s: u64) -> Option<&Ban> {
        self.peers.get(peer).filter(|ban| !ban.is_over(now_unix_s))
    }

    pub(crate) fn of_network(&self, origin: Origin, now_unix_s: u64) -> Option<&Ban> {
        self.networks.iter().filter(|ban| !ban.is_over(now_unix_s)).find(|ban| match &ban.target {
            BanTarget::Prefix(subnet) => origin.lies_in(subnet),
            BanTarget::Peer(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    fn ban(target: &str, until_unix_s: Option<u64>) -> Ban {
        Ban { target: target.parse().unwrap(), reason: String::new(), until_unix_s }
    }

    #[test]
    fn a_ban_ends_when_it_says_or_when_it_is_lifted() {
        let peer = SecretKey::from_seed(&[1; 32]).peer_id();
        let mut bans = Bans::default();
        bans.add(ban(&peer.to_string(), Some(10)));
        assert!(bans.of_peer(&peer, 9).is_some() && bans.of_peer(&peer, 10).is_none());
        bans.add(ban(&peer.to_string(), None));
        assert!(bans.of_peer(&peer, u64::MAX).is_some());
        bans.lift(&BanTarget::Peer(peer));
        assert!(bans.of_peer(&peer, 0).is_none());
    }

    #[test]
    fn a_network_is_banned_as_a_whole() {
        let mut bans = Bans::default();
        bans.add(ban("5.6.7.0/24", None));
        let hits = |ip: &str| bans.of_network(Origin::of(ip.parse().unwrap()), 0).is_some();
        assert!(hits("5.6.7.8") && hits("::ffff:5.6.7.9") && !hits("5.6.8.1"));
    }
}
