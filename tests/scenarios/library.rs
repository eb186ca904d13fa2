//! What is shared, and what happens when it changes under us.

use std::fs;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use choir_index::store::{Forgotten, Options, Store};
use harness::namespace::Namespace;
use harness::{TestIndex, TestPeer, eventually, fixtures};
use tokio_util::task::TaskTracker;

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
fn who_was_away_for_so_long_that_the_library_was_forgotten_publishes_anew() {
    let mut index = TestIndex::with_limits("reconnect_spread_seconds = 1", &[]);
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    sharer.add_music("song.wav", &fixtures::noise("Long Gone", "Drifter", 100_000, 41));
    let mut runs = sharer.daemon();
    sharer.share().expect_code(0);
    assert_eq!(guest.find(&["--artist", "drifter"]).len(), 1);
    runs.process.interrupt();
    assert_eq!(guest.search(&["--artist", "drifter", "--offline"]).len(), 1, "kept for a while");

    index.process.interrupt();
    assert_eq!(forget_everybody(index.data_dir()), 1);
    index.restart();
    eventually("it is forgotten", || guest.search(&["--artist", "drifter", "--offline"]).is_empty().then_some(()));
    let _runs = sharer.daemon();
    assert_eq!(guest.find(&["--artist", "drifter"]).len(), 1);
}

/// As an index does that has waited for long enough. How many libraries there were.
fn forget_everybody(data_dir: &Path) -> usize {
    let forget = async {
        let store = Store::open(&data_dir.into(), Options::default(), &TaskTracker::new()).await.unwrap();
        let absent = store.absent_owners(u64::MAX).await.unwrap();
        for (member, _) in &absent {
            while store.forget_some(*member, u64::MAX).await.unwrap() == Forgotten::Something {}
        }
        store.close().await;
        absent.len()
    };
    tokio::runtime::Runtime::new().unwrap().block_on(forget)
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

#[test]
fn what_may_not_be_read_is_counted_and_the_rest_is_shared() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let song = |title: &str, seed| fixtures::noise(title, "Keeper", 100_000, seed);
    sharer.add_music("open.wav", &song("Open", 50));
    let locked = [sharer.add_music("locked.wav", &song("Locked", 51)), sharer.music().join("vault")];
    sharer.add_music("vault/kept.wav", &song("Kept", 52));
    let set_modes =
        |mode| locked.iter().for_each(|path| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap());
    set_modes(0);
    let _runs = sharer.daemon_in(&Namespace::default().without_powers());
    let shared = sharer.share().expect_code(0).json();
    let unreadable = shared["left_out"].as_array().unwrap().iter().find(|row| row["reason"] == "cannot be read");
    assert_eq!((&shared["files"], &unreadable.unwrap()["count"]), (&1.into(), &2.into()), "{shared}");
    assert_eq!(guest.find(&["--artist", "keeper"]).len(), 1);
    let refused = sharer.json(["share".as_ref(), "add".as_ref(), locked[1].as_os_str()]);
    assert_ne!(refused.code, 0, "{refused:?}");

    set_modes(0o755);
    assert_eq!(sharer.run(["share", "rescan", "--wait"]).code, 0);
    eventually("all are found", || (guest.search(&["--artist", "keeper"]).len() == 3).then_some(()));
}

/// A song that becomes another while it is being sent: the downloader is told so, the sharer publishes what it has
/// now, and the rest comes from elsewhere.
fn a_file_is_spoilt_while_it_is_sent(by: impl FnOnce(&Path), still_shared: usize) {
    let index = TestIndex::start();
    let [fickle, steady, guest] = ["fickle", "steady", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Passing", "Fickle", 8_000_000, 27);
    let path = fickle.add_music("Fickle - Passing.wav", &song);
    let (_fickle_runs, _guest_runs) = (fickle.daemon(), guest.daemon());
    fickle.share().expect_code(0);
    // Slow enough to be caught in the middle.
    assert_eq!(fickle.run(["uploads", "limit", "2M"]).code, 0);
    guest.find(&["--artist", "fickle"]);
    let mut get = guest.begin_get("@1");
    guest.download_when("it is under way", |line| line["bytes_done"].as_u64() > Some(1_000_000));
    by(&path);
    let told = guest.download_when("it waits", |line| line["state"] == "waiting");
    assert_eq!(told["reason"], "file_changed", "{told}");
    // Which of the two depends on whether the sharer has taken note of it before it is asked again.
    let reasons = ["the file changed since it was published", "shares the file no longer"];
    let reason = told["sources"][0]["note"].as_str().unwrap();
    assert!(reasons.contains(&reason), "nobody lied: {told}");
    assert!(told["message"].as_str().unwrap().contains(reason), "{told}");
    eventually("what is published is what is there", || {
        let rows = guest.search(&["--artist", "fickle"]);
        (rows.len() == still_shared && rows.iter().all(|row| row["file_id"] != told["file_id"])).then_some(())
    });

    steady.add_music("steady.wav", &song);
    let _steady_runs = steady.daemon();
    steady.share().expect_code(0);
    // It would try again by itself; nobody wants to wait for that here.
    assert_eq!(guest.json(["downloads", "resume", "1"]).code, 0);
    assert!(get.wait().success());
    let done = guest.download().unwrap();
    assert_eq!(fs::read(done["path"].as_str().unwrap()).unwrap(), song);
    let fetched = done["sources"].as_array().unwrap().iter().filter_map(|source| source["bytes"].as_u64()).sum::<u64>();
    assert!(fetched <= song.len() as u64 - 900_000, "what came from the first is kept: {done}");
}

#[test]
fn a_file_that_is_cut_short_while_it_is_sent_ends_with_the_reason() {
    a_file_is_spoilt_while_it_is_sent(
        |path| fs::File::options().write(true).open(path).unwrap().set_len(4_000_000).unwrap(),
        1,
    );
}

#[test]
fn a_file_that_is_overwritten_while_it_is_sent_ends_with_the_reason() {
    let write = |path: &Path| {
        let mut file = fs::File::options().write(true).open(path).unwrap();
        file.write_all(&fixtures::noise("Other", "Fickle", 8_000_000, 28)).unwrap();
    };
    a_file_is_spoilt_while_it_is_sent(write, 1);
}

#[test]
fn a_file_that_is_deleted_while_it_is_sent_ends_with_the_reason() {
    a_file_is_spoilt_while_it_is_sent(|path| fs::remove_file(path).unwrap(), 0);
}
