//! `/me`, `/files/{id}/sources`, `/introductions`, `/peers/{key or name}` and `/peers/{key or name}/library`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::search::SearchRow;
use crate::file_id::FileId;
use crate::identity::PeerId;

/// Most sources that one answer lists.
pub const MAX_SOURCES: usize = 20;

/// Most characters of a display name: long ones push everything else off a line. A key's text is longer, so that
/// no text can be both.
pub const MAX_NAME_CHARS: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    pub peer: PeerId,
    pub name: Option<String>,
    /// Whether others may browse my library, also while I am offline.
    pub browsable: bool,
}

/// `PUT /me`: what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MeUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browsable: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sources {
    /// At most [`MAX_SOURCES`], chosen at random among those online.
    pub sources: Vec<Source>,
    /// How many are online in all.
    pub online: u32,
}

/// A peer that holds a file. Never an address: those take an introduction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Source {
    pub peer: PeerId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub reach: Reach,
    /// `false` for one that is still fetching the file itself.
    pub complete: bool,
}

/// How a peer can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// The rendezvous has proved an address.
    Direct,
    /// Online, but without a proved address; or reachable in a way that a later version knows.
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntroductionRequest {
    pub peer: PeerId,
    pub file: FileId,
}

/// Where a peer may be met. The peer is told who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Introduction {
    pub peer: PeerId,
    pub candidates: Vec<Candidate>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Candidate {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub address: SocketAddr,
    pub kind: CandidateKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CandidateKind {
    /// The index itself saw the peer there (the reflexive address).
    Observed,
    /// A kind of a later version.
    #[serde(other)]
    Other,
}

/// What is known of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Profile {
    pub peer: PeerId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub online: bool,
    /// Seconds since 1970-01-01T00:00:00Z, rounded down to the day.
    pub member_since_unix_s: u64,
    pub files: u64,
    pub bytes: u64,
    pub browsable: bool,
}

/// `GET /peers/{key or name}/library?folder=…&cursor=…`: one folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LibraryPage {
    /// Whose library it is; the question may have had a name only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub folder: String,
    /// Folders directly inside.
    pub folders: Vec<LibraryFolder>,
    /// Files directly inside.
    pub files: Vec<SearchRow>,
    /// The `cursor` of the next page of files, if there is one.
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LibraryFolder {
    /// The whole path, for the next question.
    pub path: String,
    /// Files inside, at any depth.
    pub files: u64,
}
