//! The road: one UDP socket, one QUIC endpoint, and a connection to any peer that can be reached.
//!
//! - [`tls`]: raw public keys both ways; the only place that replaces rustls' certificate verifier.
//! - [`endpoint`]: the socket and the transport limits.
//! - [`congestion`]: which lost packets mean that a line is full.
//! - [`rendezvous`]: where an index sees us.
//! - [`surroundings`]: the networks this machine is attached to.
//! - [`farewell`]: how connections are closed.
//! - [`reach`]: dials the candidates of a peer, keeps and reuses connections, takes incoming ones.
//!
//! Rules:
//! 1. A peer is its key. The dialler knows the key it expects, and the handshake fails with any other.
//! 2. Only candidates that [`choir_shared::dial`] permits are dialled, and none that failed thrice lately.
//! 3. One connection serves a pair of peers both ways. If both dialled at once, both connections live; each side
//!    goes on using the one it has.

mod attempts;
mod congestion;
mod door;
pub mod endpoint;
pub(crate) mod farewell;
pub mod reach;
pub mod rendezvous;
pub mod surroundings;
pub mod tls;

pub use endpoint::{Endpoint, EndpointOptions};
pub use reach::{ConnectError, Reach, Route};
