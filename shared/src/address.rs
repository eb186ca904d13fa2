//! How far an address reaches, and which network it belongs to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where packets to an address can end up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This machine.
    Loopback,
    /// Somebody's own network: RFC 1918, RFC 6598 (carrier NAT, which VPNs use as well), RFC 4193.
    Private,
    /// The internet.
    Public,
    /// Nowhere a peer can be: link-local, multicast, unspecified, broadcast, documentation.
    Nowhere,
}

impl Scope {
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(v4: Ipv4Addr) -> Self {
        let [a, b, ..] = v4.octets();
        if v4.is_loopback() {
            Self::Loopback
        } else if v4.is_private() || (a == 100 && b & 0xc0 == 64) {
            Self::Private
        } else if a == 0 || a >= 224 || v4.is_link_local() || v4.is_documentation() {
            Self::Nowhere
        } else {
            Self::Public
        }
    }

    fn of_v6(v6: Ipv6Addr) -> Self {
        let [first, second, ..] = v6.segments();
        if v6.is_loopback() {
            Self::Loopback
        } else if first & 0xfe00 == 0xfc00 {
            Self::Private
        } else if first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0x0db8) {
            // 2000::/3 is all that is assigned for global unicast (RFC 4291).
            Self::Public
        } else {
            Self::Nowhere
        }
    }
}

/// The network that limits count instead of single addresses: /24, or /48 for IPv6.
/// One household or one rented server has as many IPv6 addresses as it likes, but rarely two such networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkPrefix([u8; 6], Family);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Family {
    V4,
    V6,
}

impl NetworkPrefix {
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self([a, b, c, 0, 0, 0], Family::V4)
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, ..] = v6.octets();
                Self([a, b, c, d, e, f], Family::V6)
            }
        }
    }

    /// For keyed hashes: no two prefixes share these bytes.
    pub fn to_bytes(self) -> [u8; 7] {
        let [a, b, c, d, e, f] = self.0;
        [matches!(self.1, Family::V6).into(), a, b, c, d, e, f]
    }
}

/// An address with the length of its network's prefix, as an interface has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub address: IpAddr,
    pub prefix_bits: u8,
}

impl Subnet {
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address.to_canonical(), other.to_canonical()) {
            (IpAddr::V4(mine), IpAddr::V4(theirs)) => {
                same_prefix(u128::from(mine.to_bits()), u128::from(theirs.to_bits()), 32, self.prefix_bits)
            }
            (IpAddr::V6(mine), IpAddr::V6(theirs)) => {
                same_prefix(mine.to_bits(), theirs.to_bits(), 128, self.prefix_bits)
            }
            _ => false,
        }
    }
}

fn same_prefix(left: u128, right: u128, width: u8, bits: u8) -> bool {
    let host_bits = u32::from(width.saturating_sub(bits));
    (left ^ right).checked_shr(host_bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn scopes() {
        let table = [
            ("127.0.0.1", Scope::Loopback),
            ("127.9.8.7", Scope::Loopback),
            ("::1", Scope::Loopback),
            ("::ffff:127.0.0.1", Scope::Loopback),
            ("10.1.2.3", Scope::Private),
            ("172.31.0.1", Scope::Private),
            ("172.32.0.1", Scope::Public),
            ("192.168.1.1", Scope::Private),
            ("100.64.0.1", Scope::Private),
            ("100.128.0.1", Scope::Public),
            ("fd00::1", Scope::Private),
            ("8.8.8.8", Scope::Public),
            ("2606:4700::1", Scope::Public),
            ("0.0.0.0", Scope::Nowhere),
            ("169.254.1.1", Scope::Nowhere),
            ("224.0.0.1", Scope::Nowhere),
            ("255.255.255.255", Scope::Nowhere),
            ("::", Scope::Nowhere),
            ("fe80::1", Scope::Nowhere),
            ("ff02::1", Scope::Nowhere),
            ("2001:db8::1", Scope::Nowhere),
            ("::ffff:169.254.1.1", Scope::Nowhere),
        ];
        for (address, scope) in table {
            assert_eq!(Scope::of(ip(address)), scope, "{address}");
        }
    }

    #[test]
    fn a_prefix_is_a_24_or_a_48() {
        assert_eq!(NetworkPrefix::of(ip("1.2.3.4")), NetworkPrefix::of(ip("::ffff:1.2.3.200")));
        assert_ne!(NetworkPrefix::of(ip("1.2.3.4")), NetworkPrefix::of(ip("1.2.4.4")));
        assert_eq!(NetworkPrefix::of(ip("2a00:1:2:3::1")), NetworkPrefix::of(ip("2a00:1:2:ffff::9")));
        assert_ne!(NetworkPrefix::of(ip("2a00:1:2::1")), NetworkPrefix::of(ip("2a00:1:3::1")));
    }

    #[test]
    fn subnets() {
        let home = Subnet { address: ip("192.168.1.7"), prefix_bits: 24 };
        assert!(home.contains(ip("192.168.1.200")) && home.contains(ip("::ffff:192.168.1.1")));
        assert!(!home.contains(ip("192.168.2.1")) && !home.contains(ip("fd00::1")));
        let any = Subnet { address: ip("::"), prefix_bits: 0 };
        assert!(any.contains(ip("fd00::1")));
        let one = Subnet { address: ip("10.0.0.1"), prefix_bits: 32 };
        assert!(one.contains(ip("10.0.0.1")) && !one.contains(ip("10.0.0.2")));
    }
}
