//! What this peer shares, at the door.

use std::path::PathBuf;
use std::time::Duration;

use choir_shared::library::DEFAULT_COLLECTION;
use futures_util::stream::{BoxStream, StreamExt as _};

use super::PeerService;
use crate::api::types::{FolderState, FolderStatus, LeftOut, ScanPhase, ScanProgress, ShareAdd, ShareAdded, UploadState, UploadStatus, Uploads as UploadsShown};
use crate::api::{Answer, ErrorKind, ServiceError};
use crate::config::{Rate, UploadRate};
use crate::index_client::IndexClient;
use crate::library::{self, Library};

/// Progress is for people: ten times a second looks smooth.
const TELL_EVERY: Duration = Duration::from_millis(100);
