//! Other peers.

use choir_shared::PeerId;
use serde::{Deserialize, Serialize};

/// What is known of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whois {
    pub peer: PeerId,
    pub name: Option<String>,
    pub online: bool,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub member_since_unix_s: Option<u64>,
    pub files: u64,
    pub bytes: u64,
    pub browsable: bool,
    /// Whether this peer has banned it.
    pub banned: bool,
    /// The indexes that know it.
    pub indexes: Vec<String>,
}
