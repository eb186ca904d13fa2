//! Albums and folders come whole or say what is missing, and go where their tags say.

use harness::{TestIndex, TestPeer, eventually, fixtures};
use serde_json::Value;

const TRACKS: usize = 3;

/// The tracks, a cover and two texts.
const FILES: usize = 6;

fn album() -> std::path::PathBuf {
    fixtures::folder().join("music/Öskubrá")
}

fn missing(file: &Value) -> bool {
    !file["error"].is_null()
}

#[test]
fn a_folder_of_which_a_track_is_missing_says_so_and_fetches_only_that_later() {
    let index = TestIndex::start();
    let [whole, most, guest] = ["whole", "most", "guest"].map(|name| TestPeer::new(name, &index));
    for peer in [&whole, &most] {
        fixtures::copy_tree(&album(), &peer.music().join("Öskubrá"));
    }
    std::fs::remove_file(&harness::peer::files_below(&most.music())[1]).unwrap();
    let mut whole_runs = whole.daemon();
    let _most_runs = most.daemon();
    for peer in [&whole, &most] {
        peer.share().expect_code(0);
    }
    let guest_runs = guest.daemon();
    let owner = whole.key();
    whole_runs.process.interrupt();

    let downloads = guest.downloads();
    let folder = |wait: &str| {
        let arguments =
            ["get", "--folder", &owner, "music/Öskubrá", "--wait", wait, "-o"].map(std::ffi::OsString::from);
        guest.json(arguments.into_iter().chain([downloads.clone().into_os_string()]))
    };
    let told = folder("1").expect_code(7).json();
    assert_eq!((&told["total"], &told["done"]), (&FILES.into(), &(FILES - 1).into()), "{told:#}");
    let files = told["files"].as_array().unwrap();
    let [absent] = &files.iter().filter(|file| missing(file)).collect::<Vec<_>>()[..] else { panic!("{told:#}") };
    assert_eq!(absent["error"]["code"], "peers_unreachable");
    let group = told["group"].as_str().unwrap();

    drop(guest_runs);
    let _guest_runs = guest.daemon();
    let groups = || guest.json(["downloads", "ls"]).json()["groups"].clone();
    let status = groups()[0].clone();
    assert_eq!(
        (&status["group"], &status["total"], &status["done"]),
        (&group.into(), &FILES.into(), &(FILES - 1).into())
    );
    assert_eq!(status["missing"][0]["file_id"], absent["file_id"]);
    let waits = eventually("it waits again", || {
        let missing = groups()[0]["missing"][0].clone();
        (missing["state"] == "waiting").then_some(missing)
    });
    assert_eq!(waits["reason"], "no_sources");
    let shown = guest.run(["downloads", "show", &waits["id"].to_string()]).expect_code(0).stdout;
    assert!(shown.contains("5 of 6 files here, 1 missing"), "{shown}");

    let retried = guest.json(["downloads", "retry", "--group", group]).expect_code(0).json();
    let lines = retried["downloads"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[0]["file_id"]), (1, &absent["file_id"]), "only what is missing");

    let _whole_runs = whole.daemon();
    eventually("the album is whole", || (groups()[0]["done"] == FILES).then_some(()));
    let again = folder("30").expect_code(0).json();
    assert_eq!((&again["done"], again["files"].as_array().unwrap().iter().any(missing)), (&FILES.into(), false));
    assert_eq!(harness::peer::files_below(&downloads).len(), FILES, "and nothing was fetched twice");
}

#[test]
fn an_album_goes_where_its_tags_say() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    fixtures::copy_tree(&album(), &sharer.music().join("Öskubrá"));
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    let downloads = guest.downloads();
    let _guest_runs = guest.daemon_with_environment(&[
        ("CHOIR_DOWNLOAD_FOLDER", downloads.to_str().unwrap()),
        ("CHOIR_DOWNLOAD_TEMPLATE", "{albumartist}/{year} - {album}/{track} {title}"),
    ]);
    let rows = guest.find(&["--album", "Tvær eyjar"]);
    let told = guest.json(["get", "--album", "Tvær eyjar"]).expect_code(0).json();
    assert_eq!(told["files"].as_array().unwrap().len(), TRACKS);
    for row in rows {
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let artist = row["album_artist"].as_str().map_or_else(|| text("artist"), str::to_owned);
        let folder = downloads.join(artist).join(format!("{} - {}", row["year"], text("album")));
        let name = format!("{:02} {}.{}", row["track"].as_u64().unwrap(), text("title"), text("format"));
        let path = folder.join(&name);
        assert!(path.is_file(), "{} is not among {:?}", path.display(), harness::peer::files_below(&downloads));
    }

    // For one download the flag wins, also over a place that is named.
    let other = TestPeer::new("other", &index);
    let row = other.find(&["--album", "Tvær eyjar"]).remove(0);
    let out = other.downloads();
    let ask = |template: &str| {
        let arguments = ["get", "@1", "--template", template, "-o"].map(std::ffi::OsString::from);
        other.json(arguments.into_iter().chain([out.clone().into_os_string()]))
    };
    assert_eq!(ask("{artist}/{titel}").expect_code(2).error_code(), "usage");
    let path = ask("{format}").expect_code(2).json()["error"]["message"].to_string();
    assert!(path.contains("there is no {format}; there are {artist}"), "{path}");
    let got = ask("by {artist}/{title}").expect_code(0).json();
    let expected = out.join(format!("by {}", row["artist"].as_str().unwrap()));
    assert!(got["path"].as_str().unwrap().starts_with(expected.to_str().unwrap()), "{got}");
}
