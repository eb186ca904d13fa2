use std::collections::BTreeMap;
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

/// What is in the folder, name by name, but for what SQLite keeps beside its databases.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.to_string_lossy();
        if entry.is_dir() {
            found.extend(contents(&entry));
        } else if !name.ends_with("-wal") && !name.ends_with("-shm") {
            found.insert(entry.clone(), fs::read(&entry).unwrap());
        }
    }
    found
}

/// An index's folder with a search index that knows its one song.
async fn searchable() -> tempfile::TempDir {
    let (dir, _) = index().await;
    let tracker = TaskTracker::new();
    let store = Store::open(&dir.path().into(), Options::default(), &tracker).await.unwrap();
    let (mut indexer, engine) = indexer::open(&dir.path().join("search"), &store).await.unwrap();
    let (files, revision) = (store.changed_files(0, 9).await.unwrap(), store.revision().await.unwrap());
    store.close().await;
    let fill = move || {
        indexer.apply(&files).unwrap();
        indexer.commit(revision).unwrap();
        drop((indexer, engine));
    };
    tokio::task::spawn_blocking(fill).await.unwrap();
    dir
}

#[tokio::test]
async fn who_only_looks_at_a_damaged_search_index_leaves_it_as_it_is() {
    let spoil: [(fn(&Path), &str); 4] = [
        (|search| fs::write(search.join("files/meta.json"), b"{").unwrap(), "cannot be used"),
        (
            |search| {
                let files = fs::read_dir(search.join("files")).unwrap().map(|entry| entry.unwrap().path());
                let terms = files.filter(|path| path.extension().is_some_and(|extension| extension == "term"));
                terms.for_each(|path| {
                    let mut bytes = fs::read(&path).unwrap();
                    bytes[0] ^= 1;
                    fs::write(path, bytes).unwrap();
                });
            },
            "is damaged, in ",
        ),
        (|search| fs::write(search.join("catalogue"), b"another's").unwrap(), "does not belong to the catalogue"),
        (|search| fs::remove_file(search.with_file_name(CATALOGUE)).unwrap(), "does not belong to the catalogue"),
    ];
    for (spoil, words) in spoil {
        let dir = searchable().await;
        let search = dir.path().join("search");
        assert_eq!(perform(dir.path(), &LOOK).await.unwrap(), Outcome::sound("all is well"));
        spoil(&search);
        let before = contents(dir.path());
        for _ in 0..2 {
            let Outcome { text, state } = perform(dir.path(), &LOOK).await.unwrap();
            assert!(state == State::NeedsAttention && text.contains(words), "{text}");
        }
        assert!(contents(dir.path()) == before, "{words}");
        let Outcome { text, state } = perform(dir.path(), &MEND).await.unwrap();
        assert!(state == State::Sound && text.contains("built anew"), "{text}");
        assert!(!search.exists());
    }
}

#[tokio::test]
async fn a_check_says_what_it_did_not_look_at() {
    let dir = searchable().await;
    let unseen = "the search index was not looked at";
    let running = DataDir::open(dir.path()).unwrap();
    let Outcome { text, state } = perform(dir.path(), &LOOK).await.unwrap();
    assert!(state == State::Sound && text.contains(unseen) && !text.contains("all is well"), "{text}");
    drop(running);
    fs::write(dir.path().join(CATALOGUE), b"no database at all".repeat(500)).unwrap();
    let Outcome { text, state } = perform(dir.path(), &LOOK).await.unwrap();
    assert!(state == State::NeedsAttention && text.contains(unseen), "{text}");
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
