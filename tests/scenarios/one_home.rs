//! One home, one daemon; and what is said when something about the home is wrong.

use std::fs;
use std::net::{TcpListener, UdpSocket};

use harness::{TestIndex, TestPeer, eventually};

#[test]
fn a_second_daemon_on_one_home_is_refused_and_commands_attach_to_the_first() {
    let index = TestIndex::start();
    let peer = TestPeer::new("peer", &index);
    let first = peer.daemon();
    let second = peer.run(["daemon", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
    assert_ne!(second.code, 0);
    assert!(second.stderr.contains("already"), "{second:?}");
    eventually("a command hears from the first that it is online", || {
        let status = peer.json(["status"]).expect_code(0).json();
        (status["indexes"][0]["state"] == "online").then_some(())
    });
    drop(first);
}

#[test]
fn a_port_that_is_taken_is_an_error_if_it_was_asked_for() {
    let index = TestIndex::start();
    let peer = TestPeer::new("peer", &index);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let answer = peer.run(["daemon", "--listen", &address, "--api", "127.0.0.1:0"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains(&address), "{answer:?}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let answer = peer.run(["daemon", "--listen", "127.0.0.1:0", "--api", &address]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains(&address), "{answer:?}");
}

#[test]
fn a_settings_file_with_an_unknown_key_names_the_key_and_the_line() {
    let index = TestIndex::start();
    let peer = TestPeer::new("peer", &index);
    let path = peer.run(["config", "path"]).expect_code(0).stdout.trim().to_owned();
    fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
    fs::write(&path, "upload_slots = 3\nuplaod_limit = \"2M\"\n").unwrap();
    let answer = peer.run(["config", "check"]);
    assert_ne!(answer.code, 0);
    assert!(answer.stderr.contains("uplaod_limit") && answer.stderr.contains('2'), "{answer:?}");
}

#[test]
fn a_corrupted_database_is_set_aside_and_the_peer_goes_on() {
    let index = TestIndex::start();
    let peer = TestPeer::new("peer", &index);
    peer.add_music("Somebody - Something.wav", &harness::fixtures::noise("Something", "Somebody", 100_000, 6));
    let mut runs = peer.daemon();
    peer.share().expect_code(0);
    runs.process.interrupt();
    let database = harness::peer::files_below(&peer.home())
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "sqlite"))
        .expect("the peer has a database");
    fs::write(&database, b"this is no database at all, and long enough to be noticed as such").unwrap();

    let runs = peer.daemon();
    assert_eq!(peer.json(["status"]).expect_code(0).json()["shared"]["files"], 0);
    assert!(runs.process.errors().contains("corrupt"), "{}", runs.process.errors());
    peer.share().expect_code(0);
    assert_eq!(peer.json(["status"]).json()["shared"]["files"], 1);
}
