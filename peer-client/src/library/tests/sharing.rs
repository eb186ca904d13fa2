//! Which files are shared, and what is known of them.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use choir_shared::library::DEFAULT_COLLECTION;
use choir_shared::merkle::TreeHasher;
use choir_shared::{Digest, FileId};

use super::super::fixture::{self, Song};
use super::super::{AddFolderError, Counts, Reason, ScanPhase};
use super::world::World;

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
