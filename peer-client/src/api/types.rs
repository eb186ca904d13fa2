//! The JSON of the local API: what the page reads, what `--json` prints.
//!
//! Fields may be added, never renamed; units are in the names. Sizes are bytes.
//! Texts in here come from strangers as they are; whoever shows them escapes them.

mod downloads;
mod files;
mod indexes;
mod library;
mod people;
mod status;

pub use downloads::{
    DownloadAction, DownloadEvent, DownloadLimit, Downloads, NewDownload, NewDownloads, NewLimit, NewPriority,
    TakeAlternate, UploadState, UploadStatus, Uploads,
};
pub use files::{BrowsePage, FileRow, IndexNote, SearchReport};
pub use indexes::{IndexPreview, IndexState, IndexStatus, Indexes, Join, Rename, Within};
pub use library::{FolderState, FolderStatus, Folders, LeftOut, ScanPhase, ScanProgress, ShareAdd, ShareAdded};
pub use people::Whois;
pub use status::{Alive, Doctor, Finding, Reachability, Shared, Status, Verdict};
