//! What was fetched stays fetched, whoever dies.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use harness::process::Process;
use harness::{TestIndex, TestPeer, eventually, fixtures};

const SONG_BYTES: usize = 24_000_000;

#[test]
fn a_downloader_that_is_killed_goes_on_where_it_was() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Long", "Runner", SONG_BYTES, 3);
    sharer.add_music("Runner - Long.wav", &song);
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    // Slow enough to be caught in the middle.
    assert_eq!(sharer.run(["uploads", "limit", "4M"]).code, 0);

    let mut guest_runs = guest.daemon();
    guest.find(&["--artist", "runner"]);
    let mut get = Process::start("get", guest.command().args(["get", "@1", "-o"]).arg(guest.downloads()));
    let part = eventually("some of it is on disk", || {
        let part = harness::peer::files_below(&guest.downloads().join(".partial"))
            .into_iter()
            .find(|path| path.extension().is_some_and(|end| end == "part"))?;
        (part.metadata().ok()?.blocks() * 512 > 2_000_000).then_some(part)
    });
    guest_runs.process.kill();
    get.kill();
    assert!(part.exists());

    let _guest_runs = guest.daemon();
    assert_eq!(sharer.run(["uploads", "limit", "unlimited"]).code, 0);
    let done = eventually("it finishes by itself", || {
        let list = guest.json(["downloads", "ls"]).json();
        let line = list["downloads"].as_array()?.first()?.clone();
        (line["state"] == "done").then_some(line)
    });
    assert_eq!(fs::read(done["path"].as_str().unwrap()).unwrap(), song);
    let fetched: u64 = done["sources"].as_array().unwrap().iter().filter_map(|source| source["bytes"].as_u64()).sum();
    assert!(fetched < SONG_BYTES as u64 - 1_500_000, "what was on disk is not fetched again: {fetched}");
    assert!(!guest.downloads().join(".partial").exists(), "nothing is left behind");
}

#[test]
fn a_download_survives_the_death_of_one_of_two_sources() {
    let index = TestIndex::start();
    let [anna, ben, guest] = ["anna", "ben", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Long", "Runner", SONG_BYTES, 4);
    let mut runs = Vec::new();
    for peer in [&anna, &ben] {
        peer.add_music("Runner - Long.wav", &song);
        runs.push(peer.daemon());
        peer.share().expect_code(0);
        assert_eq!(peer.run(["uploads", "limit", "4M"]).code, 0);
    }
    let _guest_runs = guest.daemon();
    eventually("both are listed", || guest.search(&["--artist", "runner"]).into_iter().find(|row| row["sources"] == 2));
    let mut get = Process::start("get", guest.command().args(["get", "@1", "-o"]).arg(guest.downloads()));
    eventually("both send", || {
        let list = guest.json(["downloads", "ls"]).json();
        let sources = list["downloads"].as_array()?.first()?["sources"].as_array()?.clone();
        (sources.iter().filter(|source| source["bytes"].as_u64() > Some(500_000)).count() == 2).then_some(())
    });
    runs[0].process.kill();
    assert_eq!(ben.run(["uploads", "limit", "unlimited"]).code, 0);
    assert!(get.wait().success());
    let files = harness::peer::files_below(&guest.downloads());
    assert_eq!(files.len(), 1);
    assert_eq!(fs::read(&files[0]).unwrap(), song);
}

#[test]
fn a_download_without_a_source_waits_and_starts_by_itself() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Later", "Waiter", 300_000, 5);
    sharer.add_music("Waiter - Later.wav", &song);
    let mut runs = sharer.daemon();
    sharer.share().expect_code(0);
    let _guest_runs = guest.daemon();
    let row = guest.find(&["--artist", "waiter"]).remove(0);
    runs.process.interrupt();
    // Without a terminal `get` waits; the daemon goes on with it when the command is gone.
    let file = row["file_id"].as_str().unwrap().to_owned();
    let mut get = Process::start("get", guest.command().args(["get", &file, "-o"]).arg(guest.downloads()));
    eventually("it waits", || {
        let list = guest.json(["downloads", "ls"]).json();
        (list["downloads"].as_array()?.first()?["state"] == "waiting").then_some(())
    });
    get.kill();
    let _runs = sharer.daemon();
    eventually("it is done", || {
        let list = guest.json(["downloads", "ls"]).json();
        (list["downloads"].as_array()?.first()?["state"] == "done").then_some(())
    });
}
