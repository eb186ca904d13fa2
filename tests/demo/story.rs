//! What the demo tells, step by step. Each step is a command that you can type yourself; it is shown as typed.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use choir_shared::merkle::TreeHasher;
use harness::{Daemon, TestIndex, TestPeer, eventually, fixtures};
use serde_json::Value;

use crate::Arguments;
use crate::music;

/// The running network; dropping it ends it.
pub(crate) struct Network {
    _index: TestIndex,
    _peers: Vec<(TestPeer, Daemon)>,
}

pub(crate) fn tell(arguments: &Arguments) -> anyhow::Result<Network> {
    title("Building the programs");
    let programs = harness::programs();
    say("done; now an index and three peers start, each a process of its own.");

    let index = TestIndex::start();
    title("The index");
    say(&format!("choir-index is {}", index.url));

    let [anna, ben, carla] = ["Anna", "Ben", "Carla"].map(|name| TestPeer::new(name, &index));
    title("The music");
    fill(arguments.music.as_deref(), &anna, &ben)?;

    title("Sharing");
    let mut daemons = Vec::new();
    for peer in [&anna, &ben] {
        daemons.push(peer.daemon());
        typed(peer, &["name", &peer.name]);
        peer.run(["name", &peer.name]).expect_code(0);
        typed(peer, &["share", "add", "~/Music"]);
        let shared = peer.share().expect_code(0).json();
        say(&format!("{} shares {} files.", peer.name, shared["files"]));
    }
    daemons.push(carla.daemon());

    let song = a_song_of_two(&carla)?;
    let text = |field: &str| song[field].as_str().unwrap_or_default().to_owned();

    let (artist, title_words) = (text("artist"), text("title"));
    // Somebody's own music may name none.
    if !artist.is_empty() {
        title("Searching by artist");
        show(&carla, &["search", "--artist", &artist])?;
    }
    title("Searching by title, without its accents");
    let plain = choir_shared::text::fold(&title_words);
    show(&carla, &["search", "--title", &plain])?;

    title("Downloading from two peers at once");
    let file_id = text("file_id");
    let downloads = carla.downloads();
    let folder = downloads.to_string_lossy().into_owned();
    show(&carla, &["get", "@1", "-o", &folder])?;

    title("Verifying");
    let files = harness::peer::files_below(&downloads);
    let path = files.first().context("the download is there")?;
    let mut hasher = TreeHasher::new();
    hasher.update(&std::fs::read(path)?);
    let found = hasher.finish()?.id.to_string();
    ensure!(found == file_id, "the file on disk is {found}");
    show(&carla, &["verify", &path.to_string_lossy(), &file_id])?;
    say(&format!("It lies at {}", path.display()));

    let peers = [anna, ben, carla].into_iter().zip(daemons).collect::<Vec<_>>();
    if arguments.stay {
        title("What to try next");
        for (peer, daemon) in &peers {
            say(&format!(
                "{:<6} {} --home {} …      page: {}",
                peer.name,
                programs.peer.display(),
                peer.home().display(),
                daemon.url
            ));
        }
        say(&format!("       … being search, get @1, browse, whois, status, doctor; with --index {}", index.url));
        say("Ctrl-C ends it all and removes the files.");
    } else {
        say("\nThat was all; `cargo demo -- --stay` keeps it running. Nothing is left behind.");
    }
    Ok(Network { _index: index, _peers: peers })
}

/// Anna gets two thirds of the songs and Ben the last two thirds, so that a third is at both.
fn fill(own: Option<&Path>, anna: &TestPeer, ben: &TestPeer) -> anyhow::Result<()> {
    if let Some(folder) = own {
        ensure!(folder.is_dir(), "{} is no folder", folder.display());
        for peer in [anna, ben] {
            fixtures::copy_tree(folder, &peer.music());
        }
        say(&format!("yours, from {}; both Anna and Ben get a copy.", folder.display()));
        return Ok(());
    }
    let songs = music::songs();
    let third = songs.len() / 3;
    for (number, song) in songs.iter().enumerate() {
        let owners: &[&TestPeer] = match number {
            number if number < third => &[anna],
            number if number < 2 * third => &[anna, ben],
            _ => &[ben],
        };
        for owner in owners {
            music::write_song(song, &owner.music().join(song.path()))?;
        }
    }
    say(&format!(
        "{} tunes in the public domain, synthesised just now; a third of them is at both Anna and Ben.",
        songs.len()
    ));
    Ok(())
}

/// A song that both share, once the index lists both; one that names its artist, with an accent, if there is one.
fn a_song_of_two(asker: &TestPeer) -> anyhow::Result<Value> {
    let of_two = |row: &Value| row["sources"].as_u64() >= Some(2);
    let has_accent = |row: &Value| row["title"].as_str().is_some_and(|title| !title.is_ascii());
    let rows = eventually("a song with two sources", || {
        let rows: Vec<Value> = asker.search(&["--format", "wav,flac,mp3,ogg,opus,m4a", "--limit", "200"]);
        let rows: Vec<Value> = rows.into_iter().filter(of_two).collect();
        (!rows.is_empty()).then_some(rows)
    });
    let best = rows.into_iter().max_by_key(|row| (row["artist"].is_string(), has_accent(row)));
    best.context("a song that two share")
}

/// Types a command and shows what it prints, progress included.
fn show(peer: &TestPeer, arguments: &[&str]) -> anyhow::Result<()> {
    typed(peer, arguments);
    let mut command = peer.command();
    if std::io::stdout().is_terminal() {
        command.env_remove("NO_COLOR");
    }
    let status = command.args(arguments).stdin(Stdio::null()).status()?;
    ensure!(status.success(), "choir {} ended with {status}", arguments.join(" "));
    Ok(())
}

fn typed(peer: &TestPeer, arguments: &[&str]) {
    let words: Vec<String> = arguments
        .iter()
        .map(|word| if word.contains(' ') || word.is_empty() { format!("'{word}'") } else { (*word).to_owned() })
        .collect();
    println!("{}$ choir {}", peer.name.to_lowercase(), words.join(" "));
}

fn title(text: &str) {
    println!("\n== {text}");
}

fn say(text: &str) {
    println!("{text}");
}
