use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::audio::AudioId;
use crate::claim::{Claim, Kind};
use crate::digest::Digest;
use crate::file_id::FileId;
use crate::identity::SecretKey;
use crate::leaf::FileLength;

fn query(q: &str) -> Query {
    SearchParams { q: Some(q.to_owned()), ..SearchParams::default() }.parse().unwrap()
}

fn claim(artist: &str, title: &str) -> Claim {
    Claim { artist: Some(artist.to_owned()), title: Some(title.to_owned()), ..Claim::default() }
}

fn file(bytes: u64) -> FileId {
    FileId::new(Digest::ZERO, FileLength::new(bytes).unwrap())
}

fn finds(query: &Query, claim: &Claim) -> bool {
    query.matches(&Document { claim, file: file(1000) })
}

#[test]
fn awkward_names_are_found() {
    let cases: [(&str, &str, &[&str]); 14] = [
        ("Björk", "Jóga", &["bjork", "BJÖRK joga", "jóga björk", "bjo"]),
        ("Sigur Rós", "Hoppípolla", &["sigur ros", "hoppipolla"]),
        ("The The", "This Is the Day", &["The The", "the the ", "the day"]),
        ("!!!", "Heart of Hearts", &["!!!", "!!", "!!! hearts"]),
        ("AC/DC", "T.N.T.", &["acdc", "ac/dc", "ac dc tnt", "T.N.T"]),
        ("P!nk", "So What", &["pink", "p nk", "P!nk", "P!", "p!n"]),
        ("宇多田ヒカル", "First Love", &["宇多田", "ヒカル", "宇", "ヒ love"]),
        ("Đorđe Balašević", "Ringispil", &["dorde", "balasevic", "Đorđe Balašević"]),
        ("Ω", "Σ", &["Ω", "ω", "\u{2126} σ"]),
        ("Motörhead", "Ace of Spades", &["motorhead", "MOTÖRHEAD ace"]),
        ("أم كلثوم", "إنت عمري", &["ام كلثوم", "أُمّ كلثوم", "انت"]),
        ("אריק איינשטיין", "שָׁלוֹם", &["אריק", "שלום"]),
        ("A$AP Rocky", "L$D", &["asap", "lsd", "A$AP"]),
        ("Simon & Garfunkel", "The Boxer", &["simon and garfunkel", "simon & garfunkel boxer"]),
    ];
    for (artist, title, texts) in cases {
        for text in texts {
            assert!(finds(&query(text), &claim(artist, title)), "{text} does not find {artist} – {title}");
        }
        assert!(!finds(&query("somethingelse"), &claim(artist, title)));
    }
}

#[test]
fn a_flag_may_be_typed_as_a_digit() {
    let explain = |flag: serde_json::Value| serde_json::from_value::<SearchParams>(json!({ "explain": flag }));
    assert_eq!(explain(json!("1")).unwrap().explain, Some(true));
    assert_eq!(explain(json!("false")).unwrap().explain, Some(false));
    assert!(explain(json!("yes")).is_err() && explain(json!(1)).is_err());
}

#[test]
fn the_last_word_is_a_beginning_until_it_is_finished() {
    let song = claim("Portishead", "Glory Box");
    assert!(finds(&query("portis"), &song));
    assert!(finds(&query("\"glory box\""), &song));
    assert!(!finds(&query("portis "), &song));
    assert!(!finds(&query("portis\""), &song));
    assert!(!finds(&query("portis box"), &song));
    assert!(!finds(&query("head"), &song));
    assert_eq!(
        query("glory bo").terms(),
        Terms { all: vec!["glory".into()], prefix: Some("bo".into()), ..Terms::default() }
    );
    assert_eq!(query("the the").terms(), Terms { all: vec!["the".into()], ..Terms::default() });
    assert_eq!(query("glory !!").terms(), Terms { all: vec!["glory".into()], ..Terms::default() });
}

#[test]
fn words_of_a_field_must_stand_in_that_field() {
    let song = Claim {
        album: Some("Dummy".to_owned()),
        album_artist: Some("Various".to_owned()),
        file_name: Some("03 Numb.flac".to_owned()),
        ..claim("Portishead", "Glory Box")
    };
    let ask = |params: SearchParams| finds(&params.parse().unwrap(), &song);
    let some = |text: &str| Some(text.to_owned());
    assert!(ask(SearchParams {
        title: some("glory"),
        artist: some("portishead"),
        album: some("dummy"),
        ..SearchParams::default()
    }));
    assert!(ask(SearchParams { artist: some("various"), q: some("numb flac"), ..SearchParams::default() }));
    assert!(!ask(SearchParams { title: some("portishead"), ..SearchParams::default() }));
    assert!(!ask(SearchParams { title: some("glor"), ..SearchParams::default() }));
    assert!(!ask(SearchParams { album: some("numb"), ..SearchParams::default() }));
}

#[test]
fn filters_are_passed_only_by_what_is_known_to_pass() {
    let known = Claim {
        format: Format::new("mp3").unwrap(),
        bitrate_kbps: Some(320),
        duration_ms: Some(200_000),
        sample_rate_hz: Some(44_100),
        ..claim("A", "B")
    };
    let unknown = claim("A", "B");
    let none = SearchParams::default;
    let cases = [
        (SearchParams { min_bitrate_kbps: Some(320), ..none() }, true),
        (SearchParams { min_bitrate_kbps: Some(321), ..none() }, false),
        (SearchParams { max_bitrate_kbps: Some(320), ..none() }, true),
        (SearchParams { max_bitrate_kbps: Some(319), ..none() }, false),
        (SearchParams { min_sample_rate_hz: Some(44_101), ..none() }, false),
        (SearchParams { min_duration_ms: Some(200_000), max_duration_ms: Some(200_000), ..none() }, true),
        (SearchParams { max_duration_ms: Some(199_999), ..none() }, false),
        (SearchParams { format: Some("FLAC,mp3,".to_owned()), ..none() }, true),
        (SearchParams { format: Some("flac".to_owned()), ..none() }, false),
    ];
    for (params, passes) in cases {
        let query = params.parse().unwrap();
        assert_eq!(finds(&query, &known), passes, "{query:?}");
        assert!(!finds(&query, &unknown), "{query:?}");
    }
    let of_audio = |audio: FileId| SearchParams { audio: Some(audio.to_string()), ..none() }.parse().unwrap();
    let holds = |bytes, offset| {
        let length = FileLength::new(bytes).unwrap();
        Claim { audio: Some(AudioId { root: Digest::ZERO, offset, length }), ..claim("A", "B") }
    };
    assert!(finds(&of_audio(file(9)), &holds(9, 7)), "wherever in the file it lies");
    assert!(!finds(&of_audio(file(9)), &holds(8, 7)), "a root alone does not bind the length");
    assert!(!finds(&of_audio(file(9)), &unknown));
    let by_size = |least, greatest| SearchParams { min_size: least, max_size: greatest, ..none() }.parse().unwrap();
    assert!(finds(&by_size(Some(1000), Some(1000)), &unknown));
    assert!(!finds(&by_size(Some(1001), None), &unknown));
    assert!(!finds(&by_size(None, Some(999)), &unknown));
}

#[test]
fn covers_and_companions_are_never_found() {
    for kind in [Kind::Cover, Kind::Companion] {
        assert!(!finds(&query("box"), &Claim { kind, ..claim("Portishead", "Glory Box") }));
    }
}

#[test]
fn each_limit_has_its_error() {
    let some = |text: &str| Some(text.to_owned());
    let none = SearchParams::default;
    let cases = [
        (none(), InvalidQuery::Empty),
        (SearchParams { q: some(" \u{200b} "), ..none() }, InvalidQuery::Empty),
        (SearchParams { q: Some("x".repeat(200)), title: Some("y".repeat(57)), ..none() }, InvalidQuery::TooLong),
        (SearchParams { q: some("a b c d e f g h i j k l m n o p q"), ..none() }, InvalidQuery::TooManyTerms),
        (
            SearchParams { q: some("a b c d e f g h i"), artist: some("j k l m n o p q"), ..none() },
            InvalidQuery::TooManyTerms,
        ),
        (SearchParams { format: some("mp3,../x"), ..none() }, InvalidQuery::Format),
        (SearchParams { min_size: Some(2), max_size: Some(1), ..none() }, InvalidQuery::EmptyRange("size")),
        (SearchParams { audio: some("ab-1"), ..none() }, InvalidQuery::Audio),
        (SearchParams { peer: some("nobody"), ..none() }, InvalidQuery::Peer),
        (SearchParams { group: some("x"), q: some("a"), ..none() }, InvalidQuery::Group),
        (SearchParams { sort: some("x"), q: some("a"), ..none() }, InvalidQuery::Sort),
        (SearchParams { limit: Some(0), q: some("a"), ..none() }, InvalidQuery::Limit),
        (SearchParams { limit: Some(201), q: some("a"), ..none() }, InvalidQuery::Limit),
        (SearchParams { cursor: some("a\nb"), q: some("a"), ..none() }, InvalidQuery::Cursor),
    ];
    for (params, error) in cases {
        assert_eq!(params.clone().parse(), Err(error), "{params:?}");
    }
}

#[test]
fn a_long_phrase_without_spaces_is_cut_and_not_refused() {
    let title = "いつも何度でも呼んでいる胸のどこか奥でいつも心踊る夢を見たい";
    let query = query(title);
    assert_eq!(query.terms().len(), MAX_QUERY_TERMS);
    assert!(finds(&query, &claim("木村弓", title)));
    assert!(!finds(&query, &claim("木村弓", "千と千尋")));
}

#[test]
fn the_names_in_the_url_are_those_of_the_protocol() {
    let json = json!({
        "q": "a", "title": "b", "artist": "c", "album": "d", "format": "flac,mp3", "min_bitrate_kbps": 1,
        "max_bitrate_kbps": 2, "min_sample_rate_hz": 3, "min_duration_ms": 4, "max_duration_ms": 5, "min_size": 6,
        "max_size": 7, "audio": file(9), "peer": SecretKey::from_seed(&[7; 32]).peer_id(), "group": "album", "sort": "sources",
        "limit": 10, "cursor": "x", "facets": true, "offline": true, "explain": true,
    });
    let params: SearchParams = serde_json::from_value(json.clone()).unwrap();
    let query = params.parse().unwrap();
    assert_eq!((query.group, query.sort, query.limit), (Group::Album, Sort::Sources, 10));
    assert!(query.facets && query.offline && query.explain);
    assert_eq!(serde_json::to_value(query.to_params()).unwrap(), json);
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{1,24}",
        "[a-dA!$'./& öが愛\u{301}-]{1,24}",
        Just("AC/DC".to_owned()),
        Just("P!nk".to_owned()),
        Just("!!!".to_owned()),
        Just("R.E.M.".to_owned()),
    ]
}

proptest! {
    #[test]
    fn a_file_is_found_by_its_own_artist_and_title(artist in names(), title in names()) {
        let song = claim(&artist, &title);
        let together = SearchParams { q: Some(format!("{artist} {title}")), ..SearchParams::default() };
        let apart = SearchParams { artist: Some(artist), title: Some(title), ..SearchParams::default() };
        for params in [together, apart] {
            match params.parse() {
                Ok(query) => prop_assert!(finds(&query, &song), "{:?}", query),
                Err(InvalidQuery::Empty | InvalidQuery::TooManyTerms) => (),
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }

    #[test]
    fn every_beginning_of_a_plain_word_finds_it(word in "[a-z]{1,12}", end in 1..12usize) {
        let typed = &word[..end.min(word.len())];
        prop_assert!(finds(&query(typed), &claim("x", &word)));
    }

    #[test]
    fn a_query_survives_its_parameters(q in ".{0,40}", title: Option<String>, limit in 0..300u32) {
        if let Ok(query) = (SearchParams { q: Some(q), title, limit: Some(limit), ..SearchParams::default() }).parse() {
            prop_assert!(query.terms().len() <= MAX_QUERY_TERMS);
            prop_assert_eq!(query.to_params().parse(), Ok(query));
        }
    }

    #[test]
    fn junk_never_panics(q: String, format: String, peer: String, cursor: String, claim_text: String) {
        let words = SearchParams { q: Some(q), ..SearchParams::default() };
        let all = SearchParams { format: Some(format), peer: Some(peer), cursor: Some(cursor), ..words.clone() };
        for params in [words, all] {
            if let Ok(query) = params.parse() {
                finds(&query, &claim(&claim_text, &claim_text));
            }
        }
    }
}
