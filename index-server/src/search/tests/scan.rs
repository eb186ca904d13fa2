//! The engine against the plainest program that does the same: look at every file.

use std::ops::Range;

use choir_shared::audio::AudioId;
use choir_shared::query::Document;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::search::file_set::FileSet;
use crate::search::sift::sift_where;

/// Few words, so that many files have the same, and none is another with a typing error.
const WORDS: [&str; 12] =
    ["a", "b", "ab", "abc", "björk", "宇多田", "ac/dc", "p!nk", "love", "lovely", "portishead", "x-1"];

fn text() -> impl Strategy<Value = String> {
    vec(proptest::sample::select(&WORDS[..]), 1..4).prop_map(|words| words.join(" "))
}

const BITRATES: Range<u32> = 96..330;
const SAMPLE_RATES: Range<u32> = 22_050..96_001;
const DURATIONS: Range<u64> = 60_000..600_000;
const SIZES: Range<u64> = 1_000_000..60_000_000;

fn audio() -> impl Strategy<Value = AudioId> {
    (0..3u8, 0..2u64).prop_map(|(song, offset)| AudioId {
        root: Digest::of(&[song]),
        offset,
        length: FileLength::new(500).unwrap(),
    })
}

fn claim() -> impl Strategy<Value = Claim> {
    let format = prop_oneof![Just("mp3"), Just("flac"), Just("ogg")];
    let numbers = (option::of(BITRATES), option::of(SAMPLE_RATES), option::of(DURATIONS));
    let about = (format, option::of(audio()), numbers);
    (text(), text(), option::of(text()), about).prop_map(|(artist, title, album, (format, audio, numbers))| Claim {
        album,
        audio,
        bitrate_kbps: numbers.0,
        sample_rate_hz: numbers.1,
        duration_ms: numbers.2,
        format: Format::new(format).unwrap(),
        ..song(&artist, &title)
    })
}

fn files(count: Range<usize>) -> impl Strategy<Value = Vec<IndexedFile>> {
    vec((claim(), SIZES, 1..2_000u32, 0..10u8), count).prop_map(|claims| {
        let numbered = claims.into_iter().zip(1..);
        let file = |((claim, size, holders, lot), no)| {
            let file = file(no, claim, if lot > 0 { holders } else { 0 });
            IndexedFile { id: FileId::new(file.id.root(), FileLength::new(size).unwrap()), ..file }
        };
        numbered.map(file).collect()
    })
}

/// Two times out of three with words, and mostly with few filters.
fn params() -> impl Strategy<Value = SearchParams> {
    let finished = prop_oneof![Just(" "), Just("")];
    let q = option::weighted(0.6, (text(), finished).prop_map(|(words, end)| words + end));
    let words = (q, option::weighted(0.1, text()), option::weighted(0.1, text()));
    let format = option::weighted(0.15, Just("mp3,ogg".to_owned()));
    let audio = option::weighted(0.1, audio().prop_map(|audio| audio.as_file().to_string()));
    let bitrate = (option::weighted(0.15, BITRATES), option::weighted(0.1, BITRATES));
    let duration = (option::weighted(0.15, DURATIONS), option::weighted(0.1, DURATIONS));
    let size = (option::weighted(0.15, SIZES), option::weighted(0.1, SIZES));
    let numbers = (bitrate, option::weighted(0.15, SAMPLE_RATES), duration, size);
    (words, format, audio, numbers).prop_map(|((q, title, artist), format, audio, numbers)| {
        let ((min_bitrate_kbps, max_bitrate_kbps), min_sample_rate_hz, duration, size) = numbers;
        SearchParams {
            q,
            title,
            artist,
            format,
            audio,
            min_bitrate_kbps,
            max_bitrate_kbps,
            min_sample_rate_hz,
            min_duration_ms: duration.0,
            max_duration_ms: duration.1,
            min_size: size.0,
            max_size: size.1,
            limit: Some(200),
            ..SearchParams::default()
        }
    })
}

/// The same without words.
fn filters_of(params: &SearchParams) -> SearchParams {
    SearchParams { q: None, title: None, artist: None, ..params.clone() }
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
        queries in vec((params(), option::weighted(0.1, vec(0..60u32, 40))), 40),
    ) {
        let catalogue = catalogue(&files, part);
        catalogue.online.remove(EVERYBODY, &offline.iter().copied().map(FileNo).collect::<Vec<_>>());
        for (params, held) in queries {
            let Ok(query) = params.clone().parse() else { continue };
            let scan = |query: &Query| -> Vec<u32> {
                let matches = |file: &&IndexedFile| {
                    let seen = Document { claim: &file.claim, file: file.id };
                    file.is_searchable()
                        && !offline.contains(&file.no.0)
                        && held.as_ref().is_none_or(|held| held.contains(&file.no.0))
                        && query.matches(&seen)
                };
                files.iter().filter(matches).map(|file| file.no.0).collect()
            };
            let expected = scan(&query);
            let held: Option<Vec<_>> = held.as_ref().map(|held| held.iter().copied().map(FileNo).collect());
            let found = catalogue.engine.search(&query, &catalogue.online, held.as_deref()).unwrap();
            let mut numbers = numbers(&found);
            numbers.sort_unstable();
            if query.terms().is_empty() || expected.len() as u64 >= ENOUGH {
                prop_assert_eq!(&numbers[..], &expected[..], "{:?}", params);
                prop_assert_eq!(found.total, expected.len() as u64);
            } else {
                // Few matches bring similar words in, lose nothing, and pass the same filters.
                prop_assert!(expected.iter().all(|no| numbers.contains(no)), "{:?}", params);
                if let Ok(filters) = filters_of(&params).parse() {
                    let admitted = scan(&filters);
                    prop_assert!(numbers.iter().all(|no| admitted.contains(no)), "{:?}", params);
                }
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
    let (mut skipped, mut skipped_late) = (0, 0);
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

        // Where few are let through, matches are not scored before they are.
        let held: FileSet = (1..=files.len() as u32).step_by(200).map(FileNo).collect();
        let rare = Filter::new(&query, &catalogue.online, Some(held.clone()));
        assert!(rare.admits_few(files.len() as u64) && !filter.admits_few(files.len() as u64));
        let rare = sift(&snapshot, &plan, &rare, 20, None).unwrap();
        let expected: Vec<_> =
            all.best.iter().map(|found| found.scored).filter(|found| held.contains(found.no.0)).collect();
        assert_eq!(
            (scored(&rare), rare.total),
            (expected.iter().copied().take(20).collect(), expected.len() as u64),
            "{q}"
        );

        // Until enough are counted; from there on it skips.
        let begun_slowly = sift_where(true, &snapshot, &plan, &filter, 20, None).unwrap();
        assert_eq!((scored(&begun_slowly), begun_slowly.total), (scored(&few), few.total), "{q}");
        assert!(begun_slowly.visited <= all.visited);
        skipped_late += all.visited - begun_slowly.visited;

        // Behind the twentieth comes the twenty-first.
        let rest = sift(&snapshot, &plan, &filter, 20, few.best.last().map(|found| found.scored)).unwrap();
        let next: Vec<_> = all.best.iter().skip(20).take(20).map(|found| found.scored).collect();
        assert_eq!(scored(&rest), next, "{q}");
    }
    assert!(skipped > 1_000 && skipped_late > 1_000, "{skipped} {skipped_late}");
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
