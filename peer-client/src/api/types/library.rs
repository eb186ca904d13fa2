//! What this peer shares.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::api::ServiceError;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folders {
    pub folders: Vec<FolderStatus>,
}

/// One shared folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderStatus {
    pub folder: PathBuf,
    /// What others see instead of the path.
    pub alias: String,
    pub collection: String,
    pub state: FolderState,
    pub files: u64,
    pub bytes: u64,
    pub left_out: Vec<LeftOut>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderState {
    Ready,
    Scanning,
    /// An unmounted disk: absent, not emptied.
    Missing,
}

/// How many files were not shared for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// In words: "hidden", "not audio".
    pub reason: String,
    pub count: u64,
}

/// `POST /folders`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareAdd {
    /// Absolute.
    pub path: PathBuf,
    #[serde(default)]
    pub collection: Option<String>,
    #[serde(default)]
    pub alias: Option<String>,
}

/// What is found in a folder that was added. Hashing and publishing go on, see [`ScanProgress`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareAdded {
    pub folder: PathBuf,
    pub files: u64,
    pub left_out: Vec<LeftOut>,
    #[serde(default)]
    pub bytes: u64,
    #[serde(default)]
    pub alias: String,
    #[serde(default)]
    pub collection: String,
}

/// Where scanning and publishing stand: an event of `GET /library/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanProgress {
    pub phase: ScanPhase,
    pub files_done: u64,
    pub files_total: u64,
    pub bytes_done: u64,
    pub bytes_total: u64,
    /// What is being read, for people.
    #[serde(default)]
    pub current: Option<String>,
    /// Why publishing cannot go on; it is tried again by itself.
    #[serde(default)]
    pub blocked: Option<ServiceError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanPhase {
    /// Looking for files.
    Walking,
    Hashing,
    /// Telling the indexes.
    Publishing,
    /// Everything is hashed, and the indexes that are joined know it.
    Idle,
}
