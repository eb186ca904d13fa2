//! All downloads of this peer. They outlive the program: what is wanted and what became of it is in the database,
//! what was fetched lies on disk.
//!
//! - **One unfinished line for each part.** A line is unfinished until it is done or cancelled; what is asked for again
//!   takes up its unfinished line. So whoever discards a part takes it from nobody, and no two jobs write into one.
//! - **A line is halted when its job has ended**, and not before: what a job says on its way out counts no more.
//! - **Commands go to their end**, also if whoever gave them is gone: a line whose job was stopped must say so.

mod part_locks;
mod watched;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use choir_shared::FileId;
use sqlx::{Row as _, SqlitePool};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::about::name_in_place_of;
use super::job::{Job, Outcome, Workshop};
use super::priority::Priority;
use super::status::{DownloadId, DownloadRequest, DownloadStatus, State, Why};
use crate::store::Part;
use part_locks::{PartLock, PartLocks};
use watched::Watched;

/// Lines that are kept for people to look at; of older ones those that are done or cancelled are dropped at start.
const KEPT_LINES: usize = 1000;

/// A cloneable handle on the downloads of this peer.
#[derive(Clone)]
pub struct Downloads {
    shared: Arc<Shared>,
}

struct Shared {
    database: SqlitePool,
    workshop: Arc<Workshop>,
    tracker: TaskTracker,
    cancel: CancellationToken,
    entries: Mutex<BTreeMap<DownloadId, Entry>>,
    parts: PartLocks,
    /// Counts changes of which files are waited for.
    wanted: watch::Sender<u64>,
    /// Counts changes of any download's state.
    turned: watch::Sender<u64>,
}

struct Entry {
    request: DownloadRequest,
    status: watch::Sender<DownloadStatus>,
    poke: Arc<Notify>,
    watched: Watched,
    job: Option<Running>,
}

/// A job at work.
struct Running {
    stop: CancellationToken,
    /// Ends when nothing of the job is at work any more.
    task: JoinHandle<()>,
}

impl Entry {
    fn is_of(&self, request: &DownloadRequest) -> bool {
        is_same_part(&self.request, request)
    }

    fn state(&self) -> State {
        self.status.borrow().state
    }
}

/// A download as the database has it.
struct Line {
    id: DownloadId,
    request: DownloadRequest,
    status: DownloadStatus,
}

fn is_same_part(one: &DownloadRequest, other: &DownloadRequest) -> bool {
    one.file == other.file && one.folder == other.folder
}

/// The lines that nobody needs any more, of all in their order. A group is told as a whole, so its lines stay for as
/// long as one of them is wanted.
fn too_old(lines: &[Line]) -> BTreeSet<DownloadId> {
    let is_over = |line: &&Line| line.status.state.is_over();
    let wanted: BTreeSet<_> =
        lines.iter().filter(|line| !is_over(line)).filter_map(|line| line.request.group.as_deref()).collect();
    let is_told = |line: &&Line| line.request.group.as_deref().is_some_and(|group| wanted.contains(group));
    let old = lines.iter().rev().skip(KEPT_LINES);
    old.filter(is_over).filter(|line| !is_told(line)).map(|line| line.id).collect()
}

/// The unfinished lines whose part belongs to a later one.
fn superseded(lines: &[Line]) -> BTreeSet<DownloadId> {
    let mut parts = HashSet::new();
    let unfinished = lines.iter().rev().filter(|line| !line.status.state.is_over());
    unfinished.filter(|line| !parts.insert((&line.request.folder, line.request.file))).map(|line| line.id).collect()
}

/// What cannot be done with a download.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("there is no download {}", id.0)]
    NoSuch { id: DownloadId },
    #[error("download {} is {state:?} already", id.0)]
    Over { id: DownloadId, state: State },
    #[error("download {} fetches the same file", other.0)]
    Same { other: DownloadId },
    /// People may take what was offered, and know what it is; other files they ask for by their id.
    #[error("{file} was not offered for download {}", id.0)]
    NotOffered { id: DownloadId, file: FileId },
    #[error("the program is ending")]
    Stopping,
    #[error("the peer's database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl Downloads {
    /// Reads the list, and goes on with what was under way.
    pub async fn open(
        database: SqlitePool,
        workshop: Workshop,
        tracker: TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, ListError> {
        let rows = sqlx::query("SELECT id, request, status FROM downloads ORDER BY id").fetch_all(&database).await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, request, status): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            match (serde_json::from_str(&request), serde_json::from_str(&status)) {
                (Ok(request), Ok(status)) => lines.push(Line { id: DownloadId(id), request, status }),
                _ => tracing::warn!(id, "a line of the downloads list does not parse and is left out"),
            }
        }
        let old = too_old(&lines);
        sqlx::query("DELETE FROM downloads WHERE id IN (SELECT value FROM json_each(?))")
            .bind(json(&old))
            .execute(&database)
            .await?;
        lines.retain(|line| !old.contains(&line.id));
        let shared = Shared {
            database,
            workshop: Arc::new(workshop),
            tracker,
            cancel,
            entries: Mutex::default(),
            parts: PartLocks::default(),
            wanted: watch::Sender::new(0),
            turned: watch::Sender::new(0),
        };
        let downloads = Self { shared: Arc::new(shared) };
        let superseded = superseded(&lines);
        for Line { id, request, mut status } in lines {
            let is_superseded = superseded.contains(&id);
            if is_superseded {
                (status.state, status.reason, status.message) = (State::Cancelled, Some(Why::Replaced), None);
            }
            downloads.take_up(id, request, status);
            if is_superseded {
                downloads.save(id).await?;
            }
        }
        Ok(downloads)
    }

    /// Begins a download. If there is an unfinished line of the same file to the same folder, that one goes on instead,
    /// with the higher of both priorities.
    pub async fn start(&self, request: DownloadRequest) -> Result<DownloadStatus, ListError> {
        let downloads = self.clone();
        self.to_the_end(async move {
            let _part = downloads.part(&request).await;
            match downloads.unfinished(&request) {
                Some(id) => downloads.ask_again(id, request.priority).await,
                None => downloads.begin(request).await,
            }
        })
        .await
    }

    async fn begin(&self, request: DownloadRequest) -> Result<DownloadStatus, ListError> {
        let mut status = DownloadStatus::of(&request);
        let insert = "INSERT INTO downloads (request, status, state) VALUES (?, ?, 'searching') RETURNING id";
        let inserted =
            sqlx::query(insert).bind(json(&request)).bind(json(&status)).fetch_one(&self.shared.database).await?;
        status.id = DownloadId(inserted.try_get(0)?);
        self.take_up(status.id, request, status.clone());
        Ok(status)
    }

    async fn ask_again(&self, id: DownloadId, priority: Priority) -> Result<DownloadStatus, ListError> {
        let status = {
            let entries = self.entries();
            let entry = entries.get(&id).ok_or(ListError::NoSuch { id })?;
            entry.status.send_modify(|status| status.priority = status.priority.max(priority));
            entry.status.clone()
        };
        self.go_on(id).await?;
        Ok(status.borrow().clone())
    }

    /// All lines, oldest first.
    pub fn list(&self) -> Vec<DownloadStatus> {
        self.entries().values().map(|entry| entry.status.borrow().clone()).collect()
    }

    /// The status of one download as it changes; the last one is final unless the download is taken up again.
    pub fn watch(&self, id: DownloadId) -> Result<watch::Receiver<DownloadStatus>, ListError> {
        self.entries().get(&id).map(|entry| entry.status.subscribe()).ok_or(ListError::NoSuch { id })
    }

    pub async fn pause(&self, id: DownloadId) -> Result<(), ListError> {
        let (downloads, request) = (self.clone(), self.request(id)?);
        self.to_the_end(async move {
            let _part = downloads.part(&request).await;
            downloads.halt(id, State::Paused, Why::ByUser).await
        })
        .await
    }

    /// Goes on with a paused or failed download, and stops waiting at once for one that waits.
    pub async fn resume(&self, id: DownloadId) -> Result<(), ListError> {
        let (downloads, request) = (self.clone(), self.request(id)?);
        self.to_the_end(async move {
            let _part = downloads.part(&request).await;
            match downloads.unfinished(&request).filter(|other| *other != id) {
                Some(other) => Err(ListError::Same { other }),
                None => downloads.go_on(id).await,
            }
        })
        .await
    }

    /// Under the part's lock.
    async fn go_on(&self, id: DownloadId) -> Result<(), ListError> {
        {
            let entries = self.entries();
            let entry = entries.get(&id).ok_or(ListError::NoSuch { id })?;
            let state = entry.state();
            if state == State::Done {
                return Err(ListError::Over { id, state });
            }
            if entry.job.is_some() && !state.is_final() {
                entry.poke.notify_one();
                return Ok(());
            }
        }
        // One that has just failed may not be gone yet.
        self.stop(id).await;
        if let Some(entry) = self.entries().get_mut(&id) {
            entry.status.send_modify(|status| {
                (status.state, status.reason, status.message) = (State::Searching, None, None);
            });
            self.run(id, entry);
        }
        self.save(id).await
    }

    /// Comes before others, or after them, from now on. What is being transferred already goes on.
    pub async fn set_priority(&self, id: DownloadId, priority: Priority) -> Result<(), ListError> {
        {
            let entries = self.entries();
            let entry = entries.get(&id).ok_or(ListError::NoSuch { id })?;
            let state = entry.state();
            if state.is_over() {
                return Err(ListError::Over { id, state });
            }
            entry.status.send_modify(|status| status.priority = priority);
        }
        self.save(id).await
    }

    /// Bytes per second over all downloads.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.shared.workshop.throttle.set_limit(limit);
    }

    /// Ends a download and removes what was fetched.
    pub async fn cancel(&self, id: DownloadId) -> Result<(), ListError> {
        self.drop_download(id, Why::ByUser).await
    }

    /// Fetches another file that was offered in place of this one, to where this one was to go.
    pub async fn take(&self, id: DownloadId, file: FileId) -> Result<DownloadStatus, ListError> {
        let request = {
            let entries = self.entries();
            let entry = entries.get(&id).ok_or(ListError::NoSuch { id })?;
            let status = entry.status.borrow();
            if status.state.is_over() {
                return Err(ListError::Over { id, state: status.state });
            }
            let offered = status.alternates.iter().find(|alternate| alternate.file_id == file);
            let about = offered.ok_or(ListError::NotOffered { id, file })?.about.clone();
            let name = name_in_place_of(&entry.request.name, &about.name(&file)).into();
            let priority = status.priority;
            DownloadRequest { file, name, sources: vec![], priority, about, ..entry.request.clone() }
        };
        // In this order a crash between the two leaves both, and never none.
        let taken = self.start(request).await?;
        self.drop_download(id, Why::Replaced).await?;
        Ok(taken)
    }

    /// Asks the indexes anew what could be had in place of a download that is stuck.
    pub async fn look_for_alternates(&self, id: DownloadId) -> Result<DownloadStatus, ListError> {
        let (request, status) = {
            let entries = self.entries();
            let entry = entries.get(&id).ok_or(ListError::NoSuch { id })?;
            (entry.request.clone(), entry.status.clone())
        };
        if status.borrow().is_stuck() {
            let alternates = self.shared.workshop.finder.alternates(request.file, &request.about).await;
            status.send_if_modified(|status| {
                let is_news = status.is_stuck() && status.alternates != alternates;
                if is_news {
                    status.alternates = alternates;
                }
                is_news
            });
        }
        let status = status.borrow().clone();
        Ok(status)
    }

    async fn drop_download(&self, id: DownloadId, why: Why) -> Result<(), ListError> {
        let (downloads, request) = (self.clone(), self.request(id)?);
        self.to_the_end(async move {
            let _part = downloads.part(&request).await;
            downloads.halt(id, State::Cancelled, why).await?;
            let disk = Arc::clone(&downloads.shared.workshop.disk);
            let discard = move || Part::open_on(&*disk, &request.folder, request.file).and_then(Part::discard);
            if let Ok(Err(error)) = tokio::task::spawn_blocking(discard).await {
                tracing::warn!(%error, "what was fetched of a cancelled download stays on disk");
            }
            Ok(())
        })
        .await
    }

    /// Somebody online has one of these files now, or somebody else.
    pub fn available(&self, files: &[FileId]) {
        let entries = self.entries();
        let waiting = entries.values().filter(|entry| entry.watched.is_on());
        waiting.filter(|entry| files.contains(&entry.request.file)).for_each(|entry| entry.poke.notify_one());
    }

    /// What came of all downloads since the program started, whether or not it could be kept.
    pub fn bytes_fetched(&self) -> u64 {
        self.shared.workshop.arrivals.bytes()
    }

    /// An index answers that has not answered before.
    pub fn index_is_back(&self) {
        let entries = self.entries();
        let waits = |entry: &&Entry| entry.status.borrow().reason == Some(Why::IndexUnreachable);
        entries.values().filter(waits).for_each(|entry| entry.poke.notify_one());
    }

    /// The files of which it matters if somebody has them who had not.
    pub fn waiting_for(&self) -> Vec<FileId> {
        let entries = self.entries();
        entries.values().filter(|entry| entry.watched.is_on()).map(|entry| entry.request.file).collect()
    }

    /// Changes whenever [`Downloads::waiting_for`] may have.
    pub fn waiting_changed(&self) -> watch::Receiver<u64> {
        self.shared.wanted.subscribe()
    }

    /// Changes whenever a download's state does, and not for mere progress.
    pub fn turned(&self) -> watch::Receiver<u64> {
        self.shared.turned.subscribe()
    }

    /// Under the part's lock.
    async fn halt(&self, id: DownloadId, state: State, why: Why) -> Result<(), ListError> {
        self.expect_unfinished(id)?;
        self.stop(id).await;
        // What was being finished is done now.
        self.expect_unfinished(id)?;
        if let Some(entry) = self.entries().get_mut(&id) {
            entry.watched = Watched::default();
            entry.status.send_modify(|status| {
                (status.state, status.reason, status.message) = (state, Some(why), None);
                (status.ahead, status.eta_ms) = (None, None);
                status.bytes_per_second = 0;
                status.sources.clear();
            });
        }
        self.shared.wanted.send_modify(|count| *count += 1);
        self.save(id).await
    }

    /// Stops the job of a line, and waits until nothing of it is at work any more.
    async fn stop(&self, id: DownloadId) {
        let job = self.entries().get_mut(&id).and_then(|entry| entry.job.take());
        if let Some(Running { stop, task }) = job {
            stop.cancel();
            let _ = task.await;
        }
    }

    fn expect_unfinished(&self, id: DownloadId) -> Result<(), ListError> {
        let entries = self.entries();
        let state = entries.get(&id).ok_or(ListError::NoSuch { id })?.state();
        if state.is_over() { Err(ListError::Over { id, state }) } else { Ok(()) }
    }

    fn request(&self, id: DownloadId) -> Result<DownloadRequest, ListError> {
        self.entries().get(&id).map(|entry| entry.request.clone()).ok_or(ListError::NoSuch { id })
    }

    /// The unfinished line of the same file to the same folder.
    fn unfinished(&self, request: &DownloadRequest) -> Option<DownloadId> {
        let entries = self.entries();
        let mut unfinished = entries.iter().filter(|(_, entry)| !entry.state().is_over());
        unfinished.find(|(_, entry)| entry.is_of(request)).map(|(id, _)| *id)
    }

    async fn part(&self, request: &DownloadRequest) -> PartLock {
        self.shared.parts.lock(request.folder.clone(), request.file).await
    }

    async fn to_the_end<T: Send + 'static>(
        &self,
        command: impl Future<Output = Result<T, ListError>> + Send + 'static,
    ) -> Result<T, ListError> {
        self.shared.tracker.spawn(command).await.unwrap_or(Err(ListError::Stopping))
    }

    fn take_up(&self, id: DownloadId, request: DownloadRequest, status: DownloadStatus) {
        let goes_on = !status.state.is_final() && status.state != State::Paused;
        let status = watch::Sender::new(DownloadStatus { id, bytes_per_second: 0, ..status });
        let mut entry = Entry { request, status, poke: Arc::default(), watched: Watched::default(), job: None };
        if goes_on {
            self.run(id, &mut entry);
        }
        self.entries().insert(id, entry);
    }

    fn run(&self, id: DownloadId, entry: &mut Entry) {
        let stop = self.shared.cancel.child_token();
        let job = Job {
            request: entry.request.clone(),
            status: entry.status.clone(),
            poke: Arc::clone(&entry.poke),
            stop: stop.clone(),
            workshop: Arc::clone(&self.shared.workshop),
        };
        let (downloads, mut status) = (self.clone(), entry.status.subscribe());
        let task = self.shared.tracker.spawn(async move {
            let mut state = status.borrow().state;
            let mut job = std::pin::pin!(job.run());
            loop {
                tokio::select! {
                    outcome = &mut job => {
                        downloads.shared.turned.send_modify(|count| *count += 1);
                        downloads.judge_watched(id, &status.borrow().clone());
                        if !matches!(outcome, Outcome::Stopped) {
                            downloads.ended(id).await;
                        }
                        return;
                    }
                    Ok(()) = status.changed() => {
                        let now = status.borrow_and_update().clone();
                        if std::mem::replace(&mut state, now.state) != now.state {
                            downloads.shared.turned.send_modify(|count| *count += 1);
                        }
                        downloads.judge_watched(id, &now);
                    }
                }
            }
        });
        entry.job = Some(Running { stop, task });
    }

    fn judge_watched(&self, id: DownloadId, status: &DownloadStatus) {
        let is_news = self.entries().get_mut(&id).is_some_and(|entry| entry.watched.judge(status));
        if is_news {
            self.shared.wanted.send_modify(|count| *count += 1);
        }
    }

    async fn ended(&self, id: DownloadId) {
        if let Some(entry) = self.entries().get_mut(&id) {
            entry.job = None;
        }
        if let Err(error) = self.save(id).await {
            tracing::error!(%error, id = id.0, "the end of a download could not be recorded");
        }
    }

    async fn save(&self, id: DownloadId) -> Result<(), ListError> {
        let Some(status) = self.entries().get(&id).map(|entry| entry.status.borrow().clone()) else { return Ok(()) };
        let state = serde_json::to_value(status.state).ok();
        sqlx::query("UPDATE downloads SET status = ?, state = ? WHERE id = ?")
            .bind(json(&status))
            .bind(state.as_ref().and_then(|state| state.as_str()).unwrap_or_default().to_owned())
            .bind(id.0)
            .execute(&self.shared.database)
            .await?;
        Ok(())
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<DownloadId, Entry>> {
        self.shared.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a finished download of this file lies, if it still does.
    pub fn finished(&self, file: FileId) -> Option<PathBuf> {
        let paths: Vec<PathBuf> = self
            .entries()
            .values()
            .filter(|entry| entry.request.file == file)
            .filter_map(|entry| entry.status.borrow().path.clone())
            .collect();
        paths.into_iter().find(|path| path.metadata().is_ok_and(|found| found.len() == file.length().bytes()))
    }
}

fn json(value: &impl serde::Serialize) -> String {
    // Plain structs with text keys always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
