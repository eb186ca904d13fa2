//! Noticing changes in shared folders.
//!
//! The system tells of changes where it can ([`notify`]). Where it cannot, because a network file system never hears
//! of what other machines do, or because the folders are more than the system is willing to watch, the folder is
//! looked through again every so often, and [`Watching`](super::Watching) says so and why.
//!
//! What happened to a file hardly matters here: an event names a directory that is worth another look.

pub(super) mod quiet;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::walk::{self, Extent};

/// A directory of a share that is worth another look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Noticed {
    pub(super) share: i64,
    pub(super) directory: PathBuf,
    pub(super) extent: Extent,
}

/// Watches a folder until it is dropped.
pub(super) struct FolderWatch {
    _watcher: RecommendedWatcher,
    lost: Arc<AtomicBool>,
}

impl FolderWatch {
    /// Begins to watch `root`, which takes a while for large folders: it blocks. Fails with the reason, in words.
    pub(super) fn begin(share: i64, root: &Path, noticed: mpsc::Sender<Noticed>) -> Result<Self, String> {
        let lost = Arc::new(AtomicBool::new(false));
        let handler = Handler { share, root: root.to_owned(), noticed, lost: Arc::clone(&lost) };
        // A link may lead to the whole disk; see [`walk`](super::walk).
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(move |event| handler.handle(event), config);
        let mut watcher = watcher.map_err(|error| in_words(&error))?;
        watcher.watch(root, RecursiveMode::Recursive).map_err(|error| in_words(&error))?;
        Ok(Self { _watcher: watcher, lost })
    }

    /// Whether events were lost since this was asked last. Then everything is worth another look.
    pub(super) fn lost_events(&self) -> bool {
        self.lost.swap(false, Ordering::Relaxed)
    }
}

fn in_words(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "the system's limit of watched folders is reached (fs.inotify.max_user_watches)".to_owned()
        }
        // EMFILE: each watcher is one instance.
        ErrorKind::Io(error) if error.raw_os_error() == Some(24) => {
            "the system's limit of folder watchers is reached (fs.inotify.max_user_instances)".to_owned()
        }
        _ => format!("the system cannot watch it: {error}"),
    }
}

/// Runs on the watcher's own thread.
struct Handler {
    share: i64,
    root: PathBuf,
    noticed: mpsc::Sender<Noticed>,
    lost: Arc<AtomicBool>,
}

impl Handler {
    fn handle(&self, event: Result<Event, notify::Error>) {
        let Ok(event) = event else {
            self.lost.store(true, Ordering::Relaxed);
            return;
        };
        if event.need_rescan() {
            self.lost.store(true, Ordering::Relaxed);
        }
        let Some(what) = What::of(event.kind) else { return };
        for path in &event.paths {
            let Ok(path) = path.strip_prefix(&self.root) else { continue };
            // Unfinished downloads among others, which are written to all the time.
            if walk::is_hidden(path) {
                continue;
            }
            if let Some(parent) = path.parent() {
                self.tell(parent, Extent::Here);
            }
            if what == What::MaybeDirectory {
                self.tell(path, Extent::Below);
            }
        }
    }

    fn tell(&self, directory: &Path, extent: Extent) {
        let noticed = Noticed { share: self.share, directory: directory.to_owned(), extent };
        // The scanner is behind by a thousand events. It will look at everything when it gets to it.
        if self.noticed.try_send(noticed).is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    File,
    MaybeDirectory,
}

impl What {
    /// Nothing for events that change nothing, above all those of our own reading.
    fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Self::File),
            EventKind::Access(_) => None,
            EventKind::Create(CreateKind::File) | EventKind::Remove(RemoveKind::File) => Some(Self::File),
            EventKind::Modify(ModifyKind::Data(_)) => Some(Self::File),
            EventKind::Any | EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(_) | EventKind::Other => {
                Some(Self::MaybeDirectory)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_reading_is_no_change() {
        assert_eq!(What::of(EventKind::Access(AccessKind::Open(AccessMode::Any))), None);
        assert_eq!(What::of(EventKind::Access(AccessKind::Close(AccessMode::Read))), None);
        assert_eq!(What::of(EventKind::Access(AccessKind::Close(AccessMode::Write))), Some(What::File));
    }

    #[test]
    fn an_event_names_the_directory_and_the_path_itself_if_that_may_be_one() {
        let (sender, mut receiver) = mpsc::channel(3);
        let lost = Arc::new(AtomicBool::new(false));
        let handler = Handler { share: 7, root: "/music".into(), noticed: sender, lost: Arc::clone(&lost) };
        let seen = |directory: &str, extent| Ok(Noticed { share: 7, directory: directory.into(), extent });
        handler.handle(Ok(Event::new(EventKind::Create(CreateKind::Folder)).add_path("/music/a/b".into())));
        handler.handle(Ok(Event::new(EventKind::Create(CreateKind::File)).add_path("/music/song".into())));
        handler.handle(Ok(Event::new(EventKind::Create(CreateKind::File)).add_path("/music/.partial/x".into())));
        assert_eq!(receiver.try_recv(), seen("a", Extent::Here));
        assert_eq!(receiver.try_recv(), seen("a/b", Extent::Below));
        assert_eq!(receiver.try_recv(), seen("", Extent::Here));
        assert!(!lost.load(Ordering::Relaxed));
        (0..4).for_each(|_| {
            handler.handle(Ok(Event::new(EventKind::Create(CreateKind::File)).add_path("/music/song".into())))
        });
        assert!(lost.load(Ordering::Relaxed));
    }
}
