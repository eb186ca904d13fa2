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
use crate::clock::now;
use crate::store::{self, Part, StoreError};
use attempt::Attempt;

/// Asking again for sources when nobody told us of one: indexes tell within seconds, this is for when they forgot.
const SEARCH_AGAIN: Duration = Duration::from_secs(60);

/// After the index could not be reached, or no source.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// A full disk is looked at this often; that costs one system call.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);

/// Attempts begin at least so far apart, whoever says that there is a source: an index that says so all the time must
/// not keep us asking all the time.
const AT_LEAST_APART: Duration = Duration::from_secs(2);

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
        let started = now();
        // What is here is to be had while this download waits.
        let mut offer = None;
        loop {
            let begun = now();
            let (why, message, pause) = match self.attempt(&mut offer).await {
                Ok(path) => return self.done(path, started),
                Err(Setback::Disk(StoreError::DiskFull)) => {
                    self.wait_for_room().await;
                    continue;
                }
                Err(Setback::Disk(error)) => return self.failed(Why::DiskFailed, error.to_string()),
                Err(Setback::OutOfSources(Why::NoSources, message)) => (Why::NoSources, message, SEARCH_AGAIN),
                Err(Setback::OutOfSources(why, message)) => (why, message, TRY_AGAIN),
            };
            self.waits(why, message);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.poke.notified() => tokio::time::sleep_until((begun + AT_LEAST_APART).into()).await,
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
                () = tokio::time::sleep(LOOK_FOR_ROOM) => {}
                () = self.poke.notified() => return,
            }
            let folder = self.request.folder.clone();
            match blocking(move || Ok(store::room(&folder))).await {
                Ok(Some(room)) if room < missing => {}
                // A file system that does not tell is tried.
                Ok(_) | Err(_) => return,
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

    async fn open(&self) -> Result<(Part, Option<store::Resumed>), Setback> {
        let (folder, file) = (self.request.folder.clone(), self.request.file);
        blocking(move || {
            let part = Part::open(&folder, file)?;
            let resumed = part.resume()?;
            Ok((part, resumed))
        })
        .await
    }

    fn waits(&self, why: Why, message: String) {
        self.tell(|status| {
            status.state = State::Waiting;
            status.reason = Some(why);
            status.message = Some(message);
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
        Err(_) => Err(Setback::OutOfSources(Why::PeersUnreachable, "interrupted".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;
    use choir_shared::leaf::FileLength;
    use choir_shared::{Digest, FileId, PeerId};
    use tokio::sync::mpsc;

    use super::super::{BoxFuture, FoundSource, IndexUnreachable, NoSession};
    use super::*;
    use crate::session::Session;

    /// Knows nobody, and tells when it is asked.
    struct Nobody(mpsc::Sender<()>);

    impl Finder for Nobody {
        fn sources(&self, _: FileId) -> BoxFuture<'_, Result<Vec<FoundSource>, IndexUnreachable>> {
            Box::pin(async {
                let _ = self.0.send(()).await;
                Ok(vec![])
            })
        }

        fn connect(&self, _: PeerId, _: FileId) -> BoxFuture<'_, Result<Session, NoSession>> {
            Box::pin(async { Err(NoSession::Offline) })
        }

        fn misbehaved(&self, _: PeerId, _: FileId) {}

        fn is_banned(&self, _: PeerId) -> bool {
            false
        }

        fn is_distrusted(&self, _: PeerId, _: FileId) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn news_without_end_do_not_make_us_ask_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let request = DownloadRequest {
            file: FileId::new(Digest::of(b"song"), FileLength::new(100_000).unwrap()),
            name: "song.ogg".into(),
            folder: folder.path().to_owned(),
            group: None,
            sources: vec![],
        };
        let (asks, mut asked) = mpsc::channel(9);
        let finder: Arc<dyn Finder> = Arc::new(Nobody(asks));
        let workshop = Workshop {
            me: SecretKey::from_seed(&[1; 32]).peer_id(),
            links: Links::new(Arc::clone(&finder)),
            finder,
            parts: Parts::default(),
            attempts: Arc::new(Semaphore::new(1)),
            transfers: Arc::new(Semaphore::new(1)),
        };
        let status = watch::Sender::new(DownloadStatus::of(&request));
        let mut seen = status.subscribe();
        let poke = Arc::<Notify>::default();
        let job = Job { request, status, poke: Arc::clone(&poke), workshop: Arc::new(workshop) };
        let start = Instant::now();
        let running = tokio::spawn(job.run());
        asked.recv().await.unwrap();
        seen.wait_for(DownloadStatus::waits_for_a_source).await.unwrap();
        poke.notify_one();
        asked.recv().await.unwrap();
        assert!(start.elapsed() >= AT_LEAST_APART);
        running.abort();
    }
}
