//! One way to write and read every message: a header of six bytes, then postcard.
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 1 | kind, big-endian |
//! | 2 to 5 | length of the payload, big-endian |
//! | then | the payload: the struct in postcard 1.x encoding |
//!
//! The length is compared with the kind's greatest size before anything is allocated. Later minor versions append
//! fields: payload bytes after the fields that the reader knows are ignored, and an appended field is marked with
//! `#[serde(default)]`, which is what it is where an earlier version ended before it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::close::CloseCode;
use super::{Kind, fields};

pub const HEADER_BYTES: usize = 6;

/// A struct with a number and a greatest size.
pub trait Message: Serialize + DeserializeOwned {
    const KIND: Kind;
    /// The longest payload, in bytes.
    const MAX_BYTES: u32;
}

/// What precedes a payload. The kind is a bare number: it may be one that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u16,
    pub payload_bytes: u32,
}

impl Header {
    pub const fn parse(bytes: [u8; HEADER_BYTES]) -> Self {
        let [k0, k1, l0, l1, l2, l3] = bytes;
        Self { kind: u16::from_be_bytes([k0, k1]), payload_bytes: u32::from_be_bytes([l0, l1, l2, l3]) }
    }

    pub const fn is<M: Message>(&self) -> bool {
        self.kind == M::KIND as u16
    }

    /// Checks the kind and the length before the payload is read.
    pub fn expect<M: Message>(&self) -> Result<(), InvalidMessage> {
        if !self.is::<M>() {
            return Err(InvalidMessage::Unexpected { kind: self.kind });
        }
        if self.payload_bytes > M::MAX_BYTES {
            return Err(InvalidMessage::Oversized { kind: self.kind, bytes: self.payload_bytes, max: M::MAX_BYTES });
        }
        Ok(())
    }
}

/// The header and payload of `message`.
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    let header = vec![0; HEADER_BYTES];
    // Our messages are plain structs of numbers, strings and lists, which postcard always can write.
    let mut bytes = postcard::to_extend(message, header).unwrap_or_default();
    debug_assert!(bytes.len() <= HEADER_BYTES + M::MAX_BYTES as usize);
    let payload_bytes = bytes.len().saturating_sub(HEADER_BYTES) as u32;
    let [k0, k1] = (M::KIND as u16).to_be_bytes();
    let [l0, l1, l2, l3] = payload_bytes.to_be_bytes();
    for (byte, value) in bytes.iter_mut().zip([k0, k1, l0, l1, l2, l3]) {
        *byte = value;
    }
    bytes
}

/// Reads the payload of a message whose header was checked.
pub fn decode<M: Message>(payload: &[u8]) -> Result<M, InvalidMessage> {
    fields::read(payload).map_err(|_| InvalidMessage::Malformed { kind: M::KIND as u16 })
}

/// Bytes that are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    #[error("message {kind:#x} does not parse")]
    Malformed { kind: u16 },
    #[error("the stream ends in the middle of a message")]
    Incomplete,
    #[error("message {kind:#x} claims {bytes} bytes, more than the {max} it may have")]
    Oversized { kind: u16, bytes: u32, max: u32 },
    #[error("message {kind:#x} has no place here")]
    Unexpected { kind: u16 },
}

impl InvalidMessage {
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Malformed { .. } | Self::Incomplete => CloseCode::Malformed,
            Self::Oversized { .. } => CloseCode::Oversized,
            Self::Unexpected { .. } => CloseCode::Unexpected,
        }
    }
}
