//! What the daemon does for its faces: the door's use cases, each put together from the parts below.
//!
//! The methods here only name the parts; what takes more than a few lines is in the files beside.

mod downloads;
mod files;
mod meant;
mod people;
mod sharing;
mod status;

use std::path::PathBuf;
use std::sync::Arc;

use choir_shared::FileId;
use choir_shared::query::SearchParams;
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use super::bans::Bans;
use super::errors::list_error;
use super::indexes::Indexes;
use super::limits::Limits;
use super::seen::Seen;
use crate::api::types::{
    BrowsePage, Doctor, DownloadAction, DownloadEvent, DownloadLimit, FileRow, FolderStatus, IndexPreview, IndexStatus,
    Join, NewDownload, ScanProgress, SearchReport, ShareAdd, ShareAdded, Status, Uploads as UploadsShown, Whois,
    Within,
};
use crate::api::{Answer, Service};
use crate::config::{Rate, Settings, UploadRate};
use crate::connectivity::Reach;
use crate::download::list::Downloads;
use crate::download::priority::Priority;
use crate::download::status::{DownloadId, DownloadStatus};
use crate::index_client::IndexClient;
use crate::library::Library;
use crate::upload::Uploads;

/// The parts of a running daemon.
pub(super) struct PeerService {
    pub(super) settings: Settings,
    pub(super) library: Library,
    pub(super) client: IndexClient,
    pub(super) indexes: Indexes,
    pub(super) reach: Reach,
    pub(super) downloads: Downloads,
    pub(super) uploads: Uploads,
    pub(super) bans: Arc<Bans>,
    pub(super) limits: Arc<Limits>,
    pub(super) seen: Seen,
    /// Ends the daemon.
    pub(super) stop: CancellationToken,
}

impl Service for PeerService {
    async fn status(&self) -> Answer<Status> {
        self.show_status().await
    }

    async fn indexes(&self) -> Answer<Vec<IndexStatus>> {
        self.indexes.settled().await;
        Ok(self.indexes.statuses())
    }

    async fn index_preview(&self, link: String) -> Answer<IndexPreview> {
        self.indexes.preview(&link).await
    }

    async fn join(&self, join: Join) -> Answer<IndexStatus> {
        let name = join.name.or_else(|| self.settings.name.value.0.clone());
        self.indexes.join(Join { name, ..join }).await
    }

    async fn leave(&self, index: String) -> Answer<IndexStatus> {
        self.indexes.leave(&index).await
    }

    async fn set_default_index(&self, index: String) -> Answer<IndexStatus> {
        self.indexes.set_default(&index)
    }

    async fn rename(&self, name: String, within: Within) -> Answer<Vec<IndexStatus>> {
        self.indexes.rename(&name, &within).await
    }

    async fn folders(&self) -> Answer<Vec<FolderStatus>> {
        self.show_folders().await
    }

    async fn share_add(&self, add: ShareAdd) -> Answer<ShareAdded> {
        self.add_folder(add).await
    }

    async fn share_remove(&self, folder: PathBuf) -> Answer<FolderStatus> {
        self.remove_folder(folder).await
    }

    async fn rescan(&self) -> Answer<()> {
        self.library.rescan().await;
        Ok(())
    }

    fn scan_events(&self) -> BoxStream<'static, ScanProgress> {
        self.scan_progress()
    }

    async fn search(&self, params: SearchParams, within: Within) -> Answer<SearchReport> {
        self.search_indexes(params, &within).await
    }

    async fn file(&self, id: String, within: Within) -> Answer<FileRow> {
        self.look_up(&id, &within).await
    }

    async fn download_start(&self, downloads: Vec<NewDownload>, within: Within) -> Answer<Vec<DownloadStatus>> {
        self.start_downloads(downloads, &within).await
    }

    async fn downloads(&self) -> Answer<Vec<DownloadStatus>> {
        Ok(self.downloads.list())
    }

    async fn download(&self, id: DownloadId) -> Answer<DownloadStatus> {
        self.downloads.look_for_alternates(id).await.map_err(|error| list_error(&error))
    }

    async fn download_take(&self, id: DownloadId, file: FileId) -> Answer<DownloadStatus> {
        self.downloads.take(id, file).await.map_err(|error| list_error(&error))
    }

    async fn download_change(&self, id: DownloadId, action: DownloadAction) -> Answer<DownloadStatus> {
        self.change_download(id, action).await
    }

    fn download_events(&self) -> BoxStream<'static, DownloadEvent> {
        self.download_changes()
    }

    async fn uploads(&self) -> Answer<UploadsShown> {
        Ok(self.show_uploads().await)
    }

    async fn set_upload_limit(&self, limit: UploadRate) -> Answer<UploadsShown> {
        self.limit_uploads(limit).await
    }

    async fn download_limit(&self) -> Answer<DownloadLimit> {
        Ok(self.show_download_limit().await)
    }

    async fn set_download_limit(&self, limit: Rate) -> Answer<DownloadLimit> {
        self.limit_downloads(limit).await
    }

    async fn download_priority(&self, id: DownloadId, priority: Priority) -> Answer<DownloadStatus> {
        self.prioritise(id, priority).await
    }

    async fn browse(&self, peer: String, folder: String, cursor: Option<String>, within: Within) -> Answer<BrowsePage> {
        self.browse_peer(&peer, &folder, cursor.as_deref(), &within).await
    }

    async fn whois(&self, peer: String, within: Within) -> Answer<Whois> {
        self.who_is(&peer, &within).await
    }

    async fn ban(&self, peer: String, within: Within) -> Answer<Whois> {
        self.ban_peer(&peer, &within).await
    }

    async fn unban(&self, peer: String, within: Within) -> Answer<Whois> {
        self.unban_peer(&peer, &within).await
    }

    async fn doctor(&self, peer: Option<String>, within: Within) -> Answer<Doctor> {
        match peer {
            Some(peer) => self.examine_peer(&peer, &within).await,
            None => self.examine().await,
        }
    }

    async fn stop(&self) -> Answer<()> {
        self.stop.cancel();
        Ok(())
    }
}
