//! What is known of one peer while it is connected, and for as long after as there is room.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use choir_shared::FileId;

use super::super::allowance::Allowance;
use crate::rate::Rate;

/// Small answers without a slot: enough to look at several albums, or to begin playing a song a second.
const TASTES: u32 = 60;
const TASTE_EVERY: Duration = Duration::from_secs(1);

/// An honest peer complains once about a file and bans us for it; a disk that fails spoils a few.
const COMPLAINTS: u32 = 3;
const COMPLAINT_EVERY: Duration = Duration::from_secs(600);

/// Complaints come within moments of the bytes.
const FILES_REMEMBERED: usize = 64;

pub(super) struct Guest {
    pub(super) sessions: u32,
    pub(super) path_kind: String,
    pub(super) tastes: Allowance,
    pub(super) transfers: u32,
    pub(super) sent: u64,
    pub(super) rate: Rate,
    /// Whether it passes on parts of what it is fetching.
    pub(super) serves_parts: bool,
    complaints: Allowance,
    /// What it asked for, and when it last did. Latest last.
    files: VecDeque<(FileId, Instant)>,
}

impl Guest {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sessions: 0,
            path_kind: String::new(),
            tastes: Allowance::new(TASTES, TASTE_EVERY, now),
            transfers: 0,
            sent: 0,
            rate: Rate::new(now),
            serves_parts: false,
            complaints: Allowance::new(COMPLAINTS, COMPLAINT_EVERY, now),
            files: VecDeque::new(),
        }
    }

    pub(super) fn begin(&mut self, file: FileId, now: Instant) {
        self.transfers += 1;
        match self.files.back_mut() {
            Some((last, asked)) if *last == file => *asked = now,
            _ => {
                self.files.retain(|(other, _)| *other != file);
                if self.files.len() == FILES_REMEMBERED {
                    self.files.pop_front();
                }
                self.files.push_back((file, now));
            }
        }
    }

    pub(super) fn sent(&mut self, bytes: u64, now: Instant) {
        self.sent += bytes;
        self.rate.add(bytes, now);
    }

    pub(super) fn last_file(&self) -> Option<FileId> {
        self.files.back().map(|(file, _)| *file)
    }

    /// When it last asked for some of `file`.
    pub(super) fn asked_for(&self, file: FileId) -> Option<Instant> {
        self.files.iter().find(|(asked, _)| *asked == file).map(|(_, at)| *at)
    }

    /// Whether a complaint about `file` counts.
    pub(super) fn complain(&mut self, file: FileId, now: Instant) -> bool {
        self.asked_for(file).is_some() && self.complaints.spend(now)
    }
}
