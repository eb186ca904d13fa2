//! Where a request comes from, as far as that can be believed.
//!
//! 1. The address that counts is the one of the TCP connection.
//! 2. Only if that is a proxy the operator trusts, `X-Forwarded-For` counts: its last entry that is no trusted proxy.
//!    What stands before it was written by the client and may be anything.
//! 3. Limits count networks, not addresses. This machine's own loopback is not counted: no stranger can come from
//!    there, and whoever runs a network on one machine has many peers on one address.
//! 4. Addresses are not logged and not kept; what is kept is a keyed hash of the network.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use choir_shared::address::{NetworkPrefix, Subnet};

use crate::error::ApiError;
use crate::serve::ConnectionPermit;

/// The proxies whose word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Arc<[IpAddr]>);

impl Proxies {
    pub fn new(addresses: Vec<IpAddr>) -> Self {
        Self(addresses.into_iter().map(|address| address.to_canonical()).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Rules 1 and 2.
    fn sender(&self, connected: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.contains(connected) {
            return connected.to_canonical();
        }
        let entries = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let entries = entries.flat_map(|value| value.split(',')).map(|entry| entry.trim().parse::<IpAddr>());
        // A broken entry ends the chain: what stands before it has passed through nobody we trust.
        let mut believed = connected;
        for entry in entries.collect::<Vec<_>>().into_iter().rev() {
            match entry {
                Ok(address) if self.contains(address) => believed = address,
                Ok(address) => return address.to_canonical(),
                Err(_) => break,
            }
        }
        believed.to_canonical()
    }
}

/// The TCP connection of a request, put into its extensions by the server. The permit lives as long as anything
/// that came over the connection does, a WebSocket above all.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    pub(crate) address: SocketAddr,
    pub(crate) permit: Arc<ConnectionPermit>,
}

/// Where a request comes from: for limits, votes and bans, and for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin(IpAddr);

impl Origin {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    pub(crate) fn network(&self) -> NetworkPrefix {
        NetworkPrefix::of(self.0)
    }

    /// The network as limits count it: rule 3.
    pub(crate) fn counted(&self) -> Option<NetworkPrefix> {
        (!self.0.is_loopback()).then(|| self.network())
    }

    pub(crate) fn lies_in(&self, subnet: &Subnet) -> bool {
        subnet.contains(self.0)
    }
}

impl<S> FromRequestParts<S> for Origin
where
    S: Send + Sync,
    Proxies: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let connected = parts.extensions.get::<Connected>().ok_or_else(|| ApiError::internal("no connection"))?;
        Ok(Self::of(Proxies::from_ref(state).sender(connected.address.ip(), &parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(proxies: &[&str], connected: &str, forwarded: &[&str]) -> String {
        let proxies = Proxies::new(proxies.iter().map(|proxy| proxy.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        proxies.sender(connected.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_in_what_it_wrote_itself() {
        const PROXY: &str = "10.0.0.1";
        let table: [(&[&str], &str, &[&str], &str); 8] = [
            (&[], "5.6.7.8", &["1.1.1.1"], "5.6.7.8"),
            (&[], "::ffff:5.6.7.8", &[], "5.6.7.8"),
            (&[PROXY], "5.6.7.8", &["1.1.1.1"], "5.6.7.8"),
            (&[PROXY], PROXY, &["1.1.1.1"], "1.1.1.1"),
            (&[PROXY], "::ffff:10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            (&[PROXY, "10.0.0.2"], PROXY, &["6.6.6.6", "1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            (&[PROXY], PROXY, &["1.1.1.1, junk"], PROXY),
            (&[PROXY], PROXY, &[], PROXY),
        ];
        for (proxies, connected, forwarded, expected) in table {
            assert_eq!(sender(proxies, connected, forwarded), expected, "{connected} {forwarded:?}");
        }
    }

    #[test]
    fn this_machine_is_not_counted() {
        assert_eq!(Origin::of("127.0.0.1".parse().unwrap()).counted(), None);
        assert_eq!(Origin::of("::1".parse().unwrap()).counted(), None);
        assert!(Origin::of("192.168.1.1".parse().unwrap()).counted().is_some());
    }
}
