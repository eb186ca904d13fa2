//! Databases that fail under a running index, or were damaged while it was away.

use std::cell::Cell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::member::{HttpAnswer, Member};
use harness::namespace::{Namespace, seen_by};
use harness::{TestIndex, TestPeer, eventually, fixtures};
use rustix::process::Signal;
use serde_json::Value;

/// What an index needs from the start, several times over.
const DISK_BYTES: u64 = 64 << 20;

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_costs_nothing_that_was_acknowledged() {
    let mut index = TestIndex::inside(|folder| Namespace::default().with_disk(folder, DISK_BYTES));
    let disk = seen_by(&index.process, index.data_dir());
    let mut member = Member::of(&index);
    let songs = Cell::new(0);
    let share = |member: &mut Member| {
        let titles: Vec<_> = (0..200).map(|number| format!("Krill {}", songs.get() + number)).collect();
        let answer = member.publish(titles.iter().map(String::as_str));
        songs.set(songs.get() + if answer.status == 200 { titles.len() } else { 0 });
        answer
    };
    let all = |member: &Member| {
        let found = member.get("/search?q=krill&offline=true").json();
        found["total"].as_u64()
    };
    let expected = || Some(songs.get().min(1000) as u64);
    let mut name = rename(&member, 0).expect("there is room");

    // What was taken last is to meet a full disk on its way into the search index, which may have been faster.
    let ballast = loop {
        assert_eq!(share(&mut member).status, 200);
        let ballast = fill(&disk);
        let fell_behind = eventually("the search index tried", || {
            let fell_behind = index.process.errors().contains("the search index falls behind");
            (fell_behind || all(&member) == expected()).then_some(fell_behind)
        });
        if fell_behind {
            break ballast;
        }
        fs::remove_file(ballast).unwrap();
    };
    let refused = refusal(|| share(&mut member));
    expect_unavailable(&refused);
    // What there is room for may still be taken.
    let refused = (1..1000).find_map(|number| match rename(&member, number) {
        Ok(taken) => {
            name = taken;
            None
        }
        Err(refused) => Some(refused),
    });
    expect_unavailable(&refused.expect("no room is left"));
    expect_unavailable(&ready(&index));
    assert_eq!(member.get("/search?q=krill&offline=true").status, 200, "what needs no room is done");
    assert!(index.process.errors().contains("disk is full"), "the operator reads why");

    fs::remove_file(&ballast).unwrap();
    eventually("it takes changes again", || (share(&mut member).status == 200).then_some(()));
    eventually("it is ready again", || (ready(&index).status == 200).then_some(()));
    eventually("all can be found", || (all(&member) == expected()).then_some(()));

    let _ballast = fill(&disk);
    expect_unavailable(&refusal(|| share(&mut member)));
    // A power cut: nothing more is written, and the next index begins with what is there.
    index.process.signal(Signal::STOP);
    index.move_out();
    index.restart();
    assert_eq!(member.get("/me").json()["name"], Value::from(name), "the last name that was taken");
    eventually("all can be found", || (all(&member) == expected()).then_some(()));
    assert_eq!(index.operate(&["check"]).0, Some(0));
}

#[test]
fn a_database_that_another_program_locks_for_three_seconds_delays_writers_and_nobody_else() {
    let index = TestIndex::start();
    let mut member = Member::of(&index);
    assert_eq!(member.publish(["Before"]).status, 200);
    const LOCK: &str = "import sqlite3, sys, time
held = [sqlite3.connect(path, isolation_level=None) for path in sys.argv[1:]]
[database.execute('BEGIN IMMEDIATE') for database in held]
print('locked', flush=True)
time.sleep(3)
[database.execute('COMMIT') for database in held]";
    let mut command = Command::new("python3");
    command.args(["-c", LOCK]).args(["accounts.db", "catalogue.db"].map(|name| index.data_dir().join(name)));
    let mut locker = command.stdout(Stdio::piped()).spawn().unwrap();
    locker.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();

    let writer = {
        let mut member = member.clone();
        std::thread::spawn(move || (rename(&member, 1).is_ok(), member.publish(["Meanwhile"]).status))
    };
    for _ in 0..20 {
        assert_eq!(member.get("/search?q=before&offline=true").status, 200);
    }
    assert!(!writer.is_finished(), "a writer waits");
    assert!(locker.try_wait().unwrap().is_none(), "and who only asks does not");
    assert_eq!(writer.join().unwrap(), (true, 200), "until the lock is gone");
    assert!(locker.wait().unwrap().success());
}

#[test]
fn a_search_index_with_any_of_its_files_damaged_is_built_anew() {
    let mut index = TestIndex::start();
    let mut member = Member::of(&index);
    let titles: Vec<_> = (0..300).map(|number| format!("Plankton {number}")).collect();
    assert_eq!(member.publish(titles.iter().map(String::as_str)).status, 200);
    let all_found = || (member.get("/search?q=plankton&offline=true").json()["total"] == 300).then_some(());
    eventually("all can be found", all_found);
    let files = || harness::peer::files_below(&index.data_dir().join("search").join("files"));
    let kinds: std::collections::BTreeSet<_> =
        files().iter().filter_map(|file| Some(file.extension()?.to_owned())).collect();
    assert!(kinds.len() >= 5, "segments have many files: {kinds:?}");
    for kind in kinds.into_iter().filter(|kind| *kind != "lock") {
        index.process.kill();
        let found = harness::peer::files_below(&index.data_dir().join("search").join("files"));
        for file in found.iter().filter(|file| file.extension() == Some(&kind)) {
            let mut bytes = fs::read(file).unwrap();
            let middle = bytes.len() / 2;
            bytes.iter_mut().skip(middle).take(4).for_each(|byte| *byte ^= 0x55);
            fs::write(file, bytes).unwrap();
        }
        index.restart();
        eventually("all can be found again", || {
            (member.get("/search?q=plankton&offline=true").json()["total"] == 300).then_some(())
        });
        let log = index.process.errors();
        assert!(log.contains("the search index is built anew"), "{kind:?}: {log}");
    }
}

#[test]
fn a_catalogue_with_a_damaged_page_or_without_its_last_commits_is_published_again() {
    // Its peers come back at random within this time, three times over.
    let mut index = TestIndex::with_limits("reconnect_spread_seconds = 1", &[]);
    let sharer = TestPeer::new("sharer", &index);
    let guest = TestPeer::new("guest", &index);
    sharer.add_music("one.wav", &fixtures::noise("One", "Healers", 50_000, 90));
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    let found = |count: usize| {
        eventually("all can be found", || (guest.search(&["--artist", "healers"]).len() == count).then_some(()));
    };
    found(1);
    index.process.interrupt();
    let catalogue = index.data_dir().join("catalogue.db");
    let early = fs::read(&catalogue).unwrap();
    index.restart();
    for number in 2..=3 {
        sharer
            .add_music(&format!("{number}.wav"), &fixtures::noise(&number.to_string(), "Healers", 50_000, 90 + number));
    }
    found(3);

    // The disk had acknowledged what it then lost; the search index was luckier.
    index.process.interrupt();
    fs::write(&catalogue, early).unwrap();
    index.restart();
    found(3);
    let log = index.process.errors();
    assert!(log.contains("is built anew"), "the search index knew more than the catalogue: {log}");
    sharer.add_music("4.wav", &fixtures::noise("4", "Healers", 50_000, 94));
    found(4);

    index.process.interrupt();
    spoil_page(&catalogue, 3);
    index.restart();
    let log = index.process.errors();
    assert!(log.contains("the catalogue begins anew; peers will publish again"), "{log}");
    found(4);
}

#[test]
fn damaged_accounts_stop_the_start_and_the_message_says_what_to_do() {
    let mut index = TestIndex::start();
    let member = Member::of(&index);
    assert!(rename(&member, 1).is_ok());
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("monday");
    let (code, said) = index.operate(&["backup", backup.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    index.process.interrupt();
    let accounts = index.data_dir().join("accounts.db");
    let pages = fs::metadata(&accounts).unwrap().len() / page_bytes(&accounts);
    spoil_page(&accounts, pages / 2);

    let (code, said) = index.operate(&["--listen", "127.0.0.1:0", "--rendezvous", "127.0.0.1:0"]);
    assert_eq!(code, Some(1), "{said}");
    for words in ["accounts.db is damaged", "choir-index check", "choir-index restore"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (code, said) = index.operate(&["check"]);
    assert!(code == Some(1) && said.contains("accounts.db"), "{said}");
    let (code, said) = index.operate(&["restore", backup.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    index.restart();
    assert_eq!(member.get("/me").json()["name"], "Name 1");
}

fn rename(member: &Member, number: u32) -> Result<String, HttpAnswer> {
    let name = format!("Name {number}");
    let answer = member.send("PUT", "/me", format!(r#"{{"name": "{name}"}}"#).as_bytes());
    if answer.status == 200 { Ok(name) } else { Err(answer) }
}

fn ready(index: &TestIndex) -> HttpAnswer {
    let request = b"GET /readyz HTTP/1.1\r\nHost: index\r\nConnection: close\r\n\r\n";
    harness::member::exchange(index.address(), request).unwrap()
}

fn refusal(mut ask: impl FnMut() -> HttpAnswer) -> HttpAnswer {
    (0..1000).map(|_| ask()).find(|answer| answer.status != 200).expect("the disk is full")
}

fn expect_unavailable(answer: &HttpAnswer) {
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{answer:?}");
    assert!(answer.head.to_lowercase().contains("retry-after: "), "{answer:?}");
}

/// Writes until nothing fits any more.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("ballast");
    let mut file = fs::File::create(&path).unwrap();
    for block in [1 << 16, 1 << 12] {
        while file.write_all(&vec![1; block]).is_ok() {}
    }
    path
}

fn page_bytes(database: &Path) -> u64 {
    match fs::read(database).unwrap()[16..18] {
        [0, 1] => 65_536,
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        _ => unreachable!("two bytes"),
    }
}

/// Overwrites one page of an SQLite file, counted from 0, with what is no page.
fn spoil_page(database: &Path, page: u64) {
    let bytes = page_bytes(database) as usize;
    let mut contents = fs::read(database).unwrap();
    contents[page as usize * bytes..][..bytes].fill(0xa5);
    fs::write(database, contents).unwrap();
}
