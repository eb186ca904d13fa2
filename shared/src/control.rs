//! The control connection: `GET /control`, a WebSocket of JSON text messages `{"type": …}`.
//!
//! A peer is online exactly as long as it has one (and for a short lease after it broke). The newest of one key
//! wins; the older is told and closed. Messages of an unknown type are ignored by both sides, so that either may
//! be newer. The peer speaks first, with [`FromPeer::Hello`]; the index answers [`FromIndex::Welcome`].

use serde::{Deserialize, Serialize};

use crate::file_id::FileId;
use crate::identity::PeerId;
use crate::index_api::Candidate;
use crate::library::LibraryDigest;

/// The longest message either way, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Most files that one peer waits for at one index.
pub const MAX_WATCHED: usize = 500;

/// Most unfinished downloads that one peer offers parts of.
pub const MAX_FETCHING: usize = 100;

/// Most files that one [`FromIndex::Blocked`] names.
pub const MAX_TOLD_BLOCKED: usize = 500;

/// What a peer says to its index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPeer {
    /// First of all: what this peer believes the index knows of it.
    Hello { agent: String, collections: Vec<CollectionState> },
    /// The files this peer waits for; replaces the list said before.
    Watch { files: Vec<FileId> },
    /// The files this peer has verified parts of and serves; replaces the list said before.
    Fetching { files: Vec<FileId> },
    #[serde(other)]
    Unknown,
}

/// What an index says to a peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromIndex {
    /// Which collections the index has lost or knows differently; all others are up to date.
    Welcome { resync: Vec<CollectionState> },
    /// Somebody was told how to reach this peer, for this file.
    Introduction {
        peer: PeerId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        file: FileId,
        candidates: Vec<Candidate>,
    },
    /// The index has another state of this collection than it should: publish it again.
    Resync(CollectionState),
    /// Watched files that now have a source online, one more, or one back that was lost.
    Available { files: Vec<FileId> },
    /// Files of this peer that the operator lets nobody find. They stay in its library, and nobody is introduced for
    /// them.
    Blocked {
        files: Vec<FileId>,
        /// Of all that are meant; [`MAX_TOLD_BLOCKED`] are named.
        count: u64,
        /// In the operator's words; may be empty.
        reason: String,
    },
    /// A newer connection of the same key took over; this one ends.
    Superseded,
    /// The index shuts down; come back within so many seconds, at random.
    Closing { reconnect_spread_s: u32 },
    #[serde(other)]
    Unknown,
}

/// One collection at one index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionState {
    pub collection: String,
    pub generation: u64,
    pub digest: LibraryDigest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_messages() {
        let state = CollectionState { collection: "everyone".into(), generation: 3, digest: LibraryDigest::EMPTY };
        let zeros = "0".repeat(64);
        let everyone = format!(r#"{{"collection":"everyone","generation":3,"digest":"{zeros}"}}"#);
        let hello = FromPeer::Hello { agent: "choir 0.1.0".into(), collections: vec![state.clone()] };
        let text = format!(r#"{{"type":"hello","agent":"choir 0.1.0","collections":[{everyone}]}}"#);
        assert_eq!(serde_json::to_string(&hello).unwrap(), text);
        assert_eq!(serde_json::from_str::<FromPeer>(&text).unwrap(), hello);

        let resync = FromIndex::Resync(state);
        let text = format!(r#"{{"type":"resync","collection":"everyone","generation":3,"digest":"{zeros}"}}"#);
        assert_eq!(serde_json::to_string(&resync).unwrap(), text);
        assert_eq!(serde_json::from_str::<FromIndex>(&text).unwrap(), resync);
        let file = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad-3";
        let blocked =
            FromIndex::Blocked { files: vec![file.parse().unwrap()], count: 1, reason: "asked to".to_owned() };
        let text = format!(r#"{{"type":"blocked","files":["{file}"],"count":1,"reason":"asked to"}}"#);
        assert_eq!(serde_json::to_string(&blocked).unwrap(), text);
        assert_eq!(serde_json::to_string(&FromIndex::Superseded).unwrap(), r#"{"type":"superseded"}"#);
    }

    #[test]
    fn messages_of_later_versions_are_understood_as_unknown() {
        let text = r#"{"type":"chat","room":"lobby","text":"hello"}"#;
        assert_eq!(serde_json::from_str::<FromIndex>(text).unwrap(), FromIndex::Unknown);
        assert_eq!(serde_json::from_str::<FromPeer>(text).unwrap(), FromPeer::Unknown);
    }
}
