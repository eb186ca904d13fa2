//! A PostgreSQL server that goes away, comes back, or is shared.

use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

use super::testing::postgres::Postgres;
use super::testing::{NOW, World, file, song};
use super::{ChangeError, Options, Store, StoreError};

/// Two reads, each of which waits for a connection as long as it may, and five times that for a slow machine.
const QUICKLY: Duration = Duration::from_secs(30);

#[tokio::test]
async fn while_the_server_is_away_everything_fails_at_once_and_then_works_again() {
    let server = Postgres::start();
    let world = World::on_server(&server).await;
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;

    server.stop();
    let next = anna.change(&[(2, &song("Two"))], &[]);
    for _ in 0..2 {
        let begun = Instant::now();
        let read = world.store.revision().await;
        assert!(matches!(read, Err(StoreError::Lost(_))), "{read:?}");
        let read = world.store.member(&anna.peer()).await;
        assert!(matches!(read, Err(StoreError::Lost(_))), "{read:?}");
        let written = anna.send(&world, next.clone()).await;
        let lost = |error: &StoreError| matches!(error, StoreError::Lost(_) | StoreError::Unavailable);
        assert!(matches!(&written, Err(ChangeError::Store(error)) if lost(error)), "{written:?}");
        assert!(begun.elapsed() < QUICKLY, "{:?}", begun.elapsed());
    }

    server.resume();
    assert_eq!(world.store.file_no(&file(1)).await.unwrap().map(|no| no.0), Some(1));
    assert_eq!(anna.send(&world, next).await.unwrap().added.len(), 1);
    assert_eq!(world.store.collections(anna.no).await.unwrap()[0].digest, anna.digest());
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_loses_nothing_that_was_answered() {
    let server = Postgres::start();
    let world = World::on_server(&server).await;
    let mut anna = world.member(1).await;
    let (store, (peer, no)) = (world.store.clone(), (anna.peer(), anna.no));
    let sets: Vec<_> = (1..=500).map(|seed| anna.change(&[(seed, &song("Song"))], &[])).collect();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let publishing = tokio::spawn(async move {
        let mut answered = 0;
        for set in sets {
            if store.apply(no, &peer, 1, set, &super::testing::PLENTY).await.is_err() {
                break;
            }
            answered += 1;
            let _ = told.send(answered);
        }
        answered
    });
    while heard.recv().await.is_some_and(|answered| answered < 20) {}
    tokio::task::spawn_blocking({
        let server = server.clone();
        move || {
            server.stop();
            server.resume();
        }
    })
    .await
    .unwrap();
    let answered = publishing.await.unwrap();
    let held = world.store.holdings(anna.no).await.unwrap().len();
    // The last may have been committed without its answer.
    assert!(held == answered || held == answered + 1, "{held} held, {answered} answered");
    assert!(super::check_catalogue(&world.location).await.unwrap().is_empty());
}

#[tokio::test]
async fn two_programs_write_to_one_database_in_turns() {
    let world = World::on_postgres().await;
    let tracker = TaskTracker::new();
    let other = Store::open(&world.location, Options::default(), &tracker).await.unwrap();
    let mut writing = Vec::new();
    for seed in 1..=12u8 {
        let mut sharer = world.member(seed).await;
        let store = if seed % 2 == 0 { other.clone() } else { world.store.clone() };
        writing.push(tokio::spawn(async move {
            for song_no in 0..10 {
                let own = (u64::from(seed) * 100 + song_no, &song("Own"));
                let set = sharer.change(&[(song_no, &song("Shared")), own], &[]);
                store.apply(sharer.no, &sharer.peer(), sharer.voter, set, &super::testing::PLENTY).await.unwrap();
            }
        }));
    }
    // Whoever reads by revision misses nothing: no smaller one appears after a greater one.
    let (mut seen, mut files) = (0, std::collections::HashMap::new());
    let mut writes = true;
    while writes {
        // Asked first, so that the last round sees what was written last.
        writes = writing.iter().any(|task| !task.is_finished());
        for changed in world.store.changed_files(seen, 1000).await.unwrap() {
            seen = changed.revision;
            files.insert(changed.no, changed.revision);
        }
    }
    for task in writing {
        task.await.unwrap();
    }
    let all = world.store.changed_files(0, 1000).await.unwrap();
    assert_eq!(all.len(), 130);
    for changed in all {
        assert_eq!(files.get(&changed.no), Some(&changed.revision));
    }
    assert!(super::check_catalogue(&world.location).await.unwrap().is_empty());
    other.close().await;
}

#[tokio::test]
async fn who_is_erased_by_one_program_publishes_nothing_through_another() {
    let world = World::on_postgres().await;
    let tracker = TaskTracker::new();
    let other = Store::open(&world.location, Options::default(), &tracker).await.unwrap();
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    other.erase(&anna.peer()).await.unwrap();
    let late = anna.change(&[(2, &song("Two"))], &[]);
    assert!(matches!(anna.send(&world, late).await, Err(ChangeError::NoSuchMember)));
    let again = world.store.enrol(&anna.peer(), super::Enrolment::Open, NOW).await.unwrap();
    assert_ne!(again.no, anna.no);
    other.close().await;
}

#[tokio::test]
async fn many_may_open_an_empty_database_at_once() {
    let server = Postgres::start();
    let database = server.database();
    let location = super::Location::Postgres(database.url().parse().unwrap());
    let tracker = TaskTracker::new();
    let open = || Store::open(&location, Options::default(), &tracker);
    let (first, second, third) = tokio::join!(open(), open(), open());
    let stores = [first.unwrap(), second.unwrap(), third.unwrap()];
    let identity = stores[0].catalogue_identity().await.unwrap();
    for store in stores {
        assert_eq!(store.catalogue_identity().await.unwrap(), identity);
        store.close().await;
    }
}
