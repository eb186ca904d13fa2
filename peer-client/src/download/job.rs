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
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use choir_shared::identity::SecretKey;
    use choir_shared::index_api::SearchRow;
    use choir_shared::leaf::{FileLength, LEAF_BYTES};
    use choir_shared::merkle::{HashedFile, TreeHasher, TreeLayer};
    use choir_shared::wire::{Granted, Have, LeavesHeld, No, Reason, encode};
    use choir_shared::{Digest, FileId, PeerId};
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;

    use super::super::about::About;
    use super::super::alternate::{self, Alternate};
    use super::super::links::Link;
    use super::super::{BoxFuture, FoundSource, IndexUnreachable, NoSession};
    use super::attempt::START_LEAVES;
    use super::*;
    use crate::session::Session;
    use crate::session::answering::Request;
    use crate::session::fixture::Pair;
    use crate::store::LocalDisk;
    use crate::store::faulty::{Fault, FaultyDisk, Lasting, Unsynced};

    /// Long enough to find a file on the disk, and shorter than any pause for want of a source.
    const SOON: Duration = Duration::from_secs(10);

    /// Knows nobody who has the song, and tells when it is asked for such.
    struct Nobody {
        asks: mpsc::Sender<()>,
        copies: Vec<SearchRow>,
        /// With whoever is asked for.
        session: Option<Session>,
    }

    impl Finder for Nobody {
        fn sources(&self, _: FileId) -> BoxFuture<'_, Result<Vec<FoundSource>, IndexUnreachable>> {
            Box::pin(async {
                let _ = self.asks.send(()).await;
                Ok(vec![])
            })
        }

        fn alternates<'a>(&'a self, file: FileId, about: &'a About) -> BoxFuture<'a, Vec<Alternate>> {
            Box::pin(std::future::ready(alternate::alternates(file, about, self.copies.clone())))
        }

        fn connect(&self, _: PeerId, _: FileId) -> BoxFuture<'_, Result<Session, NoSession>> {
            Box::pin(async { self.session.clone().ok_or(NoSession::Offline) })
        }

        fn misbehaved(&self, _: PeerId, _: FileId) {}

        fn is_banned(&self, _: PeerId) -> bool {
            false
        }

        fn is_distrusted(&self, _: PeerId, _: FileId) -> bool {
            false
        }
    }

    /// What surrounds a job for a small song that nobody has.
    struct World<'a> {
        folder: &'a Path,
        disk: Arc<dyn Disk>,
        about: About,
        /// Other copies that somebody has.
        copies: Vec<SearchRow>,
        /// With the only peer who was named as a source.
        session: Option<Session>,
    }

    impl<'a> World<'a> {
        fn new(folder: &'a Path) -> Self {
            Self { folder, disk: Arc::new(LocalDisk), about: About::default(), copies: vec![], session: None }
        }

        /// The job, and a word whenever it asks who has the song.
        fn job(self) -> (Job, mpsc::Receiver<()>) {
            let request = DownloadRequest {
                file: song().1.id,
                name: "song.ogg".into(),
                folder: self.folder.to_owned(),
                group: None,
                sources: self.session.iter().map(Session::peer).collect(),
                priority: Priority::Normal,
                about: self.about,
            };
            let (asks, asked) = mpsc::channel(9);
            let finder: Arc<dyn Finder> = Arc::new(Nobody { asks, copies: self.copies, session: self.session });
            let workshop = Workshop {
                me: SecretKey::from_seed(&[1; 32]).peer_id(),
                links: Links::new(Arc::clone(&finder)),
                finder,
                disk: self.disk,
                arrivals: Arrivals::default(),
                parts: Parts::default(),
                attempts: Turns::new(1),
                transfers: Turns::new(1),
                throttle: Arc::new(Throttle::new(None)),
            };
            let status = watch::Sender::new(DownloadStatus::of(&request));
            let stop = CancellationToken::new();
            (Job { request, status, poke: Arc::default(), stop, workshop: Arc::new(workshop) }, asked)
        }
    }

    fn song() -> (Vec<u8>, HashedFile) {
        let data = vec![7; 100_000];
        let mut hasher = TreeHasher::new();
        hasher.update(&data);
        (data, hasher.finish().unwrap())
    }

    /// All of the song, as an earlier run left it.
    fn fetched(folder: &Path, disk: &dyn Disk) -> Part {
        let (data, file) = song();
        let part = Part::open_on(disk, folder, file.id).unwrap();
        part.save_layer(&TreeLayer::of_leaves(file.id, &file.leaves).unwrap()).unwrap();
        part.write(file.id.length().leaf(0).unwrap(), &data).unwrap();
        part
    }

    #[tokio::test]
    async fn news_without_end_do_not_make_us_ask_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let (job, mut asked) = World::new(folder.path()).job();
        let (mut seen, poke) = (job.status.subscribe(), Arc::clone(&job.poke));
        let start = Instant::now();
        let running = tokio::spawn(job.run());
        asked.recv().await.unwrap();
        seen.wait_for(DownloadStatus::waits_for_a_source).await.unwrap();
        poke.notify_one();
        asked.recv().await.unwrap();
        assert!(start.elapsed() >= AT_LEAST_APART);
        running.abort();
    }

    #[tokio::test]
    async fn what_a_full_disk_lost_is_begun_again_once_it_fits() {
        let (folder, disk) = (Path::new("/downloads"), FaultyDisk::default());
        drop(fetched(folder, &disk));
        let size = song().1.id.length().bytes();
        disk.set_room(size - 1);
        disk.fail_syncs(true);
        let (job, mut asked) = World { disk: Arc::new(disk.clone()), ..World::new(folder) }.job();
        let (mut seen, parts) = (job.status.subscribe(), job.workshop.parts.clone());
        let running = tokio::spawn(job.run());
        let full = |status: &DownloadStatus| (status.state, status.reason) == (State::Waiting, Some(Why::DiskFull));
        assert_eq!(seen.wait_for(full).await.unwrap().bytes_done, 0, "nothing of it is left");
        assert!(parts.files().is_empty(), "nor does anybody hold its room");

        disk.fail_syncs(false);
        disk.set_room(size);
        asked.recv().await.unwrap();
        seen.wait_for(DownloadStatus::waits_for_a_source).await.unwrap();
        running.abort();
    }

    #[tokio::test]
    async fn a_file_that_is_lost_again_although_there_is_room_is_not_fetched_for_ever() {
        let (folder, disk) = (Path::new("/downloads"), FaultyDisk::default());
        drop(fetched(folder, &disk));
        disk.fail_syncs(true);
        let (job, _asked) = World { disk: Arc::new(disk.clone()), ..World::new(folder) }.job();
        let (mut seen, poke) = (job.status.subscribe(), Arc::clone(&job.poke));
        let running = tokio::spawn(job.run());
        let full = |status: &DownloadStatus| (status.state, status.reason) == (State::Waiting, Some(Why::DiskFull));
        seen.wait_for(full).await.unwrap();
        disk.fail_syncs(false);
        drop(fetched(folder, &disk));
        disk.fail_syncs(true);
        poke.notify_one();
        let outcome = running.await.unwrap();
        assert!(
            matches!(&outcome, Outcome::Failed(Why::DiskFull, words) if words.contains("lost again")),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn a_file_that_was_finished_before_anybody_could_say_so_is_found_and_not_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        let name = SafeName::new("song.ogg").unwrap();
        fetched(folder.path(), &LocalDisk).finish(&name).unwrap();
        let (job, _asked) = World::new(folder.path()).job();
        let outcome = tokio::time::timeout(SOON, job.run()).await.expect("nobody needs to be asked");
        assert!(matches!(&outcome, Outcome::Done(path) if *path == folder.path().join("song.ogg")), "{outcome:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn another_file_of_the_same_name_and_length_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("song.ogg"), vec![8; 100_000]).unwrap();
        drop(fetched(folder.path(), &LocalDisk));
        let (job, _asked) = World::new(folder.path()).job();
        let outcome = tokio::time::timeout(SOON, job.run()).await.expect("nobody needs to be asked");
        assert!(matches!(&outcome, Outcome::Done(path) if path.ends_with("song (2).ogg")), "{outcome:?}");
        assert_eq!(std::fs::read(folder.path().join("song.ogg")).unwrap(), [8; 100_000]);
    }

    /// A job whose only named source serves it already.
    struct Served {
        job: Job,
        asked: mpsc::Receiver<()>,
        source: Pair,
        _slot: (quinn::SendStream, quinn::RecvStream),
        _link: Arc<Link>,
    }

    async fn served(folder: &Path) -> Served {
        let pair = Pair::connect().await;
        let (job, asked) = World { session: Some(pair.ours.clone()), ..World::new(folder) }.job();
        let link = job.workshop.links.join(pair.ours.peer(), job.request.file).await.unwrap();
        let mut slot = pair.theirs.accept_bi().await.unwrap();
        slot.0.write_all(&encode(&Granted { idle_ms: 60_000 })).await.unwrap();
        link.standing().wait_for(|standing| *standing == Standing::Granted).await.unwrap();
        Served { job, asked, source: pair, _slot: slot, _link: link }
    }

    #[tokio::test]
    async fn a_song_that_is_here_at_once_costs_the_index_no_search() {
        let folder = tempfile::tempdir().unwrap();
        let Served { job, mut asked, source, _slot, _link } = served(folder.path()).await;
        let (data, file) = song();
        let layer = TreeLayer::of_leaves(file.id, &file.leaves).unwrap();
        let have = encode(&Have { leaves: LeavesHeld::All, more_sources: vec![] });
        let start = (START_LEAVES * LEAF_BYTES) as usize;
        let answers = async {
            source.they_answer(&[&have, &layer.to_bytes()[..], &data[..start]].concat()).await;
            source.they_answer(&[&have, &data[start..]].concat()).await;
        };
        let (outcome, ()) = tokio::join!(job.run(), answers);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        assert!(asked.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_named_source_that_has_nothing_sends_us_to_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let Served { job, mut asked, source, _slot, _link } = served(folder.path()).await;
        let mut seen = job.status.subscribe();
        let running = tokio::spawn(job.run());
        source.they_answer(&encode(&No { reason: Reason::Refused, retry_after_ms: 0 })).await;
        tokio::select! {
            biased;
            asked = asked.recv() => asked.unwrap(),
            waits = seen.wait_for(|status| status.state == State::Waiting) => panic!("not asked: {:?}", *waits.unwrap()),
        }
        running.abort();
    }

    /// Serves the song to whoever asks at the other end, without end.
    async fn share(source: &Pair) {
        let (data, file) = song();
        let shared = Arc::new((Bytes::from(data), file));
        let session = Session::begin(source.theirs.clone(), source.ours.peer(), source.hello.subscribe());
        let mut answers = JoinSet::new();
        while let Ok(stream) = session.next_stream().await {
            let shared = Arc::clone(&shared);
            answers.spawn(async move {
                let (data, file) = &*shared;
                match stream.request(SOON).await.ok()?? {
                    Request::Enter(_, mut queue) => {
                        queue.granted(&Granted { idle_ms: 60_000 }).await.ok()?;
                        queue.left().await;
                    }
                    Request::Get(get, mut reply) => {
                        reply.have(&Have { leaves: LeavesHeld::All, more_sources: vec![] }, 0).await.ok()?;
                        if get.want_layer {
                            reply.hashes(&file.leaves).await.ok()?;
                        }
                        if let Some(range) = get.range().ok()? {
                            let bytes = file.id.length().byte_range(range);
                            reply.bytes(data.slice(bytes.start as usize..bytes.end as usize)).await.ok()?;
                        }
                        reply.finish();
                    }
                }
                Some(())
            });
        }
    }

    /// How a job for the song ends on this disk, which works again once it is said to be full.
    async fn outcome_on(disk: &FaultyDisk, session: &Session) -> Outcome {
        let world = World::new(Path::new("/downloads"));
        let (job, _asked) = World { disk: Arc::new(disk.clone()), session: Some(session.clone()), ..world }.job();
        let (mut seen, poke) = (job.status.subscribe(), Arc::clone(&job.poke));
        let make_room = async {
            while seen.wait_for(|status| status.reason == Some(Why::DiskFull)).await.is_ok() {
                disk.mend();
                poke.notify_one();
                let _ = seen.wait_for(|status| status.reason.is_none()).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            outcome = tokio::time::timeout(SOON, job.run()) => outcome.expect("it ends"),
            outcome = make_room => outcome,
        }
    }

    /// Under its final name lies the song or nothing, now and whenever the power fails.
    fn expect_no_wrong_byte(disk: &FaultyDisk) {
        let outages = [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn(1), Unsynced::Torn(2)];
        let afterwards = outages.map(|unsynced| disk.after_power_failure(unsynced));
        for disk in [disk].into_iter().chain(&afterwards) {
            assert!(disk.finished().values().all(|bytes| *bytes == song().0), "wrong bytes under a final name");
        }
    }

    #[tokio::test]
    async fn whichever_operation_of_the_disk_fails_the_file_is_right_or_not_there() {
        let source = Pair::connect().await;
        let story = async {
            for two_steps in [false, true] {
                let new =
                    || if two_steps { FaultyDisk::default().finishes_in_two_steps() } else { FaultyDisk::default() };
                let undisturbed = new();
                assert!(matches!(outcome_on(&undisturbed, &source.ours).await, Outcome::Done(_)));
                for at in 1..=undisturbed.operations() {
                    for (fault, lasting) in [
                        (Fault::Full, Lasting::UntilMended),
                        (Fault::Unreadable, Lasting::Once),
                        (Fault::Vanishes, Lasting::Once),
                        (Fault::PowerFails, Lasting::UntilMended),
                    ] {
                        let disk = new();
                        disk.plan(at, fault, lasting);
                        let outcome = outcome_on(&disk, &source.ours).await;
                        expect_no_wrong_byte(&disk);
                        disk.mend();
                        if !matches!(outcome, Outcome::Done(_)) {
                            let again = outcome_on(&disk, &source.ours).await;
                            assert!(
                                matches!(again, Outcome::Done(_)),
                                "{fault:?} at {at}: {outcome:?}, then {again:?}"
                            );
                            expect_no_wrong_byte(&disk);
                        }
                        assert_eq!(disk.finished().len(), 1, "{fault:?} at {at}: {outcome:?}");
                    }
                }
            }
        };
        tokio::select! {
            () = story => {}
            () = share(&source) => panic!("the connection ended"),
        }
    }

    #[tokio::test]
    async fn another_copy_is_offered_and_not_taken() {
        let about = About {
            audio: "ab".repeat(32).parse::<Digest>().ok().map(|root| FileId::new(root, FileLength::new(9).unwrap())),
            ..About::default()
        };
        let row = serde_json::from_value(serde_json::json!({
            "file_id": format!("{}-7", "cd".repeat(32)), "format": "flac", "size": 7, "sources": 1, "audio": about.audio,
        }));
        let folder = tempfile::tempdir().unwrap();
        let world = World { about, copies: vec![row.unwrap()], ..World::new(folder.path()) };
        let (job, mut asked) = world.job();
        let mut status = job.status.subscribe();
        let running = tokio::spawn(job.run());
        let offered = status.wait_for(|status| !status.alternates.is_empty()).await.unwrap().clone();
        assert!(offered.waits_for_a_source());
        assert_eq!(offered.alternates.len(), 1);
        asked.recv().await.unwrap();
        assert!(asked.try_recv().is_err(), "the sources of the file itself were asked for once, and of no other");
        running.abort();
    }
}
