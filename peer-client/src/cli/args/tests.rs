//! From lines to commands.

use clap::CommandFactory as _;

use super::*;
use crate::cli::units::Length;

fn parsed(line: &str) -> Result<Arguments, clap::error::ErrorKind> {
    let words = std::iter::once("choir").chain(line.split_whitespace());
    Arguments::try_parse_from(words).map_err(|error| error.kind())
}

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn lines_become_commands() {
    let command = |line: &str| parsed(line).map(|arguments| arguments.command);
    let get = |targets: &[&str]| Get {
        targets: targets.iter().map(|&text| text.to_owned()).collect(),
        album: None,
        folder: None,
        out: None,
        template: None,
        first: false,
        priority: Priority::Normal,
        wait: 30,
    };
    let table = [
        ("status", Command::Status),
        (
            "join choir:join/h:1 --name ann",
            Command::Join(Join { link: "choir:join/h:1".into(), name: Some("ann".into()) }),
        ),
        ("index default home", Command::Index(Index::Default { index: "home".into() })),
        ("name", Command::Name { new: None }),
        ("id export k", Command::Id { action: Some(Id::Export { file: "k".into() }) }),
        ("daemon --listen [::]:0", Command::Daemon(Daemon { listen: "[::]:0".parse().ok(), api: None })),
        ("get @1", Command::Get(get(&["@1"]))),
        ("get some words --first", Command::Get(Get { first: true, ..get(&["some", "words"]) })),
        (
            "get --album post -o out",
            Command::Get(Get { album: Some("post".into()), out: Some("out".into()), ..get(&[]) }),
        ),
        ("get --folder bob A/B", Command::Get(Get { folder: Some(vec!["bob".into(), "A/B".into()]), ..get(&[]) })),
        ("downloads", Command::Downloads { action: None }),
        (
            "get @1 --template {artist}/{title}",
            Command::Get(Get { template: "{artist}/{title}".parse().ok(), ..get(&["@1"]) }),
        ),
        (
            "downloads pause 3",
            Command::Downloads { action: Some(Downloads::Pause(Which { ids: vec![3], group: None })) },
        ),
        (
            "downloads retry --group post",
            Command::Downloads { action: Some(Downloads::Retry(Which { ids: vec![], group: Some("post".into()) })) },
        ),
        ("get @1 --priority high", Command::Get(Get { priority: Priority::High, ..get(&["@1"]) })),
        (
            "downloads priority 3 4 low",
            Command::Downloads { action: Some(Downloads::Priority { ids: vec![3, 4], priority: Priority::Low }) },
        ),
        ("downloads limit", Command::Downloads { action: Some(Downloads::Limit { rate: None }) }),
        ("downloads limit off", Command::Downloads { action: Some(Downloads::Limit { rate: Some(Rate::Unlimited) }) }),
        ("downloads take 3 ab", Command::Downloads { action: Some(Downloads::Take { id: 3, file: "ab".into() }) }),
        ("browse bob", Command::Browse { peer: "bob".into(), path: String::new() }),
        ("open --print", Command::Open { print: true }),
        ("share rm d", Command::Share(Share::Rm { folder: "d".into() })),
        (
            "share add d e --to friends --as songs --wait",
            Command::Share(Share::Add {
                folders: vec!["d".into(), "e".into()],
                to: Some("friends".into()),
                alias: Some("songs".into()),
                wait: true,
            }),
        ),
        (
            "search a b --artist c --format flac,mp3 --min-bitrate 320 --max-length 3:00 --limit 5",
            Command::Search(Search {
                words: vec!["a".into(), "b".into()],
                artist: Some("c".into()),
                format: Some("flac,mp3".into()),
                min_bitrate: Some(320),
                max_length: Some(Length(180_000)),
                limit: Some(5),
                ..Search::default()
            }),
        ),
    ];
    for (line, expected) in table {
        assert_eq!(command(line), Ok(expected), "{line}");
    }
}

#[test]
fn what_everybody_takes_may_stand_before_and_after_the_command() {
    for line in ["--home h --index a --index b --json -q status", "status --home h --index a --index b --json -q"] {
        let global = parsed(line).unwrap().global;
        assert_eq!(global.home.as_deref(), Some(std::path::Path::new("h")));
        assert_eq!(global.indexes, ["a", "b"]);
        assert!(global.json && global.quiet && global.verbose == 0);
    }
    assert_eq!(parsed("-vv status").unwrap().global.verbose, 2);
}

#[test]
fn nonsense_is_refused() {
    use clap::error::ErrorKind as K;
    let table = [
        ("", K::DisplayHelpOnMissingArgumentOrSubcommand),
        ("sing", K::InvalidSubcommand),
        ("get", K::MissingRequiredArgument),
        ("get words --album a", K::ArgumentConflict),
        ("get --folder bob", K::WrongNumberOfValues),
        ("downloads pause", K::MissingRequiredArgument),
        ("downloads pause x", K::ValueValidation),
        ("uploads limit fast", K::ValueValidation),
        ("downloads limit auto", K::ValueValidation),
        ("downloads priority 3 4", K::ValueValidation),
        ("get words --priority top", K::ValueValidation),
        ("verify f 123", K::ValueValidation),
        ("search --min-size big", K::ValueValidation),
        ("status -q -v", K::ArgumentConflict),
    ];
    for (line, kind) in table {
        assert_eq!(parsed(line).map(|_| ()), Err(kind), "{line}");
    }
}
