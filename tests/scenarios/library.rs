//! What is shared, and what happens when it changes under us.

use std::fs;
use std::os::unix::fs::symlink;

use harness::{TestIndex, TestPeer, eventually, fixtures};

#[test]
fn a_changed_file_is_published_anew_and_the_old_one_is_gone() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let path = sharer.add_music("song.wav", &fixtures::noise("Before", "Changer", 300_000, 11));
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    assert_eq!(guest.find(&["--title", "before"]).len(), 1);
    fs::write(&path, fixtures::noise("After", "Changer", 400_000, 12)).unwrap();
    eventually("the new song is found", || (guest.search(&["--title", "after"]).len() == 1).then_some(()));
    eventually("the old song is gone", || guest.search(&["--title", "before"]).is_empty().then_some(()));
    fs::remove_file(&path).unwrap();
    eventually("a deleted song is gone", || guest.search(&["--artist", "changer"]).is_empty().then_some(()));
}

#[test]
fn a_folder_that_is_taken_back_is_gone_and_may_be_shared_again() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    sharer.add_music("Guest - Visit.wav", &fixtures::noise("Visit", "Guest", 100_000, 31));
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    assert_eq!(guest.find(&["--artist", "guest"]).len(), 1);
    assert_eq!(sharer.run(["share".as_ref(), "rm".as_ref(), sharer.music().as_os_str()]).code, 0);
    eventually("the song is gone", || guest.search(&["--artist", "guest", "--offline"]).is_empty().then_some(()));
    assert_eq!(guest.json(["whois", &sharer.key()]).expect_code(0).json()["files"], 0);
    // The index has forgotten the whole collection, and is told it from its beginning.
    sharer.share().expect_code(0);
    assert_eq!(guest.find(&["--artist", "guest"]).len(), 1);
}

#[test]
fn a_folder_that_vanishes_is_absent_and_not_emptied() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    sharer.add_music("song.wav", &fixtures::noise("Stick", "Traveller", 300_000, 13));
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    let away = sharer.music().with_file_name("away");
    fs::rename(sharer.music(), &away).unwrap();
    assert_eq!(sharer.run(["share", "rescan"]).code, 0);
    eventually("it is told as missing", || {
        let status = sharer.json(["status"]).json();
        (status["shared"]["missing_folders"].as_array()?.len() == 1).then_some(())
    });
    fs::rename(&away, sharer.music()).unwrap();
    assert_eq!(sharer.run(["share", "rescan"]).code, 0);
    eventually("it is back", || (guest.search(&["--artist", "traveller"]).len() == 1).then_some(()));
}

#[test]
fn folders_that_must_not_be_shared_are_refused_with_the_reason() {
    let index = TestIndex::start();
    let peer = TestPeer::new("peer", &index);
    let _runs = peer.daemon();
    for folder in ["/", "/etc", "/no/such/folder"] {
        let answer = peer.json(["share", "add", folder]);
        assert_ne!(answer.code, 0, "{folder}");
        assert!(answer.json()["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer:?}");
    }
}

#[test]
fn broken_files_and_loops_of_links_do_not_stop_a_scan() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    fixtures::copy_tree(&fixtures::folder().join("broken"), &sharer.music().join("broken"));
    sharer.add_music("Good One - Still Here.wav", &fixtures::noise("Still Here", "Good One", 100_000, 14));
    symlink(sharer.music(), sharer.music().join("loop")).unwrap();
    symlink("/etc/passwd", sharer.music().join("passwd.mp3")).unwrap();
    let _runs = sharer.daemon();
    let shared = sharer.share().expect_code(0).json();
    assert!(shared["left_out"].as_array().is_some_and(|rows| !rows.is_empty()), "{shared}");
    eventually("the good one is found", || (guest.search(&["--title", "still here"]).len() == 1).then_some(()));
    assert!(guest.search(&["--title", "passwd"]).is_empty());
}
