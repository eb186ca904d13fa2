//! An index that is down, dies, or turns into another one.

use std::fs;

use harness::{TestIndex, TestPeer, eventually, fixtures};

#[test]
fn without_an_index_the_message_says_how_to_join_one() {
    let peer = TestPeer::at("peer", "http://127.0.0.1:1");
    let answer = peer.json(["search", "--artist", "anyone"]).expect_code(5);
    assert_eq!(answer.error_code(), "index_unreachable");
    let hint = answer.json()["error"]["hint"].as_str().unwrap_or_default().to_owned();
    assert!(hint.contains("join"), "{answer:?}");
}

#[test]
fn an_index_that_dies_and_returns_finds_everyone_again() {
    let mut index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    sharer.add_music("Phoenix - Ash.wav", &fixtures::noise("Ash", "Phoenix", 400_000, 7));
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    assert_eq!(guest.find(&["--artist", "phoenix"]).len(), 1);

    index.process.kill();
    guest.json(["search", "--artist", "phoenix"]).expect_code(5);
    let own = guest.json(["status"]).expect_code(0).json();
    assert_ne!(own["indexes"][0]["state"], "online");

    index.restart();
    eventually("the sharer is back", || (guest.search(&["--artist", "phoenix"]).len() == 1).then_some(()));
    guest.get("@1").expect_code(0);
}

#[test]
fn transfers_go_on_while_the_index_is_dead() {
    let mut index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Long", "Survivor", 16_000_000, 8);
    sharer.add_music("Survivor - Long.wav", &song);
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    assert_eq!(sharer.run(["uploads", "limit", "4M"]).code, 0);
    assert_eq!(guest.find(&["--artist", "survivor"]).len(), 1);
    let mut get =
        harness::process::Process::start("get", guest.command().args(["get", "@1", "-o"]).arg(guest.downloads()));
    eventually("it is under way", || {
        let list = guest.json(["downloads", "ls"]).json();
        (list["downloads"].as_array()?.first()?["bytes_done"].as_u64() > Some(1_000_000)).then_some(())
    });
    index.process.kill();
    assert_eq!(sharer.run(["uploads", "limit", "unlimited"]).code, 0);
    assert!(get.wait().success());
    assert_eq!(fs::read(&harness::peer::files_below(&guest.downloads())[0]).unwrap(), song);
}

#[test]
fn an_index_that_changes_its_key_is_refused_loudly() {
    let mut index = TestIndex::start();
    let peer = TestPeer::new("peer", &index);
    assert_eq!(peer.run(["join", &index.join_link]).code, 0);
    index.process.interrupt();
    for entry in fs::read_dir(index.data_dir()).unwrap().filter_map(Result::ok) {
        if entry.path().is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }.unwrap();
    }
    index.restart();
    let answer = peer.json(["search", "--artist", "anyone"]);
    assert!([4, 5].contains(&answer.code), "{answer:?}");
    assert!(answer.stdout.contains("ANOTHER KEY"), "{answer:?}");
}
