//! The scanner: it looks through shared folders, has files read, and writes down what was found.
//!
//! - **One task decides, others do.** A walk runs on a thread of its own and sends what each directory has; files are
//!   read on as many threads as their disks like. Their results come back here, and only here is anything written.
//! - **Publication flows while the scan runs**: results are written in batches, after a second at the latest, so the
//!   first songs can be found within seconds.
//! - **One folder is walked at a time.** Walking costs little beside hashing, and two walks of one disk hinder each
//!   other. A folder that is added meanwhile waits its turn.
//! - **A file that is being written** is left alone until it looks the same twice.
//! - **A folder that is not there is asked for every few seconds**, and so are all others whether they still are.

mod batch;
mod compare;
mod growing;
mod look;
mod progress;
mod read;
mod root;
mod walker;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use choir_shared::FileId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use self::batch::{Batch, More};
use self::growing::Growing;
use self::progress::Round;
use self::read::Read;
use self::root::Root;
use self::walker::{Walk, Walking, next_seen};
use super::WatchOptions;
use super::folders::{Presence, RemoveFolderError, look};
use super::hash::queue::Queue;
use super::hash::{Job, Place};
use super::store::{Share, Store};
use super::walk::Extent;
use super::watch::Noticed;

pub(super) use progress::FolderProgress;
pub use progress::{MissingFolder, ScanPhase, ScanProgress, Watching};

/// How often we ask whether the folders are there: quickly enough for somebody who plugs a disk in and waits.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What others ask of the scanner.
#[derive(Debug)]
pub(super) enum Command {
    Added(Share),
    Remove(i64, oneshot::Sender<Result<(), RemoveFolderError>>),
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
    batch: Batch,
    growing: Growing,
    /// What was told last, and when.
    reported: Option<(ScanPhase, Instant)>,
    rechecked: HashMap<FileId, Instant>,
    waiting: Vec<oneshot::Sender<()>>,
    /// All bytes hashed since the start.
    hashed: Arc<AtomicU64>,
    round: Round,
    processors: usize,
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
            batch: Batch::default(),
            growing: Growing::default(),
            reported: None,
            rechecked: HashMap::new(),
            waiting: Vec::new(),
            hashed: Arc::default(),
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
            self.start_walk();
            self.start_reading();
            self.report();
            if self.is_idle() {
                self.settle().await;
            }
            let due = self.due();
            tokio::select! {
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
        self.write(More::NotExpected).await;
    }

    fn add(&mut self, share: Share) {
        let id = share.id;
        self.roots.insert(id, Root::new(share, self.parts.options.quiet));
        self.walk_all(id);
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Added(share) => self.add(share),
            Command::Remove(share, answer) => {
                let removed = self.remove(share).await.map_err(RemoveFolderError::from);
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
                root.stop_polling();
            }
            self.walk_all(share);
        }
    }

    async fn remove(&mut self, id: i64) -> Result<(), sqlx::Error> {
        self.write(More::NotExpected).await;
        self.parts.store.remove_share(id).await?;
        self.roots.remove(&id);
        self.walks.retain(|walk| walk.share != id);
        self.growing.forget(id);
        if self.walking.as_ref().is_some_and(|walking| walking.walk.share == id) {
            self.walking = None;
        }
        let dropped = self.queue.remove_unless(|job| job.place.share != id);
        dropped.iter().for_each(|job| self.forget_job(job));
        self.tell_changed().await;
        Ok(())
    }

    /// When there will be something to do without anything happening.
    fn due(&self) -> Instant {
        let roots = self.roots.values().flat_map(|root| [root.quiet.due(), root.next_poll]).flatten();
        let looking = self.looking.is_none().then_some(self.next_look);
        let others = [self.batch.due(), self.growing.due(), looking].into_iter().flatten();
        roots.chain(others).min().unwrap_or_else(|| Instant::now() + LOOK_EVERY)
    }

    async fn do_what_is_due(&mut self) {
        let now = Instant::now();
        let is_all_read = self.queue.is_idle() && self.walking.is_none() && self.walks.is_empty();
        self.write(if is_all_read { More::NotExpected } else { More::Expected }).await;
        for (&share, root) in &mut self.roots {
            for (start, extent) in root.quiet.take(now) {
                self.walks.push_back(Walk { share, start, extent });
            }
            if root.take_poll(now) {
                self.walks.push_back(Walk { share, start: PathBuf::new(), extent: Extent::Below });
            }
        }
        while let Some((share, start)) = self.growing.take(now) {
            self.walks.push_back(Walk { share, start, extent: Extent::Here });
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
}

/// What a task found out; never, if there is none.
async fn finished<T: Default>(task: &mut Option<JoinHandle<T>>) -> T {
    let Some(running) = task else { return pending().await };
    let result = running.await;
    *task = None;
    // It panicked or was stopped with the program.
    result.unwrap_or_default()
}
