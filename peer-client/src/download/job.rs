//! One file's life.
//!
//! A job tries until it ends: an **attempt** finds sources, links up with them, lets the scheduler decide who sends
//! what, and finishes the file. When an attempt has run out of sources the job waits, for a while or until it is
//! told that a source appeared, and tries again; what was verified stays on disk between attempts.
//!
//! The job is the scheduler's shell: it owns the fetch tasks and the clock, and passes news in and actions out.

mod attempt;
mod sources;
mod transfer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use choir_shared::{PeerId, SafeName};
use tokio::sync::{Notify, Semaphore, watch};

use super::Finder;
use super::links::Links;
use super::parts::{Offer, Parts};
use super::status::{DownloadRequest, DownloadStatus, State, Why};
use crate::store::{Part, StoreError};
use attempt::Attempt;

/// Asking again for sources when nobody told us of one: indexes tell within seconds, this is for when they forgot.
const SEARCH_AGAIN: Duration = Duration::from_secs(60);

/// After the index could not be reached, or no source.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// A full disk is looked at again after this long.
const DISK_AGAIN: Duration = Duration::from_secs(5);

/// What all jobs share.
pub struct Workshop {
    pub me: PeerId,
    pub finder: Arc<dyn Finder>,
    pub links: Links,
    /// What others may fetch of files that are still being fetched.
    pub parts: Parts,
    /// Files that look for sources or wait in queues at once.
    pub attempts: Arc<Semaphore>,
    /// Files that are transferred at once: few, so that each is soon whole.
    pub transfers: Arc<Semaphore>,
}

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    Done(PathBuf),
    Failed(Why, String),
}

/// Why an attempt ended without the file.
#[derive(Debug)]
enum Setback {
    /// Nobody is left; the words say who was tried and what came of it.
    OutOfSources(Why, String),
    Disk(StoreError),
}

/// A download while it is worked on. Dropping the future that [`Job::run`] returns pauses it: all it started stops,
/// all that was verified stays.
pub struct Job {
    pub request: DownloadRequest,
    pub status: watch::Sender<DownloadStatus>,
    /// A source appeared.
    pub poke: Arc<Notify>,
    pub workshop: Arc<Workshop>,
}

impl Job {
    pub async fn run(self) -> Outcome {
        let started = Instant::now();
        // What is here is to be had while this download waits.
        let mut offer = None;
        loop {
            let (why, message, pause) = match self.attempt(&mut offer).await {
                Ok(path) => return self.done(path, started),
                Err(Setback::Disk(StoreError::DiskFull)) => {
                    (Why::DiskFull, "the disk is full; goes on when there is room".to_owned(), DISK_AGAIN)
                }
                Err(Setback::Disk(error)) => return self.failed(Why::DiskFailed, error.to_string()),
                Err(Setback::OutOfSources(Why::NoSources, message)) => (Why::NoSources, message, SEARCH_AGAIN),
                Err(Setback::OutOfSources(why, message)) => (why, message, TRY_AGAIN),
            };
            self.tell(|status| {
                status.state = State::Waiting;
                status.reason = Some(why);
                status.message = Some(message);
                status.bytes_per_second = 0;
            });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.poke.notified() => {}
            }
        }
    }

    async fn attempt(&self, offer: &mut Option<Offer>) -> Result<PathBuf, Setback> {
        // Closed never: the semaphore lives as long as the workshop.
        let _permit = self.workshop.attempts.acquire().await.ok();
        self.tell(|status| {
            status.state = State::Verifying;
            status.reason = None;
            status.message = None;
        });
        let (part, resumed) = self.open().await?;
        let part = Arc::new(part);
        let (fetched, offered) = Attempt::new(self, Arc::clone(&part), resumed).run().await;
        *offer = offered;
        fetched?;

        self.tell(|status| status.state = State::Verifying);
        let name = SafeName::sanitise(&self.request.name, &self.request.file.short());
        let name = blocking(move || part.finish(&name)).await?;
        Ok(self.request.folder.join(name.as_str()))
    }

    async fn open(&self) -> Result<(Part, Option<crate::store::Resumed>), Setback> {
        let (folder, file) = (self.request.folder.clone(), self.request.file);
        blocking(move || {
            let part = Part::open(&folder, file)?;
            let resumed = part.resume()?;
            Ok((part, resumed))
        })
        .await
    }

    fn tell(&self, change: impl FnOnce(&mut DownloadStatus)) {
        self.status.send_modify(change);
    }

    fn done(&self, path: PathBuf, started: Instant) -> Outcome {
        self.tell(|status| {
            status.state = State::Done;
            status.reason = None;
            status.message = None;
            status.bytes_done = status.size;
            status.bytes_per_second = 0;
            status.path = Some(path.clone());
            status.seconds = Some(started.elapsed().as_secs_f64());
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
        Err(_) => Err(Setback::OutOfSources(Why::PeersUnreachable, "interrupted".to_owned())),
    }
}
