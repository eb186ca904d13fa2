//! What happens to shared files: edits, moves, disks that are away.

use std::fs::{self, File};
use std::time::Duration;

use super::super::fixture;
use super::super::{Changed, FolderState, WatchOptions, Watching};
use super::world::World;

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
