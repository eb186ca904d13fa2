//! How results are cut into pages, ordered, filtered, grouped and counted.

use choir_shared::audio::AudioId;
use choir_shared::index_api::search::FacetCount;

use super::*;

/// All pages of a search, one after another.
fn all_pages(catalogue: &Catalogue, params: &SearchParams) -> Vec<u32> {
    let mut all = Vec::new();
    let mut params = params.clone();
    loop {
        let found = catalogue.search(params.clone());
        all.extend(numbers(&found));
        let Some(next) = found.next else { return all };
        params.cursor = Some(next);
    }
}

/// More songs than are ranked, counted or sorted at once, in two segments.
fn many() -> Catalogue {
    let mut catalogue = Catalogue::empty();
    let of = |no: u32| {
        let claim = Claim {
            bitrate_kbps: (!no.is_multiple_of(3)).then_some(no % 320 + 1),
            ..song("Everyone", &format!("Song {}", no % 7))
        };
        file(no, claim, no * 7 % 40 + 1)
    };
    catalogue.apply(&(1..=700).map(of).collect::<Vec<_>>());
    catalogue.apply(&(701..=1_300).map(of).collect::<Vec<_>>());
    catalogue
}

#[test]
fn paging_shows_every_match_once() {
    let catalogue = many();
    for limit in [1, 7, 150, 200] {
        let q = SearchParams { limit: Some(limit), ..words(if limit == 1 { "song 3 " } else { "song" }) };
        let mut all = all_pages(&catalogue, &q);
        all.sort_unstable();
        let expected: Vec<u32> = (1..=1_300).filter(|no| limit > 1 || no % 7 == 3).collect();
        assert_eq!(all, expected, "{limit}");
    }
}

#[test]
fn pages_of_any_length_are_the_same_list() {
    let catalogue = many();
    for sort in ["relevance", "size", "bitrate", "title", "sources"] {
        let by = |limit| SearchParams { limit: Some(limit), sort: Some(sort.to_owned()), ..words("everyone song") };
        let all = all_pages(&catalogue, &by(200));
        assert_eq!(all_pages(&catalogue, &by(33)), all, "{sort}");
        assert_eq!(all.len(), if sort == "relevance" { 1_300 } else { page::WINDOW }, "{sort}");
    }
}

#[test]
fn totals_are_exact_until_counting_stops() {
    let catalogue = many();
    let total = |q: &str| {
        let found = catalogue.search(words(q));
        (found.total, found.total_is)
    };
    assert_eq!(total("song"), (COUNTED, TotalIs::AtLeast));
    assert_eq!(total("song 3 "), (186, TotalIs::Exact));
    assert_eq!(total("nothing"), (0, TotalIs::Exact));
}

#[test]
fn a_cursor_of_another_search_is_refused() {
    let catalogue = many();
    let cursor = catalogue.search(words("song")).next;
    let search = |params: SearchParams| catalogue.engine.search(&params.parse().unwrap(), &catalogue.online, None);
    assert!(search(SearchParams { cursor: cursor.clone(), limit: Some(3), ..words("song") }).is_ok());
    for cursor in [cursor, Some("AAAA".to_owned()), Some("!".to_owned())] {
        let error = search(SearchParams { cursor, ..words("everyone") });
        assert!(matches!(error, Err(SearchError::BadCursor)), "{error:?}");
    }
}

#[test]
fn results_are_sorted_as_asked_with_the_unknown_last() {
    let claim = |artist: &str, title: Option<&str>, bitrate_kbps, duration_ms| Claim {
        title: title.map(str::to_owned),
        bitrate_kbps,
        duration_ms,
        album: Some("Songs".to_owned()),
        ..song(artist, "")
    };
    let catalogue = Catalogue::with([
        claim("Zoe", Some("äther"), Some(128), Some(3)),
        claim("abba", Some("Zebra"), None, Some(9)),
        claim("Émile", None, Some(320), None),
        claim("Bob", Some("Bar"), Some(192), Some(1)),
    ]);
    catalogue.online.arrive(MemberNo(9), &[FileNo(3)]);
    let cases: [(&str, [u32; 4]); 6] = [
        ("size", [4, 3, 2, 1]),
        ("bitrate", [3, 4, 1, 2]),
        ("duration", [2, 1, 4, 3]),
        ("title", [1, 4, 2, 3]),
        ("artist", [2, 4, 3, 1]),
        ("sources", [3, 1, 2, 4]),
    ];
    for (sort, expected) in cases {
        let found = catalogue.search(SearchParams { sort: Some(sort.to_owned()), ..words("songs") });
        assert_eq!(numbers(&found), expected, "{sort}");
    }
}

#[test]
fn filters_alone_list_by_popularity() {
    let mut catalogue = Catalogue::empty();
    let mp3 = Claim { format: Format::new("mp3").unwrap(), bitrate_kbps: Some(320), ..song("a", "b") };
    catalogue.apply(&[file(1, mp3.clone(), 1), file(2, song("c", "d"), 9), file(3, mp3, 50)]);
    let of = |format: &str| SearchParams { format: Some(format.to_owned()), ..SearchParams::default() };
    assert_eq!(numbers(&catalogue.search(of("mp3"))), [3, 1]);
    assert_eq!(numbers(&catalogue.search(of("mp3,flac"))), [3, 2, 1]);
    assert!(numbers(&catalogue.search(of("ogg"))).is_empty());
    let known = SearchParams { max_bitrate_kbps: Some(9_999), ..SearchParams::default() };
    assert_eq!(numbers(&catalogue.search(known)), [3, 1]);
}

#[test]
fn one_peers_files_can_be_searched_and_listed() {
    let catalogue = Catalogue::with([song("a", "one"), song("a", "two"), song("a", "three")]);
    let held = [FileNo(3), FileNo(1), FileNo(99)];
    let search = |params: SearchParams| {
        numbers(&catalogue.engine.search(&params.parse().unwrap(), &catalogue.online, Some(&held)).unwrap())
    };
    assert_eq!(search(words("a ")), [1, 3]);
    assert_eq!(search(SearchParams { format: Some("flac".to_owned()), ..SearchParams::default() }), [1, 3]);
    assert!(search(words("two")).is_empty());
}

#[test]
fn rows_of_one_recording_or_album_are_folded_into_the_best() {
    let audio = |name: &str| {
        let length = FileLength::new(500).unwrap();
        Some(AudioId { root: Digest::of(name.as_bytes()), offset: 0, length })
    };
    let on = |album: &str, claim| Claim { album: Some(album.to_owned()), ..claim };
    let mut catalogue = Catalogue::empty();
    catalogue.apply(&[
        file(1, on("Moon Safari", Claim { audio: audio("s"), ..song("Air", "La femme") }), 1),
        file(2, on("Moon Safari (Remastered)", Claim { audio: audio("s"), ..song("Air", "La Femme d'argent") }), 60),
        file(3, on("Moon Safari", Claim { audio: audio("t"), ..song("Air", "Sexy Boy") }), 5),
        file(4, song("Air", "Untitled"), 2),
        file(5, song("Air", "Unnamed"), 2),
    ]);
    let grouped = |group: &str| catalogue.search(SearchParams { group: Some(group.to_owned()), ..words("air ") });
    let (by_audio, by_album) = (grouped("audio"), grouped("album"));
    assert_eq!(by_audio.total, 4);
    assert!(numbers(&by_audio).contains(&2) && !numbers(&by_audio).contains(&1));
    assert_eq!((by_album.total, by_album.total_is), (3, TotalIs::Exact));
    assert_eq!(by_album.hits[0], FileNo(2));
    assert_eq!(catalogue.search(words("air ")).total, 5);
}

#[test]
fn all_copies_of_a_recording_are_found_by_their_audio() {
    let audio = |name: &str, offset| {
        let length = FileLength::new(500).unwrap();
        Some(AudioId { root: Digest::of(name.as_bytes()), offset, length })
    };
    let mut catalogue = Catalogue::empty();
    catalogue.apply(&[
        file(1, Claim { audio: audio("s", 3), ..song("Air", "La femme") }, 1),
        file(2, Claim { audio: audio("s", 0), ..song("Anonymous", "Track 3") }, 2),
        file(3, Claim { audio: audio("t", 0), ..song("Air", "La femme") }, 9),
        file(4, song("Air", "La femme"), 9),
    ]);
    let of = |name: &str| audio(name, 0).map(|audio| audio.as_file().to_string());
    let found = catalogue.search(SearchParams { audio: of("s"), ..SearchParams::default() });
    assert_eq!((numbers(&found), found.total_is, found.visited), (vec![2, 1], TotalIs::Exact, 2));
    assert_eq!(numbers(&catalogue.search(SearchParams { audio: of("s"), ..words("anonymous ") })), [2]);
    assert_eq!(numbers(&catalogue.search(SearchParams { audio: of("t"), ..SearchParams::default() })), [3]);
    assert!(numbers(&catalogue.search(SearchParams { audio: of("u"), ..words("air") })).is_empty());
    catalogue.online.remove(EVERYBODY, &[FileNo(3)]);
    assert!(numbers(&catalogue.search(SearchParams { audio: of("t"), ..SearchParams::default() })).is_empty());
}

/// tantivy keeps no scores of an audio's list, so nothing of it may be skipped by them. There are more copies than are
/// counted, and the better ones are in the second segment.
#[test]
fn the_best_copies_are_found_among_very_many() {
    let root = Digest::of(b"s");
    let audio = Some(AudioId { root, offset: 0, length: FileLength::new(500).unwrap() });
    let copy = |no, holders| file(no, Claim { audio, ..song("Air", "La femme") }, holders);
    let mut catalogue = Catalogue::empty();
    let others = (3_001..=8_000).map(|no| file(no, song("Air", "Sexy Boy"), 1));
    let many = (1..=1_500).map(|no| copy(no, if no == 1 { 1_000 } else { 1 }));
    catalogue.apply(&many.chain(others).collect::<Vec<_>>());
    catalogue.apply(&(2_001..=2_300).map(|no| copy(no, 2)).collect::<Vec<_>>());
    let asked = SearchParams { audio: audio.map(|audio| audio.as_file().to_string()), ..SearchParams::default() };
    let found = catalogue.search(asked);
    assert_eq!((found.hits[0], found.visited), (FileNo(1), 1_800));
    assert!(found.hits[1..].iter().all(|no| (2_001..=2_300).contains(&no.0)), "{:?}", found.hits);
}

#[test]
fn facets_count_the_best_matches() {
    let in_year = |year, claim| Claim { year: Some(year), ..claim };
    let catalogue = Catalogue::with([
        in_year(1997, song("Björk", "Jóga")),
        in_year(1997, song("BJORK", "Bachelorette")),
        in_year(2001, song("Björk", "Pagan Poetry")),
        song("Bjørk", "x"),
    ]);
    let value = |value: &str, count| FacetCount { value: value.to_owned(), count };
    let facets = catalogue.search(SearchParams { facets: Some(true), ..words("bjork ") }).facets.unwrap();
    assert_eq!(facets.artist, [value("Björk", 4)]);
    assert_eq!(facets.year, [value("1997", 2), value("2001", 1)]);
    assert_eq!(facets.format, [value("flac", 4)]);
    assert_eq!(catalogue.search(words("bjork ")).facets, None);
}
