//! What is told of downloads: the words that the CLI, the API and the database share.

use std::path::PathBuf;

use choir_shared::{FileId, PeerId};
use serde::{Deserialize, Serialize};

use super::about::About;
use super::alternate::Alternate;
use super::priority::Priority;

/// The number of a download in this peer's list; people type it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DownloadId(pub i64);

/// What a download is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadRequest {
    pub file: FileId,
    /// The file name to finish under; made safe before use.
    pub name: String,
    /// The folder to finish in, below which `.partial` lies meanwhile.
    pub folder: PathBuf,
    /// Downloads asked for together, such as an album, share a group.
    #[serde(default)]
    pub group: Option<String>,
    /// Peers already known to hold the file.
    #[serde(default)]
    pub sources: Vec<PeerId>,
    /// With which it begins.
    #[serde(default)]
    pub priority: Priority,
    /// What was said of the file.
    #[serde(default)]
    pub about: About,
}

/// Where a download stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Asking the indexes who has it.
    Searching,
    /// Sources are known, none has answered yet.
    Connecting,
    /// In the upload queues of all its sources.
    Queued,
    Downloading,
    /// Checking what an earlier run left, or finishing.
    Verifying,
    Paused,
    /// Nobody online has it, or something outside must change first; `reason` says which.
    Waiting,
    Done,
    Failed,
    Cancelled,
}

impl State {
    /// Whether nothing more will happen by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// Whether nothing is left to do: what failed can be tried again.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

/// Why a download is where it is: stable words for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    NoSources,
    IndexUnreachable,
    PeersUnreachable,
    QueuedAtSources,
    DiskFull,
    DiskFailed,
    FileChanged,
    Refused,
    Integrity,
    ByUser,
    /// Another download goes on in its place.
    Replaced,
    AlreadyHere,
}

/// One line of the downloads list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DownloadStatus {
    pub id: DownloadId,
    pub file_id: FileId,
    pub name: String,
    pub group: Option<String>,
    #[serde(default)]
    pub priority: Priority,
    pub state: State,
    pub reason: Option<Why>,
    /// The reason in words, with what to do about it.
    pub message: Option<String>,
    /// Peers before us in the shortest of the queues, while it waits in queues only.
    #[serde(default)]
    pub ahead: Option<u32>,
    /// When our turn may come there, as its sharer guesses.
    #[serde(default)]
    pub eta_ms: Option<u32>,
    pub bytes_done: u64,
    pub size: u64,
    pub bytes_per_second: u64,
    pub sources: Vec<SourceStatus>,
    /// Where the finished file lies.
    pub path: Option<PathBuf>,
    /// From first request to finish, once done.
    pub seconds: Option<f64>,
    /// While nobody can send it: other files that may serve, for people to take.
    #[serde(default)]
    pub alternates: Vec<Alternate>,
}

impl DownloadStatus {
    /// Of a download that has just been asked for, and has no number yet.
    pub fn of(request: &DownloadRequest) -> Self {
        Self {
            id: DownloadId(0),
            file_id: request.file,
            name: request.name.clone(),
            group: request.group.clone(),
            priority: request.priority,
            state: State::Searching,
            reason: None,
            message: None,
            ahead: None,
            eta_ms: None,
            bytes_done: 0,
            size: request.file.length().bytes(),
            bytes_per_second: 0,
            sources: vec![],
            path: None,
            seconds: None,
            alternates: vec![],
        }
    }

    /// Whether another file could be taken for it: nothing of it comes now.
    pub const fn is_stuck(&self) -> bool {
        !matches!(self.state, State::Downloading | State::Verifying | State::Done | State::Cancelled)
    }

    /// Whether nobody online has what is missing.
    pub fn waits_for_a_source(&self) -> bool {
        (self.state, self.reason) == (State::Waiting, Some(Why::NoSources))
    }
}

/// One source of one download.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    pub peer: PeerId,
    pub name: Option<String>,
    /// Verified bytes that came from it.
    pub bytes: u64,
    pub bytes_per_second: u64,
    /// "direct", "direct, same network", "this machine"; `None` until connected.
    pub path_kind: Option<String>,
    /// What it is doing, in words: "sending", "queued, 3 ahead", "banned: sent wrong bytes".
    pub note: Option<String>,
}
