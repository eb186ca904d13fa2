//! How a peer learns its own address.
//!
//! Every online peer keeps one QUIC connection to the rendezvous address of its index, from the very socket on
//! which it takes peer connections, with ALPN [`ALPN`] and raw public keys both ways. The index opens one
//! unidirectional stream and writes an [`Observed`] at once and whenever the address it sees changes.
//! Because the handshake completed, the address is proved: nobody gets listed at an address that is not theirs.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::wire::{Kind, Message};

pub const ALPN: &[u8] = b"choir-rendezvous/1";

/// Home routers forget a UDP mapping after 30 s and more (RFC 4787 REQ-5 asks for 2 minutes, many do less).
pub const KEEP_ALIVE_S: u64 = 20;

/// Where the index sees the peer, in canonical form (IPv4 as IPv4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    pub address: SocketAddr,
}

impl Message for Observed {
    const KIND: Kind = Kind::Observed;
    const MAX_BYTES: u32 = 256;
}
