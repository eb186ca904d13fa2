//! An index whose database is PostgreSQL.

use std::fs;

use harness::postgres::Postgres;
use harness::{TestIndex, TestPeer, eventually, fixtures};

#[test]
fn an_index_on_postgres_finds_what_was_published_also_after_it_was_killed() {
    let server = Postgres::start();
    let database = server.database();
    let mut index = TestIndex::with(&["--database", &database.url()]);
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Ash", "Phoenix", 400_000, 80);
    sharer.add_music("Phoenix - Ash.wav", &song);
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    assert_eq!(guest.find(&["--artist", "phoenix"]).len(), 1);
    let files = fs::read_dir(index.data_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let files: Vec<_> = files.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(!files.iter().any(|name| name.ends_with(".db")), "{files:?}");

    index.restart();
    eventually("the sharer is back", || (guest.search(&["--artist", "phoenix"]).len() == 1).then_some(()));
    guest.get("@1").expect_code(0);
    assert_eq!(fs::read(&harness::peer::files_below(&guest.downloads())[0]).unwrap(), song);
}

#[test]
fn an_index_outlives_its_database_and_says_so_meanwhile() {
    let server = Postgres::start();
    let database = server.database();
    let index = TestIndex::with(&["--database", &database.url()]);
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    sharer.add_music("Lazarus - First.wav", &fixtures::noise("First", "Lazarus", 300_000, 81));
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    assert_eq!(guest.find(&["--artist", "lazarus"]).len(), 1);
    eventually("it is ready", || (index.probe("/readyz").0 == 200).then_some(()));

    server.stop();
    let (status, body) = index.probe("/readyz");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains(r#""code":"unavailable""#), "{body}");
    assert_eq!(index.probe("/healthz").0, 200);
    guest.json(["search", "--artist", "lazarus"]).expect_code(5);
    sharer.add_music("Lazarus - Second.wav", &fixtures::noise("Second", "Lazarus", 300_000, 82));
    assert_eq!(sharer.run(["share", "rescan"]).code, 0);

    server.resume();
    eventually("it is ready again", || (index.probe("/readyz").0 == 200).then_some(()));
    eventually("what came meanwhile is published", || {
        (guest.search(&["--artist", "lazarus"]).len() == 2).then_some(())
    });
    guest.get("@1").expect_code(0);
    assert!(!index.process.errors().contains("user=postgres"), "{}", index.process.errors());
}

#[test]
fn an_operator_checks_and_brings_up_to_date_what_is_on_a_server_and_is_told_how_to_copy_it() {
    let server = Postgres::start();
    let database = server.database();
    let url = database.url();
    let mut index = TestIndex::with(&["--database", &url]);
    let peer = TestPeer::new("anna", &index);
    assert_eq!(peer.run(["join", &index.join_link, "--name", "Anna"]).code, 0);
    let operate = |command: &[&str]| index.operate(&[command, &["--database", &url]].concat());
    let (code, said) = operate(&["check"]);
    assert!(code == Some(0) && said.contains("the databases are well"), "{said}");
    assert_eq!(operate(&["migrate", "--check"]), (Some(0), "the databases are up to date\n".to_owned()));
    for command in [&["backup", "somewhere"][..], &["restore", "somewhere"]] {
        let (code, said) = operate(command);
        assert_eq!(code, Some(1));
        assert!(said.contains("pg_dump") && said.contains("index.key"), "{said}");
    }
    assert!(index.process.interrupt().success());
    let secret = url.replace("user=postgres", "user=postgres&password=s3cret&pasword=s3cret");
    let (code, said) = index.operate(&["check", "--database", &secret]);
    assert_eq!(code, Some(1));
    assert!(said.contains("pasword") && !said.contains("s3cret"), "{said}");
    drop(database);
    let (code, said) = index.operate(&["check", "--database", &url.replace("user=", "password=s3cret&user=")]);
    assert_eq!(code, Some(1));
    assert!(said.contains("does not exist") && !said.contains("s3cret"), "{said}");
}
