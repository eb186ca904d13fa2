//! Share, search by artist or title, download from several peers, verified.

use std::fs;

use harness::{TestIndex, TestPeer, eventually, fixtures};

const SONG_BYTES: usize = 3_000_000;

#[test]
fn a_song_that_two_share_is_found_by_artist_and_title_and_fetched_from_both() {
    let index = TestIndex::start();
    let [anna, ben, carla] = ["anna", "ben", "carla"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Für Elise", "Ludwig van Beethoven", SONG_BYTES, 1);
    anna.add_music("elise.wav", &song);
    ben.add_music("another name.wav", &song);
    let (_anna_runs, _ben_runs, _carla_runs) = (anna.daemon(), ben.daemon(), carla.daemon());
    for peer in [&anna, &ben] {
        let shared = peer.share().expect_code(0).json();
        assert_eq!(shared["files"], 1);
    }

    let row = eventually("both are listed", || {
        carla.search(&["--artist", "beethoven"]).into_iter().find(|row| row["sources"] == 2)
    });
    assert_eq!(row["title"], "Für Elise");
    assert_eq!(carla.find(&["--title", "fur elise"]).len(), 1, "accents do not matter");
    assert_eq!(carla.find(&["beethoven", "eli"]).len(), 1, "the last word may be unfinished");
    assert_eq!(carla.find(&["elise", "beethoven"]).len(), 1);

    let got = carla.get("@1").expect_code(0).json();
    let path = got["path"].as_str().expect("a path").to_owned();
    assert_eq!(fs::read(&path).unwrap(), song);
    let from = got["from"].as_array().expect("sources").clone();
    assert_eq!(from.len(), 2, "{got}");
    let bytes: u64 = from.iter().filter_map(|source| source["bytes"].as_u64()).sum();
    assert!(bytes >= SONG_BYTES as u64);

    let again = carla.get(row["file_id"].as_str().unwrap()).expect_code(0).json();
    assert_eq!(again["path"], path, "already have it");
    assert_eq!(carla.run(["verify", &path, row["file_id"].as_str().unwrap()]).code, 0);
}

#[test]
fn commands_work_without_a_daemon() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Alone", "Guest", 200_000, 2);
    sharer.add_music("Guest - Alone.wav", &song);
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);

    assert_eq!(guest.find(&["--title", "alone"]).len(), 1);
    let got = guest.get("@1").expect_code(0).json();
    assert_eq!(fs::read(got["path"].as_str().unwrap()).unwrap(), song);
    assert_eq!(guest.json(["search", "--title", "nobody has this"]).code, 3);
}

#[test]
fn the_fixtures_in_every_format_are_found_by_their_real_tags() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    fixtures::copy_tree(&fixtures::folder().join("music"), &sharer.music());
    let _runs = sharer.daemon();
    let shared = sharer.share().expect_code(0).json();
    let hidden =
        shared["left_out"].as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap_or(0)).sum::<u64>();
    assert!(hidden >= 1, "the hidden file is counted: {shared}");

    let found_by = [
        ("--title", "solbjort", "flac"),
        ("--artist", "oskubra", "flac"),
        ("--title", "أغنية المساء", "mp3"),
        ("--title", "שיר הגלים", "opus"),
        ("--title", "달빛 우체국", "opus"),
        ("--title", "月明かり", "m4a"),
        ("--title", "café du brouillard", "ogg"),
        ("--title", "signal box", "wav"),
        ("--title", "fjarran", "aiff"),
        ("--title", "blue kettle", "ogg"),
    ];
    for (field, words, format) in found_by {
        let rows = guest.find(&[field, words]);
        assert!(rows.iter().any(|row| row["format"] == format), "{words}: {rows:?}");
    }
    assert_eq!(
        guest.find(&["--format", "flac,mp3", "jetty lanterns"]).len(),
        4,
        "the same audio under two sets of tags"
    );
}

#[test]
fn an_album_is_fetched_whole() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    fixtures::copy_tree(&fixtures::folder().join("music/Öskubrá"), &sharer.music().join("Öskubrá"));
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    guest.find(&["--album", "Tvær eyjar"]);
    let downloads = guest.downloads();
    let got =
        guest.json(["get".as_ref(), "--album".as_ref(), "Tvær eyjar".as_ref(), "-o".as_ref(), downloads.as_os_str()]);
    let files = got.expect_code(0).json()["files"].as_array().cloned().unwrap_or_default();
    assert_eq!(files.len(), 3);
    for file in files {
        assert!(fs::metadata(file["path"].as_str().unwrap()).unwrap().len() > 0);
    }
}
