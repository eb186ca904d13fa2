//! What the scanner knows of one shared folder.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::folders::Marker;
use super::super::hash::disk::{FileSystem, Inodes};
use super::super::hash::{Job, Place, Work};
use super::super::left_out::{LeftOutByFolder, Reason, Tally};
use super::super::store::Share;
use super::super::watch::FolderWatch;
use super::super::watch::quiet::Quiet;
use super::{FolderProgress, Watching};

pub(super) struct Root {
    pub(super) share: Share,
    /// The folder as it was when it was last there.
    pub(super) seen: Option<Marker>,
    pub(super) file_system: FileSystem,
    pub(super) readers: usize,
    pub(super) quiet: Quiet,
    pub(super) left_out: LeftOutByFolder,
    pub(super) duplicates: u64,
    pub(super) next_poll: Option<Instant>,
    watch: Watch,
    path: Arc<Path>,
    alias: Arc<str>,
}

enum Watch {
    /// It has not been tried, or not since the folder came back.
    NotYet,
    Watched(FolderWatch),
    Polled {
        every: Duration,
        reason: String,
    },
}

impl Root {
    pub(super) fn new(share: Share, quiet: Duration) -> Self {
        Self {
            path: share.path.as_path().into(),
            alias: share.alias.as_str().into(),
            seen: None,
            file_system: FileSystem { inodes: Inodes::Lasting, unwatchable: None },
            readers: 1,
            quiet: Quiet::new(quiet),
            left_out: LeftOutByFolder::default(),
            duplicates: 0,
            next_poll: None,
            watch: Watch::NotYet,
            share,
        }
    }

    pub(super) fn disk(&self) -> u64 {
        self.seen.map_or(0, |seen| seen.dev)
    }

    pub(super) fn job(&self, place: Arc<Place>, work: Work, bytes: u64) -> Job {
        let (root, alias) = (Arc::clone(&self.path), Arc::clone(&self.alias));
        Job { place, root, alias, inodes: self.file_system.inodes, work, bytes }
    }

    pub(super) fn needs_watch(&self) -> bool {
        matches!(self.watch, Watch::NotYet)
    }

    /// Gives up whatever watches the folder, so that the next walk tries anew.
    pub(super) fn watch_again(&mut self) {
        self.watch = Watch::NotYet;
        self.next_poll = None;
    }

    /// Perhaps the limit that kept us from watching has been raised.
    pub(super) fn stop_polling(&mut self) {
        if matches!(self.watch, Watch::Polled { .. }) {
            self.watch_again();
        }
    }

    pub(super) fn watched(&mut self, watched: Result<FolderWatch, String>, poll_every: Duration) {
        match watched {
            Ok(watch) => self.watch = Watch::Watched(watch),
            Err(reason) => {
                tracing::info!("{} is looked through every {poll_every:?}: {reason}", self.share.path.display());
                self.watch = Watch::Polled { every: poll_every, reason };
                self.next_poll = Some(Instant::now() + poll_every);
            }
        }
    }

    pub(super) fn lost_events(&self) -> bool {
        matches!(&self.watch, Watch::Watched(watch) if watch.lost_events())
    }

    /// Whether it is time to look through the folder because nobody tells us of changes.
    pub(super) fn take_poll(&mut self, now: Instant) -> bool {
        let Watch::Polled { every, .. } = self.watch else { return false };
        let is_time = self.next_poll.is_some_and(|due| due <= now);
        if is_time {
            self.next_poll = Some(now + every);
        }
        is_time
    }

    pub(super) fn watching(&self) -> Watching {
        match &self.watch {
            Watch::Polled { every, reason } => Watching::Polling { every_s: every.as_secs(), reason: reason.clone() },
            Watch::NotYet | Watch::Watched(_) => Watching::Notified,
        }
    }

    pub(super) fn left_out(&self) -> Tally {
        let mut left_out = self.left_out.total();
        left_out.add(Reason::Duplicate, self.duplicates);
        left_out
    }

    pub(super) fn progress(&self) -> FolderProgress {
        FolderProgress { watching: self.watching(), left_out: self.left_out().to_list() }
    }
}
