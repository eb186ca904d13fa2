//! The peer protocol: messages on the streams of a QUIC connection with ALPN [`ALPN`].
//!
//! `PROTOCOL.md` has the prose. Here are the numbers and types: one registry ([`Kind`]), for each message a
//! struct with its greatest size, and one way to write and read them ([`frame`]).
//!
//! | stream | opened by | carries |
//! |---|---|---|
//! | unidirectional | either, once | [`Hello`] |
//! | unidirectional | either | [`BadLeaf`] |
//! | bidirectional | downloader | [`Get`] → [`Have`], hashes, bytes; or [`No`] |
//! | bidirectional | downloader | [`Enter`] → [`Place`]… → [`Granted`], or [`No`] |

pub mod close;
mod fields;
pub mod frame;
pub mod message;

pub use close::{CloseCode, StreamCode};
pub use frame::{HEADER_BYTES, Header, InvalidMessage, Message, decode, encode};
pub use message::{BadLeaf, Enter, Get, Granted, Have, Hello, LeavesHeld, No, Place, Reason};

/// Names the major version; another major version is another protocol.
pub const ALPN: &[u8] = b"choir/1";

/// The minor version this crate speaks, told in [`Hello`]. Minor versions only append fields and messages.
pub const MINOR: u16 = 0;

/// Every message of the peer protocol and of the rendezvous, so that no number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    Hello = 0x01,
    Get = 0x10,
    Have = 0x11,
    No = 0x12,
    Enter = 0x20,
    Place = 0x21,
    Granted = 0x22,
    BadLeaf = 0x30,
    Observed = 0x40,
}

impl Kind {
    pub const ALL: &[Self] = &[
        Self::Hello,
        Self::Get,
        Self::Have,
        Self::No,
        Self::Enter,
        Self::Place,
        Self::Granted,
        Self::BadLeaf,
        Self::Observed,
    ];

    /// Whether this version knows a message of this number.
    pub fn is_assigned(number: u16) -> bool {
        Self::ALL.iter().any(|kind| *kind as u16 == number)
    }
}
