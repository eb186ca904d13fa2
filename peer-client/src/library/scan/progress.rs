//! What people and programs see of a scan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::left_out::LeftOut;

/// How far the scan is. Files and bytes are counted from the last time that everything was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScanProgress {
    pub phase: ScanPhase,
    pub files_seen: u64,
    pub files_to_hash: u64,
    pub files_hashed: u64,
    pub bytes_to_hash: u64,
    pub bytes_hashed: u64,
    /// Since the program was started.
    pub bytes_hashed_in_all: u64,
    pub left_out: Vec<LeftOut>,
    pub missing_folders: Vec<MissingFolder>,
    pub watching: Watching,
    /// By alias.
    #[serde(skip)]
    pub(crate) folders: BTreeMap<String, FolderProgress>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanPhase {
    /// Everything is known and published.
    #[default]
    Idle,
    /// Folders are looked through; what is found is hashed meanwhile.
    Looking,
    Hashing,
}

/// A shared folder that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingFolder {
    pub alias: String,
    pub path: PathBuf,
}

/// How changes are noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum Watching {
    /// At once.
    #[default]
    Notified,
    /// By looking every so often.
    Polling { every_s: u64, reason: String },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FolderProgress {
    pub(crate) watching: Watching,
    pub(crate) left_out: Vec<LeftOut>,
}
