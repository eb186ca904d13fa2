//! Routers that translate addresses, as RFC 4787 sorts them. They do not turn packets of two of their own hosts
//! around (hairpinning), nor do they refresh a mapping for what comes in.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What RFC 3489 called the four kinds, in the words of RFC 4787 section 4 and 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// One mapping for each inner address; anybody may send to it.
    FullCone,
    /// One mapping for each inner address; every host that was sent to may send to it.
    RestrictedCone,
    /// One mapping for each inner address; every address with its port that was sent to may send to it.
    PortRestrictedCone,
    /// Another mapping for each address that is sent to, open for that address alone.
    Symmetric,
}

#[derive(Debug)]
pub(super) struct Nat {
    kind: NatKind,
    outside: IpAddr,
    /// A mapping that nothing was sent over for so long is forgotten.
    lifetime: Duration,
    mappings: Vec<Mapping>,
    next_port: u16,
}

#[derive(Debug)]
struct Mapping {
    inner: SocketAddr,
    /// Whom it is for, if it is not for everybody.
    remote: Option<SocketAddr>,
    port: u16,
    used_at: Duration,
    sent_to: Vec<SocketAddr>,
}

/// Where mapped ports begin: those that IANA leaves to such uses.
const FIRST_PORT: u16 = 49_152;

impl Nat {
    pub(super) const fn new(kind: NatKind, outside: IpAddr, lifetime: Duration) -> Self {
        Self { kind, outside, lifetime, mappings: Vec::new(), next_port: FIRST_PORT }
    }

    /// The outer address from which a packet leaves.
    pub(super) fn outbound(&mut self, inner: SocketAddr, remote: SocketAddr, now: Duration) -> SocketAddr {
        self.forget(now);
        let only_for = (self.kind == NatKind::Symmetric).then_some(remote);
        let known = self.mappings.iter_mut().find(|mapping| mapping.inner == inner && mapping.remote == only_for);
        let port = if let Some(mapping) = known {
            mapping.used_at = now;
            if !mapping.sent_to.contains(&remote) {
                mapping.sent_to.push(remote);
            }
            mapping.port
        } else {
            let port = self.next_port;
            self.next_port += 1;
            self.mappings.push(Mapping { inner, remote: only_for, port, used_at: now, sent_to: vec![remote] });
            port
        };
        SocketAddr::new(self.outside, port)
    }

    /// The inner address for which a packet from outside is meant, if it may pass.
    pub(super) fn inbound(&mut self, port: u16, from: SocketAddr, now: Duration) -> Option<SocketAddr> {
        self.forget(now);
        let mapping = self.mappings.iter().find(|mapping| mapping.port == port)?;
        let passes = match self.kind {
            NatKind::FullCone => true,
            NatKind::RestrictedCone => mapping.sent_to.iter().any(|known| known.ip() == from.ip()),
            NatKind::PortRestrictedCone | NatKind::Symmetric => mapping.sent_to.contains(&from),
        };
        passes.then_some(mapping.inner)
    }

    /// Forgets all mappings, as a router does that restarts; new ones get other ports.
    pub(super) fn rebind(&mut self) {
        self.mappings.clear();
    }

    fn forget(&mut self, now: Duration) {
        self.mappings.retain(|mapping| now.saturating_sub(mapping.used_at) < self.lifetime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(30);

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn nat(kind: NatKind) -> Nat {
        Nat::new(kind, at("5.0.1.1:0").ip(), LIFETIME)
    }

    #[test]
    fn who_may_send_in_depends_on_the_kind() {
        let (inner, friend) = (at("192.168.1.2:6699"), at("5.0.2.1:6699"));
        let table = [
            // kind; the friend, its host from another port, a stranger
            (NatKind::FullCone, [true, true, true]),
            (NatKind::RestrictedCone, [true, true, false]),
            (NatKind::PortRestrictedCone, [true, false, false]),
            (NatKind::Symmetric, [true, false, false]),
        ];
        for (kind, passes) in table {
            let mut nat = nat(kind);
            let outer = nat.outbound(inner, friend, Duration::ZERO);
            for (from, passes) in [friend, at("5.0.2.1:7000"), at("5.0.3.1:6699")].into_iter().zip(passes) {
                let reached = nat.inbound(outer.port(), from, Duration::ZERO);
                assert_eq!(reached, passes.then_some(inner), "{kind:?} from {from}");
            }
            assert_eq!(nat.inbound(outer.port() + 1, friend, Duration::ZERO), None, "a port without a mapping");
        }
    }

    #[test]
    fn only_a_symmetric_one_has_a_mapping_for_each_remote() {
        let inner = at("192.168.1.2:6699");
        for kind in [NatKind::FullCone, NatKind::RestrictedCone, NatKind::PortRestrictedCone, NatKind::Symmetric] {
            let mut nat = nat(kind);
            let [one, other, again] =
                ["5.0.2.1:1", "5.0.3.1:1", "5.0.2.1:1"].map(|remote| nat.outbound(inner, at(remote), Duration::ZERO));
            assert_eq!(one, again);
            assert_eq!(one != other, kind == NatKind::Symmetric, "{kind:?}");
        }
    }

    #[test]
    fn a_mapping_lives_as_long_as_something_is_sent_over_it() {
        let (inner, remote) = (at("192.168.1.2:6699"), at("5.0.2.1:6699"));
        let mut nat = nat(NatKind::FullCone);
        let outer = nat.outbound(inner, remote, Duration::ZERO);
        assert_eq!(nat.outbound(inner, remote, LIFETIME / 2), outer);
        let nearly = LIFETIME / 2 + LIFETIME.saturating_sub(Duration::from_millis(1));
        assert_eq!(nat.inbound(outer.port(), remote, nearly), Some(inner));
        assert_eq!(nat.inbound(outer.port(), remote, LIFETIME / 2 + LIFETIME), None);
        assert_ne!(nat.outbound(inner, remote, 2 * LIFETIME), outer);
    }
}
