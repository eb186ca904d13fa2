//! Whole commands against a fake daemon on a real socket.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::execute;
use super::output::Streams;
use crate::api::Exit;
use crate::api::fake::{FakeDaemon, FakeService, row};
use crate::download::alternate::{Alternate, Difference, Likeness, Said};
use crate::download::status::{State, Why};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

struct Ran {
    exit: Exit,
    data: String,
    messages: String,
}

impl Ran {
    fn json(&self) -> Value {
        assert_eq!(self.messages, "", "with --json nothing else is said");
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }
}

/// Runs a command as a script would; words are separated by one blank, `~` stands for a blank inside a word.
async fn choir(daemon: &FakeDaemon, line: &str) -> Ran {
    choir_until(daemon, line, CancellationToken::new()).await
}

async fn choir_until(daemon: &FakeDaemon, line: &str, interrupt: CancellationToken) -> Ran {
    let (data, messages) = (Buffer::default(), Buffer::default());
    let streams = Streams {
        data: Box::new(data.clone()),
        messages: Box::new(messages.clone()),
        data_is_terminal: false,
        messages_are_terminal: false,
        input_is_terminal: false,
        colour: true,
    };
    let home = daemon.home.path().to_str().unwrap();
    let words = ["choir", "--home", home]
        .into_iter()
        .map(str::to_owned)
        .chain(line.split(' ').map(|word| word.replace('~', " ")));
    let exit = execute(words.map(Into::into).collect(), streams, interrupt).await;
    Ran { exit, data: data.text(), messages: messages.text() }
}

fn songs() -> FakeService {
    FakeService::with_rows(vec![row(1, "Army of Me"), row(2, "Hyperballad"), row(3, "Isobel")])
}

#[tokio::test]
async fn a_search_tells_scripts_the_shape_that_was_promised() {
    let daemon = FakeDaemon::start(songs()).await;
    let ran = choir(&daemon, "--json --index home search björk hyper --limit 5").await;
    assert_eq!(ran.exit, Exit::Done);
    let id = format!("{}-1048576", "02".repeat(32));
    assert_eq!(
        ran.json(),
        json!({
            "total": 1, "total_is": "exact", "next": null,
            "results": [{
                "file_id": id, "title": "Hyperballad", "artist": "Björk", "album": "Post", "album_artist": null,
                "track": 2, "year": 1995, "format": "flac", "size": 1_048_576, "duration_ms": 225_400,
                "bitrate_kbps": 900, "sample_rate_hz": 44_100, "sources": 2, "have": false,
                "album_key": "bjork/post/1995", "link": format!("choir:file/{id}?name=Hyperballad.flac"),
                "file_name": "Hyperballad.flac", "disc": null, "genre": null, "audio": null,
            }],
        })
    );
    assert_eq!(daemon.service.asked.lock().unwrap()[0], r#"search Some("björk hyper") in ["home"]"#);
    daemon.stop().await;
}

#[tokio::test]
async fn a_search_numbers_its_rows_and_get_takes_them_by_number() {
    let daemon = FakeDaemon::start(songs()).await;
    let ran = choir(&daemon, "search björk").await;
    assert_eq!((ran.exit, ran.data.lines().count()), (Exit::Done, 4));
    assert!(ran.data.lines().nth(2).unwrap().starts_with("2  Björk – Hyperballad"), "{}", ran.data);

    let ran = choir(&daemon, "get @2").await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.messages);
    assert_eq!(ran.data, "/music/Choir/Hyperballad.flac  1.0 MiB in 0.5 s from bob (direct)\n");

    for line in ["get @4", "get @0"] {
        let ran = choir(&daemon, line).await;
        assert_ne!(ran.exit, Exit::Done, "{line}");
        assert!(ran.messages.starts_with("error: "), "{}", ran.messages);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn one_file_is_told_as_an_object_and_some_as_a_list() {
    let mut service = songs();
    service.endings.insert(row(1, "").file_id, (State::Failed, Some(Why::Refused)));
    service.endings.insert(row(3, "").file_id, (State::Done, Some(Why::AlreadyHere)));
    let daemon = FakeDaemon::start(service).await;
    choir(&daemon, "search björk").await;

    let ran = choir(&daemon, "get 02020202 --json").await;
    let bob = crate::api::fake::peer(2);
    assert_eq!(ran.exit, Exit::Done);
    assert_eq!(
        ran.json(),
        json!({
            "file_id": row(2, "").file_id, "path": "/music/Choir/Hyperballad.flac", "bytes": 1_048_576, "seconds": 0.5,
            "from": [{ "peer": bob, "name": "bob", "bytes": 1_048_576, "path_kind": "direct" }], "already_here": false,
        })
    );

    let ran = choir(&daemon, "get @1 --json").await;
    assert_eq!(ran.exit, Exit::Refused);
    assert_eq!(ran.json()["error"]["code"], "refused");

    let ran = choir(&daemon, "get @1-2 --json").await;
    assert_eq!(ran.exit, Exit::Incomplete);
    let told = ran.json();
    assert_eq!(told["files"][0]["error"]["code"], "refused");
    assert_eq!(told["files"][1]["path"], "/music/Choir/Hyperballad.flac");
    assert!(told["left_out"].is_array() && told["seconds"].is_number());

    let ran = choir(&daemon, "get @3").await;
    assert_eq!((ran.exit, ran.data.as_str()), (Exit::Done, "/music/Choir/Isobel.flac  already here\n"));
    daemon.stop().await;
}

#[tokio::test]
async fn words_with_one_match_go_and_with_several_are_listed() {
    let daemon = FakeDaemon::start(songs()).await;
    let ran = choir(&daemon, "get isobel").await;
    assert_eq!((ran.exit, ran.data.contains("Isobel.flac")), (Exit::Done, true));

    let ran = choir(&daemon, "get björk").await;
    assert_eq!((ran.exit, ran.data.lines().count()), (Exit::NotFound, 4));
    let ran = choir(&daemon, "get björk --json").await;
    assert_eq!(ran.exit, Exit::NotFound);
    assert_eq!(
        (ran.json()["error"]["code"].clone(), ran.json()["results"].as_array().unwrap().len()),
        (json!("ambiguous"), 3)
    );
    let ran = choir(&daemon, "get björk --first").await;
    assert_eq!((ran.exit, ran.data.contains("Army of Me.flac")), (Exit::Done, true));

    for line in ["search abba", "get abba"] {
        assert_eq!(choir(&daemon, line).await.exit, Exit::NotFound, "{line}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn albums_and_folders_come_with_their_folders() {
    let daemon = FakeDaemon::start(songs()).await;
    let ran = choir(&daemon, "get --album post --json").await;
    assert_eq!((ran.exit, ran.json()["files"].as_array().unwrap().len()), (Exit::Done, 3));
    let ran = choir(&daemon, "get --folder bob Björk -o /out --json").await;
    assert_eq!((ran.exit, ran.json()["files"].as_array().unwrap().len()), (Exit::Done, 3));
    let asked = daemon.service.asked.lock().unwrap().join("\n");
    assert!(asked.contains(r#"download Isobel.flac to ["Björk", "Post"] in None"#), "{asked}");
    // What a stranger calls its folders is passed on as it is: the daemon makes it safe.
    assert!(asked.contains(r#"download Isobel.flac to ["..", "Post"] in Some("/out")"#), "{asked}");
    let bob = crate::api::fake::peer(2);
    assert!(asked.contains("browse \"Björk\" of bob\n"), "{asked}");
    assert!(asked.contains(&format!("browse \"Björk/../Post\" of {bob}\n")), "a name is asked for once: {asked}");
    daemon.stop().await;
}

#[tokio::test]
async fn whoever_is_meant_is_shown_by_name_and_whole_key() {
    let daemon = FakeDaemon::start(songs()).await;
    let bob = crate::api::fake::peer(2).to_string();
    for line in ["--index home ban bob", "unban bob", "whois bob", "browse bob", "get --folder bob Björk"] {
        let ran = choir(&daemon, line).await;
        let said = format!("{}{}", ran.data, ran.messages);
        assert!(ran.exit == Exit::Done && said.contains("bob") && said.contains(&bob), "{line}: {said}");
    }
    let asked = daemon.service.asked.lock().unwrap().join("\n");
    assert!(asked.contains(r#"ban bob in ["home"]"#) && asked.contains("unban bob in []"), "{asked}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_file_that_nobody_has_is_not_waited_for_for_ever() {
    let mut service = songs();
    service.endings.insert(row(1, "").file_id, (State::Waiting, Some(Why::NoSources)));
    let daemon = FakeDaemon::start(service).await;
    let ran = choir(&daemon, "get army --wait 0").await;
    assert_eq!(ran.exit, Exit::Unreachable);
    assert!(
        ran.messages.contains("nobody online has it") && ran.messages.contains("choir downloads"),
        "{}",
        ran.messages
    );
    daemon.stop().await;
}

/// A copy of a song under a hostile name.
fn hostile_copy() -> Alternate {
    let row = row(9, "\u{1b}[2J");
    Alternate {
        file_id: row.file_id,
        why: Likeness::SameAudio,
        size: row.size,
        sources: 2,
        differs: vec![Difference { what: "bitrate_kbps".to_owned(), wanted: None, offered: Some(Said::Number(320)) }],
        about: row.about(),
    }
}

#[tokio::test]
async fn what_is_offered_instead_is_shown_and_taken_by_its_id() {
    let mut service = songs();
    service.endings.insert(row(1, "").file_id, (State::Waiting, Some(Why::NoSources)));
    service.alternates = vec![hostile_copy()];
    let daemon = FakeDaemon::start(service).await;
    let ran = choir(&daemon, "get army --wait 0").await;
    assert!(ran.messages.contains("`choir downloads show 1` offers 1 other file instead"), "{}", ran.messages);

    let ran = choir(&daemon, "downloads show 1").await;
    assert_eq!(ran.exit, Exit::Done);
    for told in ["09090909  same audio, 2 sources online: \\u{1b}[2J", "bit rate 320 kbps, not unknown", "take 1 ID"] {
        assert!(ran.data.contains(told), "{told}: {}", ran.data);
    }
    let ran = choir(&daemon, "downloads show 1 --json").await;
    assert_eq!(ran.json()["alternates"][0]["why"], "same_audio");

    for (line, exit) in
        [("take 1 1", Exit::Usage), ("take 1 aaaaaaaa", Exit::NotFound), ("take 2 09090909", Exit::NotFound)]
    {
        assert_eq!(choir(&daemon, &format!("downloads {line}")).await.exit, exit, "{line}");
    }
    assert_eq!(choir(&daemon, "downloads take 1 09090909").await.exit, Exit::Done);
    let asked = daemon.service.asked.lock().unwrap().join("\n");
    assert_eq!(asked.matches("take 09090909 for 1").count(), 1, "{asked}");
    daemon.stop().await;
}

#[tokio::test]
async fn an_album_says_what_is_missing_and_only_that_is_asked_for_again() {
    let mut service = songs();
    service.endings.insert(row(2, "").file_id, (State::Failed, Some(Why::Refused)));
    let daemon = FakeDaemon::start(service).await;
    let ran = choir(&daemon, "get --album post --template {title}").await;
    assert_eq!(ran.exit, Exit::Incomplete);
    let told = "2 of 3 files here, 1 missing; `choir downloads retry 2` asks for them again";
    assert!(ran.messages.contains(told), "{}", ran.messages);

    let ran = choir(&daemon, "downloads --json").await;
    let group = &ran.json()["groups"][0];
    assert_eq!((&group["total"], &group["done"], &group["missing"][0]["id"]), (&json!(3), &json!(2), &json!(2)));
    assert_eq!(choir(&daemon, "downloads retry --group Björk~-~Post").await.exit, Exit::Done);
    assert_eq!(choir(&daemon, "downloads retry --group Homogenic").await.exit, Exit::NotFound);
    let asked = daemon.service.asked.lock().unwrap().join("\n");
    assert_eq!(asked.matches("retry").collect::<Vec<_>>().len(), 1, "{asked}");
    assert!(asked.contains("retry 2") && asked.contains("by {title} with Some(\"Isobel\")"), "{asked}");
    daemon.stop().await;
}

#[tokio::test]
async fn an_interrupted_get_says_that_the_daemon_goes_on() {
    let mut service = songs();
    service.endings.insert(row(1, "").file_id, (State::Downloading, None));
    let daemon = FakeDaemon::start(service).await;
    let interrupt = CancellationToken::new();
    let watcher = async {
        let mut events = daemon.client.download_events().await.unwrap();
        while !daemon.service.asked.lock().unwrap().iter().any(|asked| asked.starts_with("download")) {
            events.next().await.unwrap();
        }
        interrupt.cancel();
    };
    let (ran, ()) = tokio::join!(choir_until(&daemon, "get army", interrupt.clone()), watcher);
    assert_eq!(ran.exit, Exit::Interrupted);
    assert!(ran.messages.contains("continues in the background: `choir downloads`"), "{}", ran.messages);
    daemon.stop().await;
}

#[tokio::test]
async fn every_command_has_json_and_nothing_but_json() {
    let daemon = FakeDaemon::start(songs()).await;
    let table = [
        ("status", Exit::Done, "peer_id"),
        ("doctor", Exit::Failed, "findings"),
        ("index ls", Exit::Done, "indexes"),
        ("index default home", Exit::Done, "name"),
        ("leave home", Exit::Done, "url"),
        ("join choir:join/h:1 --name ann", Exit::Done, "my_name"),
        ("name", Exit::Done, "names"),
        ("name bob", Exit::Done, "names"),
        ("id", Exit::Done, "peer_id"),
        ("share ls", Exit::Done, "folders"),
        ("share add /music", Exit::Done, "left_out"),
        ("share add /music /more --wait", Exit::Done, "folders"),
        ("share rm music", Exit::Done, "folder"),
        ("share rescan --wait", Exit::Done, "folders"),
        ("downloads", Exit::Done, "downloads"),
        ("downloads pause 7", Exit::NotFound, "error"),
        ("downloads show 7", Exit::NotFound, "error"),
        ("downloads take 7 abababab", Exit::NotFound, "error"),
        ("downloads limit", Exit::Done, "limit"),
        ("downloads limit 2M", Exit::Done, "by_schedule"),
        ("downloads priority 7 high", Exit::NotFound, "error"),
        ("get @1 --template {", Exit::Usage, "error"),
        ("uploads", Exit::Done, "uploads"),
        ("uploads limit off", Exit::Done, "limit"),
        ("browse bob", Exit::Done, "folders"),
        ("whois bob", Exit::Done, "peer"),
        ("ban bob", Exit::Done, "banned"),
        ("unban bob", Exit::Done, "banned"),
        ("open --print", Exit::Done, "url"),
        ("daemon", Exit::Failed, "error"),
        ("config show", Exit::Done, "settings"),
        ("config path", Exit::Done, "path"),
        ("config check", Exit::Done, "ok"),
        ("version", Exit::Done, "version"),
        ("hash /nowhere", Exit::NotFound, "files"),
        ("search", Exit::Usage, "error"),
        ("search x --limit 9999", Exit::Usage, "error"),
        ("get @x", Exit::Usage, "error"),
        ("sing", Exit::Usage, "error"),
    ];
    for (line, exit, member) in table {
        let ran = choir(&daemon, &format!("{line} --json")).await;
        assert_eq!(ran.exit, exit, "{line}: {}", ran.data);
        assert!(ran.json().get(member).is_some(), "{line}: {}", ran.data);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn people_are_told_without_controls_and_without_colour_where_none_is_shown() {
    let hostile = row(1, "\u{1b}[2J\u{202e}x");
    let daemon = FakeDaemon::start(FakeService::with_rows(vec![hostile])).await;
    for line in [
        "search björk",
        "get @1",
        "join choir:join/h:1",
        "whois \u{1b}[31m",
        "ban \u{7}",
        "leave \u{9b}",
        "status",
        "doctor",
        "browse bob",
        "share ls",
        "uploads",
    ] {
        let ran = choir(&daemon, line).await;
        let said = format!("{}{}", ran.data, ran.messages);
        assert!(!said.is_empty(), "{line}");
        assert!(!said.replace('\n', "").chars().any(choir_shared::text::is_invisible), "{line}: {said:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_file_is_hashed_and_verified_without_a_daemon() {
    let daemon = FakeDaemon::start(FakeService::default()).await;
    let file = daemon.home.path().join("abc");
    std::fs::write(&file, "abc").unwrap();
    let path = file.to_str().unwrap();
    let id = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad-3";
    let ran = choir(&daemon, &format!("hash {path}")).await;
    assert_eq!((ran.exit, ran.data), (Exit::Done, format!("{id}  {path}\n")));
    let ran = choir(&daemon, &format!("hash {path} /nowhere")).await;
    assert_eq!(ran.exit, Exit::Incomplete);
    assert_eq!(choir(&daemon, &format!("verify {path} {id}")).await.exit, Exit::Done);
    std::fs::write(&file, "abd").unwrap();
    let ran = choir(&daemon, &format!("verify {path} {id} --json")).await;
    assert_eq!((ran.exit, ran.json()["error"]["code"].clone()), (Exit::Integrity, json!("integrity")));
    daemon.stop().await;
}
