//! Downloads and uploads.

use std::path::PathBuf;

use choir_shared::{FileId, PeerId};
use serde::{Deserialize, Serialize};

use crate::download::about::About;
use crate::download::group::{GroupStatus, groups};
use crate::download::priority::Priority;
use crate::download::status::{DownloadId, DownloadStatus};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Downloads {
    pub downloads: Vec<DownloadStatus>,
    /// The groups among them, each with what is missing.
    #[serde(default)]
    pub groups: Vec<GroupStatus>,
}

impl Downloads {
    pub fn of(downloads: Vec<DownloadStatus>) -> Self {
        Self { groups: groups(&downloads), downloads }
    }
}

/// `POST /downloads/{id}/take`: another file in place of a download, one of those that were offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeAlternate {
    pub file_id: FileId,
}

/// `POST /downloads`: files asked for together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDownloads {
    pub downloads: Vec<NewDownload>,
}

/// One file to fetch. What is left out, the daemon chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDownload {
    pub file_id: FileId,
    /// The name to finish under; made safe before use.
    #[serde(default)]
    pub name: Option<String>,
    /// The folder to finish in, absolute; if absent, the one of the settings.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// Folders to make inside `folder`, outermost first. They may come from strangers: each is made safe before use.
    #[serde(default)]
    pub subfolders: Vec<String>,
    /// Where inside `folder` it goes by what is said of it, as [`Template`](crate::config::Template) reads it; wins over
    /// `subfolders` if the file has tags. If absent, that of the settings, unless `folder` is given.
    #[serde(default)]
    pub template: Option<String>,
    #[serde(default)]
    pub group: Option<String>,
    /// Peers already known to hold the file.
    #[serde(default)]
    pub sources: Vec<PeerId>,
    #[serde(default)]
    pub priority: Priority,
    /// What is said of the file; if absent, what a search here has last shown.
    #[serde(default)]
    pub about: Option<About>,
}

/// `PUT /downloads/{id}/priority`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPriority {
    pub priority: Priority,
}

/// The answer of `GET` and `PUT /downloads/limit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadLimit {
    /// What is in force, as [`Rate`](crate::config::Rate) writes it: "unlimited", "2M".
    pub limit: String,
    /// Whether the schedule says so now. What was set holds again outside of its windows.
    pub by_schedule: bool,
}

/// `POST /downloads/{id}/{action}`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownloadAction {
    Pause,
    Resume,
    /// Ends it and removes what was fetched.
    Cancel,
    /// Starts a failed or cancelled one again.
    Retry,
}

impl DownloadAction {
    pub const ALL: [Self; 4] = [Self::Pause, Self::Resume, Self::Cancel, Self::Retry];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
        }
    }
}

/// An event of `GET /downloads/events`: the whole list first, and again whenever a reader fell behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DownloadEvent {
    Snapshot {
        downloads: Vec<DownloadStatus>,
    },
    /// New, or changed.
    Changed {
        download: Box<DownloadStatus>,
    },
    /// No longer in the list.
    Removed {
        id: DownloadId,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Uploads {
    pub uploads: Vec<UploadStatus>,
    /// What is in force, as [`UploadRate`](crate::config::UploadRate) writes it: "auto", "unlimited", "2M".
    pub limit: String,
    /// Whether the schedule says so now. What was set holds again outside of its windows.
    #[serde(default)]
    pub by_schedule: bool,
}

/// Somebody who fetches from here, or waits to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadStatus {
    pub peer: PeerId,
    pub name: Option<String>,
    pub file_id: Option<FileId>,
    pub file_name: Option<String>,
    pub state: UploadState,
    /// Peers before it, while it waits.
    pub ahead: Option<u32>,
    /// Sent to this peer since it came.
    pub bytes: u64,
    pub bytes_per_second: u64,
    /// "direct", "direct, same network", "this machine".
    pub path_kind: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    Queued,
    Sending,
}

/// `PUT /uploads/limit` and `PUT /downloads/limit`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLimit {
    /// As [`UploadRate`](crate::config::UploadRate) reads it; a download limit is never "auto".
    pub limit: String,
}
