//! What those learn who are told of changes only.

use std::fs;
use std::future::Future;

use choir_shared::library::{DEFAULT_COLLECTION, LibraryDigest};

use super::super::fixture::{self, Song};
use super::super::{ChangesError, RemoveFolderError};
use super::mirror::Mirror;
use super::world::World;

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
