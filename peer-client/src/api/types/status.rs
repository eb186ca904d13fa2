//! How this peer is doing.

use std::path::PathBuf;

use choir_shared::PeerId;
use serde::{Deserialize, Serialize};

use super::indexes::IndexStatus;

/// `GET /alive`: who listens here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive {
    pub version: String,
    pub pid: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub peer_id: PeerId,
    pub version: String,
    pub indexes: Vec<IndexStatus>,
    pub shared: Shared,
    pub reachability: Reachability,
    /// Downloads that are not finished.
    pub downloads: u64,
    /// Peers that are being sent to.
    pub uploads: u64,
    #[serde(default)]
    pub download_bytes_per_second: u64,
    #[serde(default)]
    pub upload_bytes_per_second: u64,
    /// Since the daemon started. What was fetched twice counts twice.
    #[serde(default)]
    pub downloaded_bytes: u64,
    /// Since the daemon started.
    #[serde(default)]
    pub uploaded_bytes: u64,
    /// What `reachability` means for this peer, in words.
    #[serde(default)]
    pub reachability_message: Option<String>,
    /// Where downloads land unless told otherwise.
    #[serde(default)]
    pub downloads_folder: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    pub files: u64,
    pub bytes: u64,
    /// Files still to be hashed.
    pub hashing: u64,
    /// Shared folders that are not there now.
    pub missing_folders: Vec<PathBuf>,
}

/// How others get here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reachability {
    /// Not known yet, or no index to tell.
    #[default]
    Unknown,
    /// Only from this machine: the index was reached on loopback.
    ThisMachine,
    /// At an address of its own.
    Public,
    /// Through a port that the router opened.
    PortMapped,
    /// Behind a router that lets answers through to everybody.
    Cone,
    /// Behind a router that gives each partner another port.
    Symmetric,
    /// No UDP gets out.
    Blocked,
}

/// `GET /doctor`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at: "clock", "index home", "NAT".
    pub what: String,
    pub verdict: Verdict,
    pub message: String,
    /// What would help.
    pub help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Good,
    /// Works, but could be better.
    Warning,
    Bad,
}
