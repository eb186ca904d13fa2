//! The search engine among a hundred thousand files, beside a scan of every match. What takes how long is for the
//! bench to say; here is counted what is found and how much is looked at.

use choir_index::online::Online;
use choir_index::search::SearchEngine;
use choir_index::store::{FileNo, IndexedFile, MemberNo};
use choir_shared::query::MAX_LIMIT;
use harness::load::Chance;
use harness::load::corpus::Corpus;
use harness::load::plain::Plain;
use harness::load::queries::{Kind, mix};

const SONGS: u32 = 100_000;

/// A total is exact to a thousand, and three in ten are online: so more than three thousand are looked at in any case,
/// however many there are. The bench tells of a million files.
const FREQUENT: u64 = 20_000;

#[test]
fn the_best_are_found_without_looking_at_everything() {
    let (corpus, folder) = (Corpus::new(SONGS), tempfile::tempdir().unwrap());
    let (mut indexer, engine) = SearchEngine::open(folder.path()).unwrap();
    for first in (1..=SONGS).step_by(25_000) {
        let files: Vec<IndexedFile> = (first..first + 25_000).map(|no| file(&corpus, no)).collect();
        indexer.apply(&files).unwrap();
        indexer.commit(u64::from(first)).unwrap();
    }
    let plain = Plain::open(folder.path()).unwrap();
    let online = Online::new();
    let held: Vec<FileNo> = (1..=SONGS).filter(|no| Chance::new(1, (*no).into()).percent(30)).map(FileNo).collect();
    online.arrive(MemberNo(1), &held);

    let (mut long, mut visited, mut matches) = (Vec::new(), 0, 0);
    let (mut visited_of_frequent, mut frequent) = (0, 0);
    for search in mix(&corpus, 600, 3) {
        let mut scan = plain.scan(&search.query, &online).unwrap();
        let mut query = search.query.clone();
        query.limit = MAX_LIMIT;
        let found = engine.search(&query, &online, None).unwrap();
        // With fewer the engine also looks for what may have been meant.
        if scan.online() < 5 {
            continue;
        }
        let recall = scan.recall(&found.hits, 20).unwrap();
        match search.kind {
            Kind::LongBeginning => long.push(recall),
            _ => assert_eq!(recall, 1.0, "{:?}", search.params),
        }
        (visited, matches) = (visited + found.visited, matches + scan.matches);
        if scan.matches >= FREQUENT {
            (visited_of_frequent, frequent) = (visited_of_frequent + found.visited, frequent + scan.matches);
        }
    }
    let recall = long.iter().sum::<f64>() / long.len() as f64;
    assert!(long.len() >= 10 && recall >= 0.98, "{recall} of {}", long.len());
    let share = visited as f64 / matches as f64;
    assert!(share <= 0.5, "{visited} of {matches} looked at: {share}");
    let share = visited_of_frequent as f64 / frequent as f64;
    assert!(share <= 0.2, "of frequent words {visited_of_frequent} of {frequent} looked at: {share}");
}

fn file(corpus: &Corpus, no: u32) -> IndexedFile {
    let rank = corpus.arrival(no - 1);
    IndexedFile {
        no: FileNo(no),
        id: corpus.file(rank),
        revision: no.into(),
        claim: corpus.claim(rank),
        holders: corpus.holders(rank),
        blocked: false,
    }
}
