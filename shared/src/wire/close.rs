//! Why connections and streams end: the application error codes that QUIC carries.

/// The code in a CONNECTION_CLOSE frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// Nothing is left to do.
    Done = 0x00,
    /// The program ends.
    Leaving = 0x01,
    /// Bytes that are no message.
    Malformed = 0x02,
    /// A message longer than its kind may be.
    Oversized = 0x03,
    /// A message that has no place there.
    Unexpected = 0x04,
    /// A leaf, a leaf hash or a tree layer that does not belong to the file.
    BadData = 0x05,
    /// The key is banned here.
    Banned = 0x06,
    /// No valid ticket of an index that this peer's shares belong to.
    NotAMember = 0x07,
    /// Too many connections in all, from this network, or from this key.
    TooMany = 0x08,
    /// Another connection between the same two peers is used instead.
    Superseded = 0x09,
}

/// The code in a RESET_STREAM or STOP_SENDING frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum StreamCode {
    /// The downloader no longer wants these bytes.
    Cancelled = 0x10,
    /// The file changed while it was being sent; what was sent may be of either version.
    Changed = 0x11,
    /// The sharer cannot read the file.
    ReadFailed = 0x12,
    /// The reader took less than the least rate while others waited.
    TooSlow = 0x13,
    /// The upload slot was taken back.
    SlotEnded = 0x14,
}

macro_rules! codes {
    ($name:ident { $($variant:ident),* $(,)? }) => {
        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub const fn code(self) -> u32 {
                self as u32
            }

            /// `None` for codes of later versions, which mean no more than that it ended.
            pub fn from_code(code: u64) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| u64::from(known.code()) == code)
            }
        }
    };
}

codes!(CloseCode { Done, Leaving, Malformed, Oversized, Unexpected, BadData, Banned, NotAMember, TooMany, Superseded });
codes!(StreamCode { Cancelled, Changed, ReadFailed, TooSlow, SlotEnded });
