//! What operators do, with the commands that they type.

use std::fs;

use harness::{TestIndex, TestPeer, eventually, fixtures};

#[test]
fn what_the_operator_blocks_is_found_no_more_and_its_holder_reads_why() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    sharer.add_music("Whalers - Moby.wav", &fixtures::noise("Moby", "Whalers", 100_000, 70));
    sharer.add_music("Whalers - Ishmael.wav", &fixtures::noise("Ishmael", "Whalers", 100_000, 71));
    let (sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    assert_eq!(guest.find(&["--artist", "whalers"]).len(), 2);

    let (code, said) = index.operate(&["block", "phrase", "whalers moby", "--reason", "the whale objects"]);
    assert_eq!((code, said.as_str()), (Some(0), "blocked phrase whalers moby: 1 more file is hidden\n"));
    let left = guest.find(&["--artist", "whalers"]);
    assert_eq!(left.iter().map(|row| row["title"].as_str()).collect::<Vec<_>>(), [Some("Ishmael")]);
    eventually("the holder reads why", || sharer_runs.process.errors().contains("the whale objects").then_some(()));
    assert_eq!(sharer.json(["status"]).json()["shared"]["files"], 2, "it stays the holder's");

    index.operate(&["unblock", "phrase", "whalers moby"]);
    eventually("it is found again", || (guest.search(&["--artist", "whalers"]).len() == 2).then_some(()));
    let (_, audit) = index.operate(&["audit"]);
    assert!(audit.contains("blocked phrase whalers moby: the whale objects"), "{audit}");
}

#[test]
fn a_backup_of_a_running_index_is_restored_with_its_members_and_its_key() {
    let mut index = TestIndex::start();
    let anna = TestPeer::new("anna", &index);
    assert_eq!(anna.run(["join", &index.join_link, "--name", "Anna"]).code, 0);
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("monday");
    let backup = backup.to_str().unwrap();
    let (code, said) = index.operate(&["backup", backup]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = index.operate(&["check"]);
    assert!(code == Some(0) && said.contains("the databases are well"), "{said}");
    assert_eq!(index.operate(&["migrate", "--check"]), (Some(0), "the databases are up to date\n".to_owned()));

    let (code, said) = index.operate(&["restore", backup]);
    assert!(code == Some(1) && said.contains("stop the index first"), "{said}");
    assert_eq!(index.operate(&["erase", "anna"]).0, Some(0));
    let (code, said) = index.operate(&["name", "anna"]);
    assert!(code == Some(1) && said.contains("no such member"), "{said}");
    index.process.kill();
    fs::write(index.data_dir().join("catalogue.db"), "scribble".repeat(2000)).unwrap();
    // Which would heal it, for it still has all pages.
    let _ = fs::remove_file(index.data_dir().join("catalogue.db-wal"));
    assert_eq!(index.operate(&["check"]).0, Some(1));
    let (code, said) = index.operate(&["check", "--repair"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = index.operate(&["restore", backup]);
    assert_eq!(code, Some(0), "{said}");
    index.restart();
    // She has pinned the key, and is a member.
    anna.json(["whois", "anna"]).expect_code(0);
    let (_, who) = index.operate(&["name", "anna"]);
    assert!(who.contains("Anna"), "{who}");
}
