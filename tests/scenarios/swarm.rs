//! Peers that fetch the same song at the same time.

use std::fs;
use std::thread;

use harness::{TestIndex, TestPeer, eventually, fixtures};

const SONG_BYTES: usize = 8_000_000;

#[test]
fn two_who_fetch_the_same_song_fetch_it_from_each_other_as_well() {
    let index = TestIndex::start();
    let [sharer, anna, ben] = ["sharer", "anna", "ben"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Hit", "Swarm", SONG_BYTES, 11);
    sharer.add_music("Swarm - Hit.wav", &song);
    let _run = [&sharer, &anna, &ben].map(TestPeer::daemon);
    sharer.share().expect_code(0);
    assert_eq!(sharer.run(["uploads", "limit", "2M"]).code, 0);
    for peer in [&anna, &ben] {
        peer.find(&["--artist", "swarm"]);
    }

    let sharer_id = sharer.json(["id"]).json()["peer_id"].clone();
    let gets = thread::scope(|scope| {
        let gets = [&anna, &ben].map(|peer| scope.spawn(|| peer.get("@1").expect_code(0).json()));
        gets.map(|get| get.join().unwrap())
    });
    let mut of_sharer = 0;
    for get in gets {
        assert_eq!(fs::read(get["path"].as_str().unwrap()).unwrap(), song);
        let from = get["from"].as_array().unwrap();
        of_sharer +=
            from.iter().filter(|one| one["peer"] == sharer_id).filter_map(|one| one["bytes"].as_u64()).sum::<u64>();
    }
    let both = 2 * SONG_BYTES as u64;
    assert!(of_sharer < both * 9 / 10, "{of_sharer} of {both} bytes came from the one who shares it");
}

#[test]
fn what_one_has_is_to_be_had_when_the_one_who_shares_it_is_gone() {
    let index = TestIndex::start();
    let [sharer, anna, ben] = ["sharer", "anna", "ben"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Hit", "Swarm", SONG_BYTES, 12);
    sharer.add_music("Swarm - Hit.wav", &song);
    let mut run = sharer.daemon();
    let _runs = [&anna, &ben].map(TestPeer::daemon);
    sharer.share().expect_code(0);
    assert_eq!(sharer.run(["uploads", "limit", "2M"]).code, 0);
    let row = anna.find(&["--artist", "swarm"]).remove(0);
    let file = row["file_id"].as_str().unwrap();
    let bytes_done = |peer: &TestPeer| {
        let list = peer.json(["downloads", "ls"]).json();
        list["downloads"].as_array()?.first()?["bytes_done"].as_u64()
    };

    thread::scope(|scope| {
        let gets = scope.spawn(|| anna.get(file));
        eventually("half of it is here", || bytes_done(&anna).filter(|bytes| *bytes > SONG_BYTES as u64 / 2));
        run.process.kill();
        let half = eventually("nothing more comes", || {
            let list = anna.json(["downloads", "ls"]).json();
            let line = list["downloads"].as_array()?.first()?.clone();
            line["sources"]
                .as_array()?
                .iter()
                .all(|source| source["bytes_per_second"] == 0)
                .then(|| line["bytes_done"].as_u64())?
        });
        let others = scope.spawn(|| ben.get(file));
        eventually("the other has as much", || bytes_done(&ben).filter(|bytes| *bytes >= half));
        let _run = sharer.daemon();
        for get in [gets, others] {
            let get = get.join().unwrap().expect_code(0).json();
            assert_eq!(fs::read(get["path"].as_str().unwrap()).unwrap(), song);
        }
    });
}
