//! `GET /info`, `GET /challenge`, `POST /sessions`.

use serde::{Deserialize, Serialize};

use crate::identity::{IndexKey, PeerId, Signature};
use crate::ticket::Ticket;

/// What anyone may know of an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Info {
    /// What its operator calls it.
    pub name: String,
    pub key: IndexKey,
    /// Of the program.
    pub version: String,
    /// Major versions of this API that the index answers.
    pub protocol_min: u16,
    pub protocol_max: u16,
    pub access: Access,
    pub limits: Limits,
    /// Where peers learn their address; without it nobody can be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendezvous: Option<UdpEndpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_of_the_day: Option<String>,
    /// After a restart peers return at a random moment within so many seconds.
    pub reconnect_spread_s: u32,
    /// URLs of all programs that serve this index at the moment; none if it is one program. What one of them refuses to
    /// do for the moment, or does not answer, may be asked of another; sessions count at all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<String>,
}

/// A UDP port of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UdpEndpoint {
    /// If absent, the host by which the peer reached the index over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub port: u16,
}

/// Who may become a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Whoever has an invite.
    Invite,
    /// Anyone.
    Open,
    /// Nobody new.
    Closed,
    /// A way of a later version. Not anyone, as far as this reader can tell.
    #[serde(other)]
    Other,
}

/// What one peer may do here. The index tells, so that clients stay within it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    pub files_per_peer: u64,
    pub searches_per_minute: u32,
    pub introductions_per_minute: u32,
    pub changes_per_minute: u32,
    pub entries_per_change_set: u32,
    pub change_set_bytes: u32,
}

/// Bytes that the index will recognise as its own for a short time; it keeps no list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Challenge {
    /// Opaque; signed as these very bytes of UTF-8 text.
    pub challenge: String,
    pub expires_in_s: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginRequest {
    pub peer: PeerId,
    pub challenge: String,
    /// As [`crate::identity::sign_login`] makes it.
    pub signature: Signature,
    /// Needed once, by a key that an index with invites does not know yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// For the header `Authorization: Bearer …`.
    pub token: String,
    pub expires_in_s: u32,
    /// For other peers.
    pub ticket: Ticket,
    /// The display name of this key here, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
