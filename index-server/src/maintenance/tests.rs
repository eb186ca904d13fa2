use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tokio_util::task::TaskTracker;

use super::*;
use crate::data_dir::DataDir;
use crate::keys::IndexKeys;
use crate::store::testing::{NOW, Sharer, World, song};
use crate::store::{Enrolment, Options, Store};

/// A task on an index with SQLite files.
async fn perform(dir: &Path, task: &Task) -> Result<Outcome, MaintenanceError> {
    super::perform(dir, &dir.into(), task).await
}

/// An index's folder with two members and one song, and the sharer of it. Nothing runs on it.
async fn index() -> (tempfile::TempDir, Sharer) {
    let world = World::new().await;
    let mut anna = world.member(1).await;
    world.member(2).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    IndexKeys::load_or_create(&world.dir.path().join(KEY)).unwrap();
    (world.closed().await, anna)
}

async fn members(dir: &Path) -> usize {
    let tracker = TaskTracker::new();
    let store = Store::open(&dir.into(), Options::default(), &tracker).await.unwrap();
    let members = store.members().await.unwrap().len();
    store.close().await;
    members
}

fn backup(to: &Path) -> Task {
    Task::Backup { to: to.to_owned(), extent: Extent::Accounts }
}

const LOOK: Task = Task::Check { repair: Repair::Look };
const MEND: Task = Task::Check { repair: Repair::Mend };

#[tokio::test]
async fn a_backup_brings_everything_back_that_is_precious() {
    let (dir, _) = index().await;
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("monday");
    perform(dir.path(), &backup(&to)).await.unwrap();
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o700);
    let again = perform(dir.path(), &backup(&to)).await;
    assert!(matches!(again, Err(MaintenanceError::Exists(_))), "{again:?}");

    let tracker = TaskTracker::new();
    let store = Store::open(&dir.path().into(), Options::default(), &tracker).await.unwrap();
    let late = choir_shared::identity::SecretKey::from_seed(&[3; 32]).peer_id();
    store.enrol(&late, Enrolment::Open, NOW).await.unwrap();
    store.close().await;
    drop(store);
    let key = fs::read(dir.path().join(KEY)).unwrap();
    fs::write(dir.path().join(KEY), "f".repeat(64)).unwrap();
    let outcome = perform(dir.path(), &Task::Restore { from: to.clone() }).await.unwrap();
    assert_eq!(outcome.state, State::Sound);
    assert_eq!((members(dir.path()).await, fs::read(dir.path().join(KEY)).unwrap()), (2, key.clone()));
    let aside = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside = aside.into_iter().find(|path| path.to_string_lossy().contains("replaced-")).unwrap();
    assert_eq!(members(&aside).await, 3, "what was there is not lost");

    let elsewhere = place.path().join("new machine");
    perform(&elsewhere, &Task::Restore { from: to }).await.unwrap();
    assert_eq!((members(&elsewhere).await, fs::read(elsewhere.join(KEY)).unwrap()), (2, key));
}

#[tokio::test]
async fn what_is_no_sound_backup_replaces_nothing() {
    let (dir, _) = index().await;
    let place = tempfile::tempdir().unwrap();
    let restore = async |from: &str| perform(dir.path(), &Task::Restore { from: place.path().join(from) }).await;
    assert!(matches!(restore("nowhere").await, Err(MaintenanceError::NoBackup(_))));
    perform(dir.path(), &backup(&place.path().join("b"))).await.unwrap();
    let locked = DataDir::open(dir.path()).unwrap();
    assert!(matches!(restore("b").await, Err(MaintenanceError::Running(_))));
    drop(locked);
    fs::write(place.path().join("b").join(ACCOUNTS), b"no database at all".repeat(500)).unwrap();
    assert!(matches!(restore("b").await, Err(MaintenanceError::Store(_))));
    fs::write(place.path().join("b").join(KEY), "no key").unwrap();
    assert!(matches!(restore("b").await, Err(MaintenanceError::Key(_))));
    assert_eq!(members(dir.path()).await, 2);
}

#[tokio::test]
async fn a_check_finds_and_mends() {
    let (dir, anna) = index().await;
    assert_eq!(perform(dir.path(), &LOOK).await.unwrap(), Outcome::sound("all is well"));
    let search = dir.path().join("search");
    fs::create_dir(&search).unwrap();
    assert_eq!(perform(dir.path(), &LOOK).await.unwrap().state, State::NeedsAttention, "of no catalogue");
    assert_eq!(perform(dir.path(), &MEND).await.unwrap().state, State::Sound);
    assert!(!search.exists());

    let catalogue = dir.path().join(CATALOGUE);
    fs::write(&catalogue, b"no database at all".repeat(500)).unwrap();
    assert_eq!(perform(dir.path(), &LOOK).await.unwrap().state, State::NeedsAttention);
    assert!(catalogue.exists());
    let locked = DataDir::open(dir.path()).unwrap();
    assert!(matches!(perform(dir.path(), &MEND).await, Err(MaintenanceError::Running(_))));
    drop(locked);
    assert_eq!(perform(dir.path(), &MEND).await.unwrap().state, State::Sound);
    let tracker = TaskTracker::new();
    let store = Store::open(&dir.path().into(), Options::default(), &tracker).await.unwrap();
    assert!(store.member(&anna.peer()).await.unwrap().is_some());
    assert!(store.collections(anna.no).await.unwrap().is_empty(), "to be published again");
    store.close().await;
    drop(store);

    fs::write(dir.path().join(ACCOUNTS), b"no database at all".repeat(500)).unwrap();
    let outcome = perform(dir.path(), &MEND).await.unwrap();
    assert_eq!(outcome.state, State::NeedsAttention, "accounts are for a backup to mend");
}

#[tokio::test]
async fn without_an_index_there_is_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for task in [LOOK, backup(&dir.path().join("b")), Task::Migrate { mode: Migrate::Look }] {
        assert!(matches!(perform(dir.path(), &task).await, Err(MaintenanceError::NoIndex(_))));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let (dir, _) = index().await;
    assert_eq!(perform(dir.path(), &Task::Migrate { mode: Migrate::Look }).await.unwrap().state, State::Sound);
}
