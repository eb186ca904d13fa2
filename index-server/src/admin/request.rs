//! What the operator may ask for, and how it stands on the socket.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Peers are named by their key or their display name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// A join link, with a new invite if one is needed.
    Link,
    Invite {
        uses: u32,
        days: u32,
        /// The member who answers for those who come with it; `None`: the operator.
        #[serde(default)]
        by: Option<String>,
    },
    Invites,
    /// The invite whose label begins so.
    Revoke {
        invite: String,
    },
    Members,
    Ban {
        target: String,
        reason: String,
        days: Option<u32>,
    },
    /// A member and all who came through it.
    BanBranch {
        peer: String,
        reason: String,
        days: Option<u32>,
    },
    Unban {
        target: String,
    },
    Bans,
    Block {
        kind: String,
        value: String,
        reason: String,
    },
    Unblock {
        kind: String,
        value: String,
    },
    Blocks,
    Reports {
        all: bool,
    },
    CloseReport {
        no: u64,
        outcome: String,
    },
    /// Who this is.
    Name {
        peer: String,
    },
    Rename {
        peer: String,
        name: String,
    },
    FreeName {
        peer: String,
    },
    /// What a member may do.
    Quota {
        peer: String,
    },
    /// `None` leaves it as it is.
    SetQuota {
        peer: String,
        files: Option<u64>,
        changes_per_minute: Option<NonZeroU32>,
    },
    /// As for everybody.
    ResetQuota {
        peer: String,
    },
    /// `None` asks for it; an empty one is none.
    MessageOfTheDay {
        text: Option<String>,
    },
    Export {
        peer: String,
    },
    Erase {
        peer: String,
    },
    Audit {
        limit: u32,
    },
}

/// What is printed, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Done(String),
    Failed(String),
}
