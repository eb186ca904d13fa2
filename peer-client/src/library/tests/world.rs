//! A folder with music, and a peer that shares it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use choir_shared::library::DEFAULT_COLLECTION;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::{Library, LibraryOptions, Reason, WatchOptions};
use super::mirror::Mirror;
use crate::database::Database;

/// A folder with music, and a peer that runs.
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) music: PathBuf,
    options: LibraryOptions,
    running: Option<Running>,
}

struct Running {
    library: Library,
    database: Database,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl World {
    /// Changes are only noticed when a test asks for a rescan.
    pub(super) async fn new() -> Self {
        let watch =
            WatchOptions { polling_only: true, poll_every: Duration::from_secs(3600), ..WatchOptions::default() };
        Self::with(watch).await
    }

    pub(super) async fn with(watch: WatchOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let music = folder.path().canonicalize().unwrap().join("Music");
        fs::create_dir(&music).unwrap();
        let options = LibraryOptions { watch, ..LibraryOptions::default() };
        let mut world = Self { folder, music, options, running: None };
        world.start().await;
        world
    }

    async fn start(&mut self) {
        let (database, _) = Database::open(&self.folder.path().join("peer.db")).await.unwrap();
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let library = Library::open(database.clone(), self.options.clone(), &tracker, stop.clone()).await.unwrap();
        self.running = Some(Running { library, database, tracker, stop });
    }

    pub(super) async fn restart(&mut self) {
        let running = self.running.take().unwrap();
        running.stop.cancel();
        running.tracker.close();
        running.tracker.wait().await;
        running.database.close().await;
        drop(running);
        self.start().await;
        self.library().settled().await;
    }

    pub(super) fn library(&self) -> &Library {
        &self.running.as_ref().unwrap().library
    }

    pub(super) fn write(&self, path: &str, contents: &[u8]) {
        let path = self.music.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::create_dir_all(self.music.join(to).parent().unwrap()).unwrap();
        fs::rename(self.music.join(from), self.music.join(to)).unwrap();
    }

    pub(super) async fn share(&self) {
        self.share_as("Music", DEFAULT_COLLECTION).await;
    }

    pub(super) async fn share_as(&self, folder: &str, collection: &str) {
        let path = self.music.with_file_name(folder);
        self.library().add_folder(&path, None, collection).await.unwrap();
        self.library().settled().await;
    }

    pub(super) async fn rescan(&self) {
        self.library().rescan().await;
        self.library().settled().await;
    }

    /// The published names of the files of the default collection.
    pub(super) async fn published(&self) -> Vec<String> {
        let mut mirror = Mirror::default();
        mirror.follow(self.library(), DEFAULT_COLLECTION, 1000).await;
        mirror.names()
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.library().progress().borrow().bytes_hashed_in_all
    }

    pub(super) async fn left_out(&self) -> Vec<(Reason, u64)> {
        let folders = self.library().folders().await.unwrap();
        folders.iter().flat_map(|folder| &folder.left_out).map(|left_out| (left_out.reason, left_out.count)).collect()
    }

    /// Waits until what the library publishes is this.
    pub(super) async fn until_published(&self, expected: &[&str]) {
        let mut changed = self.library().changed();
        while self.published().await != expected {
            changed.changed().await.unwrap();
        }
    }
}
