//! What this peer shares, and to whom it sends, at the door.

use std::path::PathBuf;
use std::time::Duration;

use choir_shared::library::DEFAULT_COLLECTION;
use futures_util::stream::{BoxStream, StreamExt as _};

use super::PeerService;
use crate::api::types::{
    FolderState, FolderStatus, LeftOut, ScanPhase, ScanProgress, ShareAdd, ShareAdded, UploadState, UploadStatus,
    Uploads as UploadsShown,
};
use crate::api::{Answer, ErrorKind, ServiceError};
use crate::config::UploadRate;
use crate::daemon::indexes::Indexes;
use crate::index_client::{IndexClient, LinkState};
use crate::library::{self, AddFolderError, Library, RemoveFolderError};
use crate::upload;

/// Progress is for people: ten times a second looks smooth.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// How long a new folder's files are counted before the answer goes out; a slow disk goes on by itself.
const COUNTED_WITHIN: Duration = Duration::from_secs(20);

impl PeerService {
    pub(super) async fn show_folders(&self) -> Answer<Vec<FolderStatus>> {
        let looking = self.library.progress().borrow().phase != library::ScanPhase::Idle;
        let folders = self.library.folders().await.map_err(internal)?;
        Ok(folders.into_iter().map(|folder| shown(folder, looking)).collect())
    }

    pub(super) async fn add_folder(&self, add: ShareAdd) -> Answer<ShareAdded> {
        let collection = add.collection.as_deref().unwrap_or(DEFAULT_COLLECTION);
        let added = self
            .library
            .add_folder(&add.path, add.alias.as_deref(), collection)
            .await
            .map_err(|error| refused(&error))?;
        // The scan begins by itself; its first step is to look through the folder.
        let mut progress = self.library.progress();
        let looked = progress.wait_for(|progress| {
            let knows = progress.folders.contains_key(&added.alias);
            knows && progress.phase != library::ScanPhase::Looking
        });
        let looked = async { looked.await.map_or((0, 0), |progress| (progress.files_seen, progress.bytes_to_hash)) };
        // Files are hashed only from now on: until then they are seen, and not yet counted as shared.
        let (seen, seen_bytes) = tokio::time::timeout(COUNTED_WITHIN, looked).await.unwrap_or_default();
        let folder = self.show_folders().await?.into_iter().find(|folder| folder.alias == added.alias);
        let (files, bytes, left_out) =
            folder.map_or((0, 0, vec![]), |folder| (folder.files, folder.bytes, folder.left_out));
        let (files, bytes) = (files.max(seen), bytes.max(seen_bytes));
        let library::AddedFolder { alias, path, collection } = added;
        Ok(ShareAdded { folder: path, files, bytes, left_out, alias, collection })
    }

    pub(super) async fn remove_folder(&self, folder: PathBuf) -> Answer<FolderStatus> {
        let name = folder.to_string_lossy().into_owned();
        let before = self.show_folders().await?;
        self.library.remove_folder(&name).await.map_err(|error| {
            let kind = match error {
                RemoveFolderError::NotShared(_) => ErrorKind::NotFound,
                RemoveFolderError::Stopping | RemoveFolderError::Database(_) => ErrorKind::Internal,
            };
            ServiceError::new(kind, error.to_string())
        })?;
        let removed = before.into_iter().find(|status| status.folder == folder || status.alias == name);
        removed.ok_or_else(|| ServiceError::new(ErrorKind::NotFound, format!("{name} was not shared")))
    }

    /// How scan and publication stand, at once and whenever that changes.
    pub(super) fn scan_progress(&self) -> BoxStream<'static, ScanProgress> {
        let watcher = Watcher {
            library: self.library.clone(),
            client: self.client.clone(),
            indexes: self.indexes.clone(),
            last: None,
        };
        futures_util::stream::unfold(watcher, |mut watcher| async move {
            let next = watcher.next().await;
            Some((next, watcher))
        })
        .boxed()
    }

    pub(super) async fn show_uploads(&self) -> UploadsShown {
        let mut uploads = Vec::new();
        for upload in self.uploads.list() {
            let file_name = match upload.file_id {
                Some(file) => self.library.holds(&file).await.ok().flatten(),
                None => None,
            };
            let (state, ahead) = match upload.state {
                upload::UploadState::Sending | upload::UploadState::SlotIdle => (UploadState::Sending, None),
                upload::UploadState::Queued { ahead } => (UploadState::Queued, Some(ahead)),
            };
            uploads.push(UploadStatus {
                peer: upload.peer,
                name: None,
                file_id: upload.file_id,
                file_name: file_name.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())),
                state,
                ahead,
                bytes: upload.bytes_sent,
                bytes_per_second: upload.bytes_per_second,
                path_kind: upload.path_kind,
            });
        }
        let by_schedule = self.limits.now().await.scheduled.up.is_some();
        UploadsShown { uploads, limit: self.uploads.limit().to_string(), by_schedule }
    }

    pub(super) async fn limit_uploads(&self, limit: UploadRate) -> Answer<UploadsShown> {
        self.limits.choose_upload(limit).await.map_err(internal)?;
        self.uploads.set_limit(self.limits.now().await.up);
        Ok(self.show_uploads().await)
    }
}

/// What one reader of scan events was told.
struct Watcher {
    library: Library,
    client: IndexClient,
    indexes: Indexes,
    last: Option<ScanProgress>,
}

impl Watcher {
    async fn next(&mut self) -> ScanProgress {
        loop {
            if self.last.is_some() {
                tokio::time::sleep(TELL_EVERY).await;
            }
            let now = self.look().await;
            if self.last.as_ref() != Some(&now) {
                self.last = Some(now.clone());
                return now;
            }
        }
    }

    async fn look(&self) -> ScanProgress {
        let scan = self.library.progress().borrow().clone();
        let phase = match scan.phase {
            library::ScanPhase::Looking => ScanPhase::Walking,
            library::ScanPhase::Hashing => ScanPhase::Hashing,
            library::ScanPhase::Idle if self.is_published().await => ScanPhase::Idle,
            library::ScanPhase::Idle => ScanPhase::Publishing,
        };
        ScanProgress {
            phase,
            files_done: scan.files_hashed,
            files_total: scan.files_to_hash,
            bytes_done: scan.bytes_hashed,
            bytes_total: scan.bytes_to_hash,
            current: None,
            blocked: if phase == ScanPhase::Publishing { self.blocked() } else { None },
        }
    }

    /// Whether every index that is online has all it is given. One that is not online holds nobody up.
    async fn is_published(&self) -> bool {
        let Ok(collections) = self.library.collections().await else { return false };
        let has_all = |published: &crate::index_client::Published| {
            collections.iter().all(|ours| match published.collections.get(&ours.collection) {
                Some(theirs) => theirs.acknowledged >= Some(ours.generation),
                None => ours.count == 0,
            })
        };
        let states = self.client.states();
        let connected = |state: &&crate::index_client::IndexStatus| !matches!(state.link, LinkState::Refused { .. });
        !states.is_empty() && states.iter().filter(connected).all(|state| has_all(&state.published))
    }

    fn blocked(&self) -> Option<ServiceError> {
        let statuses = self.indexes.statuses();
        let trouble = statuses.iter().find_map(|index| index.reason.clone().map(|reason| (index.name.clone(), reason)));
        match trouble {
            Some((index, reason)) => Some(ServiceError::new(ErrorKind::IndexUnreachable, format!("{index}: {reason}"))),
            None if statuses.is_empty() => {
                let error = ServiceError::new(
                    ErrorKind::IndexUnreachable,
                    "no index is joined, so nobody can find these files",
                );
                Some(error.hint("`choir join LINK`"))
            }
            None => None,
        }
    }
}

fn shown(folder: library::FolderStatus, looking: bool) -> FolderStatus {
    let state = match folder.state {
        library::FolderState::Missing => FolderState::Missing,
        library::FolderState::Present if looking => FolderState::Scanning,
        library::FolderState::Present => FolderState::Ready,
    };
    let left_out = folder.left_out.iter().map(|left| LeftOut { reason: left.reason.to_string(), count: left.count });
    FolderStatus {
        folder: folder.path,
        alias: folder.alias,
        collection: folder.collection,
        state,
        files: folder.files,
        bytes: folder.bytes,
        left_out: left_out.collect(),
    }
}

fn refused(error: &AddFolderError) -> ServiceError {
    let kind = match error {
        AddFolderError::NotFound(_) => ErrorKind::NotFound,
        AddFolderError::Database(_) => ErrorKind::Internal,
        AddFolderError::AlreadyShared { .. } => ErrorKind::Conflict,
        _ => ErrorKind::Refused,
    };
    ServiceError::new(kind, error.to_string())
}

pub(super) fn internal(error: impl std::fmt::Display) -> ServiceError {
    ServiceError::new(ErrorKind::Internal, error.to_string())
}
