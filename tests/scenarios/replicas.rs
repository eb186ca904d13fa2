//! Two replicas of one index, on one PostgreSQL.

mod crowd;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use harness::peer::files_below;
use harness::postgres::Postgres;
use harness::{TestIndex, TestPeer, eventually, fixtures};

use crowd::Crowd;

/// Searches between two events.
const SOME: u32 = 10;

fn two(database: &str) -> (TestIndex, TestIndex) {
    let first = TestIndex::replica(database, None);
    let second = TestIndex::replica(database, Some(&first));
    for replica in [&first, &second] {
        eventually("both replicas know of each other", || {
            let (_, info) = replica.probe("/api/v1/info");
            (info.contains(&first.url) && info.contains(&second.url)).then_some(())
        });
        eventually("it can search", || (replica.probe("/readyz").0 == 200).then_some(()));
    }
    (first, second)
}

/// Searches without a break while `story` is told, which can wait for some searches. None may fail, nor miss the song.
fn while_searching(guest: &TestPeer, words: &[&str], story: impl FnOnce(&dyn Fn())) {
    let (over, done) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let searching = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let answer = guest.json(["search"].iter().chain(words)).expect_code(0).json();
                assert_eq!(answer["results"].as_array().map(Vec::len), Some(1), "{answer}");
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
        let some = || {
            let until = done.load(Ordering::Relaxed) + SOME;
            eventually("searches are answered", || {
                (done.load(Ordering::Relaxed) >= until || searching.is_finished()).then_some(())
            });
        };
        story(&some);
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_peer_finds_and_fetches_what_is_shared_by_one_that_is_connected_to_another_replica() {
    let server = Postgres::start();
    let database = server.database();
    let (first, second) = two(&database.url());
    let (sharer, guest) = (TestPeer::new("sharer", &first), TestPeer::new("guest", &second));
    let song = fixtures::noise("Bridge", "Two Towers", 400_000, 83);
    sharer.add_music("Two Towers - Bridge.wav", &song);
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    assert_eq!(guest.find(&["--artist", "two towers"]).len(), 1);
    guest.get("@1").expect_code(0);
    assert_eq!(fs::read(&files_below(&guest.downloads())[0]).unwrap(), song);
}

#[test]
fn what_an_operator_decides_at_one_replica_holds_at_the_other() {
    let server = Postgres::start();
    let database = server.database();
    let (first, second) = two(&database.url());
    let (sharer, guest) = (TestPeer::new("sharer", &first), TestPeer::new("guest", &second));
    sharer.add_music("Two Towers - Gate.wav", &fixtures::noise("Gate", "Two Towers", 300_000, 84));
    sharer.add_music("Two Towers - Wall.wav", &fixtures::noise("Wall", "Two Towers", 300_000, 85));
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    eventually("both songs are found", || (guest.search(&["--artist", "two towers"]).len() == 2).then_some(()));

    assert_eq!(first.operate(&["block", "phrase", "two towers gate"]).0, Some(0));
    eventually("one is blocked", || (guest.search(&["--artist", "two towers"]).len() == 1).then_some(()));
    assert_eq!(first.operate(&["motd", "closed on Sundays"]).0, Some(0));
    eventually("it is said", || second.probe("/api/v1/info").1.contains("closed on Sundays").then_some(()));
    assert_eq!(first.operate(&["ban", &guest.key(), "--reason", "noise"]).0, Some(0));
    let refusal = eventually("the ban holds", || Some(guest.json(["search", "two"])).filter(|answer| answer.code != 0));
    assert!(refusal.stdout.contains("you are banned from this index: noise"), "{refusal:?}");
}

#[test]
fn a_replica_that_is_killed_takes_nothing_with_it_but_its_connections() {
    let server = Postgres::start();
    let database = server.database();
    let (mut first, second) = two(&database.url());
    let (sharer, guest) = (TestPeer::new("sharer", &first), TestPeer::new("guest", &first));
    let song = fixtures::noise("Ladder", "Two Towers", 400_000, 86);
    sharer.add_music("Two Towers - Ladder.wav", &song);
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    let words = ["--artist", "two towers"];
    assert_eq!(guest.find(&words).len(), 1);
    eventually("the other replica knows it too", || {
        let visitor = TestPeer::new("visitor", &second);
        (visitor.search(&words).len() == 1).then_some(())
    });
    let crowd = Crowd::begin([&first, &second]);
    while_searching(&guest, &words, |some| {
        some();
        crowd.goes_on();
        first.process.kill();
        some();
        crowd.goes_on();
    });
    crowd.end();
    guest.get("@1").expect_code(0);
    assert_eq!(fs::read(&files_below(&guest.downloads())[0]).unwrap(), song);
}

#[test]
fn replicas_restart_one_after_the_other_and_no_search_fails() {
    let server = Postgres::start();
    let database = server.database();
    let (mut first, mut second) = two(&database.url());
    let (sharer, guest) = (TestPeer::new("sharer", &first), TestPeer::new("guest", &second));
    let song = fixtures::noise("Stairs", "Two Towers", 400_000, 87);
    sharer.add_music("Two Towers - Stairs.wav", &song);
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    let words = ["--artist", "two towers"];
    assert_eq!(guest.find(&words).len(), 1);
    let crowd = Crowd::begin([&first, &second]);
    while_searching(&guest, &words, |some| {
        for replica in [&mut first, &mut second] {
            some();
            crowd.goes_on();
            assert!(replica.process.interrupt().success());
            some();
            crowd.goes_on();
            replica.restart();
            eventually("it is ready again", || (replica.probe("/readyz").0 == 200).then_some(()));
        }
        some();
    });
    crowd.end();
    guest.get("@1").expect_code(0);
    assert_eq!(fs::read(&files_below(&guest.downloads())[0]).unwrap(), song);
}

#[test]
fn another_index_does_not_open_the_database_of_this_one() {
    let server = Postgres::start();
    let database = server.database();
    let first = TestIndex::replica(&database.url(), None);
    let stranger = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(&harness::programs().index);
    command.args(["--listen", "127.0.0.1:0", "--rendezvous", "127.0.0.1:0", "--data-dir"]).arg(stranger.path());
    let ended = command.args(["--database", &database.url()]).output().unwrap();
    assert!(!ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("belongs to another index") && said.contains("index.key"), "{said}");
    assert_eq!(first.probe("/healthz").0, 200);
}
