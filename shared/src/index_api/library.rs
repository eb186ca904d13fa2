//! `POST /library/changes`: how a peer tells the index what it shares.
//!
//! A change set is applied whole or not at all, and repeating one changes nothing. Each names the generation it
//! builds on; if the index has another, it answers [`WrongBase`](super::ErrorCode::WrongBase) with its own, and
//! the peer resyncs: it sends everything again as sets with [`Phase::Staging`], the last with [`Phase::Commit`].
//! Until the commit others see the old library.

use serde::{Deserialize, Serialize};

use crate::claim::Claim;
use crate::digest::Digest;
use crate::file_id::FileId;
use crate::library::{Head, LibraryDigest};

/// Most entries (additions, removals and folders together) of one set.
pub const MAX_ENTRIES: usize = 1000;

/// Most bytes of one set, after unpacking.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Most bytes of a folder's path.
pub const MAX_FOLDER_BYTES: usize = 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeSet {
    pub collection: String,
    /// The generation that this set builds on; not looked at while staging.
    pub base_generation: u64,
    /// The generation afterwards; greater than the base.
    pub generation: u64,
    #[serde(default)]
    pub phase: Phase,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<Folder>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Addition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<FileId>,
    /// The signed state afterwards. With it the index checks that both sides count alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
}

/// What a change set is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A change by itself.
    #[default]
    Change,
    /// The first set of a resync: forgets what was staged before.
    Begin,
    /// Part of a resync; nothing is visible yet.
    Staging,
    /// The last set of a resync: what was staged, this set included, replaces the collection.
    Commit,
}

/// A folder gets a number once, so that holdings need not repeat its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Folder {
    /// Chosen by the peer, unique within the collection.
    pub number: u32,
    /// `Alias/Sub folder`, slashes between, never absolute; `None` removes the folder.
    pub path: Option<String>,
}

/// One holding. A file is listed once in a collection, even if it lies in two places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Addition {
    pub file: FileId,
    pub folder: u32,
    pub claim_hash: Digest,
    /// May be left out where the index may know it already; if it does not, nothing is applied and the hash is
    /// returned in [`ChangesAnswer::unknown_claims`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangesAnswer {
    /// What the index has now.
    pub generation: u64,
    pub digest: LibraryDigest,
    pub count: u64,
    /// If there are any, the set was not applied: send it again with these claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_claims: Vec<Digest>,
}
