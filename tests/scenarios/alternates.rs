//! Another copy is offered in place of one that nobody has, and only people take it.

use std::fs;

use harness::{TestIndex, TestPeer, eventually, fixtures};
use serde_json::Value;

/// Shares one file of the fixtures.
fn share(peer: &TestPeer, path: &str) -> harness::peer::Daemon {
    let name = path.rsplit('/').next().unwrap();
    peer.add_music(name, &fs::read(fixtures::folder().join("music").join(path)).unwrap());
    let daemon = peer.daemon();
    peer.share().expect_code(0);
    daemon
}

fn differs<'a>(alternate: &'a Value, what: &str) -> Option<&'a Value> {
    alternate["differs"].as_array()?.iter().find(|difference| difference["what"] == what)
}

#[test]
fn a_copy_with_other_tags_or_in_another_format_is_offered_and_only_people_take_it() {
    let index = TestIndex::start();
    let [first, best_of, lossy, guest] = ["first", "best of", "lossy", "guest"].map(|name| TestPeer::new(name, &index));
    let mut first_runs = share(&first, "The Folded Boats/First Pressing/02 Jetty Lanterns.flac");
    let _guest_runs = guest.daemon();
    let wanted = guest.find(&["jetty lanterns"]).remove(0);
    first_runs.process.interrupt();
    let mut get = guest.begin_get(wanted["file_id"].as_str().unwrap());
    guest.download_when("it waits", |line| line["state"] == "waiting" && line["reason"] == "no_sources");
    get.kill();

    let _others = [
        share(&best_of, "The Folded Boats/Best Of/17 jetty lanterns (1).flac"),
        share(&lossy, "The Folded Boats/First Pressing/02 Jetty Lanterns.mp3"),
    ];
    let offered = eventually("both are offered", || {
        let line = guest.json(["downloads", "show", "1"]).expect_code(0).json();
        line["alternates"].as_array().filter(|alternates| alternates.len() == 2).cloned()
    });
    let [other_tags, other_format] = &offered[..] else { panic!("{offered:#?}") };
    assert_eq!((&other_tags["why"], &other_tags["sources"]), (&"same_audio".into(), &1.into()), "{other_tags:#}");
    assert!(differs(other_tags, "album").is_some() && differs(other_tags, "format").is_none(), "{other_tags:#}");
    assert_eq!(other_format["why"], "same_song");
    let format = differs(other_format, "format").unwrap();
    assert_eq!((&format["wanted"], &format["offered"]), (&"flac".into(), &"mp3".into()));
    let shown = guest.run(["downloads", "show", "1"]).expect_code(0).stdout;
    assert!(shown.contains("same audio, 1 source online") && shown.contains("format mp3, not flac"), "{shown}");

    // Nothing was taken by looking, and nothing can be that was not offered.
    assert_eq!(guest.download().unwrap()["state"], "waiting");
    assert_eq!(guest.json(["downloads", "take", "1", &"ab".repeat(32)]).expect_code(3).error_code(), "not_found");
    assert_eq!(
        harness::peer::files_below(&guest.downloads())
            .iter()
            .filter(|path| path.extension().is_some_and(|end| end == "flac"))
            .count(),
        0
    );

    let chosen = other_format["file_id"].as_str().unwrap();
    let taken = guest.json(["downloads", "take", "1", &chosen[..8]]).expect_code(0).json();
    assert_eq!((&taken["file_id"], &taken["id"]), (&chosen.into(), &2.into()));
    let lines = eventually("it is here", || {
        let lines = guest.json(["downloads", "ls"]).json()["downloads"].as_array()?.clone();
        (lines.get(1)?["state"] == "done").then_some(lines)
    });
    assert_eq!((&lines[0]["state"], &lines[0]["reason"]), (&"cancelled".into(), &"replaced".into()));
    let path = lines[1]["path"].as_str().unwrap();
    assert!(path.ends_with("02 Jetty Lanterns.mp3"), "{path}");
    assert_eq!(guest.run(["verify", path, chosen]).code, 0);
    assert!(!guest.downloads().join(".partial").exists(), "nothing of the other is left behind");
}
