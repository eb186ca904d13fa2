//! The scanner: it looks through shared folders, has files read, and writes down what was found.
//!
//! - **One task decides, others do.** A walk runs on a thread of its own and sends what each directory has; files are
//!   read on as many threads as their disks like. Their results come back here, and only here is anything written.
//! - **Publication flows while the scan runs**: results are written in batches of [`BATCH_FILES`], or after
//!   [`BATCH_TIME`] if there are fewer, so the first songs can be found within seconds.
//! - **One folder is walked at a time.** Walking costs little beside hashing, and two walks of one disk hinder each
//!   other. A folder that is added meanwhile waits its turn.
//! - **A file that is being written** is left alone until it looks the same twice.
//! - **A folder that is not there is asked for every few seconds**, and so are all others whether they still are.

pub(super) mod compare;
mod progress;
mod root;
mod walker;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use choir_shared::FileId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use self::compare::compare;
use self::root::Root;
use self::walker::{Manner, Seen, Walk, Walking, next_seen};
use super::WatchOptions;
use super::folders::{Presence, RemoveFolderError, look, same_alias};
use super::hash::queue::Queue;
use super::hash::{Job, NotRead, Place, ReadFile, Work, perform};
use super::left_out::{Reason, Tally};
use super::stamp::Stamp;
use super::store::{Fact, Share, Store};
use super::walk::{Extent, Found, Listing};
use super::watch::Noticed;

pub(super) use progress::FolderProgress;
pub use progress::{MissingFolder, ScanPhase, ScanProgress, Watching};

/// Facts are written when there are so many, or when the first of them has waited so long.
const BATCH_FILES: usize = 500;
const BATCH_TIME: Duration = Duration::from_secs(1);

/// With this many facts that cannot be written, because the disk is full say, nothing more is read.
const MAX_UNWRITTEN: usize = 4 * BATCH_FILES;

/// Often enough for a bar that moves.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// How long until another attempt to write.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How often we ask whether the folders are there: quickly enough for somebody who plugs a disk in and waits.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// How long a file that is being written is left alone.
const GROWING_WAIT: Duration = Duration::from_secs(2);

/// A file is not checked again for this long, whoever complains of it: each check reads all of it.
const RECHECK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What others ask of the scanner.
#[derive(Debug)]
pub(super) enum Command {
    Added(Share),
    Remove(String, oneshot::Sender<Result<(), RemoveFolderError>>),
    Rescan,
    Recheck(FileId),
    KeepPrivate(Vec<PathBuf>),
    /// To be answered when nothing is left to do.
    Settled(oneshot::Sender<()>),
}

/// What the scanner is made of.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) options: WatchOptions,
    pub(super) private: Vec<PathBuf>,
    /// Filled by calls of the library; full, they wait.
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) progress: watch::Sender<ScanProgress>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) stop: CancellationToken,
}

pub(super) struct Scanner {
    parts: Parts,
    roots: BTreeMap<i64, Root>,
    /// Filled by the threads that watch folders. Full, they drop events and say so; see [`super::watch`].
    noticed: (mpsc::Sender<Noticed>, mpsc::Receiver<Noticed>),
    walks: VecDeque<Walk>,
    walking: Option<Walking>,
    looking: Option<JoinHandle<Vec<(i64, Presence)>>>,
    next_look: Instant,
    queue: Queue<Job>,
    reading: JoinSet<Read>,
    /// Files that wait to be read, are read, or whose facts wait to be written.
    pending: HashSet<Arc<Place>>,
    facts: Vec<Fact>,
    write_at: Option<Instant>,
    /// They could not be written, and are not tried again before this.
    hold_until: Option<Instant>,
    reported: Option<(ScanPhase, Instant)>,
    /// Files that were written to while we read them, and what they looked like.
    growing: HashMap<Arc<Place>, Stamp>,
    /// Directories of such files, and when to look at them again.
    grow_checks: VecDeque<(Instant, Walk)>,
    rechecked: HashMap<FileId, Instant>,
    waiting: Vec<oneshot::Sender<()>>,
    /// All bytes hashed since the start, and how many of them before the present round.
    hashed: Arc<AtomicU64>,
    hashed_before: u64,
    round: Round,
    processors: usize,
}

/// A job that was done, or given up.
struct Read {
    disk: u64,
    place: Arc<Place>,
    bytes: u64,
    result: Result<ReadFile, NotRead>,
}

/// Counts from the last time that everything was done.
#[derive(Debug, Default)]
struct Round {
    files_seen: u64,
    files_to_hash: u64,
    files_hashed: u64,
    bytes_to_hash: u64,
}

impl Scanner {
    pub(super) fn new(parts: Parts, shares: Vec<Share>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let mut scanner = Self {
            parts,
            roots: BTreeMap::new(),
            noticed: mpsc::channel(1024),
            walks: VecDeque::new(),
            walking: None,
            looking: None,
            next_look: Instant::now() + LOOK_EVERY,
            queue: Queue::new(processors),
            reading: JoinSet::new(),
            pending: HashSet::new(),
            facts: Vec::new(),
            write_at: None,
            hold_until: None,
            reported: None,
            growing: HashMap::new(),
            grow_checks: VecDeque::new(),
            rechecked: HashMap::new(),
            waiting: Vec::new(),
            hashed: Arc::default(),
            hashed_before: 0,
            round: Round::default(),
            processors,
        };
        shares.into_iter().for_each(|share| scanner.add(share));
        scanner.report();
        scanner
    }

    /// Runs until it is stopped. What was found by then is written.
    pub(super) async fn run(mut self) {
        loop {
            self.start_work();
            self.report();
            if self.is_idle() {
                self.settle().await;
            }
            let due = self.due();
            tokio::select! {
                biased;
                () = self.parts.stop.cancelled() => break,
                command = self.parts.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    // The last handle of the library is gone.
                    None => break,
                },
                Some(noticed) = self.noticed.1.recv() => self.notice(noticed),
                seen = next_seen(&mut self.walking) => self.see(seen).await,
                Some(Ok(read)) = self.reading.join_next() => self.take(read),
                looked = finished(&mut self.looking) => self.compare_presence(looked),
                () = sleep_until(due.into()) => {}
            }
            self.do_what_is_due().await;
        }
        self.walking = None;
        self.parts.stop.cancel();
        while self.reading.join_next().await.is_some() {}
        self.write().await;
    }

    fn add(&mut self, share: Share) {
        let id = share.id;
        self.roots.insert(id, Root::new(share, self.parts.options.quiet));
        self.walk_all(id);
    }

    fn walk_all(&mut self, share: i64) {
        self.walks.retain(|walk| walk.share != share);
        self.walks.push_back(Walk { share, start: PathBuf::new(), extent: Extent::Below });
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Added(share) => self.add(share),
            Command::Remove(name, answer) => {
                let removed = self.remove(&name).await;
                // Whoever asked may have gone.
                let _ = answer.send(removed);
            }
            Command::Rescan => self.rescan(),
            Command::Recheck(file) => self.recheck(file).await,
            Command::KeepPrivate(folders) => {
                self.parts.private = folders;
                self.rescan();
            }
            Command::Settled(answer) => self.waiting.push(answer),
        }
    }

    fn rescan(&mut self) {
        let shares: Vec<i64> = self.roots.keys().copied().collect();
        for share in shares {
            if let Some(root) = self.roots.get_mut(&share) {
                // Perhaps the limit that kept us from watching has been raised.
                root.watch_again();
            }
            self.walk_all(share);
        }
    }

    async fn remove(&mut self, name: &str) -> Result<(), RemoveFolderError> {
        let not_shared = || RemoveFolderError::NotShared(name.to_owned());
        let named = |share: &Share| same_alias(&share.alias, name) || share.path == PathBuf::from(name);
        let id = self.roots.iter().find(|(_, root)| named(&root.share)).map(|(&id, _)| id).ok_or_else(not_shared)?;
        self.write().await;
        self.parts.store.remove_share(id).await?;
        self.roots.remove(&id);
        self.walks.retain(|walk| walk.share != id);
        if self.walking.as_ref().is_some_and(|walking| walking.walk.share == id) {
            self.walking = None;
        }
        let dropped = self.queue.remove_unless(|job| job.place.share != id);
        dropped.iter().for_each(|job| self.forget_job(job));
        self.tell_changed().await;
        Ok(())
    }

    /// Reads a file again that somebody had trouble with.
    async fn recheck(&mut self, file: FileId) {
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

    fn notice(&mut self, noticed: Noticed) {
        if let Some(root) = self.roots.get_mut(&noticed.share) {
            root.quiet.note(Instant::now(), noticed.directory, noticed.extent);
        }
    }

    /// Deals with what a walk has found. `None` is its end.
    async fn see(&mut self, seen: Option<Seen>) {
        let Some(walking) = &mut self.walking else { return };
        let (share, extent) = (walking.walk.share, walking.walk.extent);
        match seen {
            Some(Seen::Present { marker, file_system, readers }) => {
                if let Some(root) = self.roots.get_mut(&share) {
                    (root.seen, root.file_system, root.readers) = (Some(marker), file_system, readers);
                }
                self.set_absent(share, false).await;
                // What was read must be known when it is missed.
                self.write().await;
            }
            Some(Seen::Absent) => {
                if let Some(root) = self.roots.get_mut(&share) {
                    root.watch_again();
                }
                self.set_absent(share, true).await;
            }
            Some(Seen::Watched(watched)) => {
                if let Some(root) = self.roots.get_mut(&share) {
                    root.watched(watched, self.parts.options.poll_every);
                }
            }
            Some(Seen::Listing(listing)) => {
                if let Err(error) = self.compare(share, extent, listing).await {
                    tracing::error!("the library cannot be compared with the disk: {error}");
                }
            }
            None => self.walking = None,
        }
    }

    async fn set_absent(&mut self, share: i64, absent: bool) {
        let Some(root) = self.roots.get_mut(&share).filter(|root| root.share.absent != absent) else { return };
        tracing::info!(
            "the shared folder {} is {}",
            root.share.path.display(),
            if absent { "not there" } else { "back" }
        );
        root.share.absent = absent;
        // What was found in it before must not be published after it is gone.
        self.write().await;
        match self.parts.store.set_absent(share, absent).await {
            Ok(()) => self.tell_changed().await,
            Err(error) => tracing::error!("cannot note that a shared folder came or went: {error}"),
        }
    }

    /// A directory against what is known of it.
    async fn compare(&mut self, share: i64, extent: Extent, listing: Listing) -> Result<(), sqlx::Error> {
        let Some(root) = self.roots.get_mut(&share) else { return Ok(()) };
        root.left_out.set(&listing.directory, listing.left_out);
        let inodes = root.file_system.inodes;
        let Listing { directory, mut files, folders, .. } = listing;
        files.iter_mut().for_each(|found| found.stamp = inodes.adapt(found.stamp));
        self.round.files_seen += files.len() as u64;

        // Directories in this one that are known to have files, and are not there any more or not looked into.
        let below = self.parts.store.directories_below(share, &directory).await?;
        let children = below.iter().filter_map(|path| path.strip_prefix(&directory).ok()?.iter().next());
        let children: HashSet<_> = children.map(ToOwned::to_owned).collect();
        for name in children.iter().filter(|name| !folders.contains(name)) {
            let directory = directory.join(name);
            if let Some(root) = self.roots.get_mut(&share) {
                root.left_out.forget(&directory);
            }
            self.note(Fact::DirectoryGone { share, directory });
        }
        // A new directory may have been there before we began to watch it.
        if extent == Extent::Here {
            for name in folders.iter().filter(|name| !children.contains(*name)) {
                self.walks.push_back(Walk { share, start: directory.join(name), extent: Extent::Below });
            }
        }

        let comparison = compare(files, self.parts.store.known_in(share, &directory).await?);
        let place = |name| Arc::new(Place { share, directory: directory.clone(), name });
        for (file, stamp) in comparison.back {
            self.note(Fact::Back { file: file.id, stamp });
        }
        for file in comparison.gone {
            self.note(Fact::Gone { file: file.id });
        }
        for file in comparison.to_describe {
            self.enqueue(place(file.name), 0, Work::Describe(file.content), Urgency::InTurn);
        }
        for Found { name, stamp } in comparison.changed {
            self.read_unless_growing(place(name), stamp);
        }
        for Found { name, stamp } in comparison.fresh {
            let place = place(name);
            if self.pending.contains(&place) {
                continue;
            }
            match self.parts.store.same_file(&stamp).await? {
                Some(content) => self.enqueue(place, 0, Work::Describe(content), Urgency::InTurn),
                None => self.read_unless_growing(place, stamp),
            }
        }
        Ok(())
    }

    fn read_unless_growing(&mut self, place: Arc<Place>, stamp: Stamp) {
        if let Some(before) = self.growing.get_mut(&place)
            && *before != stamp
        {
            *before = stamp;
            self.look_again(&place);
            return;
        }
        self.growing.remove(&place);
        self.enqueue(place, stamp.size, Work::Hash, Urgency::InTurn);
    }

    fn look_again(&mut self, place: &Place) {
        let walk = Walk { share: place.share, start: place.directory.clone(), extent: Extent::Here };
        self.grow_checks.push_back((Instant::now() + GROWING_WAIT, walk));
    }

    fn enqueue(&mut self, place: Arc<Place>, bytes: u64, work: Work, urgency: Urgency) {
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

    fn forget_job(&mut self, job: &Job) {
        self.pending.remove(&job.place);
        self.round.files_to_hash = self.round.files_to_hash.saturating_sub(u64::from(job.bytes > 0));
        self.round.bytes_to_hash = self.round.bytes_to_hash.saturating_sub(job.bytes);
    }

    fn start_work(&mut self) {
        if self.walking.is_none()
            && let Some(walk) = self.walks.pop_front()
            && let Some(root) = self.roots.get(&walk.share)
        {
            let manner = Manner {
                private: self.parts.private.clone(),
                noticed: self.noticed.0.clone(),
                polling_only: self.parts.options.polling_only,
                processors: self.processors,
            };
            self.walking = Some(Walking::begin(walk, root, manner));
        }
        while self.facts.len() < MAX_UNWRITTEN
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

    /// Deals with a file that was read, or was not.
    fn take(&mut self, read: Read) {
        let Read { disk, place, bytes, result } = read;
        self.queue.finished(disk);
        self.round.files_hashed += u64::from(bytes > 0);
        match result {
            Ok(file) => {
                self.growing.remove(&place);
                // It stays pending until it is written.
                self.note(Fact::Read(file));
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
            Err(NotRead::Changing(stamp)) => {
                self.look_again(&place);
                self.growing.insert(Arc::clone(&place), stamp);
            }
            Err(NotRead::Stopped) => {}
        }
        self.pending.remove(&place);
    }

    fn note(&mut self, fact: Fact) {
        self.facts.push(fact);
        self.write_at = self.write_at.or_else(|| Some(Instant::now() + BATCH_TIME));
    }

    /// Writes and publishes the facts. What cannot be written is kept.
    async fn write(&mut self) {
        if self.facts.is_empty() || self.hold_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        self.write_at = None;
        if let Err(error) = self.parts.store.apply(&self.facts).await {
            eprintln!("DEBUG {error}");tracing::error!("the library cannot be written: {error}");
            self.hold_until = Some(Instant::now() + WRITE_AGAIN_AFTER);
            return;
        }
        self.hold_until = None;
        for fact in self.facts.drain(..) {
            if let Fact::Read(file) = fact {
                self.pending.remove(&file.place);
            }
        }
        self.tell_changed().await;
    }

    async fn tell_changed(&mut self) {
        match self.parts.store.revision().await {
            Ok(revision) => {
                self.parts.changed.send_if_modified(|known| std::mem::replace(known, revision) != revision);
            }
            Err(error) => tracing::error!("the library cannot be read: {error}"),
        }
    }

    /// When there will be something to do without anything happening.
    fn due(&self) -> Instant {
        let roots = self.roots.values().flat_map(|root| [root.quiet.due(), root.next_poll]).flatten();
        let looking = self.looking.is_none().then_some(self.next_look);
        let checks = self.grow_checks.iter().map(|(due, _)| *due);
        let write = self.hold_until.or(self.write_at);
        roots.chain(write).chain(looking).chain(checks).min().unwrap_or_else(|| Instant::now() + LOOK_EVERY)
    }

    async fn do_what_is_due(&mut self) {
        let now = Instant::now();
        let is_all_read = self.queue.is_idle() && self.walking.is_none() && self.walks.is_empty();
        if self.facts.len() >= BATCH_FILES
            || is_all_read
            || self.hold_until.or(self.write_at).is_some_and(|due| due <= now)
        {
            self.write().await;
        }
        for (&share, root) in &mut self.roots {
            for (start, extent) in root.quiet.take(now) {
                self.walks.push_back(Walk { share, start, extent });
            }
            if root.take_poll(now) {
                self.walks.push_back(Walk { share, start: PathBuf::new(), extent: Extent::Below });
            }
        }
        while self.grow_checks.front().is_some_and(|(due, _)| *due <= now)
            && let Some((_, walk)) = self.grow_checks.pop_front()
        {
            self.walks.push_back(walk);
        }
        if self.looking.is_none() && self.next_look <= now {
            self.next_look = now + LOOK_EVERY;
            let processors = self.processors;
            let roots: Vec<_> =
                self.roots.values().map(|root| (root.share.id, root.share.path.clone(), root.share.marker)).collect();
            self.looking = Some(tokio::task::spawn_blocking(move || {
                roots.into_iter().map(|(id, path, marker)| (id, look(&path, marker, processors))).collect()
            }));
        }
    }

    /// Walks the folders that came, went, or were exchanged for others since they were looked at.
    fn compare_presence(&mut self, looked: Vec<(i64, Presence)>) {
        for (share, presence) in looked {
            let Some(root) = self.roots.get_mut(&share) else { continue };
            let differs = match presence {
                Presence::Absent => !root.share.absent,
                Presence::Here { marker, .. } => root.share.absent || root.seen.is_some_and(|seen| seen != marker),
            };
            let lost_events = root.lost_events();
            if differs {
                root.watch_again();
            }
            if differs || lost_events {
                self.walk_all(share);
            }
        }
    }

    fn is_idle(&self) -> bool {
        let is_quiet = self.roots.values().all(|root| root.quiet.due().is_none());
        is_quiet && self.walks.is_empty() && self.walking.is_none() && self.queue.is_idle() && self.facts.is_empty()
    }

    /// Tells those who wait that all is done.
    async fn settle(&mut self) {
        if self.round.files_seen == 0 && self.waiting.is_empty() {
            return;
        }
        if let Err(error) = self.take_stock().await {
            tracing::error!("the library cannot be read: {error}");
        }
        self.reported = None;
        self.report();
        self.round = Round::default();
        self.hashed_before = self.hashed.load(Ordering::Relaxed);
        for waiting in self.waiting.drain(..) {
            // Whoever waited may have gone.
            let _ = waiting.send(());
        }
    }

    /// What is only known when all is read and written.
    async fn take_stock(&mut self) -> Result<(), sqlx::Error> {
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

    fn report(&mut self) {
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
            bytes_hashed: hashed - self.hashed_before,
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
}

/// Who is read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    InTurn,
    First,
}

/// What a task found out; never, if there is none.
async fn finished<T: Default>(task: &mut Option<JoinHandle<T>>) -> T {
    let Some(running) = task else { return pending().await };
    let result = running.await;
    *task = None;
    // It panicked or was stopped with the program.
    result.unwrap_or_default()
}
