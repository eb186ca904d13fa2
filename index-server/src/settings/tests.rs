use std::path::Path;

use clap::Parser as _;

use super::file::FileSettings;
use super::flags::Cli;
use super::*;

fn resolve(arguments: &[&str], file: &str) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    let path = path.display().to_string();
    let arguments = [&["choir-index", "--data-dir", "/srv/choir", "--config", &path], arguments].concat();
    match Cli::try_parse_from(arguments).unwrap().resolve()? {
        Command::Run(settings) => Ok(*settings),
        Command::Ask { .. } | Command::Maintain { .. } => panic!("not a command to run"),
    }
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_defaults() {
    let file = "name = 'file'\nlisten = ['127.0.0.1:1']\n[limits]\nsearches_per_minute = 7\n";
    let settings = resolve(&["--name", "flag"], file).unwrap();
    assert_eq!(settings.description.name, "flag");
    assert_eq!(settings.listen, ["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(settings.port_choice, PortChoice::Operator);
    assert_eq!(settings.limits.searches_per_minute.get(), 7);
    assert_eq!(settings.limits.changes_at_once, LimitSettings::default().changes_at_once);
}

#[test]
fn run_may_be_said_or_left_out() {
    for arguments in
        [&["run", "--listen", "127.0.0.1:0"][..], &["--listen", "127.0.0.1:0"], &["--listen", "127.0.0.1:0", "run"]]
    {
        assert_eq!(resolve(arguments, "").unwrap().listen, ["127.0.0.1:0".parse().unwrap()], "{arguments:?}");
    }
}

#[test]
fn without_a_word_the_index_is_open_and_on_loopback_only() {
    let settings = resolve(&[], "").unwrap();
    assert_eq!(settings.listen, ["127.0.0.1:8888".parse().unwrap()]);
    assert_eq!((settings.access, settings.port_choice), (Access::Open, PortChoice::Default));
    assert_eq!(settings.data_dir, Path::new("/srv/choir"));
}

#[test]
fn beyond_loopback_one_needs_an_invite_unless_the_operator_says_otherwise() {
    assert_eq!(resolve(&["--listen", "0.0.0.0:0"], "").unwrap().access, Access::Invite);
    assert_eq!(resolve(&["--listen", "127.0.0.1:0,[::]:0"], "").unwrap().access, Access::Invite);
    assert_eq!(resolve(&["--listen", "0.0.0.0:0", "--access", "closed"], "").unwrap().access, Access::Closed);
    assert_eq!(resolve(&["--listen", "0.0.0.0:0"], "access = 'open'").unwrap().access, Access::Open);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let error = resolve(&[], "name = 'x'\n\n[limits]\nserches_per_minute = 7\n").unwrap_err().to_string();
    assert!(error.contains("line 4") && error.contains("serches_per_minute"), "{error}");
    let error = resolve(&[], "access = 'opne'").unwrap_err().to_string();
    assert!(error.contains("opne"), "{error}");
    let error = FileSettings::parse("lissten = []", Path::new("f")).unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("lissten"), "{error}");
}

#[test]
fn a_limit_of_zero_and_half_a_certificate_are_refused() {
    assert!(resolve(&[], "[limits]\nsearches_per_minute = 0\n").is_err());
    assert!(matches!(resolve(&["--tls-key", "k.pem"], ""), Err(SettingsError::HalfACertificate)));
    assert!(matches!(resolve(&["--database", "sqlite:///elsewhere"], ""), Err(SettingsError::DatabaseElsewhere)));
}

#[test]
fn a_database_on_a_server_is_named_by_flag_or_file_and_its_password_is_nobodys() {
    let url = "postgres://anna:s3cret@db/choir";
    for settings in [resolve(&["--database", url], ""), resolve(&[], &format!("database = '{url}'"))] {
        let settings = settings.unwrap();
        let Location::Postgres(database) = &settings.database else { panic!("{:?}", settings.database) };
        assert_eq!(database.to_string(), "postgres://db:5432/choir");
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
    assert!(matches!(resolve(&["--database", "sqlite:"], "").unwrap().database, Location::Folder(_)));
    for (arguments, file) in [
        (&["--database", "mysql://anna:s3cret@db/choir"][..], String::new()),
        (&[], format!("database = '{url}?pasword=s3cret'")),
        (&[], format!("name = 'x'\ndatabase = '{url}\n")),
        (&[], format!("database = {url}")),
    ] {
        let error = resolve(arguments, &file).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("database") && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn help_shows_no_password_out_of_the_environment() {
    use clap::CommandFactory as _;
    let command = Cli::command();
    let database = command.get_arguments().find(|argument| argument.get_id() == "database").unwrap();
    assert!(database.is_hide_env_values_set());
}

#[test]
fn every_flag_has_a_name_in_the_environment() {
    use clap::CommandFactory as _;
    let command = Cli::command();
    for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
        let long = argument.get_long().unwrap();
        if !matches!(long, "help" | "version") {
            let variable = argument.get_env().unwrap_or_else(|| panic!("--{long} has none"));
            assert_eq!(variable.to_str().unwrap(), format!("CHOIR_INDEX_{}", long.to_uppercase().replace('-', "_")));
        }
    }
}

#[test]
fn the_packaged_file_has_every_limit_with_its_default_and_its_reason() {
    let text = include_str!("../../../packaging/choir-index.toml");
    let settings = resolve(&[], text).unwrap();
    let defaults = Settings::new("/srv/choir");
    assert_eq!((&settings.limits, &settings.log), (&defaults.limits, &defaults.log));
    assert_eq!((&settings.listen, &settings.description), (&defaults.listen, &defaults.description));
    let serde_json::Value::Object(limits) = serde_json::to_value(&defaults.limits).unwrap() else { panic!() };
    for (name, value) in limits {
        let (before, _) =
            text.split_once(&format!("\n{name} = ")).unwrap_or_else(|| panic!("{name} = {value} is there"));
        assert!(before.lines().last().unwrap().starts_with("# "), "{name} has a reason");
    }
}

#[test]
fn what_the_packaged_file_leaves_to_the_operator_is_known() {
    let text = include_str!("../../../packaging/choir-index.toml");
    let uncommented = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting) if setting.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')) => setting,
        _ => line,
    });
    let settings = resolve(&[], &uncommented.collect::<Vec<_>>().join("\n")).unwrap();
    assert!(settings.log.file.is_some() && settings.metrics.is_some() && settings.rendezvous.is_some());
}

#[test]
fn a_replica_needs_a_url_that_is_one_and_a_database_on_a_server() {
    let server = ["--database", "postgres:///choir", "--replica-url"];
    let with = |url| resolve(&[&server[..], &[url]].concat(), "");
    assert_eq!(with("https://a.example:8888/").unwrap().replica_url.as_deref(), Some("https://a.example:8888"));
    assert_eq!(resolve(&server[..2], "").unwrap().replica_url, None);
    assert!(matches!(with("a.example:8888"), Err(SettingsError::ReplicaUrl(_))));
    assert!(matches!(with("https://a.example/choir"), Err(SettingsError::ReplicaUrl(_))));
    assert!(matches!(resolve(&["--replica-url", "https://a"], ""), Err(SettingsError::ReplicaOfFiles)));
}
