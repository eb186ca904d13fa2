//! The library as a whole, on real files and a real database.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::future::Future;
use std::time::SystemTime;

use choir_shared::library::{DEFAULT_COLLECTION, LibraryDigest};
use choir_shared::merkle::TreeHasher;
use tempfile::TempDir;

use super::fixture::{self, Song};
use super::*;

/// A folder with music, and a peer that runs.
struct World {
    folder: TempDir,
    music: PathBuf,
    options: LibraryOptions,
    running: Option<Running>,
}

struct Running {
    library: Library,
    database: Database,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl World {
    /// Changes are only noticed when a test asks for a rescan.
    async fn new() -> Self {
        let watch =
            WatchOptions { polling_only: true, poll_every: Duration::from_secs(3600), ..WatchOptions::default() };
        Self::with(watch).await
    }

    async fn with(watch: WatchOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let music = folder.path().canonicalize().unwrap().join("Music");
        fs::create_dir(&music).unwrap();
        let options = LibraryOptions { watch, ..LibraryOptions::default() };
        let mut world = Self { folder, music, options, running: None };
        world.start().await;
        world
    }

    async fn start(&mut self) {
        let (database, _) = Database::open(&self.folder.path().join("peer.db")).await.unwrap();
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let library = Library::open(database.clone(), self.options.clone(), &tracker, stop.clone()).await.unwrap();
        self.running = Some(Running { library, database, tracker, stop });
    }

    async fn restart(&mut self) {
        let running = self.running.take().unwrap();
        running.stop.cancel();
        running.tracker.close();
        running.tracker.wait().await;
        running.database.close().await;
        drop(running);
        self.start().await;
        self.library().settled().await;
    }

    fn library(&self) -> &Library {
        &self.running.as_ref().unwrap().library
    }

    fn write(&self, path: &str, contents: &[u8]) {
        let path = self.music.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::create_dir_all(self.music.join(to).parent().unwrap()).unwrap();
        fs::rename(self.music.join(from), self.music.join(to)).unwrap();
    }

    async fn share(&self) {
        self.share_as("Music", DEFAULT_COLLECTION).await;
    }

    async fn share_as(&self, folder: &str, collection: &str) {
        let path = self.music.with_file_name(folder);
        self.library().add_folder(&path, None, collection).await.unwrap();
        self.library().settled().await;
    }

    async fn rescan(&self) {
        self.library().rescan().await;
        self.library().settled().await;
    }

    /// The published names of the files of the default collection.
    async fn published(&self) -> Vec<String> {
        let mut mirror = Mirror::default();
        mirror.follow(self.library(), DEFAULT_COLLECTION, 1000).await;
        mirror.names()
    }

    fn bytes_read(&self) -> u64 {
        self.library().progress().borrow().bytes_hashed_in_all
    }

    async fn left_out(&self) -> Vec<(Reason, u64)> {
        let folders = self.library().folders().await.unwrap();
        folders.iter().flat_map(|folder| &folder.left_out).map(|left_out| (left_out.reason, left_out.count)).collect()
    }

    /// Waits until what the library publishes is this.
    async fn until_published(&self, expected: &[&str]) {
        let mut changed = self.library().changed();
        while self.published().await != expected {
            changed.changed().await.unwrap();
        }
    }
}

/// What somebody knows who was only ever told of changes.
#[derive(Default)]
struct Mirror {
    known: BTreeMap<FileId, (u32, Digest, String)>,
    folders: BTreeMap<u32, String>,
    through: u64,
}

impl Mirror {
    /// Follows the changes to their end, and checks that both sides count alike.
    async fn follow(&mut self, library: &Library, collection: &str, limit: usize) {
        loop {
            let page = library.changes_since(collection, self.through, limit).await.unwrap();
            assert!(page.add.len() + page.remove.len() + page.folders.len() <= limit);
            assert!(page.through > self.through || page.complete.is_some());
            for folder in page.folders {
                match folder.path {
                    Some(path) => self.folders.insert(folder.number, path),
                    None => self.folders.remove(&folder.number),
                };
            }
            for addition in page.add {
                let claim = addition.claim.unwrap();
                assert_eq!(claim.hash(), addition.claim_hash);
                assert!(self.folders.contains_key(&addition.folder), "a holding came before its folder");
                self.known.insert(addition.file, (addition.folder, addition.claim_hash, claim.file_name.unwrap()));
            }
            page.remove.iter().for_each(|file| drop(self.known.remove(file)));
            self.through = page.through;
            if let Some((digest, count)) = page.complete {
                let mut sum = LibraryDigest::EMPTY;
                self.known.iter().for_each(|(file, (_, claim, _))| sum.insert(file, claim));
                assert_eq!((sum, self.known.len() as u64), (digest, count));
                return;
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.known.values().map(|(folder, _, name)| format!("{}/{name}", self.folders[folder])).collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn a_shared_folder_is_published_with_what_tags_and_paths_say() {
    let world = World::new().await;
    let tagged = Song { seconds: 2, seed: 1, title: Some("Low Water"), artist: Some("Anna") };
    world.write("Anna/Tides/01 ebb.wav", &fixture::wav(&tagged));
    world.write("Anna/Tides/02 Flood.wav", &fixture::song(2));
    world.write("Anna/Tides/cover.png", b"\x89PNG\r\n\x1a\n...");
    world.write("Anna/Tides/letter.doc", b"x");
    world.write("fake.mp3", b"not a song");
    world.write("empty.ogg", b"");
    world.share().await;

    let names = ["Music/Anna/Tides/01 ebb.wav", "Music/Anna/Tides/02 Flood.wav", "Music/Anna/Tides/cover.png"];
    assert_eq!(world.published().await, names);
    assert_eq!(world.left_out().await, [(Reason::OtherKind, 1), (Reason::NotWhatItsNameSays, 1), (Reason::Empty, 1)]);

    let progress = world.library().progress().borrow().clone();
    assert_eq!((progress.phase, progress.files_seen, progress.files_to_hash), (ScanPhase::Idle, 4, 4));
    assert_eq!((progress.files_hashed, progress.bytes_hashed), (4, progress.bytes_hashed_in_all));

    let flood = world.library().find_path(&world.music.join("Anna/Tides/02 Flood.wav")).await.unwrap().unwrap();
    let texts = [&flood.claim.artist, &flood.claim.album, &flood.claim.title].map(|text| text.clone().unwrap());
    assert_eq!(texts, ["Anna", "Tides", "Flood"]);
    let ebb = world.library().find_path(&world.music.join("Anna/Tides/01 ebb.wav")).await.unwrap().unwrap();
    assert_eq!(ebb.claim.title.as_deref(), Some("Low Water"));
    assert_eq!((ebb.claim.duration_ms, ebb.alias.as_str()), (Some(2000), "Music"));
}

#[tokio::test]
async fn a_file_can_be_found_opened_and_proved() {
    let world = World::new().await;
    let bytes = fixture::wav(&Song { seconds: 20, ..Song::default() });
    world.write("a.wav", &bytes);
    world.share().await;
    let mut hasher = TreeHasher::new();
    hasher.update(&bytes);
    let expected = hasher.finish().unwrap();

    let library = world.library();
    let found = library.find(&expected.id).await.unwrap().unwrap();
    assert_eq!((found.id, &found.path), (expected.id, &world.music.join("a.wav")));
    assert_eq!(found.collections, [DEFAULT_COLLECTION]);
    assert_eq!(found.open_checked().unwrap().metadata().unwrap().len(), bytes.len() as u64);
    for _ in 0..2 {
        assert_eq!(library.leaves(&expected.id).await.unwrap().as_deref(), Some(expected.leaves.as_slice()));
    }
    assert_eq!(library.holds(&expected.id).await.unwrap(), Some(found.path.clone()));
    assert_eq!(library.with_audio(&found.claim.audio.unwrap()).await.unwrap(), [expected.id]);
    assert_eq!(library.counts().await.unwrap(), Counts { files: 1, bytes: bytes.len() as u64 });

    let digits = expected.id.root().to_string();
    for (prefix, matches) in
        [(&digits[..1], 1), (&digits[..7], 1), (&digits[..], 1), ("", 1), ("xyz", 0), (&format!("{digits}0"), 0)]
    {
        assert_eq!(library.find_by_prefix(prefix).await.unwrap().len(), matches, "{prefix}");
    }
    let other = FileId::new(Digest::ZERO, expected.id.length());
    assert!(library.find(&other).await.unwrap().is_none() && library.leaves(&other).await.unwrap().is_none());
}

#[tokio::test]
async fn what_did_not_change_is_never_read_again() {
    let mut world = World::new().await;
    (0..20).for_each(|seed| world.write(&format!("A/B{}/{seed}.wav", seed % 3), &fixture::song(seed)));
    world.share().await;
    let before = world.published().await;
    assert_eq!((before.len(), world.bytes_read() > 20 * 16_000), (20, true));

    let hashed = world.bytes_read();
    world.rescan().await;
    assert_eq!(world.bytes_read(), hashed);
    world.restart().await;
    assert_eq!((world.bytes_read(), world.published().await), (0, before.clone()));
}

#[tokio::test]
async fn what_was_moved_or_linked_or_was_away_is_recognised() {
    let world = World::new().await;
    (0..6).for_each(|seed| world.write(&format!("Anna/Old/0{seed} Song {seed}.wav"), &fixture::song(seed)));
    world.share().await;
    let (hashed, ids) = (world.bytes_read(), world.library().find_by_prefix("").await.unwrap());

    world.rename("Anna/Old", "Anna/New");
    world.rename("Anna/New/00 Song 0.wav", "Bert/Best/07 Renamed.wav");
    fs::hard_link(world.music.join("Anna/New/01 Song 1.wav"), world.music.join("Anna/linked.wav")).unwrap();
    world.rescan().await;
    let names = world.published().await;
    assert_eq!(names.len(), 6);
    assert!(
        names.contains(&"Music/Bert/Best/07 Renamed.wav".to_owned()) && !names.iter().any(|name| name.contains("Old"))
    );
    let renamed = world.library().find_path(&world.music.join("Bert/Best/07 Renamed.wav")).await.unwrap().unwrap();
    assert_eq!((renamed.claim.artist.as_deref(), renamed.claim.title.as_deref()), (Some("Bert"), Some("Renamed")));

    let away = world.folder.path().join("away.wav");
    fs::rename(world.music.join("Anna/New/02 Song 2.wav"), &away).unwrap();
    world.rescan().await;
    assert_eq!(world.published().await.len(), 5);
    fs::rename(&away, world.music.join("Anna/New/02 Song 2.wav")).unwrap();
    world.rescan().await;

    assert_eq!(world.published().await.len(), 6);
    assert_eq!(world.library().find_by_prefix("").await.unwrap(), ids);
    assert_eq!(world.bytes_read(), hashed);
}

#[tokio::test]
async fn a_second_copy_is_one_holding_and_takes_over_when_the_first_goes() {
    let world = World::new().await;
    world.write("A/one.wav", &fixture::song(1));
    world.write("B/two.wav", &fixture::song(1));
    world.share().await;
    assert_eq!((world.published().await.len(), world.left_out().await), (1, vec![(Reason::Duplicate, 1)]));

    let (first, second) = match world.published().await.concat().as_str() {
        "Music/A/one.wav" => ("A/one.wav", "Music/B/two.wav"),
        _ => ("B/two.wav", "Music/A/one.wav"),
    };
    fs::remove_file(world.music.join(first)).unwrap();
    world.rescan().await;
    assert_eq!((world.published().await, world.left_out().await), (vec![second.to_owned()], vec![]));
}

#[tokio::test]
async fn an_edited_file_is_another_file_even_if_its_time_was_set_back() {
    let world = World::new().await;
    world.write("a.wav", &fixture::song(1));
    world.share().await;
    let path = world.music.join("a.wav");
    let old = world.library().find_path(&path).await.unwrap().unwrap();

    let modified = path.metadata().unwrap().modified().unwrap();
    fs::write(&path, fixture::song(2)).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert!(matches!(old.open_checked(), Err(Changed::Different)));
    world.rescan().await;
    let new = world.library().find_path(&path).await.unwrap().unwrap();
    assert_ne!(new.id, old.id);
    assert!(new.open_checked().is_ok());
    assert!(world.library().find(&old.id).await.unwrap().is_none());
    assert_eq!(world.published().await.len(), 1);
}

#[tokio::test]
async fn a_file_that_somebody_complains_of_is_read_again() {
    let world = World::new().await;
    ["a.wav", "b.wav"].iter().zip([1, 2]).for_each(|(name, seed)| world.write(name, &fixture::song(seed)));
    world.share().await;
    let find = async |name: &str| world.library().find_path(&world.music.join(name)).await.unwrap();
    let (a, b) = (find("a.wav").await.unwrap(), find("b.wav").await.unwrap());

    world.write("a.wav", &fixture::song(3));
    fs::remove_file(&b.path).unwrap();
    assert!(matches!(b.open_checked(), Err(Changed::Gone(_))));
    world.library().recheck(&a.id).await;
    world.library().recheck(&b.id).await;
    world.library().settled().await;
    assert_ne!(find("a.wav").await.unwrap().id, a.id);
    assert!(find("b.wav").await.is_none());

    // Complaints of a sound file cost one reading of it, not one each.
    let (sound, hashed) = (find("a.wav").await.unwrap().id, world.bytes_read());
    for _ in 0..5 {
        world.library().recheck(&sound).await;
    }
    world.library().settled().await;
    assert_eq!(world.bytes_read(), hashed + sound.length().bytes());
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_absent_and_not_emptied() {
    let mut world = World::new().await;
    world.write("A/one.wav", &fixture::song(1));
    world.share().await;
    let names = world.published().await;

    let away = world.folder.path().join("unmounted");
    fs::rename(&world.music, &away).unwrap();
    world.rescan().await;
    assert_eq!(world.published().await, Vec::<String>::new());
    let folders = world.library().folders().await.unwrap();
    assert_eq!((folders.len(), folders[0].state), (1, FolderState::Missing));
    assert_eq!(world.library().progress().borrow().missing_folders[0].path, world.music);
    assert_eq!(world.library().counts().await.unwrap().files, 0);
    world.restart().await;

    fs::rename(&away, &world.music).unwrap();
    // Nobody says that it is back; it is asked for every few seconds.
    let mut progress = world.library().progress();
    progress.wait_for(|progress| progress.missing_folders.is_empty()).await.unwrap();
    world.library().settled().await;
    assert_eq!((world.published().await, world.bytes_read()), (names, 0));
}

#[tokio::test]
async fn changes_are_noticed_and_looked_at_once_they_are_over() {
    let world = World::with(WatchOptions { quiet: Duration::from_millis(20), ..WatchOptions::default() }).await;
    world.share().await;
    assert_eq!(world.library().progress().borrow().watching, Watching::Notified);

    world.write("New artist/New album/01 One.wav", &fixture::song(1));
    world.until_published(&["Music/New artist/New album/01 One.wav"]).await;
    world.write("New artist/New album/02 Two.wav", &fixture::song(2));
    world.until_published(&["Music/New artist/New album/01 One.wav", "Music/New artist/New album/02 Two.wav"]).await;
    world.rename("New artist/New album", "Old artist/Album");
    world.until_published(&["Music/Old artist/Album/01 One.wav", "Music/Old artist/Album/02 Two.wav"]).await;
    fs::remove_dir_all(world.music.join("Old artist")).unwrap();
    world.until_published(&[]).await;
}

#[tokio::test]
async fn where_changes_cannot_be_noticed_folders_are_polled_and_that_is_said() {
    let poll_every = Duration::from_millis(20);
    let world = World::with(WatchOptions { polling_only: true, poll_every, ..WatchOptions::default() }).await;
    world.share().await;
    assert!(
        matches!(&world.library().progress().borrow().watching, Watching::Polling { reason, .. } if !reason.is_empty())
    );
    world.write("a.wav", &fixture::song(1));
    world.until_published(&["Music/a.wav"]).await;
}

#[tokio::test]
async fn who_is_told_of_changes_only_knows_the_same_in_pages_of_any_size() {
    let world = World::new().await;
    world.share().await;
    let mut mirrors: Vec<(usize, Mirror)> = [1, 2, 7, 1000].map(|limit| (limit, Mirror::default())).into();
    // Additions, moves, copies, changes and removals, of songs and of whole folders.
    let steps: Vec<Box<dyn Fn(&World)>> = vec![
        Box::new(|world| (0..9).for_each(|n| world.write(&format!("A/{}/{n}.wav", n % 3), &fixture::song(n)))),
        Box::new(|world| world.rename("A/0", "B/0")),
        Box::new(|world| (0..3).for_each(|n| world.write(&format!("C/{n}.wav"), &fixture::song(n)))),
        Box::new(|world| fs::remove_dir_all(world.music.join("A/1")).unwrap()),
        Box::new(|world| world.write("C/1.wav", &fixture::song(77))),
        Box::new(|world| world.rename("A/2", "A/1")),
        Box::new(|world| fs::remove_dir_all(world.music.join("B")).unwrap()),
        Box::new(|world| (0..9).for_each(|n| world.write(&format!("A/{}/{n}.wav", n % 3), &fixture::song(n)))),
    ];
    for step in steps {
        step(&world);
        world.rescan().await;
        for (limit, mirror) in &mut mirrors {
            mirror.follow(world.library(), DEFAULT_COLLECTION, *limit).await;
        }
        let names = world.published().await;
        mirrors.iter().for_each(|(limit, mirror)| assert_eq!(mirror.names(), names, "pages of {limit}"));
    }
    let [state] = world.library().collections().await.unwrap().try_into().unwrap();
    assert_eq!((state.generation, state.count), (mirrors[0].1.through, mirrors[0].1.known.len() as u64));
    let future = world.library().changes_since(DEFAULT_COLLECTION, state.generation + 1, 10).await;
    assert!(matches!(future, Err(ChangesError::Future { newest, .. }) if newest == state.generation));
    let unknown = world.library().changes_since("nobody", 0, 10).await.unwrap();
    assert_eq!(unknown.complete, Some((LibraryDigest::EMPTY, 0)));
}

#[tokio::test]
async fn collections_are_apart_and_a_removed_folder_is_withdrawn() {
    let world = World::new().await;
    world.write("a.wav", &fixture::song(1));
    world.write("b.wav", &fixture::song(2));
    fs::create_dir(world.music.with_file_name("Friends")).unwrap();
    fs::write(world.music.with_file_name("Friends").join("a.wav"), fixture::song(1)).unwrap();
    world.share().await;
    world.share_as("Friends", "friends").await;

    let count = async |collection: &str| {
        let mut mirror = Mirror::default();
        mirror.follow(world.library(), collection, 100).await;
        mirror.known.len()
    };
    assert_eq!((count(DEFAULT_COLLECTION).await, count("friends").await), (2, 1));
    let shared = world.library().find_path(&world.music.join("a.wav")).await.unwrap().unwrap();
    assert_eq!(shared.collections, [DEFAULT_COLLECTION, "friends"]);

    world.library().remove_folder("music").await.unwrap();
    assert_eq!((count(DEFAULT_COLLECTION).await, count("friends").await), (0, 1));
    assert_eq!(world.library().find(&shared.id).await.unwrap().unwrap().collections, ["friends"]);
    let friends = world.music.with_file_name("Friends");
    world.library().remove_folder(friends.to_str().unwrap()).await.unwrap();
    assert!(world.library().find(&shared.id).await.unwrap().is_none());
    assert!(matches!(world.library().remove_folder("Music").await, Err(RemoveFolderError::NotShared(_))));
    assert!(world.library().leaves(&shared.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_folder_may_be_removed_while_it_is_read() {
    let world = World::new().await;
    (0..50).for_each(|seed| world.write(&format!("{seed}.wav"), &fixture::song(seed)));
    world.library().add_folder(&world.music, None, DEFAULT_COLLECTION).await.unwrap();
    world.library().remove_folder("Music").await.unwrap();
    world.library().settled().await;
    assert_eq!(world.published().await, Vec::<String>::new());
    assert_eq!(world.library().folders().await.unwrap(), []);
}

#[tokio::test]
async fn folders_that_overlap_and_names_that_are_taken_are_refused() {
    let world = World::new().await;
    world.write("A/a.wav", &fixture::song(1));
    world.share().await;
    let add =
        async |path: PathBuf, alias: Option<&str>| world.library().add_folder(&path, alias, DEFAULT_COLLECTION).await;
    assert!(matches!(add(world.music.clone(), None).await, Err(AddFolderError::AlreadyShared { .. })));
    assert!(matches!(add(world.music.join("A/../A"), None).await, Err(AddFolderError::Inside { .. })));
    assert!(matches!(add(world.music.join(".."), None).await, Err(AddFolderError::Around { .. })));
    assert!(matches!(add("/".into(), None).await, Err(AddFolderError::WholeComputer)));
    assert!(matches!(add(world.music.join("nowhere"), None).await, Err(AddFolderError::NotFound(_))));

    let other = world.folder.path().join("other/MUSIC");
    fs::create_dir_all(&other).unwrap();
    assert!(matches!(add(other.clone(), Some("music")).await, Err(AddFolderError::AliasTaken(_))));
    assert_eq!(add(other, None).await.unwrap().alias, "MUSIC (2)");
}

#[tokio::test]
async fn folders_kept_private_are_withdrawn_and_come_back() {
    let world = World::new().await;
    world.write("Choir/a.wav", &fixture::song(1));
    world.write("b.wav", &fixture::song(2));
    world.share().await;
    assert_eq!(world.published().await.len(), 2);
    let hashed = world.bytes_read();
    world.library().keep_private(vec![world.music.join("Choir")]).await;
    world.library().settled().await;
    assert_eq!(
        (world.published().await, world.left_out().await),
        (vec!["Music/b.wav".to_owned()], vec![(Reason::KeptPrivate, 1)])
    );
    world.library().keep_private(vec![]).await;
    world.library().settled().await;
    assert_eq!((world.published().await.len(), world.bytes_read()), (2, hashed));
}

#[tokio::test]
async fn songs_are_published_while_others_are_still_read() {
    let world = World::new().await;
    // More than two batches.
    (0..1200u32).for_each(|seed| world.write(&format!("{seed}.wav"), &fixture::wav(&Song { seed, ..Song::default() })));
    (0..1200u32).for_each(|seed| {
        let path = world.music.join(format!("{seed}.wav"));
        let bytes = [fs::read(&path).unwrap(), seed.to_le_bytes().to_vec()].concat();
        fs::write(path, bytes).unwrap();
    });
    let mut changed = world.library().changed();
    let first_count = async {
        changed.changed().await.unwrap();
        world.library().collections().await.unwrap()[0].count
    };
    let (first_count, ()) = both(first_count, world.share()).await;
    assert!((1..1200).contains(&first_count), "{first_count}");
    assert_eq!(world.library().counts().await.unwrap().files, 1200);
}

async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    tokio::join!(one, other)
}

#[tokio::test]
async fn a_file_from_the_future_or_with_a_name_that_is_no_text_is_shared_like_any_other() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let world = World::new().await;
    fs::write(world.music.join(OsStr::from_bytes(b"\xff\xfe.wav")), fixture::song(1)).unwrap();
    world.write("future.wav", &fixture::song(2));
    let future = SystemTime::now() + Duration::from_secs(1 << 40);
    // Not every file system can.
    let _ = File::options().write(true).open(world.music.join("future.wav")).unwrap().set_modified(future);
    world.share().await;
    assert_eq!(world.published().await.len(), 2);
    let hashed = world.bytes_read();
    world.rescan().await;
    assert_eq!(world.bytes_read(), hashed);
}
