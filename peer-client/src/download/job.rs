//! One file's life.
//!
//! A job tries until it ends: an **attempt** finds sources, links up with them, lets the scheduler decide who sends
//! what, and finishes the file. When an attempt has run out of sources the job waits, for a while or until it is
//! told that a source appeared, and tries again; what was verified stays on disk between attempts. An attempt that
//! could only stand in queues makes room for others: the job keeps its places, and nothing else.
//!
//! The job is the scheduler's shell: it owns the fetch tasks and the clock, and passes news in and actions out.

mod attempt;
mod pause;
mod sources;
mod transfer;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use choir_shared::{PeerId, SafeName};
use futures_util::future::select_all;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::links::{Links, Standing};
use super::parts::{Offer, Parts};
use super::priority::Priority;
use super::status::{DownloadRequest, DownloadStatus, State, Why};
use super::turns::{Turn, Turns};
use super::{Finder, Throttle};
use crate::clock::now;
use crate::session::asking::Arrivals;
use crate::store::{self, Disk, Part, Resumed, StoreError};
use attempt::Attempt;
use pause::Pauses;
use sources::{Place, Queued};

/// A source that was lost may come back at once; who then still waits is offered something else.
const BEFORE_OFFERING: Duration = Duration::from_secs(3);

/// Other copies come and go as sources do, but nobody waits for them.
const OFFER_AGAIN: Duration = Duration::from_secs(3600);

/// A full disk is looked at this often; that costs one system call.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);

/// A disk that has room and loses a file all the same has a quota, or is not the disk it says it is. The file would be
/// fetched again and again, so after this many times somebody has to look.
const MOST_LOSSES: u32 = 1;

/// Attempts begin at least so far apart, whoever says that there is a source: an index that says so all the time must
/// not keep us asking all the time.
const AT_LEAST_APART: Duration = Duration::from_secs(2);

/// What all jobs share.
pub struct Workshop {
    pub me: PeerId,
    pub finder: Arc<dyn Finder>,
    pub links: Links,
    pub disk: Arc<dyn Disk>,
    /// Of all jobs, since the program started.
    pub arrivals: Arrivals,
    /// What others may fetch of files that are still being fetched.
    pub parts: Parts,
    /// Files that look for sources or are fetched at once. Who only waits in queues lets others have its turn.
    pub attempts: Turns,
    /// Files that are transferred at once: few, so that each is soon whole.
    pub transfers: Turns,
    pub throttle: Arc<Throttle>,
}

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    Done(PathBuf),
    Failed(Why, String),
    /// It was told to stop. What was verified stays.
    Stopped,
}

/// Why an attempt ended without the file.
enum Setback {
    /// Nobody is left; the words say who was tried and what came of it.
    OutOfSources(Why, String),
    Disk(StoreError),
    /// It could only have waited in these queues, and others wanted its turn.
    Queued(Vec<Place>),
    Stopped,
}

/// What an earlier attempt left.
enum Found {
    Finished(SafeName),
    Part(Arc<Part>, Option<Resumed>),
}

/// A download while it is worked on.
pub struct Job {
    pub request: DownloadRequest,
    pub status: watch::Sender<DownloadStatus>,
    /// A source appeared.
    pub poke: Arc<Notify>,
    /// Ends the job soon, unless the file is being finished.
    pub stop: CancellationToken,
    pub workshop: Arc<Workshop>,
}

impl Job {
    /// When this returns, nothing of the job is at work any more.
    pub async fn run(self) -> Outcome {
        let started = now();
        // What is here is to be had while this download waits.
        let mut offer = None;
        let (mut losses, mut offered) = (0, None);
        let mut pauses = Pauses::default();
        let mut places = vec![];
        loop {
            let begun = now();
            let (why, message) = match self.attempt(std::mem::take(&mut places), &mut offer).await {
                Ok(path) => return self.done(path, started),
                Err(Setback::Disk(StoreError::DiskFull)) => {
                    self.wait_for_room().await;
                    continue;
                }
                Err(Setback::Disk(StoreError::LostToFullDisk { .. })) if losses < MOST_LOSSES => {
                    losses += 1;
                    // Its part takes room for as long as anybody holds it.
                    offer = None;
                    self.tell(|status| status.bytes_done = 0);
                    self.wait_for_room().await;
                    continue;
                }
                Err(Setback::Disk(error @ StoreError::LostToFullDisk { .. })) => {
                    let words = format!("{error} again, although there seemed to be room; make more, and retry it");
                    return self.failed(Why::DiskFull, words);
                }
                Err(Setback::Disk(error)) => return self.failed(Why::DiskFailed, error.to_string()),
                Err(Setback::Queued(queued)) => {
                    // Many may wait like this, and each part is several open files.
                    offer = None;
                    places = queued;
                    let pause = self.pause(&mut pauses, Why::QueuedAtSources);
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = tokio::time::sleep(pause) => {}
                        () = self.poked_after(begun) => {}
                        () = self.wait_in_queues(&places) => {
                            tokio::time::sleep_until((begun + AT_LEAST_APART).into()).await;
                        }
                    }
                    continue;
                }
                Err(Setback::Stopped) => return Outcome::Stopped,
                Err(Setback::OutOfSources(why, message)) => (why, message),
            };
            let pause = self.pause(&mut pauses, why);
            self.waits(why, message);
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
                () = self.poked_after(begun) => {}
                never = self.offer_alternates(&mut offered) => match never {},
            }
        }
    }

    fn pause(&self, pauses: &mut Pauses, why: Why) -> Duration {
        let status = self.status.borrow();
        pauses.next(why, status.sources.len(), status.bytes_done)
    }

    async fn poked_after(&self, begun: Instant) {
        self.poke.notified().await;
        tokio::time::sleep_until((begun + AT_LEAST_APART).into()).await;
    }

    /// Until one of the places is more than a place, or none.
    async fn wait_in_queues(&self, places: &[Place]) {
        let mut standings: Vec<_> = places.iter().map(|place| place.link.standing()).collect();
        while places.iter().all(|place| matches!(place.standing(), Standing::Waiting { .. })) {
            let queued = Queued::shortest(places.iter().map(Place::standing));
            self.tell(|status| {
                (status.state, status.reason) = (State::Queued, Some(Why::QueuedAtSources));
                status.message = queued.map(Queued::in_words);
                (status.ahead, status.eta_ms) = (queued.map(|queued| queued.ahead), queued.and_then(|it| it.eta_ms));
                for source in &mut status.sources {
                    let place = places.iter().find(|place| place.source.peer == source.peer);
                    source.note = place.and_then(Place::note).or_else(|| source.note.take());
                }
            });
            let changed = standings.iter_mut().map(|standing| Box::pin(standing.changed()));
            if select_all(changed).await.0.is_err() {
                return;
            }
        }
    }

    /// Until what is missing fits. Before that nothing is asked for: it would be sent for nothing, again and again.
    async fn wait_for_room(&self) {
        let folder = self.request.folder.display();
        self.waits(Why::DiskFull, format!("the disk of {folder} is full; goes on by itself when there is room"));
        let missing = {
            let status = self.status.borrow();
            // Even a name takes some room.
            status.size.saturating_sub(status.bytes_done).max(1)
        };
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_FOR_ROOM) => {}
                () = self.poke.notified() => return,
            }
            let (disk, folder) = (Arc::clone(&self.workshop.disk), self.request.folder.clone());
            match blocking(move || Ok(disk.room(&folder))).await {
                Ok(Some(room)) if room < missing => {}
                // A file system that does not tell is tried.
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Says what could be had instead, for as long as nothing else is to be done.
    async fn offer_alternates(&self, offered: &mut Option<Instant>) -> Infallible {
        tokio::time::sleep(BEFORE_OFFERING).await;
        if offered.is_none_or(|at| now().saturating_duration_since(at) >= OFFER_AGAIN) {
            let DownloadRequest { file, about, .. } = &self.request;
            let alternates = self.workshop.finder.alternates(*file, about).await;
            *offered = Some(now());
            self.tell(|status| status.alternates = alternates);
        }
        std::future::pending().await
    }

    async fn attempt(&self, places: Vec<Place>, offer: &mut Option<Offer>) -> Result<PathBuf, Setback> {
        let turn = self.turn_of(&self.workshop.attempts);
        let _turn = self.stop.run_until_cancelled(turn).await.ok_or(Setback::Stopped)?;
        self.tell(|status| {
            status.state = State::Verifying;
            status.reason = None;
            status.message = None;
        });
        let name = SafeName::sanitise(&self.request.name, &self.request.file.short());
        let (part, resumed) = match self.open(name.clone()).await? {
            Found::Finished(name) => return Ok(self.request.folder.join(name.as_str())),
            Found::Part(part, resumed) => (part, resumed),
        };
        let (fetched, offered) = Attempt::new(self, Arc::clone(&part), resumed, places).run().await;
        *offer = offered;
        fetched?;

        self.tell(|status| status.state = State::Verifying);
        let name = blocking(move || part.finish(&name)).await?;
        Ok(self.request.folder.join(name.as_str()))
    }

    /// Waits for a turn, with the priority that this download has by then.
    fn turn_of(&self, turns: &Turns) -> impl Future<Output = Turn> + Send + use<> {
        let (turns, status) = (turns.clone(), self.status.subscribe());
        async move { turns.take(move || status.borrow().priority).await }
    }

    fn priority(&self) -> Priority {
        self.status.borrow().priority
    }

    async fn open(&self, name: SafeName) -> Result<Found, Setback> {
        let disk = Arc::clone(&self.workshop.disk);
        let (folder, file) = (self.request.folder.clone(), self.request.file);
        blocking(move || {
            if let Some(name) = store::find_finished(&*disk, &folder, file, &name)? {
                return Ok(Found::Finished(name));
            }
            let part = Part::open_on(&*disk, &folder, file)?;
            let resumed = part.resume()?;
            Ok(Found::Part(Arc::new(part), resumed))
        })
        .await
    }

    fn waits(&self, why: Why, message: String) {
        self.tell(|status| {
            status.state = State::Waiting;
            status.reason = Some(why);
            status.message = Some(message);
            (status.ahead, status.eta_ms) = (None, None);
            status.bytes_per_second = 0;
        });
    }

    fn tell(&self, change: impl FnOnce(&mut DownloadStatus)) {
        self.status.send_modify(change);
    }

    fn done(&self, path: PathBuf, started: Instant) -> Outcome {
        self.tell(|status| {
            status.state = State::Done;
            status.reason = None;
            status.message = None;
            status.alternates.clear();
            status.bytes_done = status.size;
            status.bytes_per_second = 0;
            status.path = Some(path.clone());
            status.seconds = Some(now().saturating_duration_since(started).as_secs_f64());
        });
        Outcome::Done(path)
    }

    fn failed(&self, why: Why, message: String) -> Outcome {
        self.tell(|status| {
            status.state = State::Failed;
            status.reason = Some(why);
            status.message = Some(message.clone());
            status.bytes_per_second = 0;
        });
        Outcome::Failed(why, message)
    }
}

/// Runs disk work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Setback> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Setback::Disk),
        // The runtime is shutting down; the next start goes on from here.
        Err(_) => Err(Setback::Stopped),
    }
}

#[cfg(test)]
mod tests;
