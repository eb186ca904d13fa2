//! What becomes of the index over time.

use std::fs;

use super::schema::SCHEMA_VERSION;
use super::*;

#[test]
fn only_what_somebody_online_holds_is_shown() {
    let catalogue = Catalogue::with([song("a", "one"), song("a", "two")]);
    catalogue.online.remove(EVERYBODY, &[FileNo(1)]);
    assert_eq!(catalogue.find("a "), [2]);
    let everything = SearchParams { offline: Some(true), ..words("a ") };
    assert_eq!(numbers(&catalogue.search(everything)), [2, 1]);
    catalogue.online.arrive(MemberNo(5), &[FileNo(1)]);
    assert_eq!(catalogue.find("a "), [1, 2]);
}

#[test]
fn what_is_taken_down_vanishes() {
    let mut catalogue = Catalogue::with([song("a", "one"), song("a", "two")]);
    let gone = IndexedFile { holders: 0, ..catalogue.files[0].clone() };
    catalogue.apply(std::slice::from_ref(&gone));
    assert_eq!(catalogue.find("a "), [2]);
    catalogue.apply(&[IndexedFile { holders: 2, ..gone }]);
    assert_eq!(catalogue.find("a "), [1, 2]);
}

#[test]
fn covers_are_not_found() {
    let cover = Claim { kind: choir_shared::claim::Kind::Cover, ..song("a", "one") };
    assert!(Catalogue::with([cover]).find("a ").is_empty());
}

#[test]
fn a_changed_file_is_found_by_its_new_words_only() {
    let mut catalogue = Catalogue::with([song("a", "one"), song("b", "two")]);
    // Several changes of one file within a commit, and across commits.
    catalogue.apply(&[file(1, song("a", "uno"), 3), file(1, song("a", "eins"), 900), file(1, song("a", "un"), 2)]);
    assert_eq!((catalogue.find("one"), catalogue.find("uno"), catalogue.find("eins")), (vec![], vec![], vec![]));
    assert_eq!(catalogue.find("a un"), [1]);
    assert_eq!(catalogue.engine.file_count(), 2);
}

#[test]
fn a_snapshot_shows_only_what_is_committed() {
    let mut catalogue = Catalogue::with([song("a", "one")]);
    catalogue.indexer.apply(&[file(2, song("a", "two"), 1)]).unwrap();
    catalogue.online.add(EVERYBODY, &[FileNo(2)]);
    assert_eq!(catalogue.find("a "), [1]);
    catalogue.indexer.commit(2).unwrap();
    assert_eq!(catalogue.find("a "), [1, 2]);
}

#[test]
fn after_a_restart_it_knows_what_it_has_seen() {
    let Catalogue { folder, mut indexer, online, .. } = Catalogue::with([song("a", "one"), song("a", "two")]);
    indexer.apply(&[file(9, song("a", "lost"), 1)]).unwrap();
    drop(indexer);

    let (mut indexer, engine) = SearchEngine::open(folder.path()).unwrap();
    assert_eq!(indexer.last_revision(), 2);
    let search = |q| numbers(&engine.search(&words(q).parse().unwrap(), &online, None).unwrap());
    assert_eq!(search("a "), [1, 2]);
    // What is replayed replaces what was there.
    indexer.apply(&[file(2, song("a", "deux"), 1)]).unwrap();
    indexer.commit(3).unwrap();
    assert_eq!((search("two"), search("deux"), search("a ")), (vec![], vec![2], vec![1, 2]));
}

#[test]
fn what_cannot_be_read_is_built_anew() {
    let spoil: [fn(&Path); 4] = [
        |folder| fs::write(folder.join("files/meta.json"), b"{").unwrap(),
        |folder| fs::remove_file(folder.join("files/meta.json")).unwrap(),
        |folder| {
            let meta = fs::read_to_string(folder.join("files/meta.json")).unwrap();
            let version = |version: u32| format!("\\\"schema_version\\\":{version},");
            let other = meta.replace(&version(SCHEMA_VERSION), &version(0));
            assert_ne!(meta, other);
            fs::write(folder.join("files/meta.json"), other).unwrap();
        },
        |folder| {
            for entry in fs::read_dir(folder.join("files")).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "term" || extension == "idx") {
                    fs::write(path, b"").unwrap();
                }
            }
        },
    ];
    for (case, spoil) in spoil.into_iter().enumerate() {
        let Catalogue { folder, indexer, engine, .. } = Catalogue::with([song("a", "one")]);
        fs::write(folder.path().join("bystander"), b"").unwrap();
        drop((indexer, engine));
        spoil(folder.path());
        let (indexer, engine) = SearchEngine::open(folder.path()).unwrap();
        assert_eq!((indexer.last_revision(), engine.file_count()), (0, 0), "case {case}");
        assert!(folder.path().join("bystander").exists());
    }
}

#[test]
fn an_index_is_inspected_without_being_written() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(SearchEngine::inspect(folder.path()).unwrap(), 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    drop(SearchEngine::open(folder.path()).unwrap());
    assert_eq!(SearchEngine::inspect(folder.path()).unwrap(), 0, "nothing was committed");

    let Catalogue { folder, indexer, engine, .. } = Catalogue::with([song("a", "one"), song("a", "two")]);
    drop((indexer, engine));
    assert_eq!(SearchEngine::inspect(folder.path()).unwrap(), 2);
    fs::remove_file(folder.path().join("files/meta.json")).unwrap();
    assert!(SearchEngine::inspect(folder.path()).is_err());
}

#[test]
fn a_second_writer_is_turned_away_and_does_no_harm() {
    let mut catalogue = Catalogue::empty();
    assert!(matches!(SearchEngine::open(catalogue.folder.path()), Err(IndexerError::InUse)));
    catalogue.apply(&[file(1, song("a", "one"), 1)]);
    assert_eq!(catalogue.find("a "), [1]);
}
