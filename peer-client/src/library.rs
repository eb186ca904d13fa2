//! What this peer shares: found on disk, hashed, described, and kept ready for publication and upload.
//!
//! The parts, from the disk upwards: `walk` lists directories and leaves out what nobody shares; `hash` reads a
//! file once for its hashes and its tags; `path_tags` reads names where tags are missing; `describe` makes a claim
//! of both; `store` keeps all of it, with the ledger of what is published; `scan` is the one task that drives
//! them; `watch` tells it of changes. [`Library`] is the handle for everybody else.
//!
//! Invariants:
//!
//! - **Nothing is shared but what lies in a folder that was added**, and a file is only ever opened by walking there
//!   from that folder without following a link.
//! - **A file that did not change is not read again**: not after a restart, a rename, or a time in which its disk was
//!   away. Hard links count as renames; a copy is another file until it was read once.
//! - **What is published is what was read.** A file that changes keeps its holding until it has been read again, and
//!   [`SharedFile::open_checked`] refuses to serve it meanwhile.

mod beneath;
pub mod describe;
mod file_kind;
#[cfg(test)]
mod fixture;
mod folders;
mod hash;
mod leaf_cache;
mod left_out;
pub mod path_tags;
mod scan;
mod shared_file;
mod stamp;
mod store;
pub mod tags;
#[cfg(test)]
mod tests;
mod walk;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use choir_shared::audio::AudioId;
use choir_shared::{Digest, FileId};
use tokio::sync::{mpsc, oneshot, watch as watch_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::database::Database;

use leaf_cache::LeafCache;
use scan::{Command, FolderProgress, Parts, Scanner};
use store::{Share, Store};

pub use folders::{AddFolderError, AddedFolder, FolderState, FolderStatus, RemoveFolderError};
pub use left_out::{LeftOut, Reason};
pub use scan::{MissingFolder, ScanPhase, ScanProgress, Watching};
pub use shared_file::{Changed, SharedFile};
pub use stamp::Stamp;
pub use store::{ChangesError, ChangesPage, CollectionState, Counts};

/// Calls of the library that wait for the scanner, which answers within one write of the database. More wait with
/// their callers.
const WAITING_COMMANDS: usize = 64;

/// More files than this that begin with the same digits are no help to anybody.
const MAX_PREFIX_MATCHES: u32 = 32;

/// How the library behaves.
#[derive(Clone, Debug, Default)]
pub struct LibraryOptions {
    /// The person's home folder, which is not shared as a whole.
    pub home: Option<PathBuf>,
    /// Absolute paths of folders that are left out although they lie in shared ones: downloads that are not shared on.
    pub kept_private: Vec<PathBuf>,
    pub watch: WatchOptions,
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug)]
pub struct WatchOptions {
    /// How long nothing must happen until a change is looked at.
    pub quiet: Duration,
    /// How often folders are looked through where changes cannot be noticed.
    pub poll_every: Duration,
    /// Do not even try to notice them.
    pub polling_only: bool,
}

impl Default for WatchOptions {
    fn default() -> Self {
        // Copying an album makes an event every few milliseconds. A minute is what people wait before they wonder.
        Self { quiet: Duration::from_millis(500), poll_every: Duration::from_secs(60), polling_only: false }
    }
}

/// What this peer shares. Clones are handles of the same; when the last is gone, scanning ends.
#[derive(Clone, Debug)]
pub struct Library {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    home: Option<PathBuf>,
    commands: mpsc::Sender<Command>,
    progress: watch_channel::Receiver<ScanProgress>,
    changed: watch_channel::Receiver<u64>,
    leaves: LeafCache,
}

/// The library cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the library's database cannot be used: {0}")]
pub struct LibraryError(#[from] pub sqlx::Error);

impl Library {
    /// Begins to look through all shared folders, in a task of `tracker`, until `stop`.
    pub async fn open(
        database: Database,
        options: LibraryOptions,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, LibraryError> {
        let store = Store::new(database);
        store.publish_rest().await?;
        store.forget_the_long_gone().await?;
        let (commands, receiver) = mpsc::channel(WAITING_COMMANDS);
        let (progress_sender, progress) = watch_channel::channel(ScanProgress::default());
        let (changed_sender, changed) = watch_channel::channel(store.revision().await?);
        let parts = Parts {
            store: store.clone(),
            options: options.watch,
            private: options.kept_private,
            commands: receiver,
            progress: progress_sender,
            changed: changed_sender,
            stop: stop.child_token(),
        };
        tracker.spawn(Scanner::new(parts, store.shares().await?).run());
        let inner = Inner { store, home: options.home, commands, progress, changed, leaves: LeafCache::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Shares a folder from now on. Its files appear one after the other; see [`Library::settled`].
    pub async fn add_folder(
        &self,
        path: &Path,
        alias: Option<&str>,
        collection: &str,
    ) -> Result<AddedFolder, AddFolderError> {
        folders::check_collection(collection)?;
        let given = path.to_owned();
        let unreadable = |error| AddFolderError::Unreadable { path: path.to_owned(), error };
        let canonical = tokio::task::spawn_blocking(move || folders::readable_folder(&given));
        let path = canonical.await.map_err(|error| unreadable(error.into()))??;
        let shares = self.inner.store.shares().await?;
        folders::check(
            &path,
            self.inner.home.as_deref(),
            shares.iter().map(|share| (share.alias.as_str(), share.path.as_path())),
        )?;
        let taken: Vec<&str> = shares.iter().map(|share| share.alias.as_str()).collect();
        let alias = match alias {
            None => folders::alias_of(&path, &taken),
            Some(alias) => {
                let alias = folders::alias_of(Path::new(alias), &[]);
                if taken.iter().any(|taken| folders::same_alias(taken, &alias)) {
                    return Err(AddFolderError::AliasTaken(alias));
                }
                alias
            }
        };
        let id = self.inner.store.add_share(&alias, &path, collection).await?;
        let share = Share {
            id,
            alias: alias.clone(),
            path: path.clone(),
            collection: collection.to_owned(),
            marker: None,
            absent: false,
        };
        self.send(Command::Added(share)).await;
        Ok(AddedFolder { alias, path, collection: collection.to_owned() })
    }

    /// Stops sharing the folder of this alias or path, and withdraws what was in it.
    pub async fn remove_folder(&self, name: &str) -> Result<(), RemoveFolderError> {
        // The path of a folder that is not there is taken as it is.
        let path = tokio::fs::canonicalize(name).await.unwrap_or_else(|_| PathBuf::from(name));
        let shares = self.inner.store.shares().await?;
        let is_meant = |share: &&Share| folders::same_alias(&share.alias, name) || share.path == path;
        let share = shares.iter().find(is_meant).ok_or_else(|| RemoveFolderError::NotShared(name.to_owned()))?;
        let (answer, removed) = oneshot::channel();
        self.send(Command::Remove(share.id, answer)).await;
        removed.await.unwrap_or(Err(RemoveFolderError::Stopping))
    }

    pub async fn folders(&self) -> Result<Vec<FolderStatus>, LibraryError> {
        let progress = self.inner.progress.borrow().folders.clone();
        let mut folders = Vec::new();
        for share in self.inner.store.shares().await? {
            let counts = self.inner.store.counts_of(share.id).await?;
            let FolderProgress { watching, left_out } = progress.get(&share.alias).cloned().unwrap_or_default();
            let state = if share.absent { FolderState::Missing } else { FolderState::Present };
            let (files, bytes) = (counts.files, counts.bytes);
            let Share { alias, path, collection, .. } = share;
            folders.push(FolderStatus { alias, path, collection, state, files, bytes, left_out, watching });
        }
        Ok(folders)
    }

    /// Looks through all folders again.
    pub async fn rescan(&self) {
        self.send(Command::Rescan).await;
    }

    /// From now on these are the folders that are left out although they lie in shared ones.
    pub async fn keep_private(&self, folders: Vec<PathBuf>) {
        self.send(Command::KeepPrivate(folders)).await;
    }

    pub fn progress(&self) -> watch_channel::Receiver<ScanProgress> {
        self.inner.progress.clone()
    }

    /// Waits until nothing is left to look at, to read, or to publish. Returns as well when the program stops.
    pub async fn settled(&self) {
        let (answer, settled) = oneshot::channel();
        self.send(Command::Settled(answer)).await;
        // An error says that the scanner is gone, and so is its work.
        let _ = settled.await;
    }

    /// How many distinct files are shared.
    pub async fn counts(&self) -> Result<Counts, LibraryError> {
        Ok(self.inner.store.counts().await?)
    }

    /// A file that is shared.
    pub async fn find(&self, file: &FileId) -> Result<Option<SharedFile>, LibraryError> {
        Ok(SharedFile::of(self.inner.store.places_of(file).await?))
    }

    /// Files that are shared and whose identity begins with these hexadecimal digits; nothing for other text.
    pub async fn find_by_prefix(&self, digits: &str) -> Result<Vec<FileId>, LibraryError> {
        let bound = |filler: &str| {
            let padded: String = digits.chars().chain(filler.chars().cycle()).take(64).collect();
            padded.parse::<Digest>().ok().filter(|_| digits.len() <= 64)
        };
        let (Some(first), Some(last)) = (bound("0"), bound("f")) else { return Ok(Vec::new()) };
        Ok(self.inner.store.between(first.as_bytes(), last.as_bytes(), MAX_PREFIX_MATCHES).await?)
    }

    /// The file that is shared from this path.
    pub async fn find_path(&self, path: &Path) -> Result<Option<SharedFile>, LibraryError> {
        // A file that is gone has no canonical path, and may be asked for all the same.
        let path = tokio::fs::canonicalize(path).await.unwrap_or_else(|_| path.to_owned());
        for share in self.inner.store.shares().await? {
            let Ok(relative) = path.strip_prefix(&share.path) else { continue };
            let (Some(directory), Some(name)) = (relative.parent(), relative.file_name()) else { continue };
            if let Some(file) = self.inner.store.at(share.id, directory, name).await? {
                return self.find(&file).await;
            }
        }
        Ok(None)
    }

    /// Where a file lies, if it is shared.
    pub async fn holds(&self, file: &FileId) -> Result<Option<PathBuf>, LibraryError> {
        Ok(self.find(file).await?.map(|found| found.path))
    }

    /// Files that are shared and have this audio, whatever their tags.
    pub async fn with_audio(&self, audio: &AudioId) -> Result<Vec<FileId>, LibraryError> {
        Ok(self.inner.store.with_audio(&audio.root).await?)
    }

    /// The hashes of a file's leaves, if it is known.
    pub async fn leaves(&self, file: &FileId) -> Result<Option<Arc<[Digest]>>, LibraryError> {
        if let Some(leaves) = self.inner.leaves.get(file) {
            return Ok(Some(leaves));
        }
        let Some(leaves) = self.inner.store.leaves(file).await? else { return Ok(None) };
        let leaves: Arc<[Digest]> = leaves.into();
        self.inner.leaves.insert(*file, Arc::clone(&leaves));
        Ok(Some(leaves))
    }

    /// Has a file read again, because somebody got wrong bytes of it or its stamp is another. Does not wait for that.
    pub async fn recheck(&self, file: &FileId) {
        self.send(Command::Recheck(*file)).await;
    }

    pub async fn collections(&self) -> Result<Vec<CollectionState>, LibraryError> {
        Ok(self.inner.store.collections().await?)
    }

    /// Changes whenever any collection does. The number itself says nothing.
    pub fn changed(&self) -> watch_channel::Receiver<u64> {
        self.inner.changed.clone()
    }

    /// At most `limit` changes of a collection after a generation, 0 for all that is in it.
    ///
    /// Later pages of a whole collection may take back files that no earlier page has told, because they were removed
    /// before; that means nothing.
    pub async fn changes_since(&self, collection: &str, after: u64, limit: usize) -> Result<ChangesPage, ChangesError> {
        self.inner.store.changes_since(collection, after, limit).await
    }

    /// The scanner is there for as long as a handle is, unless the program stops; then nobody misses the command.
    async fn send(&self, command: Command) {
        let _ = self.inner.commands.send(command).await;
    }
}
