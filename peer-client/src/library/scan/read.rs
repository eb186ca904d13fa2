//! Reading: which files, and what becomes of what was found in them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use choir_shared::FileId;

use super::super::hash::{Job, NotRead, Place, ReadFile, Work, perform};
use super::super::left_out::Reason;
use super::super::stamp::Stamp;
use super::super::store::Fact;
use super::Scanner;
use super::batch::More;

/// A file is not checked again for this long, whoever complains of it: each check reads all of it.
const RECHECK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A job that was done, or given up.
pub(super) struct Read {
    disk: u64,
    place: Arc<Place>,
    bytes: u64,
    result: Result<ReadFile, NotRead>,
}

/// Who is read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    InTurn,
    First,
}

impl Scanner {
    pub(super) fn start_reading(&mut self) {
        while self.batch.has_room()
            && let Some((disk, job)) = self.queue.start()
        {
            let (hashed, stop) = (Arc::clone(&self.hashed), self.parts.stop.clone());
            self.reading.spawn_blocking(move || {
                // A panic would be a mistake of ours, and should cost one file and not the scan.
                let result = catch_unwind(AssertUnwindSafe(|| perform(&job, &hashed, &stop)));
                let result = result.unwrap_or(Err(NotRead::LeftOut(Reason::Unreadable)));
                Read { disk, place: job.place, bytes: job.bytes, result }
            });
        }
    }

    /// Reads a file again that somebody had trouble with.
    pub(super) async fn recheck(&mut self, file: FileId) {
        let now = Instant::now();
        self.rechecked.retain(|_, checked| now < *checked + RECHECK_AGAIN_AFTER);
        if self.rechecked.contains_key(&file) {
            return;
        }
        self.rechecked.insert(file, now);
        let places = match self.parts.store.places_of(&file).await {
            Ok(places) => places,
            Err(error) => return tracing::error!("cannot look up {}: {error}", file.short()),
        };
        for place in places {
            let stamp = place.stamp;
            let place = Place { share: place.share.id, directory: place.directory, name: place.name };
            self.enqueue(Arc::new(place), stamp.size, Work::Hash, Urgency::First);
        }
    }

    pub(super) fn read_unless_growing(&mut self, place: Arc<Place>, stamp: Stamp) {
        if self.growing.may_read(Instant::now(), &place, stamp) {
            self.enqueue(place, stamp.size, Work::Hash, Urgency::InTurn);
        }
    }

    pub(super) fn enqueue(&mut self, place: Arc<Place>, bytes: u64, work: Work, urgency: Urgency) {
        self.begin_round();
        let Some(root) = self.roots.get(&place.share) else { return };
        if !self.pending.insert(Arc::clone(&place)) {
            return;
        }
        let bytes = if matches!(work, Work::Hash) { bytes } else { 0 };
        self.round.files_to_hash += u64::from(bytes > 0);
        self.round.bytes_to_hash += bytes;
        let job = root.job(place, work, bytes);
        match urgency {
            Urgency::InTurn => self.queue.push(root.disk(), root.readers, job),
            Urgency::First => self.queue.push_first(root.disk(), root.readers, job),
        }
    }

    pub(super) fn forget_job(&mut self, job: &Job) {
        self.pending.remove(&job.place);
        self.round.files_to_hash = self.round.files_to_hash.saturating_sub(u64::from(job.bytes > 0));
        self.round.bytes_to_hash = self.round.bytes_to_hash.saturating_sub(job.bytes);
    }

    /// Deals with a file that was read, or was not.
    pub(super) fn take(&mut self, read: Read) {
        let Read { disk, place, bytes, result } = read;
        self.queue.finished(disk);
        self.round.files_hashed += u64::from(bytes > 0);
        match result {
            Ok(file) => {
                // It stays pending until it is written.
                self.note(Fact::Read(Box::new(file)));
                return;
            }
            Err(NotRead::LeftOut(reason)) => {
                if let Some(root) = self.roots.get_mut(&place.share) {
                    root.left_out.add(&place.directory, reason);
                }
                // If it was shared before, it is not any more.
                self.note(Fact::NotShared { place: Arc::clone(&place) });
            }
            Err(NotRead::Vanished) => self.note(Fact::NotShared { place: Arc::clone(&place) }),
            Err(NotRead::Changing(stamp)) => self.growing.add(Instant::now(), Arc::clone(&place), stamp),
            Err(NotRead::Stopped) => {}
        }
        self.pending.remove(&place);
    }

    pub(super) fn note(&mut self, fact: Fact) {
        self.batch.note(Instant::now(), fact);
    }

    /// Writes and publishes the facts, if it is time. What cannot be written is kept.
    pub(super) async fn write(&mut self, more: More) {
        let Some(facts) = self.batch.to_write(Instant::now(), more) else { return };
        if let Err(error) = self.parts.store.apply(facts).await {
            tracing::error!("the library cannot be written: {error}");
            self.batch.hold(Instant::now());
            return;
        }
        for fact in self.batch.take() {
            if let Fact::Read(file) = fact {
                self.pending.remove(&file.place);
            }
        }
        self.tell_changed().await;
    }

    pub(super) async fn tell_changed(&mut self) {
        match self.parts.store.revision().await {
            Ok(revision) => {
                self.parts.changed.send_if_modified(|known| std::mem::replace(known, revision) != revision);
            }
            Err(error) => tracing::error!("the library cannot be read: {error}"),
        }
    }
}
