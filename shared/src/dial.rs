//! Which addresses a peer may dial at all.
//!
//! A hostile index could name any address in the world as a "peer". Without a rule its members would knock at
//! printers in their own homes, or all together at a victim. So, for each candidate:
//!
//! 1. Ports below 1024 are never dialled: no peer listens there, and other people's services do.
//! 2. Link-local, multicast and other addresses where no peer can be are never dialled.
//! 3. Loopback is dialled only if the index itself was reached on loopback: everything is one machine then.
//! 4. Private addresses are dialled only if the index is private too (one home, one VPN), or both peers were seen
//!    at the same public address or IPv6 /64 (one home, index elsewhere), or the address lies in a network this
//!    machine is attached to (so friends on a VPN can meet).
//! 5. Public addresses may be dialled.
//!
//! The key is always checked by the handshake; this rule only bounds where the first packets go.

use std::net::{IpAddr, SocketAddr};

use crate::address::{Scope, Subnet};

/// Peers listen above the ports that need privileges.
const LOWEST_PORT: u16 = 1024;

/// IPv6 homes get a /64 (RFC 6177 gives them at least that).
const HOME_BITS_V6: u8 = 64;

/// What a peer knows of its own place in the network.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The address by which the index was reached.
    pub index: IpAddr,
    /// Where the index sees this peer.
    pub observed: Option<IpAddr>,
    /// The networks this machine is attached to.
    pub attached: Vec<Subnet>,
}

impl Surroundings {
    /// Whether `candidate`, an address of a peer that the index sees at `observed`, may be dialled.
    pub fn permit(&self, candidate: SocketAddr, observed: Option<IpAddr>) -> Result<(), Refusal> {
        if candidate.port() < LOWEST_PORT {
            return Err(Refusal::PrivilegedPort);
        }
        let index = Scope::of(self.index);
        match Scope::of(candidate.ip()) {
            Scope::Public => Ok(()),
            Scope::Loopback if index == Scope::Loopback => Ok(()),
            Scope::Loopback => Err(Refusal::Loopback),
            Scope::Private
                if matches!(index, Scope::Private | Scope::Loopback)
                    || self.shares_home_with(observed)
                    || self.attached.iter().any(|subnet| subnet.contains(candidate.ip())) =>
            {
                Ok(())
            }
            Scope::Private => Err(Refusal::SomebodyElsesNetwork),
            Scope::Nowhere => Err(Refusal::NoPeerThere),
        }
    }

    fn shares_home_with(&self, other: Option<IpAddr>) -> bool {
        let (Some(mine), Some(theirs)) = (self.observed, other) else { return false };
        let prefix_bits = if mine.to_canonical().is_ipv4() { 32 } else { HOME_BITS_V6 };
        Scope::of(mine) == Scope::Public && Subnet { address: mine, prefix_bits }.contains(theirs)
    }
}

/// Why a candidate is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("ports below {LOWEST_PORT} are never dialled")]
    PrivilegedPort,
    #[error("loopback is dialled only for an index on loopback")]
    Loopback,
    #[error("a private address of a network that this machine has no part in")]
    SomebodyElsesNetwork,
    #[error("no peer can be at such an address")]
    NoPeerThere,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(index: &str) -> Surroundings {
        Surroundings {
            index: index.parse().unwrap(),
            observed: Some("203.1.113.7".parse().unwrap()),
            attached: vec![Subnet { address: "10.8.0.2".parse().unwrap(), prefix_bits: 24 }],
        }
    }

    #[test]
    fn the_rule_line_by_line() {
        const FAR: &str = "198.41.0.4";
        const SAME_HOME: &str = "203.1.113.7";
        let table = [
            // index, candidate, where the index sees the other, verdict
            (FAR, "5.6.7.8:6699", FAR, Ok(())),
            (FAR, "[2a00::1]:6699", FAR, Ok(())),
            (FAR, "5.6.7.8:53", FAR, Err(Refusal::PrivilegedPort)),
            ("127.0.0.1", "127.0.0.2:6699", "127.0.0.2", Ok(())),
            (FAR, "127.0.0.2:6699", FAR, Err(Refusal::Loopback)),
            (FAR, "[::ffff:127.0.0.1]:6699", FAR, Err(Refusal::Loopback)),
            ("192.168.1.1", "127.0.0.2:6699", "192.168.1.2", Err(Refusal::Loopback)),
            ("192.168.1.1", "192.168.1.2:6699", "192.168.1.2", Ok(())),
            ("127.0.0.1", "192.168.1.2:6699", "192.168.1.2", Ok(())),
            (FAR, "192.168.1.2:6699", FAR, Err(Refusal::SomebodyElsesNetwork)),
            (FAR, "192.168.1.2:6699", SAME_HOME, Ok(())),
            (FAR, "10.8.0.9:6699", FAR, Ok(())),
            (FAR, "10.8.1.9:6699", FAR, Err(Refusal::SomebodyElsesNetwork)),
            (FAR, "169.254.169.254:8080", FAR, Err(Refusal::NoPeerThere)),
            ("127.0.0.1", "224.0.0.1:6699", FAR, Err(Refusal::NoPeerThere)),
        ];
        for (index, candidate, observed, verdict) in table {
            let permit = surroundings(index).permit(candidate.parse().unwrap(), observed.parse().ok());
            assert_eq!(permit, verdict, "index {index}, candidate {candidate}");
        }
    }

    #[test]
    fn peers_that_share_a_private_observed_address_share_no_home() {
        let behind_carrier_nat = Surroundings { observed: "100.64.0.1".parse().ok(), ..surroundings("198.41.0.4") };
        let permit = behind_carrier_nat.permit("192.168.1.2:6699".parse().unwrap(), "100.64.0.1".parse().ok());
        assert_eq!(permit, Err(Refusal::SomebodyElsesNetwork));
    }
}
