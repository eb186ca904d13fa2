//! Jobs with sources and disks that do as they are told.

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
    assert!(matches!(&outcome, Outcome::Failed(Why::DiskFull, words) if words.contains("lost again")), "{outcome:?}");
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
            let new = || if two_steps { FaultyDisk::default().finishes_in_two_steps() } else { FaultyDisk::default() };
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
                        assert!(matches!(again, Outcome::Done(_)), "{fault:?} at {at}: {outcome:?}, then {again:?}");
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
