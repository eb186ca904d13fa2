//! What the daemon does for its faces: one method per use case.
//!
//! The HTTP server turns requests into these calls and adds nothing but the guard; the daemon implements them.
//! Peers are named as people name them (display name or key), indexes by name or URL; the daemon resolves both and
//! answers [`Ambiguous`](super::ErrorKind::Ambiguous) or [`NotFound`](super::ErrorKind::NotFound). Answers have the key
//! and the name as the index has it, so that people see who was meant.

use std::path::PathBuf;

use choir_shared::FileId;
use choir_shared::query::SearchParams;
use futures_util::stream::BoxStream;

use super::error::Answer;
use super::types::{
    BrowsePage, Doctor, DownloadAction, DownloadEvent, DownloadLimit, FileRow, FolderStatus, IndexPreview, IndexStatus,
    Join, NewDownload, ScanProgress, SearchReport, ShareAdd, ShareAdded, Status, Uploads, Whois, Within,
};
use crate::config::{Rate, UploadRate};
use crate::download::priority::Priority;
use crate::download::status::{DownloadId, DownloadStatus};

/// Everything that a face can ask of the peer. Implementors write `async fn`.
pub trait Service: Send + Sync + 'static {
    fn status(&self) -> impl Future<Output = Answer<Status>> + Send;

    fn indexes(&self) -> impl Future<Output = Answer<Vec<IndexStatus>>> + Send;

    /// Asks an index who it is, without joining it.
    fn index_preview(&self, link: String) -> impl Future<Output = Answer<IndexPreview>> + Send;

    /// Logs in, pins the key, asks for the name if one is given, and remembers the index.
    fn join(&self, join: Join) -> impl Future<Output = Answer<IndexStatus>> + Send;

    /// Forgets an index, and erases this peer there if it answers.
    fn leave(&self, index: String) -> impl Future<Output = Answer<IndexStatus>> + Send;

    fn set_default_index(&self, index: String) -> impl Future<Output = Answer<IndexStatus>> + Send;

    /// Asks for another display name. Answers with the indexes that now know it.
    fn rename(&self, name: String, within: Within) -> impl Future<Output = Answer<Vec<IndexStatus>>> + Send;

    fn folders(&self) -> impl Future<Output = Answer<Vec<FolderStatus>>> + Send;

    /// Shares a folder: answers as soon as its files are counted. From then until all of them are hashed and
    /// published, [`scan_events`](Self::scan_events) does not say idle.
    fn share_add(&self, add: ShareAdd) -> impl Future<Output = Answer<ShareAdded>> + Send;

    /// Stops sharing a folder, named by path or alias. The files stay where they are.
    fn share_remove(&self, folder: PathBuf) -> impl Future<Output = Answer<FolderStatus>> + Send;

    /// Looks through all shared folders again; scan events as with [`share_add`](Self::share_add).
    fn rescan(&self) -> impl Future<Output = Answer<()>> + Send;

    /// How the scan stands, at once and then whenever that changes (at most some ten times a second).
    fn scan_events(&self) -> BoxStream<'static, ScanProgress>;

    fn search(&self, params: SearchParams, within: Within) -> impl Future<Output = Answer<SearchReport>> + Send;

    /// Looks one file up, by id or by the first digits of its root (at least eight) among the files that this peer
    /// has, downloads or saw in searches.
    fn file(&self, id: String, within: Within) -> impl Future<Output = Answer<FileRow>> + Send;

    /// Answers with one status for each that was asked for, in the same order. A file that is here already is
    /// `done` with reason `already_here` and its path; one that cannot be started is `failed` with its reason.
    fn download_start(
        &self,
        downloads: Vec<NewDownload>,
        within: Within,
    ) -> impl Future<Output = Answer<Vec<DownloadStatus>>> + Send;

    fn downloads(&self) -> impl Future<Output = Answer<Vec<DownloadStatus>>> + Send;

    /// One download. If it is stuck, the indexes are asked first what could be had in place of it.
    fn download(&self, id: DownloadId) -> impl Future<Output = Answer<DownloadStatus>> + Send;

    fn download_change(
        &self,
        id: DownloadId,
        action: DownloadAction,
    ) -> impl Future<Output = Answer<DownloadStatus>> + Send;

    /// Fetches another file that was offered in place of a download, which ends. Answers with the new one;
    /// [`NotFound`](super::ErrorKind::NotFound) if the file was not offered.
    fn download_take(&self, id: DownloadId, file: FileId) -> impl Future<Output = Answer<DownloadStatus>> + Send;

    /// A snapshot, then every change without a gap; a reader that falls behind gets a new snapshot.
    fn download_events(&self) -> BoxStream<'static, DownloadEvent>;

    fn uploads(&self) -> impl Future<Output = Answer<Uploads>> + Send;

    /// Holds at once and is remembered.
    fn download_limit(&self) -> impl Future<Output = Answer<DownloadLimit>> + Send;

    /// Holds at once, and over restarts; outside of the windows of the schedule.
    fn set_download_limit(&self, limit: Rate) -> impl Future<Output = Answer<DownloadLimit>> + Send;

    /// Comes before others, or after them, from now on.
    fn download_priority(
        &self,
        id: DownloadId,
        priority: Priority,
    ) -> impl Future<Output = Answer<DownloadStatus>> + Send;

    fn set_upload_limit(&self, limit: UploadRate) -> impl Future<Output = Answer<Uploads>> + Send;

    /// One folder of a peer's library; the empty path is its top.
    fn browse(
        &self,
        peer: String,
        folder: String,
        cursor: Option<String>,
        within: Within,
    ) -> impl Future<Output = Answer<BrowsePage>> + Send;

    fn whois(&self, peer: String, within: Within) -> impl Future<Output = Answer<Whois>> + Send;

    /// Neither serves nor asks this peer any more. The ban is on the key that the name means now, and a name must be
    /// certain: every index that was asked has answered.
    fn ban(&self, peer: String, within: Within) -> impl Future<Output = Answer<Whois>> + Send;

    /// [`NotFound`](super::ErrorKind::NotFound) if the peer is not banned.
    fn unban(&self, peer: String, within: Within) -> impl Future<Output = Answer<Whois>> + Send;

    /// Looks at everything that must work, or at the way to one peer.
    fn doctor(&self, peer: Option<String>, within: Within) -> impl Future<Output = Answer<Doctor>> + Send;

    /// Asks the daemon to end; answers before it does.
    fn stop(&self) -> impl Future<Output = Answer<()>> + Send;
}
