//! A store in a folder of its own, and members who publish the way a peer does.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use choir_shared::claim::{Format, Origin};
use choir_shared::identity::SecretKey;
use choir_shared::index_api::{Addition, ChangeSet, Folder, Phase};
use choir_shared::leaf::FileLength;
use choir_shared::library::{DEFAULT_COLLECTION, Head, LibraryDigest};
use choir_shared::{Claim, Digest, FileId, PeerId};
use tokio_util::task::TaskTracker;

use postgres::Postgres;

use super::{Applied, ChangeError, Enrolment, Location, Options, Quotas, Store};

#[expect(unreachable_pub, reason = "to the harness, whose file this is, it is reachable")]
#[path = "../../../tests/harness/postgres.rs"]
pub(crate) mod postgres;

/// Tells stories of the store, functions that take a [`World`], on each database.
macro_rules! on_both_databases {
    ($($story:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $story() {
                super::$story($crate::store::testing::World::new().await).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $story() {
                super::$story($crate::store::testing::World::on_postgres().await).await;
            })*
        }
    };
}

pub(crate) use on_both_databases;

pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) const PLENTY: Quotas = Quotas { files_per_peer: 100_000, claim_bytes_per_peer: 100_000_000 };

pub(crate) struct World {
    /// With the databases, if they are files.
    pub(crate) dir: tempfile::TempDir,
    pub(crate) location: Location,
    pub(crate) store: Store,
    tracker: TaskTracker,
    database: Option<postgres::Database>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let location = dir.path().into();
        Self::at(location, dir, None).await
    }

    /// On a server that all tests of this program share.
    pub(crate) async fn on_postgres() -> Self {
        static SERVER: LazyLock<Postgres> = LazyLock::new(Postgres::start);
        Self::on_server(&SERVER).await
    }

    /// On a new database of this server.
    pub(crate) async fn on_server(server: &Postgres) -> Self {
        let database = server.database();
        let location = Location::Postgres(database.url().parse().unwrap());
        Self::at(location, tempfile::tempdir().unwrap(), Some(database)).await
    }

    async fn at(location: Location, dir: tempfile::TempDir, database: Option<postgres::Database>) -> Self {
        let tracker = TaskTracker::new();
        let store = Store::open(&location, Options::default(), &tracker).await.unwrap();
        Self { dir, location, store, tracker, database }
    }

    /// Closes the store and opens it again, after `meddle` had its way with the files.
    pub(crate) async fn reopened(mut self, meddle: impl FnOnce(&std::path::Path)) -> Self {
        let (location, database) = (self.location.clone(), self.database.take());
        let dir = self.closed().await;
        meddle(dir.path());
        Self::at(location, dir, database).await
    }

    /// Its folder, when nothing runs on it any more.
    pub(crate) async fn closed(self) -> tempfile::TempDir {
        let Self { dir, store, tracker, .. } = self;
        store.close().await;
        drop(store);
        tracker.close();
        tracker.wait().await;
        dir
    }

    /// A member whose network is its own.
    pub(crate) async fn member(&self, seed: u8) -> Sharer {
        let secret = SecretKey::from_seed(&[seed; 32]);
        let member = self.store.enrol(&secret.peer_id(), Enrolment::Open, NOW).await.unwrap();
        Sharer { secret, no: member.no, voter: u64::from(seed), generation: 0, library: BTreeMap::new() }
    }
}

/// A peer that remembers what it has published to the default collection.
#[derive(Clone)]
pub(crate) struct Sharer {
    pub(crate) secret: SecretKey,
    pub(crate) no: super::MemberNo,
    pub(crate) voter: u64,
    pub(crate) generation: u64,
    pub(crate) library: BTreeMap<FileId, Digest>,
}

impl Sharer {
    pub(crate) fn peer(&self) -> PeerId {
        self.secret.peer_id()
    }

    /// The next change, with folder 1 and a head.
    pub(crate) fn change(&mut self, add: &[(u64, &Claim)], remove: &[u64]) -> ChangeSet {
        let set = self.part(Phase::Change, add, remove);
        self.signed(set)
    }

    /// One set of any phase; the sharer counts its entries, and moves on to the next generation unless it stages.
    pub(crate) fn part(&mut self, phase: Phase, add: &[(u64, &Claim)], remove: &[u64]) -> ChangeSet {
        for seed in remove {
            self.library.remove(&file(*seed));
        }
        for (seed, claim) in add {
            self.library.insert(file(*seed), claim.hash());
        }
        let base_generation = self.generation;
        if matches!(phase, Phase::Change | Phase::Commit) {
            self.generation += 1;
        }
        ChangeSet {
            collection: DEFAULT_COLLECTION.into(),
            base_generation,
            generation: base_generation + 1,
            phase,
            folders: vec![Folder { number: 1, path: Some("Music".into()) }],
            add: add.iter().map(|(seed, claim)| addition(*seed, claim)).collect(),
            remove: remove.iter().map(|seed| file(*seed)).collect(),
            head: None,
        }
    }

    /// The change that takes everything away, the folder too.
    pub(crate) fn stop(&mut self) -> ChangeSet {
        let remove = self.library.keys().copied().collect();
        self.library.clear();
        let folders = vec![Folder { number: 1, path: None }];
        let set = ChangeSet { remove, folders, ..self.part(Phase::Change, &[], &[]) };
        self.signed(set)
    }

    pub(crate) fn signed(&self, set: ChangeSet) -> ChangeSet {
        let (digest, count) = (self.digest(), self.library.len() as u64);
        let head = Head::sign(&self.secret, &set.collection, set.generation, digest, count, NOW);
        ChangeSet { head: Some(head), ..set }
    }

    pub(crate) fn digest(&self) -> LibraryDigest {
        let mut digest = LibraryDigest::EMPTY;
        self.library.iter().for_each(|(file, claim)| digest.insert(file, claim));
        digest
    }

    pub(crate) async fn send(&self, world: &World, set: ChangeSet) -> Result<Applied, ChangeError> {
        world.store.apply(self.no, &self.peer(), self.voter, set, &PLENTY).await
    }

    pub(crate) async fn share(&mut self, world: &World, add: &[(u64, &Claim)]) -> Applied {
        let set = self.change(add, &[]);
        self.send(world, set).await.unwrap()
    }
}

pub(crate) fn addition(seed: u64, claim: &Claim) -> Addition {
    Addition { file: file(seed), folder: 1, claim_hash: claim.hash(), claim: Some(claim.clone()) }
}

pub(crate) fn file(seed: u64) -> FileId {
    FileId::new(Digest::of(&seed.to_be_bytes()), FileLength::new(1000 + seed).unwrap())
}

pub(crate) fn song(title: &str) -> Claim {
    Claim {
        format: Format::new("flac").unwrap(),
        title: Some(title.to_owned()),
        artist: Some("Somebody".to_owned()),
        origin: Some(Origin::Tags),
        ..Claim::default()
    }
}
