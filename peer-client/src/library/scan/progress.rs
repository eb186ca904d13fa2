//! What people and programs see of a scan.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::left_out::{LeftOut, Tally};
use super::Scanner;
use super::root::Root;

/// Often enough for a bar that moves.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// How far the scan is. Files and bytes are those of the present round: it begins when there is something to do after
/// everything was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScanProgress {
    pub phase: ScanPhase,
    pub files_seen: u64,
    pub files_to_hash: u64,
    pub files_hashed: u64,
    pub bytes_to_hash: u64,
    pub bytes_hashed: u64,
    /// Since the program was started.
    pub bytes_hashed_in_all: u64,
    pub left_out: Vec<LeftOut>,
    pub missing_folders: Vec<MissingFolder>,
    pub watching: Watching,
    /// By alias.
    #[serde(skip)]
    pub(crate) folders: BTreeMap<String, FolderProgress>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanPhase {
    /// Everything is known and published.
    #[default]
    Idle,
    /// Folders are looked through; what is found is hashed meanwhile.
    Looking,
    Hashing,
}

/// A shared folder that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingFolder {
    pub alias: String,
    pub path: PathBuf,
}

/// How changes are noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum Watching {
    /// At once.
    #[default]
    Notified,
    /// By looking every so often.
    Polling { every_s: u64, reason: String },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FolderProgress {
    pub(crate) watching: Watching,
    pub(crate) left_out: Vec<LeftOut>,
}

/// What is counted from when there was something to do until all was done.
#[derive(Debug, Default)]
pub(super) struct Round {
    is_over: bool,
    /// Bytes that were hashed before it began.
    hashed_before: u64,
    pub(super) files_seen: u64,
    pub(super) files_to_hash: u64,
    pub(super) files_hashed: u64,
    pub(super) bytes_to_hash: u64,
}

impl Scanner {
    /// There is something to do. What was counted before stays to be seen until now.
    pub(super) fn begin_round(&mut self) {
        if self.round.is_over {
            self.round = Round { hashed_before: self.hashed.load(Ordering::Relaxed), ..Round::default() };
        }
    }

    /// Tells those who wait that all is done.
    pub(super) async fn settle(&mut self) {
        if self.round.is_over && self.waiting.is_empty() {
            return;
        }
        if let Err(error) = self.take_stock().await {
            tracing::error!("the library cannot be read: {error}");
        }
        self.reported = None;
        self.report();
        self.round.is_over = true;
        for waiting in self.waiting.drain(..) {
            // Whoever waited may have gone.
            let _ = waiting.send(());
        }
    }

    /// What is only known when all is read and written.
    pub(super) async fn take_stock(&mut self) -> Result<(), sqlx::Error> {
        let store = &self.parts.store;
        for root in self.roots.values_mut().filter(|root| !root.share.absent) {
            root.duplicates = store.duplicates_in(root.share.id).await?;
            let marker = if store.has_files(root.share.id).await? { root.seen } else { None };
            if root.share.marker != marker {
                store.set_marker(root.share.id, marker).await?;
                root.share.marker = marker;
            }
        }
        Ok(())
    }

    pub(super) fn report(&mut self) {
        let hashed = self.hashed.load(Ordering::Relaxed);
        let phase = if self.is_idle() {
            ScanPhase::Idle
        } else if self.walking.is_some() || !self.walks.is_empty() {
            ScanPhase::Looking
        } else {
            ScanPhase::Hashing
        };
        let now = Instant::now();
        if self.reported.is_some_and(|(reported, at)| reported == phase && now < at + REPORT_EVERY) {
            return;
        }
        self.reported = Some((phase, now));
        let mut left_out = Tally::default();
        self.roots.values().for_each(|root| left_out.include(&root.left_out()));
        let missing = self.roots.values().filter(|root| root.share.absent);
        let progress = ScanProgress {
            phase,
            files_seen: self.round.files_seen,
            files_to_hash: self.round.files_to_hash,
            files_hashed: self.round.files_hashed,
            bytes_to_hash: self.round.bytes_to_hash,
            bytes_hashed: hashed - self.round.hashed_before,
            bytes_hashed_in_all: hashed,
            left_out: left_out.to_list(),
            missing_folders: missing
                .map(|root| MissingFolder { alias: root.share.alias.clone(), path: root.share.path.clone() })
                .collect(),
            watching: self
                .roots
                .values()
                .map(Root::watching)
                .find(|watching| *watching != Watching::Notified)
                .unwrap_or_default(),
            folders: self.roots.values().map(|root| (root.share.alias.clone(), root.progress())).collect(),
        };
        self.parts.progress.send_if_modified(|known| {
            let differs = *known != progress;
            *known = progress;
            differs
        });
    }

    pub(super) fn is_idle(&self) -> bool {
        let is_quiet = self.roots.values().all(|root| root.quiet.due().is_none());
        is_quiet && self.walks.is_empty() && self.walking.is_none() && self.queue.is_idle() && self.batch.is_empty()
    }
}
