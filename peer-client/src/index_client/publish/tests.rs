use std::sync::Mutex;

use choir_shared::index_api::{Addition, ErrorCode, Problem};
use choir_shared::leaf::FileLength;
use choir_shared::library::LibraryDigest;
use choir_shared::{Claim, Digest, FileId};
use tokio::task::JoinHandle;

use super::super::Patience;
use super::super::fake::{Canned, FakeCollection, FakeIndex};
use super::*;

/// A library of one collection, in memory. Each change has its own generation.
struct TestLibrary {
    rows: Mutex<Vec<(u64, FileId, Option<Claim>)>>,
    changed: watch::Sender<u64>,
}

impl TestLibrary {
    fn with_songs(count: u64) -> Arc<Self> {
        let library = Arc::new(Self { rows: Mutex::default(), changed: watch::channel(0).0 });
        (1..=count).for_each(|number| library.add(number));
        library
    }

    fn add(&self, number: u64) {
        let claim = Claim { title: Some(format!("Song {number}")), ..Claim::default() };
        self.change(song(number), Some(claim));
    }

    fn remove(&self, number: u64) {
        self.change(song(number), None);
    }

    fn change(&self, file: FileId, claim: Option<Claim>) {
        let generation = *self.changed.borrow() + 1;
        let mut rows = self.rows.lock().unwrap();
        rows.retain(|(_, known, _)| *known != file);
        rows.push((generation, file, claim));
        drop(rows);
        self.changed.send_replace(generation);
    }

    fn summary(&self) -> CollectionSummary {
        let (mut digest, mut count) = (LibraryDigest::EMPTY, 0);
        for (_, file, claim) in self.rows.lock().unwrap().iter() {
            if let Some(claim) = claim {
                digest.insert(file, &claim.hash());
                count += 1;
            }
        }
        CollectionSummary { collection: "everyone".into(), generation: *self.changed.borrow(), digest, count }
    }
}

impl PublishedLibrary for TestLibrary {
    async fn collections(&self) -> Result<Vec<CollectionSummary>, LibraryError> {
        Ok(vec![self.summary()])
    }

    async fn changes_since(&self, collection: &str, after: u64, limit: usize) -> Result<ChangesPage, LibraryError> {
        if collection != "everyone" {
            return Err(LibraryError(format!("there is no {collection}")));
        }
        let summary = self.summary();
        let rows = self.rows.lock().unwrap();
        let newer: Vec<_> = rows.iter().filter(|(generation, ..)| *generation > after).take(limit).cloned().collect();
        let through = if newer.len() < limit { summary.generation } else { newer.last().map_or(after, |row| row.0) };
        let mut page = ChangesPage { add: vec![], remove: vec![], folders: vec![], through, complete: None };
        for (_, file, claim) in newer {
            match claim {
                Some(claim) => {
                    page.add.push(Addition { file, folder: 1, claim_hash: claim.hash(), claim: Some(claim) })
                }
                None => page.remove.push(file),
            }
        }
        page.complete = (through == summary.generation).then_some((summary.digest, summary.count));
        Ok(page)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

fn song(number: u64) -> FileId {
    FileId::new(Digest::of(&number.to_be_bytes()), FileLength::new(number).unwrap())
}

/// A publisher, and the test in the place of the control connection.
struct World {
    index: FakeIndex,
    library: Arc<TestLibrary>,
    notices: mpsc::Sender<Notice>,
    given: watch::Sender<Vec<String>>,
    published: watch::Receiver<Published>,
    task: JoinHandle<()>,
}

impl World {
    async fn new(index: FakeIndex, library: Arc<TestLibrary>) -> Self {
        let secret = SecretKey::from_seed(&[7; 32]);
        let http =
            IndexHttp::new(index.url.clone(), index.secret.index_key(), secret.clone(), Patience::default()).unwrap();
        http.info().await.unwrap();
        let (notices, notices_seen) = mpsc::channel(4);
        let (given, given_seen) = watch::channel(vec!["everyone".to_owned()]);
        let (published, published_seen) = watch::channel(Published::default());
        let given_to = Given { library: library.clone(), collections: given_seen };
        let stop = CancellationToken::new();
        let publisher = Publisher::new(Arc::new(http), given_to, secret, notices_seen, published, stop);
        let task = tokio::spawn(publisher.run());
        Self { index, library, notices, given, published: published_seen, task }
    }

    /// What an honest index says to a hello.
    async fn welcome(&self) {
        let said = self.library.summary().state();
        let known = self.index.collection("everyone");
        let known = CollectionState { generation: known.generation, digest: known.digest(), ..said.clone() };
        let resync = if known == said { vec![] } else { vec![known] };
        self.notices.send(Notice::Welcomed { said: vec![said], resync }).await.unwrap();
    }

    async fn settled(&mut self) {
        let newest = self.library.summary().generation;
        let current = |published: &Published| {
            published.is_current() && published.collections.get("everyone").is_some_and(|one| one.newest == newest)
        };
        self.published.wait_for(current).await.unwrap();
        let (known, ours) = (self.index.collection("everyone"), self.library.summary());
        assert_eq!((known.generation, known.digest()), (ours.generation, ours.digest));
    }

    fn phases(&self) -> Vec<Phase> {
        self.index.sets().iter().map(|set| set.phase).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_new_library_is_told_in_sets_that_can_be_found_at_once() {
    let mut world = World::new(FakeIndex::with_limits(1, 10).await, TestLibrary::with_songs(25)).await;
    assert!(world.index.sets().is_empty(), "nothing is sent before the welcome");
    world.welcome().await;
    world.settled().await;
    assert_eq!(world.phases(), [Phase::Change; 3]);
    let sets = world.index.sets();
    assert_eq!(
        sets.iter().map(|set| (set.base_generation, set.generation)).collect::<Vec<_>>(),
        [(0, 10), (10, 20), (20, 25)]
    );
    let heads: Vec<_> = sets
        .iter()
        .map(|set| set.head.as_ref().is_some_and(|head| head.verify(&SecretKey::from_seed(&[7; 32]).peer_id())))
        .collect();
    assert_eq!(heads, [false, false, true]);
}

#[tokio::test]
async fn sets_of_long_claims_stay_within_a_mebibyte() {
    let library = TestLibrary::with_songs(0);
    for number in 1..=600 {
        let text = || Some(format!("{number} {}", "x".repeat(500)));
        let claim = Claim { title: text(), artist: text(), album: text(), genre: text(), ..Claim::default() };
        library.change(song(number), Some(claim));
    }
    let mut world = World::new(FakeIndex::new(1).await, library).await;
    world.welcome().await;
    world.settled().await;
    let sizes: Vec<_> = world.index.sets().iter().map(|set| serde_json::to_vec(set).unwrap().len()).collect();
    assert!(sizes.len() > 1 && sizes.iter().all(|size| *size <= 1 << 20), "{sizes:?}");
}

#[tokio::test]
async fn changes_follow_as_they_come() {
    let mut world = World::new(FakeIndex::new(1).await, TestLibrary::with_songs(2)).await;
    world.welcome().await;
    world.settled().await;
    world.library.add(3);
    world.library.remove(1);
    world.settled().await;
    assert!(world.index.sets().len() <= 3, "changes are gathered");
    world.welcome().await;
    world.library.add(4);
    world.settled().await;
    assert_eq!(world.index.collection("everyone").holdings.len(), 3);
}

#[tokio::test]
async fn an_index_that_was_restored_from_a_backup_is_told_the_rest() {
    let library = TestLibrary::with_songs(3);
    let index = FakeIndex::new(1).await;
    let claim = Claim { title: Some("Song 1".into()), ..Claim::default() };
    index.plant("everyone", FakeCollection { generation: 1, holdings: [(song(1), claim.hash())].into() });
    let mut world = World::new(index, library).await;
    world.welcome().await;
    world.settled().await;
    assert_eq!(world.phases(), [Phase::Change]);
}

#[tokio::test]
async fn an_index_that_knows_something_else_is_told_everything_anew() {
    let index = FakeIndex::with_limits(1, 10).await;
    index.plant("everyone", FakeCollection { generation: 2, holdings: [(song(99), Digest::ZERO)].into() });
    let mut world = World::new(index, TestLibrary::with_songs(25)).await;
    world.welcome().await;
    world.settled().await;
    let sets = world.index.sets();
    let optimistic = sets.iter().take_while(|set| set.phase == Phase::Change).count();
    assert_eq!(optimistic, 3, "first it is believed to be merely behind");
    // Each set goes without claims first; the index knows all but the two that it was never told.
    let phases: Vec<_> = sets[optimistic..].iter().map(|set| set.phase).collect();
    assert_eq!(phases, [Phase::Begin, Phase::Begin, Phase::Staging, Phase::Commit]);
    let claims: Vec<_> =
        sets[optimistic..].iter().map(|set| set.add.iter().filter(|one| one.claim.is_some()).count()).collect();
    assert_eq!(claims, [0, 2, 0, 0]);
}

#[tokio::test]
async fn what_a_library_that_is_gone_has_left_is_emptied() {
    let index = FakeIndex::new(1).await;
    index.plant("music", FakeCollection { generation: 9, holdings: [(song(99), Digest::ZERO)].into() });
    let mut world = World::new(index, TestLibrary::with_songs(1)).await;
    world.given.send_replace(vec!["music".to_owned()]);
    let left = world.index.collection("music");
    let left = CollectionState { collection: "music".into(), generation: 9, digest: left.digest() };
    world.notices.send(Notice::Welcomed { said: vec![], resync: vec![left] }).await.unwrap();
    let emptied =
        |published: &Published| published.collections.get("music").is_some_and(|one| one.acknowledged == Some(0));
    world.published.wait_for(emptied).await.unwrap();
    assert_eq!(world.index.collection("music").holdings.len(), 0);
    assert_eq!(world.phases(), [Phase::Begin, Phase::Commit]);
}

#[tokio::test]
async fn a_wrong_base_is_put_right() {
    let mut world = World::new(FakeIndex::new(1).await, TestLibrary::with_songs(3)).await;
    // The index says that it is up to date, and then is not.
    let said = world.library.summary().state();
    world.notices.send(Notice::Welcomed { said: vec![said], resync: vec![] }).await.unwrap();
    world.library.add(4);
    world.settled().await;
    assert_eq!(world.index.sets().iter().map(|set| set.base_generation).collect::<Vec<_>>(), [3, 0]);
}

#[tokio::test]
async fn a_resync_that_the_index_asks_for_is_done() {
    let mut world = World::new(FakeIndex::new(1).await, TestLibrary::with_songs(3)).await;
    world.welcome().await;
    world.settled().await;
    world.notices.send(Notice::Resync(world.library.summary().state())).await.unwrap();
    world.published.wait_for(|published| !published.is_current()).await.unwrap();
    world.settled().await;
    assert_eq!(world.phases(), [Phase::Change, Phase::Begin, Phase::Commit]);
}

#[tokio::test]
async fn trouble_is_reported_and_overcome() {
    let mut world = World::new(FakeIndex::new(1).await, TestLibrary::with_songs(3)).await;
    world.index.answer_next("/library/changes", Canned::Problem(Problem::new(ErrorCode::RateLimited).retry_after_s(1)));
    world.welcome().await;
    let problem = |published: &Published| published.collections.get("everyone").and_then(|one| one.problem.clone());
    let published = world.published.wait_for(|published| problem(published).is_some()).await.unwrap().clone();
    assert!(problem(&published).unwrap().contains("slow down"));
    world.settled().await;
    assert_eq!(problem(&world.published.borrow()), None);
}

#[tokio::test]
async fn an_index_that_loses_a_resync_is_told_it_again() {
    let index = FakeIndex::with_limits(1, 10).await;
    index.plant("everyone", FakeCollection { generation: 99, holdings: [(song(99), Digest::ZERO)].into() });
    let mut world = World::new(index, TestLibrary::with_songs(15)).await;
    // Without claims, with claims, and then the index has restarted.
    let lost = Problem { generation: Some(99), ..Problem::new(ErrorCode::WrongBase) };
    let unavailable = Problem::new(ErrorCode::Unavailable).retry_after_s(1);
    world.index.answer_next("/library/changes", Canned::Problem(unavailable));
    world.index.answer_next("/library/changes", Canned::Problem(lost));
    world.welcome().await;
    world.settled().await;
    let phases = world.phases();
    assert_eq!((phases.first(), phases.last()), (Some(&Phase::Begin), Some(&Phase::Commit)));
}

#[tokio::test]
async fn a_collection_that_is_taken_away_is_emptied_and_may_come_back() {
    let mut world = World::new(FakeIndex::new(1).await, TestLibrary::with_songs(3)).await;
    world.welcome().await;
    world.settled().await;
    world.given.send_replace(vec![]);
    world.published.wait_for(|published| published.collections.is_empty()).await.unwrap();
    while !world.index.collection("everyone").holdings.is_empty() {
        tokio::task::yield_now().await;
    }
    world.given.send_replace(vec!["everyone".to_owned()]);
    world.settled().await;
    assert_eq!(world.phases(), [Phase::Change, Phase::Begin, Phase::Commit, Phase::Change]);
}
