//! The engine against the plainest program that does the same: look at every file.

use choir_shared::query::Document;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Few words, so that many files have the same, and none is another with a typing error.
const WORDS: [&str; 12] =
    ["a", "b", "ab", "abc", "björk", "宇多田", "ac/dc", "p!nk", "love", "lovely", "portishead", "x-1"];

fn text() -> impl Strategy<Value = String> {
    vec(proptest::sample::select(&WORDS[..]), 1..4).prop_map(|words| words.join(" "))
}

fn claim() -> impl Strategy<Value = Claim> {
    let bitrate = proptest::option::of(prop_oneof![Just(128u32), Just(192), Just(320)]);
    let format = prop_oneof![Just("mp3"), Just("flac"), Just("ogg")];
    (text(), text(), proptest::option::of(text()), bitrate, format).prop_map(
        |(artist, title, album, bitrate_kbps, format)| Claim {
            album,
            bitrate_kbps,
            format: Format::new(format).unwrap(),
            ..song(&artist, &title)
        },
    )
}

fn files(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<IndexedFile>> {
    vec((claim(), 1..2_000u32, 0..10u8), count).prop_map(|claims| {
        let numbered = claims.into_iter().zip(1..);
        numbered.map(|((claim, holders, lot), no)| file(no, claim, if lot > 0 { holders } else { 0 })).collect()
    })
}

fn params() -> impl Strategy<Value = SearchParams> {
    let finished = prop_oneof![Just(" "), Just("")];
    let some = || proptest::option::weighted(0.2, text());
    let bitrate = proptest::option::weighted(0.2, prop_oneof![Just(128u32), Just(200), Just(320)]);
    let format = proptest::option::weighted(0.2, Just("mp3,ogg".to_owned()));
    (some(), finished, some(), text(), bitrate, format).prop_map(|(title, end, artist, q, min_bitrate_kbps, format)| {
        SearchParams {
            title,
            artist,
            q: Some(q + end),
            min_bitrate_kbps,
            format,
            limit: Some(200),
            ..SearchParams::default()
        }
    })
}

/// Commits in some parts, with some files changed on the way.
fn catalogue(files: &[IndexedFile], part: usize) -> Catalogue {
    let mut catalogue = Catalogue::empty();
    for files in files.chunks(part) {
        let other = IndexedFile { claim: song("portishead", "love"), holders: 3, ..files[0].clone() };
        catalogue.indexer.apply(&[other]).unwrap();
        catalogue.apply(files);
    }
    catalogue
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_finds_what_a_full_scan_finds(
        files in files(1..60),
        part in 5..60usize,
        offline in vec(0..60u32, 0..20),
        queries in vec(params(), 20),
    ) {
        let catalogue = catalogue(&files, part);
        catalogue.online.remove(EVERYBODY, &offline.iter().copied().map(FileNo).collect::<Vec<_>>());
        for params in queries {
            let Ok(query) = params.parse() else { continue };
            let matches = |file: &&IndexedFile| {
                let seen = Document { claim: &file.claim, file: file.id };
                file.is_searchable() && !offline.contains(&file.no.0) && query.matches(&seen)
            };
            let expected: Vec<u32> = files.iter().filter(matches).map(|file| file.no.0).collect();
            let found = catalogue.engine.search(&query, &catalogue.online, None).unwrap();
            let mut numbers = numbers(&found);
            numbers.sort_unstable();
            if expected.len() as u64 >= ENOUGH {
                prop_assert_eq!(&numbers[..], &expected[..], "{:?}", query.terms());
                prop_assert_eq!(found.total, expected.len() as u64);
            } else {
                // Few matches bring similar words in, and lose nothing.
                prop_assert!(expected.iter().all(|no| numbers.contains(no)), "{:?}", query.terms());
            }
        }
    }
}

/// The best are the same whether everything is scored or not. There are more files than are counted, so that the
/// engine skips.
#[test]
fn skipping_loses_none_of_the_best() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let files = files(6_000..6_001).new_tree(&mut runner).unwrap().current();
    let catalogue = catalogue(&files, 2_500);
    let snapshot = Arc::clone(&catalogue.engine.shelf.read().unwrap());
    let mut skipped = 0;
    for q in [
        "love ",
        "love",
        "a b ",
        "ab",
        "björk love ",
        "p!nk",
        "a love",
        "portishead a ",
        "lovel",
        "portis",
        "abc portis",
    ] {
        let query = words(q).parse().unwrap();
        let filter = Filter::new(&query, &catalogue.online, None);
        let plan = Plan::new(&query, &snapshot).unwrap();
        let few = sift(&snapshot, &plan, &filter, 20, None).unwrap();
        let all = sift(&snapshot, &plan, &filter, files.len(), None).unwrap();
        let scored = |found: &Sifted| found.best.iter().take(20).map(|found| found.scored).collect::<Vec<_>>();
        assert_eq!(scored(&few), scored(&all), "{q}");
        assert!(few.visited <= all.visited);
        skipped += all.visited - few.visited;

        // Behind the twentieth comes the twenty-first.
        let rest = sift(&snapshot, &plan, &filter, 20, few.best.last().map(|found| found.scored)).unwrap();
        let next: Vec<_> = all.best.iter().skip(20).take(20).map(|found| found.scored).collect();
        assert_eq!(scored(&rest), next, "{q}");
    }
    assert!(skipped > 1_000, "{skipped}");
}

#[test]
fn popular_files_come_first_in_every_segment() {
    let files: Vec<_> = (1..=900).map(|no| file(no, song("a", "b"), no * 37 % 101 + 1)).collect();
    // Enough commits for a merge.
    let catalogue = catalogue(&files, 90);
    let snapshot = Arc::clone(&catalogue.engine.shelf.read().unwrap());
    for (segment, reader) in snapshot.segments() {
        assert!((0..reader.max_doc()).map(|document| segment.popularity(document)).is_sorted_by(|a, b| a >= b));
    }
}

#[test]
fn browsing_loses_none_of_the_best() {
    let catalogue = {
        let holders = |no: u32| no.wrapping_mul(2_654_435_761) >> 20 | 1;
        let files: Vec<_> = (1..=5_000).map(|no| file(no, song("a", "b"), holders(no))).collect();
        catalogue(&files, 2_000)
    };
    let snapshot = Arc::clone(&catalogue.engine.shelf.read().unwrap());
    let query = SearchParams { format: Some("flac".to_owned()), ..SearchParams::default() }.parse().unwrap();
    let filter = Filter::new(&query, &catalogue.online, None);
    let plan = Plan::new(&query, &snapshot).unwrap();
    let few = sift(&snapshot, &plan, &filter, 50, None).unwrap();
    let all = sift(&snapshot, &plan, &filter, 5_000, None).unwrap();
    assert_eq!(few.best, all.best[..50]);
    assert!(few.visited < all.visited && all.total == COUNTED + 1);
}
