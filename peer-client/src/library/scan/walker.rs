//! The thread that walks.

use std::fs;
use std::future::pending;
use std::ops::ControlFlow;
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::super::folders::{Marker, Presence, look};
use super::super::hash::disk::FileSystem;
use super::super::walk::{Extent, Ground, Listing, walk};
use super::super::watch::{FolderWatch, Noticed};
use super::root::Root;

/// Listings that wait for the scanner. If it is slower than the disk, the walk waits.
const WAITING_LISTINGS: usize = 64;

/// A part of a share to be walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) share: i64,
    pub(super) start: PathBuf,
    pub(super) extent: Extent,
}

/// What a walk sees, in this order: whether the folder is there, whether it can be watched if that was not known,
/// and one listing for each directory.
pub(super) enum Seen {
    Absent,
    Present { marker: Marker, file_system: FileSystem, readers: usize },
    Watched(Result<FolderWatch, String>),
    Listing(Listing),
}

/// A walk under way. It ends when this is dropped.
pub(super) struct Walking {
    pub(super) walk: Walk,
    seen: mpsc::Receiver<Seen>,
}

/// How a walk is done.
pub(super) struct Manner {
    pub(super) private: Vec<PathBuf>,
    /// Who is told of changes from now on.
    pub(super) noticed: mpsc::Sender<Noticed>,
    pub(super) polling_only: bool,
    pub(super) processors: usize,
}

impl Walking {
    pub(super) fn begin(task: Walk, root: &Root, manner: Manner) -> Self {
        let (sender, seen) = mpsc::channel(WAITING_LISTINGS);
        let (path, marker, needs_watch) = (root.share.path.clone(), root.share.marker, root.needs_watch());
        let walk_of_thread = task.clone();
        // Not awaited: it ends by itself when nobody listens, and may hang for as long as a network drive does.
        tokio::task::spawn_blocking(move || {
            let Walk { share, start, extent } = walk_of_thread;
            let tell = |seen| match sender.blocking_send(seen) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
            let Presence::Here { marker, file_system, readers } = look(&path, marker, manner.processors) else {
                return tell(Seen::Absent);
            };
            tell(Seen::Present { marker, file_system, readers })?;
            if needs_watch {
                // Before the walk, so that nothing happens in between unnoticed.
                let watched = match file_system.unwatchable {
                    _ if manner.polling_only => Err("the settings say so".to_owned()),
                    Some(reason) => Err(reason.to_owned()),
                    None => FolderWatch::begin(share, &path, manner.noticed),
                };
                tell(Seen::Watched(watched))?;
            }
            // They may be named by way of a link.
            let canonical = manner.private.iter().filter_map(|path| fs::canonicalize(path).ok());
            let private: Vec<_> = manner.private.iter().cloned().chain(canonical).collect();
            let ground = Ground { root: &path, private: &private };
            walk(ground, &start, extent, |listing| tell(Seen::Listing(listing)))
        });
        Self { walk: task, seen }
    }
}

/// What the walk sees next, `None` at its end; never, if there is no walk.
pub(super) async fn next_seen(walking: &mut Option<Walking>) -> Option<Seen> {
    match walking {
        Some(walking) => walking.seen.recv().await,
        None => pending().await,
    }
}
