//! What must hold across both databases and across restarts.

use std::path::Path;

use super::testing::{NOW, World, file, on_both_databases, song};
use super::*;

async fn reopening_keeps_everything(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One")), (2, &song("Two"))]).await;
    world.store.rename(&anna.peer(), &DisplayName::new("Anna").unwrap(), NOW).await.unwrap();
    let identity = world.store.catalogue_identity().await.unwrap();
    let revision = world.store.revision().await.unwrap();

    let world = world.reopened(|_| {}).await;
    assert_eq!(world.store.member(&anna.peer()).await.unwrap().unwrap().name.as_deref(), Some("Anna"));
    assert_eq!(world.store.holdings(anna.no).await.unwrap(), [FileNo(1), FileNo(2)]);
    assert_eq!(world.store.collections(anna.no).await.unwrap()[0].digest, anna.digest());
    assert_eq!(world.store.catalogue_identity().await.unwrap(), identity);
    assert_eq!(world.store.revision().await.unwrap(), revision);
    anna.share(&world, &[(3, &song("Three"))]).await;
}

#[tokio::test]
async fn a_damaged_catalogue_is_set_aside_and_the_accounts_stay() {
    let world = World::new().await;
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    let identity = world.store.catalogue_identity().await.unwrap();

    let scribble = |dir: &Path| std::fs::write(dir.join("catalogue.db"), b"no database at all".repeat(500)).unwrap();
    let world = world.reopened(scribble).await;
    assert!(world.store.member(&anna.peer()).await.unwrap().is_some());
    assert!(world.store.collections(anna.no).await.unwrap().is_empty());
    assert_ne!(world.store.catalogue_identity().await.unwrap(), identity);
    let names = std::fs::read_dir(world.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().starts_with("catalogue.db.corrupt-")));
}

#[tokio::test]
async fn damage_inside_the_catalogue_is_found() {
    let world = World::new().await;
    let mut anna = world.member(1).await;
    let songs: Vec<_> = (1..=300).map(|seed| (seed, song(&format!("Song {seed}")))).collect();
    anna.share(&world, &songs.iter().map(|(seed, claim)| (*seed, claim)).collect::<Vec<_>>()).await;
    let world = world
        .reopened(|dir| {
            let path = dir.join("catalogue.db");
            let mut bytes = std::fs::read(&path).unwrap();
            // Everything but the first page, which holds the schema.
            bytes[8192..].iter_mut().step_by(7).for_each(|byte| *byte = !*byte);
            std::fs::write(path, bytes).unwrap();
        })
        .await;
    assert_eq!(world.store.counts().await.unwrap(), Counts { files: 0, holdings: 0, members: 1 });
}

#[tokio::test]
async fn damaged_accounts_are_an_error_and_stay_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("accounts.db");
    std::fs::write(&path, b"no database at all".repeat(500)).unwrap();
    let opened = Store::open(&dir.path().into(), Options::default(), &TaskTracker::new()).await;
    assert!(matches!(opened, Err(OpenError::NeedsBackup(_))));
    assert!(path.exists());
}

#[tokio::test]
async fn two_indexes_cannot_use_one_folder() {
    let world = World::new().await;
    let second = Store::open(&world.location, Options::default(), &TaskTracker::new()).await;
    assert!(matches!(second, Err(OpenError::InUse(_))));
}

async fn erasing_a_member_removes_account_name_and_library_at_once(world: World) {
    let (mut anna, mut bob) = (world.member(1).await, world.member(2).await);
    world.store.rename(&anna.peer(), &DisplayName::new("Anna").unwrap(), NOW).await.unwrap();
    anna.share(&world, &[(1, &song("One")), (2, &song("Two"))]).await;
    bob.share(&world, &[(2, &song("Two"))]).await;

    assert_eq!(world.store.erase(&anna.peer()).await.unwrap(), [FileNo(1), FileNo(2)]);
    assert_eq!(world.store.member(&anna.peer()).await.unwrap(), None);
    assert!(world.store.collections(anna.no).await.unwrap().is_empty());
    assert!(world.store.holdings(anna.no).await.unwrap().is_empty());
    let files = world.store.files_by_no(&[FileNo(1), FileNo(2)]).await.unwrap();
    assert_eq!(files.iter().map(|file| file.holders).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(world.store.counts().await.unwrap(), Counts { files: 1, holdings: 1, members: 1 });
    world.store.rename(&bob.peer(), &DisplayName::new("Anna").unwrap(), NOW).await.unwrap();
    assert!(world.store.erase(&anna.peer()).await.unwrap().is_empty());

    let late = anna.change(&[(3, &song("Late"))], &[]);
    assert!(matches!(anna.send(&world, late).await, Err(ChangeError::NoSuchMember)));
    let back = world.member(1).await;
    assert_ne!(back.no, anna.no, "a number is never given twice");
}

async fn a_library_whose_owner_is_gone_is_dropped_at_the_next_start(world: World) {
    let (mut anna, mut bob) = (world.member(1).await, world.member(2).await);
    anna.share(&world, &[(1, &song("One"))]).await;
    bob.share(&world, &[(2, &song("Two"))]).await;
    world.store.erase_account(&anna.peer()).await.unwrap();

    let world = world.reopened(|_| {}).await;
    assert!(world.store.holdings(anna.no).await.unwrap().is_empty());
    assert_eq!(world.store.holdings(bob.no).await.unwrap(), [FileNo(2)]);
    assert_eq!(world.store.owners().await.unwrap(), [(bob.no, bob.peer())]);
}

async fn what_is_queued_is_committed_before_closing_and_nothing_is_taken_after(world: World) {
    let mut anna = world.member(1).await;
    let set = anna.change(&[(1, &song("One"))], &[]);
    let (sent, ()) = tokio::join!(biased; anna.send(&world, set), world.store.close());
    sent.unwrap();
    let set = anna.change(&[(2, &song("Two"))], &[]);
    assert!(matches!(anna.send(&world, set).await, Err(ChangeError::Store(StoreError::Unavailable))));
    let world = world.reopened(|_| {}).await;
    assert_eq!(world.store.file_no(&file(1)).await.unwrap(), Some(FileNo(1)));
}

on_both_databases! {
    reopening_keeps_everything,
    erasing_a_member_removes_account_name_and_library_at_once,
    a_library_whose_owner_is_gone_is_dropped_at_the_next_start,
    what_is_queued_is_committed_before_closing_and_nothing_is_taken_after,
}
