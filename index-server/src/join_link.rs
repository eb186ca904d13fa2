//! The link by which people join, and the host in it.
//!
//! The operator's public URL comes first. A listener's own address is next. A listener on all addresses has none: then
//! it is the address that this machine would use towards the internet, which in a home is its address in the home
//! network, and good for everybody there; and in a network without a way out, this machine's address there.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use choir_shared::address::Scope;
use choir_shared::identity::IndexKey;
use choir_shared::link::JoinLink;

/// Any public address will do: nothing is sent there (it is the one that RFC 5737 sets aside for examples).
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// Host and port by which others reach the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinHost(String);

impl JoinHost {
    pub(crate) fn new(public_url: Option<&str>, listener: SocketAddr) -> Result<Self, PublicUrlError> {
        match public_url {
            Some(url) => authority(url).map(Self).ok_or_else(|| PublicUrlError(url.to_owned())),
            None if listener.ip().is_unspecified() => {
                let ip = outward_address().or_else(attached_address).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                Ok(Self(SocketAddr::new(ip, listener.port()).to_string()))
            }
            None => Ok(Self(SocketAddr::new(listener.ip().to_canonical(), listener.port()).to_string())),
        }
    }

    pub(crate) fn link(&self, key: IndexKey, invite: Option<String>) -> JoinLink {
        JoinLink { authority: self.0.clone(), key: Some(key), invite }
    }
}

/// `https://music.example/` → `music.example:443`.
pub(crate) fn authority(url: &str) -> Option<String> {
    let (rest, port) = match url.split_once("://")? {
        ("https", rest) => (rest, 443),
        ("http", rest) => (rest, 80),
        _ => return None,
    };
    let host = rest.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#', '@']) {
        return None;
    }
    // The colons of a bracketed IPv6 address are no port's.
    let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
    Some(if after_address.contains(':') { host.to_owned() } else { format!("{host}:{port}") })
}

/// Connecting a UDP socket sends nothing; it only makes the kernel choose a route and with it our address.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SOMEWHERE).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

fn attached_address() -> Option<IpAddr> {
    best(if_addrs::get_if_addrs().ok()?.into_iter().map(|interface| interface.ip()))
}

/// The address that most others can dial: a public one before a private one, IPv4 before IPv6.
fn best(addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    let rank = |ip: &IpAddr| match Scope::of(*ip) {
        Scope::Public => Some(2),
        Scope::Private => Some(1),
        _ => None,
    };
    addresses.filter(|ip| rank(ip).is_some()).min_by_key(|ip| (Reverse(rank(ip)), *ip))
}

#[derive(Debug, thiserror::Error)]
#[error("the public URL {0} is none: it is http:// or https://, a host, and a port if it is another than usual")]
pub struct PublicUrlError(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn host(url: Option<&str>, listener: &str) -> Option<String> {
        JoinHost::new(url, listener.parse().unwrap()).ok().map(|host| host.0)
    }

    #[test]
    fn the_operators_word_comes_first_and_then_the_listener() {
        let table = [
            (Some("https://music.example"), Some("music.example:443")),
            (Some("https://music.example:8443/"), Some("music.example:8443")),
            (Some("http://[2a00::1]"), Some("[2a00::1]:80")),
            (Some("http://[2a00::1]:81"), Some("[2a00::1]:81")),
            (Some("music.example"), None),
            (Some("ftp://music.example"), None),
            (Some("https://music.example/path"), None),
            (Some("https://user@music.example"), None),
            (None, Some("127.0.0.1:8888")),
        ];
        for (url, expected) in table {
            assert_eq!(host(url, "127.0.0.1:8888").as_deref(), expected, "{url:?}");
        }
        assert_eq!(host(None, "[::1]:8888").as_deref(), Some("[::1]:8888"));
        assert_eq!(host(None, "[::ffff:10.0.0.1]:8888").as_deref(), Some("10.0.0.1:8888"));
    }

    #[test]
    fn without_a_way_out_it_is_an_address_that_the_neighbours_can_dial() {
        let best = |texts: &[&str]| best(texts.iter().map(|text| text.parse().unwrap())).map(|ip| ip.to_string());
        assert_eq!(best(&["127.0.0.1", "fe80::1", "fd00::1", "10.77.0.1"]).as_deref(), Some("10.77.0.1"));
        assert_eq!(best(&["10.77.0.1", "2a00::1"]).as_deref(), Some("2a00::1"));
        assert_eq!(best(&["127.0.0.1", "::1", "169.254.0.1"]), None);
    }

    #[test]
    fn a_listener_on_all_addresses_gets_one_that_can_be_dialled() {
        let host = host(None, "0.0.0.0:8888").unwrap();
        let address: SocketAddr = host.parse().unwrap();
        assert!(!address.ip().is_unspecified() && address.port() == 8888);
    }
}
