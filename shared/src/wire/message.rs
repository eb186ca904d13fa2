//! The messages between peers, each with its golden bytes in the tests below.

use serde::{Deserialize, Serialize};

use super::Kind;
use super::frame::Message;
use crate::file_id::FileId;
use crate::identity::PeerId;
use crate::leaf::{FileLength, LeafRange, LeafSet};
use crate::ticket::Ticket;

/// Most tickets a [`Hello`] carries: a peer rarely belongs to more private indexes than this.
pub const MAX_TICKETS: usize = 16;

/// Most other sources a [`Have`] names.
pub const MAX_MORE_SOURCES: usize = 8;

/// The bit of [`Hello::features`] of who passes on the verified parts of what it is still fetching.
pub const SERVES_PARTS: u32 = 1;

/// Said once by each side on a stream of its own; nobody waits for it, except a sharer that must see a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The minor version of the speaker.
    pub minor: u16,
    /// Bits for optional abilities ([`SERVES_PARTS`]); unknown ones are ignored.
    pub features: u32,
    /// Program and version, for people: "choir 0.1.0".
    pub agent: String,
    /// Tickets of the indexes the two may share.
    pub tickets: Vec<Ticket>,
}

impl Message for Hello {
    const KIND: Kind = Kind::Hello;
    const MAX_BYTES: u32 = 4 * 1024;
}

/// Asks for a range of leaves, and the tree layer if the downloader has not yet got it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Get {
    pub file: FileId,
    pub first_leaf: u32,
    /// 0 asks for no bytes: only what the sharer has, and the layer if wanted.
    pub leaf_count: u32,
    pub want_layer: bool,
    /// 0 to 255; higher is served first among the streams of one connection.
    pub priority: u8,
}

impl Get {
    /// The range asked for: `None` if it is empty, an error if the file has no such leaves.
    pub fn range(&self) -> Result<Option<LeafRange>, NoSuchLeaves> {
        if self.leaf_count == 0 {
            return Ok(None);
        }
        self.file.length().range(self.first_leaf, self.leaf_count).map(Some).ok_or(NoSuchLeaves)
    }
}

impl Message for Get {
    const KIND: Kind = Kind::Get;
    const MAX_BYTES: u32 = 256;
}

/// A [`Get`] for leaves past the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file has no such leaves")]
pub struct NoSuchLeaves;

/// The answer to a [`Get`] that is served. On the same stream follow, without framing and in this order:
/// the tree layer if it was wanted, the leaf hashes of the range if the layer lies above the leaves,
/// and the bytes of the range. All three lengths follow from the request; none is repeated here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    pub leaves: LeavesHeld,
    /// Others that have some of the file; at most [`MAX_MORE_SOURCES`].
    pub more_sources: Vec<PeerId>,
}

impl Message for Have {
    const KIND: Kind = Kind::Have;
    /// A bitmap of the largest file has 128 KiB.
    const MAX_BYTES: u32 = 192 * 1024;
}

/// Which leaves of a file the sharer can serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeavesHeld {
    All,
    /// As [`LeafSet::to_bitmap`].
    Bitmap(Vec<u8>),
}

impl LeavesHeld {
    pub fn of(set: &LeafSet) -> Self {
        if set.is_full() { Self::All } else { Self::Bitmap(set.to_bitmap()) }
    }

    /// `None` if the bitmap is not one of a file of this length.
    pub fn to_set(&self, length: FileLength) -> Option<LeafSet> {
        match self {
            Self::All => Some(LeafSet::full(length)),
            Self::Bitmap(bitmap) => LeafSet::from_bitmap(length, bitmap),
        }
    }
}

/// The answer to a request that is not served. The connection lives on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct No {
    pub reason: Reason,
    /// When asking again may help; 0 where it never will.
    pub retry_after_ms: u32,
}

impl Message for No {
    const KIND: Kind = Kind::No;
    const MAX_BYTES: u32 = 256;
}

/// Why a request is not served. Later versions may know more reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(from = "u32", into = "u32")]
pub enum Reason {
    #[error("the file is not shared there")]
    NotShared,
    #[error("no upload slot is free")]
    Busy,
    #[error("the file changed since it was published")]
    Changed,
    #[error("the sharer refuses")]
    Refused,
    #[error("the other side does not know such a request")]
    Unsupported,
    /// A reason of a later version: refused for now.
    #[error("the sharer refuses, for a reason that a later version knows (number {0})")]
    Other(u32),
}

impl From<u32> for Reason {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::NotShared,
            1 => Self::Busy,
            2 => Self::Changed,
            3 => Self::Refused,
            4 => Self::Unsupported,
            later => Self::Other(later),
        }
    }
}

impl From<Reason> for u32 {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NotShared => 0,
            Reason::Busy => 1,
            Reason::Changed => 2,
            Reason::Refused => 3,
            Reason::Unsupported => 4,
            Reason::Other(later) => later,
        }
    }
}

/// Takes a place in the upload queue. The place lasts exactly as long as this stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enter {
    /// How many files the downloader means to fetch, and how many bytes in all; only for estimates.
    pub files: u32,
    pub bytes: u64,
}

impl Message for Enter {
    const KIND: Kind = Kind::Enter;
    const MAX_BYTES: u32 = 256;
}

/// Where the downloader stands in the queue; sent at once and whenever it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub ahead: u32,
    /// An estimate; `None` where nothing is known yet.
    pub eta_ms: Option<u32>,
}

impl Message for Place {
    const KIND: Kind = Kind::Place;
    const MAX_BYTES: u32 = 256;
}

/// The slot is the downloader's while the stream stays open and the slot is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// How long the slot may lie idle before it is taken back.
    pub idle_ms: u32,
}

impl Message for Granted {
    const KIND: Kind = Kind::Granted;
    const MAX_BYTES: u32 = 256;
}

/// Tells a sharer that a leaf from it was wrong, so that it reads the file again and corrects what it publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadLeaf {
    pub file: FileId,
    pub leaf: u32,
}

impl Message for BadLeaf {
    const KIND: Kind = Kind::BadLeaf;
    const MAX_BYTES: u32 = 256;
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::super::{HEADER_BYTES, Header, InvalidMessage, decode, encode};
    use super::*;
    use crate::digest::Digest;
    use crate::identity::SecretKey;
    use crate::rendezvous::Observed;

    fn file() -> FileId {
        FileId::new(Digest::new([0xab; 32]), FileLength::new(100_000).unwrap())
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes that every version of the protocol must write for `message`, and read back as it.
    fn golden<M: Message + PartialEq + Debug>(message: M, bytes: &str) {
        let encoded = encode(&message);
        assert_eq!(hex(&encoded), bytes);
        let (header, payload) = encoded.split_first_chunk::<HEADER_BYTES>().unwrap();
        let header = Header::parse(*header);
        header.expect::<M>().unwrap();
        assert_eq!(header.payload_bytes as usize, payload.len());
        assert_eq!(decode::<M>(payload).unwrap(), message);
        let longer = [payload, b"fields of a later version"].concat();
        assert_eq!(decode::<M>(&longer).unwrap(), message);
        for end in 0..payload.len() {
            assert_eq!(decode::<M>(&payload[..end]), Err(InvalidMessage::Malformed { kind: M::KIND as u16 }));
        }
    }

    #[test]
    fn golden_bytes() {
        let root = "ab".repeat(32);
        golden(
            Hello { minor: 0, features: 0, agent: "choir 0.1.0".into(), tickets: vec![] },
            "00010000000f00000b63686f697220302e312e3000",
        );
        let index = SecretKey::from_seed(&[1; 32]);
        let ticket = Ticket::issue(&index, SecretKey::from_seed(&[2; 32]).peer_id(), 1_800_000_000);
        let hello = Hello { minor: 1, features: 5, agent: String::new(), tickets: vec![ticket.clone()] };
        let expected = format!(
            "00010000008901050001{}{}80a4a7da06{}",
            hex(ticket.index.as_bytes()),
            hex(ticket.peer.as_bytes()),
            hex(ticket.signature.as_bytes())
        );
        golden(hello, &expected);
        golden(
            Get { file: file(), first_leaf: 1, leaf_count: 300, want_layer: true, priority: 7 },
            &format!("001000000028{root}a08d0601ac020107"),
        );
        golden(Have { leaves: LeavesHeld::All, more_sources: vec![] }, "0011000000020000");
        let peer = index.peer_id();
        golden(
            Have { leaves: LeavesHeld::Bitmap(vec![0x7f]), more_sources: vec![peer] },
            &format!("00110000002401017f01{}", hex(peer.as_bytes())),
        );
        golden(No { reason: Reason::NotShared, retry_after_ms: 0 }, "0012000000020000");
        golden(No { reason: Reason::Busy, retry_after_ms: 1000 }, "00120000000301e807");
        golden(No { reason: Reason::Changed, retry_after_ms: 0 }, "0012000000020200");
        golden(No { reason: Reason::Refused, retry_after_ms: 0 }, "0012000000020300");
        golden(No { reason: Reason::Unsupported, retry_after_ms: 0 }, "0012000000020400");
        golden(No { reason: Reason::Other(300), retry_after_ms: 1000 }, "001200000004ac02e807");
        golden(Enter { files: 2, bytes: 1_000_000 }, "00200000000402c0843d");
        golden(Place { ahead: 3, eta_ms: None }, "0021000000020300");
        golden(Place { ahead: 3, eta_ms: Some(1500) }, "0021000000040301dc0b");
        golden(Granted { idle_ms: 10_000 }, "002200000002904e");
        golden(BadLeaf { file: file(), leaf: 6 }, &format!("003000000024{root}a08d0606"));
        golden(Observed { address: "127.0.0.1:6699".parse().unwrap() }, "004000000007007f000001ab34");
        golden(
            Observed { address: "[2a00::1]:6699".parse().unwrap() },
            "004000000013012a000000000000000000000000000001ab34",
        );
    }

    #[test]
    fn what_the_sharer_holds_is_said_in_one_of_two_ways() {
        // What follows a number that is not known might have any length.
        assert_eq!(decode::<Have>(&[2, 0]), Err(InvalidMessage::Malformed { kind: Kind::Have as u16 }));
    }

    #[test]
    fn lengths_are_checked_before_the_payload() {
        let header = Header { kind: Kind::Get as u16, payload_bytes: u32::MAX };
        assert!(matches!(header.expect::<Get>(), Err(InvalidMessage::Oversized { .. })));
        assert!(matches!(header.expect::<Hello>(), Err(InvalidMessage::Unexpected { .. })));
    }

    proptest! {
        #[test]
        fn junk_never_panics(payload: Vec<u8>) {
            let _ = decode::<Hello>(&payload);
            if let Ok(get) = decode::<Get>(&payload) {
                let _ = get.range();
            }
            if let Ok(have) = decode::<Have>(&payload) {
                let _ = have.leaves.to_set(file().length());
            }
            let _ = decode::<No>(&payload);
            let _ = decode::<Enter>(&payload);
            let _ = decode::<Place>(&payload);
            let _ = decode::<Granted>(&payload);
            let _ = decode::<BadLeaf>(&payload);
            let _ = decode::<Observed>(&payload);
        }
    }
}
