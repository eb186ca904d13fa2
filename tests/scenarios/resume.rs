//! What was fetched stays fetched, whoever dies.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use harness::mischief::{HostilePeer, Mischief};
use harness::namespace::{self, Namespace};
use harness::process::Process;
use harness::{TestIndex, TestPeer, eventually, fixtures};
use serde_json::Value;

const SONG_BYTES: usize = 24_000_000;

/// What one source may have under way: four requests of two mebibytes, and the start of the file.
const MOST_UNDER_WAY: u64 = (8 << 20) + (64 << 10);

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

/// A source is to be used within 5 s; this is five times as long, and less than half of the first pause after which a
/// download that waits would ask by itself.
const SOON: Duration = Duration::from_secs(25);

#[test]
fn a_download_without_a_source_waits_survives_a_kill_and_starts_by_itself() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Later", "Waiter", 300_000, 5);
    sharer.add_music("Waiter - Later.wav", &song);
    let mut runs = sharer.daemon();
    sharer.share().expect_code(0);
    let mut guest_runs = guest.daemon();
    let row = guest.find(&["--artist", "waiter"]).remove(0);
    runs.process.interrupt();
    // Without a terminal `get` waits; the daemon goes on with it when the command is gone.
    let mut get = guest.begin_get(row["file_id"].as_str().unwrap());
    let waits = |line: &Value| line["state"] == "waiting" && line["reason"] == "no_sources";
    guest.download_when("it waits", waits);
    get.kill();
    guest_runs.process.kill();
    let _guest_runs = guest.daemon();
    guest.download_when("it waits after the kill", waits);

    let appeared = Instant::now();
    let _runs = sharer.daemon();
    let done = guest.download_when("it is done", |line| line["state"] == "done");
    let took = appeared.elapsed();
    println!("from the start of the sharer's program to the whole file: {took:.1?}");
    assert!(took < SOON, "{took:?}");
    assert_eq!(fs::read(done["path"].as_str().unwrap()).unwrap(), song);
}

#[test]
fn a_full_disk_pauses_a_download_until_there_is_room() {
    const DISK_BYTES: u64 = 32 << 20;
    let index = TestIndex::start();
    let guest = TestPeer::new("guest", &index);
    let song = fixtures::noise("Large", "Roomy", SONG_BYTES, 26);
    let sharer = HostilePeer::join(&index, &song, "Large", "Roomy", Mischief::None);
    let guest_runs = guest.daemon_in(&Namespace::default().with_disk(&guest.downloads(), DISK_BYTES));
    let disk = namespace::seen_by(&guest_runs.process, &guest.downloads());
    let ballast = ["much", "little"].map(|name| disk.join(name));
    fs::write(&ballast[0], vec![1; 16 << 20]).unwrap();
    fs::write(&ballast[1], vec![1; 2 << 20]).unwrap();

    guest.find(&["--artist", "roomy"]);
    let mut get = guest.begin_get("@1");
    let full = guest.download_when("it waits for room", |line| line["state"] == "waiting");
    assert_eq!(full["reason"], "disk_full", "{full}");
    assert!(full["message"].as_str().is_some_and(|message| message.contains("is full")), "{full}");
    let here = full["bytes_done"].as_u64().unwrap();
    assert!((8 << 20..16 << 20).contains(&here), "what fits is kept: {full}");

    let before = sharer.tally();
    assert!(before.bytes <= here + MOST_UNDER_WAY, "{before:?} for {here}");
    fs::remove_file(&ballast[1]).unwrap();
    // Nothing tells that nothing happens; the disk is looked at twice in this time.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(guest.download().unwrap()["reason"], "disk_full", "some room is not enough");
    assert_eq!(sharer.tally(), before, "and nothing is asked for meanwhile");

    fs::remove_file(&ballast[0]).unwrap();
    assert!(get.wait().success(), "it goes on by itself");
    let done = guest.download().unwrap();
    assert_eq!(
        fs::read(namespace::seen_by(&guest_runs.process, done["path"].as_str().unwrap().as_ref())).unwrap(),
        song
    );
    let asked = sharer.tally().bytes;
    assert!(asked < SONG_BYTES as u64 + here, "what reached the disk is not fetched again: {asked}");
}
