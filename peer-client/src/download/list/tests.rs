use std::time::{Duration, Instant};

use choir_shared::leaf::{FileLength, LeafRange};
use choir_shared::{Digest, PeerId};
use tokio::sync::mpsc;

use super::*;
use crate::database::Database;
use crate::download::about::About;
use crate::download::alternate::Alternate;
use crate::download::fixture::{Sharer, Song, Town};
use crate::download::links::Links;
use crate::download::turns::Turns;
use crate::download::{BoxFuture, Finder, FoundSource, IndexUnreachable, NoSession};
use crate::session::Session;

/// Many times longer than what is waited for, and shorter than any pause for want of a source.
const SOON: Duration = Duration::from_secs(20);

/// No index answers; it tells when one is asked.
struct NoIndex(mpsc::Sender<()>);

impl Finder for NoIndex {
    fn sources(&self, _: FileId) -> BoxFuture<'_, Result<Vec<FoundSource>, IndexUnreachable>> {
        Box::pin(async {
            let _ = self.0.send(()).await;
            Err(IndexUnreachable("no index answers".into()))
        })
    }

    fn alternates<'a>(&'a self, _: FileId, _: &'a About) -> BoxFuture<'a, Vec<Alternate>> {
        Box::pin(std::future::ready(vec![]))
    }

    fn connect(&self, _: PeerId, _: FileId) -> BoxFuture<'_, Result<Session, NoSession>> {
        Box::pin(std::future::ready(Err(NoSession::Offline)))
    }

    fn misbehaved(&self, _: PeerId, _: FileId) {}

    fn is_banned(&self, _: PeerId) -> bool {
        false
    }

    fn is_distrusted(&self, _: PeerId, _: FileId) -> bool {
        false
    }
}

/// Downloads of a peer that knows this town.
struct World {
    folder: tempfile::TempDir,
    town: Arc<Town>,
    database: Database,
    downloads: Downloads,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl World {
    async fn new() -> Self {
        Self::with(Arc::default(), |_| {}, []).await
    }

    /// With lines that an earlier run left, and after a change to what the jobs share.
    async fn with<const N: usize>(town: Arc<Town>, change: impl FnOnce(&mut Workshop), lines: [Line; N]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (database, _) = Database::open(&folder.path().join("peer.db")).await.unwrap();
        for Line { id, request, status } in lines {
            let request = DownloadRequest { folder: folder.path().join("music"), ..request };
            sqlx::query("INSERT INTO downloads (id, request, status, state) VALUES (?, ?, ?, '')")
                .bind(id.0)
                .bind(json(&request))
                .bind(json(&DownloadStatus { id, ..status }))
                .execute(database.pool())
                .await
                .unwrap();
        }
        let mut workshop = town.workshop(4, 4);
        change(&mut workshop);
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        let pool = database.pool().clone();
        let downloads = Downloads::open(pool, workshop, tracker.clone(), cancel.clone()).await.unwrap();
        Self { folder, town, database, downloads, tracker, cancel }
    }

    fn music(&self) -> PathBuf {
        self.folder.path().join("music")
    }

    async fn start(&self, song: &Song) -> DownloadId {
        self.downloads.start(song.request(&self.music())).await.unwrap().id
    }

    async fn until(&self, id: DownloadId, wanted: impl FnMut(&DownloadStatus) -> bool) -> DownloadStatus {
        self.downloads.watch(id).unwrap().wait_for(wanted).await.unwrap().clone()
    }

    fn state(&self, id: DownloadId) -> State {
        self.downloads.watch(id).unwrap().borrow().state
    }

    async fn end(self) {
        self.cancel.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        self.database.close().await;
    }
}

#[tokio::test]
async fn what_waits_for_an_index_goes_on_when_one_is_back() {
    /// After this it would ask by itself.
    const FIRST_PAUSE: Duration = Duration::from_secs(10);
    let (asks, mut asked) = mpsc::channel(9);
    let finder: Arc<dyn Finder> = Arc::new(NoIndex(asks));
    let no_index = |workshop: &mut Workshop| {
        workshop.links = Links::new(Arc::clone(&finder));
        workshop.finder = finder;
    };
    let world = World::with(Arc::default(), no_index, []).await;
    let id = world.start(&Song::new(1, 1)).await;
    let start = Instant::now();
    asked.recv().await.unwrap();
    world.until(id, |status| status.reason == Some(Why::IndexUnreachable)).await;
    world.downloads.index_is_back();
    asked.recv().await.unwrap();
    assert!(start.elapsed() < FIRST_PAUSE);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_halted_line_stays_halted_whatever_its_job_says_last() {
    /// So long a job may be at something that it cannot be stopped in.
    const BUSY: Duration = Duration::from_millis(200);
    let (noting, mut noted) = mpsc::channel(9);
    let on_note = move || {
        let _ = noting.try_send(());
        std::thread::sleep(BUSY);
    };
    let town = Arc::new(Town::default());
    let _ = town.on_note.set(Box::new(on_note));
    town.add_unreachable(9);
    let world = World::with(town, |_| {}, []).await;
    let id = world.start(&Song::new(1, 1)).await;
    noted.recv().await.unwrap();
    world.downloads.pause(id).await.unwrap();
    world.tracker.close();
    world.tracker.wait().await;
    assert_eq!(world.state(id), State::Paused);
    world.end().await;
}

#[tokio::test]
async fn what_is_asked_for_again_takes_up_its_unfinished_line() {
    let song = Song::new(1, 20);
    let world = World::new().await;
    let sharer = Sharer::halting(2, &[&song], 10).await;
    world.town.add(&sharer);
    let id = world.start(&song).await;
    sharer.sent().wait_for(|sent| *sent == 10).await.unwrap();
    assert_eq!(world.start(&song).await, id, "while it runs");
    world.downloads.pause(id).await.unwrap();
    sharer.may_send(1000);
    let request = DownloadRequest { priority: Priority::High, ..song.request(&world.music()) };
    let again = world.downloads.start(request).await.unwrap();
    assert_eq!((again.id, again.priority), (id, Priority::High));
    let done = world.until(id, |status| status.state == State::Done).await;
    assert_eq!(std::fs::read(done.path.unwrap()).unwrap(), song.data);
    assert_eq!(world.downloads.list().len(), 1);

    std::fs::remove_file(world.music().join("song.ogg")).unwrap();
    assert_ne!(world.start(&song).await, id, "one that is done is none to go on with");
    world.end().await;
}

#[tokio::test]
async fn a_cancelled_line_is_not_resumed_beside_another_of_the_same_file() {
    let song = Song::new(1, 20);
    let world = World::new().await;
    let first = world.start(&song).await;
    world.downloads.cancel(first).await.unwrap();
    let second = world.start(&song).await;
    assert_ne!(first, second);
    world.downloads.pause(second).await.unwrap();
    let resumed = world.downloads.resume(first).await;
    assert!(matches!(resumed, Err(ListError::Same { other }) if other == second), "{resumed:?}");
    world.downloads.cancel(second).await.unwrap();
    world.downloads.resume(first).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_download_that_is_cancelled_while_it_runs_leaves_nothing_behind_and_frees_its_turns() {
    let [song, other] = [1, 2].map(|seed| Song::new(seed, 20));
    let world = World::with(Arc::default(), |workshop| workshop.attempts = Turns::new(1), []).await;
    let sharer = Sharer::halting(2, &[&song, &other], 10).await;
    world.town.add(&sharer);
    let first = world.start(&song).await;
    world.until(first, |status| status.bytes_done > 0).await;
    let second = world.start(&other).await;
    assert!(world.music().join(".partial").exists());
    world.downloads.cancel(first).await.unwrap();
    sharer.may_send(1000);
    world.until(second, |status| status.state == State::Done).await;
    assert_eq!(world.state(first), State::Cancelled);
    assert_eq!(std::fs::read_dir(world.music()).unwrap().count(), 1, "the second song");
    world.end().await;
}

#[tokio::test]
async fn a_download_that_is_paused_in_the_middle_fetches_only_what_is_missing() {
    let song = Song::new(1, 60);
    let world = World::new().await;
    let sharer = Sharer::halting(2, &[&song], 36).await;
    world.town.add(&sharer);
    let id = world.start(&song).await;
    world.until(id, |status| status.bytes_done == song.id().length().range_len(song.leaves(0, 40))).await;
    world.downloads.pause(id).await.unwrap();
    let before = sharer.asked().borrow().len();
    sharer.may_send(1000);
    world.downloads.resume(id).await.unwrap();
    let done = world.until(id, |status| status.state == State::Done).await;
    assert_eq!(std::fs::read(done.path.unwrap()).unwrap(), song.data);
    let again: u32 = sharer.asked().borrow().iter().skip(before).map(|(_, range)| range.count()).sum();
    assert_eq!(again, 20);
    world.end().await;
}

#[tokio::test]
async fn what_comes_first_is_transferred_first() {
    let [song, low, high] = [1, 2, 3].map(|seed| Song::new(seed, 20));
    let world = World::with(Arc::default(), |workshop| workshop.transfers = Turns::new(1), []).await;
    let sharer = Sharer::halting(2, &[&song, &low, &high], 10).await;
    world.town.add(&sharer);
    let first = world.start(&song).await;
    let mut asked = sharer.asked();
    asked.wait_for(|asked| !asked.is_empty()).await.unwrap();
    let others = [world.start(&low).await, world.start(&high).await];
    for id in others {
        // Its start is here, so that it waits for nothing but its turn.
        world.until(id, |status| status.bytes_done > 0).await;
    }
    world.downloads.set_priority(others[1], Priority::High).await.unwrap();
    sharer.may_send(1000);
    for id in [first, others[0], others[1]] {
        world.until(id, |status| status.state == State::Done).await;
    }
    let mut order: Vec<_> = asked.borrow().iter().map(|(file, _)| *file).collect();
    order.dedup();
    assert_eq!(order, [song.id(), high.id(), low.id()]);
    world.end().await;
}

/// One download at a time, the first of which stands still in the middle, until another is done.
struct Standstill {
    world: World,
    sharer: Sharer,
    first: DownloadId,
}

impl Standstill {
    /// Its source has these leaves and may send four of them besides the start.
    async fn of(song: &Arc<Song>, has: LeafRange, stand_still: impl FnOnce(&Sharer)) -> Self {
        let other = Song::new(99, 20);
        let world = World::with(Arc::default(), |workshop| workshop.transfers = Turns::new(1), []).await;
        let sharer = Sharer::halting(2, &[song], 4).await;
        let another = Sharer::open(3, &[&other]).await;
        world.town.add(&sharer);
        world.town.add(&another);
        sharer.has_only(has, song);
        let first = world.start(song).await;
        sharer.sent().wait_for(|sent| *sent == 4).await.unwrap();
        stand_still(&sharer);
        let second = world.start(&other).await;
        let done = world.until(second, |status| status.state == State::Done);
        tokio::time::timeout(SOON, done).await.expect("the first gave its turn back");
        Self { world, sharer, first }
    }

    async fn goes_on(self) {
        self.sharer.may_send(1000);
        self.world.until(self.first, |status| status.state == State::Done).await;
        self.world.end().await;
    }
}

#[tokio::test]
async fn a_download_that_lost_its_slot_lets_others_transfer() {
    let song = Song::new(1, 20);
    let standstill = Standstill::of(&song, song.leaves(0, 20), Sharer::take_back).await;
    standstill.sharer.grant();
    standstill.goes_on().await;
}

#[tokio::test]
async fn a_download_whose_sources_have_no_more_than_is_here_lets_others_transfer() {
    let song = Song::new(1, 20);
    let standstill = Standstill::of(&song, song.leaves(0, 8), |_| {}).await;
    standstill.sharer.has_only(song.leaves(0, 20), &song);
    standstill.goes_on().await;
}

#[tokio::test]
async fn a_download_that_waits_in_a_queue_lets_others_begin() {
    let [song, other] = [1, 2].map(|seed| Song::new(seed, 20));
    let world = World::with(Arc::default(), |workshop| workshop.attempts = Turns::new(1), []).await;
    let [busy, open] = [Sharer::busy(2, &[&song]).await, Sharer::open(3, &[&other]).await];
    world.town.add(&busy);
    world.town.add(&open);
    let first = world.start(&song).await;
    world.until(first, |status| status.state == State::Queued).await;
    let second = world.start(&other).await;
    let done = world.until(second, |status| status.state == State::Done);
    tokio::time::timeout(SOON, done).await.expect("the first lets it begin");

    let waits = world.until(first, |status| status.state == State::Queued).await;
    assert_eq!((waits.ahead, waits.reason), (Some(1), Some(Why::QueuedAtSources)));
    assert_eq!(busy.entered(), 1, "it keeps its place");
    busy.grant();
    let done = world.until(first, |status| status.state == State::Done);
    tokio::time::timeout(SOON, done).await.expect("it takes the slot");
    assert_eq!(busy.entered(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_download_whose_known_sources_are_of_no_use_begins_when_another_appears() {
    let song = Song::new(1, 20);
    let world = World::new().await;
    let busy = Sharer::busy(2, &[&song]).await;
    world.town.add(&busy);
    world.town.add_unreachable(9);
    let id = world.start(&song).await;
    world.until(id, |status| status.state == State::Queued).await;
    world.downloads.waiting_changed().wait_for(|_| world.downloads.waiting_for() == [song.id()]).await.unwrap();
    let open = Sharer::open(3, &[&song]).await;
    world.town.add(&open);
    world.downloads.available(&[song.id()]);
    let done = world.until(id, |status| status.state == State::Done);
    tokio::time::timeout(SOON, done).await.expect("it looks at once who it is");
    world.downloads.waiting_changed().wait_for(|_| world.downloads.waiting_for().is_empty()).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn of_several_unfinished_lines_of_one_part_the_last_goes_on() {
    let failed = Line { id: DownloadId(7), ..line(1, None, State::Failed) };
    let lines = [line(1, None, State::Paused), line(2, None, State::Paused), failed, line(1, None, State::Done)];
    assert_eq!(superseded(&lines), BTreeSet::from([DownloadId(1)]));
    let [first, second, third, _] = lines;
    let world = World::with(Arc::default(), |_| {}, [first, second, third]).await;
    assert_eq!([1, 2, 7].map(|id| world.state(DownloadId(id))), [State::Cancelled, State::Paused, State::Failed]);
    world.end().await;
}

fn line(id: i64, group: Option<&str>, state: State) -> Line {
    let request = DownloadRequest {
        file: FileId::new(Digest::of(&id.to_le_bytes()), FileLength::new(1).unwrap()),
        name: "a.flac".into(),
        folder: "/music".into(),
        group: group.map(str::to_owned),
        sources: vec![],
        priority: Priority::Normal,
        about: About::default(),
    };
    let status = DownloadStatus { state, ..DownloadStatus::of(&request) };
    Line { id: DownloadId(id), request, status }
}

#[test]
fn old_lines_are_forgotten_but_not_of_a_group_that_is_not_whole() {
    let mut lines = vec![
        line(1, None, State::Done),
        line(2, None, State::Waiting),
        line(3, Some("whole"), State::Done),
        line(4, Some("not whole"), State::Done),
        line(5, Some("not whole"), State::Cancelled),
        line(6, None, State::Failed),
        line(7, None, State::Cancelled),
    ];
    lines.extend((8..8 + KEPT_LINES as i64 - 1).map(|id| line(id, None, State::Done)));
    assert_eq!(too_old(&lines), BTreeSet::from([1, 3, 4, 5].map(DownloadId)));
    lines.push(line(9_999, Some("not whole"), State::Waiting));
    assert_eq!(too_old(&lines), BTreeSet::from([1, 3, 7].map(DownloadId)));
    lines.pop();
    lines.push(line(9_999, Some("whole"), State::Paused));
    assert_eq!(too_old(&lines), BTreeSet::from([1, 4, 5, 7].map(DownloadId)));
}
