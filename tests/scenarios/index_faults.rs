//! An index that is down, dies, or turns into another one.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use choir_shared::identity::SecretKey;
use harness::process::{Memory, memory};
use harness::spoiler::{Spoiler, Spoilt};
use harness::{TestIndex, TestPeer, eventually, fixtures};
use serde_json::{Value, json};

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

#[test]
fn a_daemon_does_not_need_its_index_to_start() {
    let mut index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    sharer.add_music("Early - Bird.wav", &fixtures::noise("Bird", "Early", 300_000, 29));
    for peer in [&sharer, &guest] {
        assert_eq!(peer.run(["join", &index.join_link]).code, 0);
    }
    index.process.kill();
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    let answer = guest.json(["search", "--artist", "early"]).expect_code(5);
    assert_eq!(answer.error_code(), "index_unreachable");
    assert_eq!(sharer.run(["share".as_ref(), "add".as_ref(), sharer.music().as_os_str()]).code, 0);

    index.restart();
    guest.find(&["--artist", "early"]);
    guest.get("@1").expect_code(0);
}

#[test]
fn nonsense_of_an_index_fails_the_search_and_nothing_else() {
    let index = TestIndex::start();
    let spoiler = Spoiler::before(&index);
    let (sharer, guest) = (TestPeer::new("sharer", &index), TestPeer::at("guest", &spoiler.url));
    let song = fixtures::noise("Long", "Steady", 16_000_000, 30);
    sharer.add_music("Steady - Long.wav", &song);
    let (_sharer_runs, guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    assert_eq!(sharer.run(["uploads", "limit", "2M"]).code, 0);
    guest.find(&["--artist", "steady"]);
    let mut get = guest.begin_get("@1");
    guest.download_when("it is under way", |line| line["bytes_done"].as_u64() > Some(500_000));

    let nonsense = [
        ("half an object", Spoilt::Answer(200, r#"{"total": 1, "results": ["#), "nonsense"),
        ("wrong types", Spoilt::Answer(200, r#"{"total": "many", "results": 7}"#), "nonsense"),
        ("a page of somebody else", Spoilt::Answer(200, "<html>Log in to the hotel</html>"), "nonsense"),
        ("an error without a word", Spoilt::Answer(500, ""), "500"),
        ("a proxy's error", Spoilt::Answer(502, "<html>Bad gateway</html>"), "busy"),
        ("a terabyte", Spoilt::Huge, "more than"),
        ("a body without end", Spoilt::Endless, "more than"),
        ("an end in the middle", Spoilt::CutShort, "cannot be reached"),
        ("a file of another size", changed(|page| page["results"][0]["size"] = json!(1)), "size"),
    ];
    let before = memory(guest_runs.process.id(), Memory::Resident);
    for (what, spoilt, words) in nonsense {
        spoiler.spoil("/api/v1/", spoilt);
        let answer = guest.json(["search", "--artist", "steady"]).expect_code(5);
        assert_eq!(answer.error_code(), "index_unreachable", "{what}");
        let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(words), "{what}: {message}");
    }
    let after = memory(guest_runs.process.id(), Memory::Resident);
    assert!(after < before + (32 << 20), "{before} bytes before, {after} after");

    assert_eq!(sharer.run(["uploads", "limit", "unlimited"]).code, 0);
    assert!(get.wait().success(), "a transfer goes on meanwhile");
    assert_eq!(fs::read(guest.download().unwrap()["path"].as_str().unwrap()).unwrap(), song);
    spoiler.relent();
    assert_eq!(guest.search(&["--artist", "steady"]).len(), 1, "and all is well when the index is");
}

#[test]
fn an_index_that_falls_silent_in_mid_search_does_not_hold_up_another() {
    let (well, ill) = (TestIndex::start(), TestIndex::start());
    let spoiler = Spoiler::before(&ill);
    let sharer = TestPeer::new("sharer", &well);
    let guest = TestPeer::new("guest", &well).and_at(&spoiler.url);
    sharer.add_music("Patient - One.wav", &fixtures::noise("One", "Patient", 300_000, 31));
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    guest.find(&["--artist", "patient"]);
    spoiler.spoil("/api/v1/", Spoilt::Silence);
    let begun = std::time::Instant::now();
    let found = guest.json(["search", "--artist", "patient"]).expect_code(0).json();
    assert_eq!(found["results"].as_array().map(Vec::len), Some(1));
    assert!(found["notes"][0]["message"].as_str().is_some_and(|note| note.contains("slower")), "{found}");
    // Alone it would be waited for 30 s.
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    guest.get("@1").expect_code(0);
}

#[test]
fn a_wrong_key_or_address_is_named_and_the_file_comes_from_elsewhere() {
    let index = TestIndex::start();
    let spoiler = Spoiler::before(&index);
    let [anna, ben] = ["anna", "ben"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Everybody's", "Both", 600_000, 40);
    anna.add_music("everybodys.wav", &song);
    anna.add_music("hers.wav", &fixtures::noise("Hers", "Both", 600_000, 41));
    ben.add_music("everybodys.wav", &song);
    let (_anna_runs, _ben_runs) = (anna.daemon(), ben.daemon());
    for peer in [&anna, &ben] {
        peer.share().expect_code(0);
    }
    let (annas, bens) = (anna.id(), ben.id());

    let anna_at = |address: SocketAddr| {
        let annas = annas.clone();
        changed(move |told| {
            if told["peer"] == json!(annas) {
                told["candidates"][0]["address"] = json!(address);
            }
        })
    };
    let nobody = SecretKey::from_seed(&[77; 32]).peer_id().to_string();
    let nobody_for_anna = {
        let (annas, nobody) = (annas.clone(), nobody.clone());
        changed(move |told| {
            let sources = told["sources"].as_array_mut().into_iter().flatten();
            sources.filter(|source| source["peer"] == json!(annas)).for_each(|source| source["peer"] = json!(nobody));
        })
    };
    // Whoever knocks there hears nothing.
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at_bens = anna_at(ben.udp_address());
    let lies = [
        ("/introductions", at_bens.clone(), &annas, "another key answers at its address"),
        ("/introductions", anna_at(deaf.local_addr().unwrap()), &annas, "connecting"),
        ("/sources", nobody_for_anna, &nobody, "the index refuses"),
    ];
    for (path, lie, named, note) in lies {
        let guest = TestPeer::at("guest", &spoiler.url);
        let _runs = guest.daemon();
        eventually("both are listed", || {
            guest.search(&["--title", "everybody"]).pop().filter(|row| row["sources"] == 2)
        });
        spoiler.spoil(path, lie);
        // Slow enough that the lie comes out before the end.
        assert_eq!(ben.run(["uploads", "limit", "100K"]).code, 0);
        let mut get = guest.begin_get("@1");
        eventually(note, || guest.source(named)?["note"].as_str()?.contains(note).then_some(()));
        assert_eq!(ben.run(["uploads", "limit", "unlimited"]).code, 0);
        assert!(get.wait().success());
        let done = guest.download().unwrap();
        assert_eq!(fs::read(done["path"].as_str().unwrap()).unwrap(), song);
        let from = done["sources"].as_array().unwrap().iter().filter(|source| source["bytes"].as_u64() > Some(0));
        assert!(from.map(|source| &source["peer"]).eq([&json!(bens)]), "{done}");
        spoiler.relent();
    }

    spoiler.spoil("/introductions", at_bens);
    let guest = TestPeer::at("guest", &spoiler.url);
    let _runs = guest.daemon();
    guest.find(&["--title", "hers"]);
    let downloads = guest.downloads();
    let get = ["get".as_ref(), "@1".as_ref(), "--wait".as_ref(), "0".as_ref(), "-o".as_ref(), downloads.as_os_str()];
    let missing = guest.json(get).expect_code(5);
    assert_eq!(missing.error_code(), "peers_unreachable");
    assert!(missing.stdout.contains("another key answers"), "{missing:?}");
}

#[test]
fn names_from_an_index_lead_nowhere() {
    let long = format!("{}.wav", "long".repeat(75));
    let names = [
        "../../../escape.wav",
        "/etc/passwd",
        "C:\\autorun.inf",
        "a\u{202e}vaw.exe",
        "\u{1b}[2J.wav",
        "con.wav",
        "..",
        "Same.wav",
        "SAME.WAV",
        &long,
    ];
    let index = TestIndex::start();
    let spoiler = Spoiler::before(&index);
    let (sharer, guest) = (TestPeer::new("sharer", &index), TestPeer::at("guest", &spoiler.url));
    for number in 0..names.len() {
        sharer.add_music(
            &format!("{number}.wav"),
            &fixtures::noise(&number.to_string(), "Plain", 50_000, 60 + number as u64),
        );
    }
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    let _guest_runs = guest.daemon_with_environment(&[("CHOIR_DOWNLOAD_FOLDER", guest.downloads().to_str().unwrap())]);
    let mut rows = eventually("all are listed", || {
        Some(guest.search(&["--artist", "plain"])).filter(|rows| rows.len() == names.len())
    });
    for (row, name) in rows.iter_mut().zip(names) {
        row["album_artist"] = json!("../../..");
        row["album"] = json!("..");
        row["album_key"] = json!("one");
        row["file_name"] = json!(name);
    }
    spoiler.spoil("/search", changed(move |page| page["results"] = json!(rows)));

    let got = guest.json(["get", "--album", "anything"]).expect_code(0).json();
    let paths = got["files"].as_array().unwrap().iter().map(|file| PathBuf::from(file["path"].as_str().unwrap()));
    let here = guest.downloads().canonicalize().unwrap();
    for path in paths.clone() {
        assert!(path.canonicalize().unwrap().starts_with(&here), "{path:?}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(
            name.len() <= 200 && !name.contains(|letter: char| letter.is_control() || letter == '\u{202e}'),
            "{name:?}"
        );
        assert!(!["con.wav", "passwd"].contains(&name), "{name:?}");
    }
    let folded: BTreeSet<_> = paths.map(|path| path.to_string_lossy().to_lowercase()).collect();
    assert_eq!(folded.len(), names.len(), "each has a name of its own, in any case: {folded:?}");
    let beside = fs::read_dir(guest.home().parent().unwrap()).unwrap().count();
    assert_eq!(beside, ["home", "music", "downloads"].len(), "and nothing lies anywhere else");
}

fn changed(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Spoilt {
    Spoilt::Changed(Arc::new(change))
}
