use proptest::prelude::*;
use serde_json::json;

use super::*;

fn song() -> Claim {
    Claim {
        format: Format::new("flac").unwrap(),
        duration_ms: Some(305_000),
        title: Some("Jóga".to_owned()),
        artist: Some("Björk".to_owned()),
        album: Some("Homogenic".to_owned()),
        track: Some(2),
        year: Some(1997),
        compilation: Some(false),
        origin: Some(Origin::Tags),
        ..Claim::default()
    }
}

fn parse(value: &Value) -> Result<Claim, InvalidClaim> {
    Claim::parse(value.to_string().as_bytes())
}

/// A second client must get the same bytes; these may never change.
#[test]
fn the_canonical_form_and_the_hash_are_what_they_have_always_been() {
    let claim = song();
    assert_eq!(
        claim.to_canonical_json(),
        r#"{"album":"Homogenic","artist":"Björk","compilation":false,"duration_ms":305000,"format":"flac","kind":"song","origin":"tags","title":"Jóga","track":2,"version":1,"year":1997}"#
    );
    assert_eq!(claim.hash().to_string(), "88304ce4c38a5e1670b00ee8da331e626d259014d1c592f7687643cd4b781665");
}

#[test]
fn the_order_of_members_and_white_space_do_not_change_the_hash() {
    let one = Claim::parse(br#"{"version":1,"kind":"song","format":"mp3","title":"A","x":{"b":1,"a":[2]}}"#).unwrap();
    let two =
        Claim::parse(br#" {"x":{"a":[2],"b":1}, "title":"\u0041","format":"mp3","kind":"song","version":1 }"#).unwrap();
    assert_eq!(one, two);
    assert_eq!(one.hash(), two.hash());
}

#[test]
fn members_of_later_versions_are_kept() {
    let text = r#"{"format":"mp3","kind":"song","mood":{"calm":[1,-2,"ü",null,true]},"version":7}"#;
    let claim = Claim::parse(text.as_bytes()).unwrap();
    assert_eq!(claim.version, 7);
    assert_eq!(claim.to_canonical_json(), text);
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_name() {
    let with = |name: &str, value: Value| {
        let mut object = json!({"version": 1, "kind": "song", "format": "mp3"});
        object[name] = value;
        parse(&object)
    };
    assert!(with("title", json!("x".repeat(MAX_TEXT_BYTES))).is_ok());
    let cases = [
        ("version", json!(0), InvalidClaim::OutOfRange("version")),
        ("version", json!("1"), InvalidClaim::WrongType("version")),
        ("kind", json!("movie"), InvalidClaim::WrongType("kind")),
        ("format", json!("MP3"), InvalidClaim::WrongType("format")),
        ("format", json!("../x"), InvalidClaim::WrongType("format")),
        ("title", json!(null), InvalidClaim::WrongType("title")),
        ("title", json!("x".repeat(MAX_TEXT_BYTES + 1)), InvalidClaim::BadText("title")),
        ("title", json!(" "), InvalidClaim::BadText("title")),
        ("artist", json!("a\u{1b}[2J"), InvalidClaim::BadText("artist")),
        ("artist", json!("a\u{2028}b"), InvalidClaim::BadText("artist")),
        ("file_name", json!("home/me/a.mp3"), InvalidClaim::BadText("file_name")),
        ("mb_release", json!("not a uuid"), InvalidClaim::BadText("mb_release")),
        ("year", json!(10_000), InvalidClaim::OutOfRange("year")),
        ("year", json!(1997.0), InvalidClaim::WrongType("year")),
        ("year", json!(-1), InvalidClaim::WrongType("year")),
        ("channels", json!(0), InvalidClaim::OutOfRange("channels")),
        ("duration_ms", json!(u64::MAX), InvalidClaim::OutOfRange("duration_ms")),
        ("audio", json!({"root": "x"}), InvalidClaim::WrongType("audio")),
        ("later", json!(0.5), InvalidClaim::BadExtra),
        ("later", json!("a\nb"), InvalidClaim::BadExtra),
        ("la\nter", json!(1), InvalidClaim::BadExtra),
        ("later", json!([[[[1]]]]), InvalidClaim::BadExtra),
        ("later", json!("x".repeat(MAX_CLAIM_BYTES)), InvalidClaim::TooLong),
    ];
    for (name, value, error) in cases {
        assert_eq!(with(name, value.clone()), Err(error), "{name}: {value}");
    }
    assert_eq!(parse(&json!({"kind": "song", "format": "mp3"})), Err(InvalidClaim::Missing("version")));
    assert_eq!(parse(&json!([])), Err(InvalidClaim::NotAnObject));
    assert_eq!(Claim::parse(&vec![b'['; 100_000]), Err(InvalidClaim::TooLong));
    assert_eq!(Claim::parse(&vec![b'['; 20_000]), Err(InvalidClaim::NotAnObject));
}

#[test]
fn a_claim_inside_a_message_is_checked_too() {
    assert_eq!(serde_json::from_value::<Claim>(serde_json::to_value(song()).unwrap()).unwrap(), song());
    assert!(
        serde_json::from_value::<Claim>(json!({"version": 1, "kind": "song", "format": "mp3", "title": ""})).is_err()
    );
}

#[test]
fn the_author_of_odd_tags_sends_a_claim_that_is_accepted() {
    let odd = Claim {
        version: 0,
        title: Some("  line\nbreak\0 ".to_owned()),
        artist: Some("\"".repeat(1000)),
        album: Some("ö".repeat(1000)),
        album_artist: Some("\\".repeat(1000)),
        genre: Some(" ".to_owned()),
        file_name: Some(format!("/home/me/{}", "\"".repeat(1000))),
        year: Some(0),
        track: Some(0),
        mb_recording: Some("B1A9C0E9-D987-4042-AE91-78D6A3267D69".to_owned()),
        mb_release: Some("?".to_owned()),
        extra: Map::from_iter([("title".to_owned(), json!("twice")), ("half".to_owned(), json!(0.5))]),
        ..song()
    };
    let clamped = odd.clamp();
    assert_eq!(clamped.title.as_deref(), Some("line break"));
    assert_eq!((clamped.genre.as_deref(), clamped.year, clamped.track), (None, None, Some(0)));
    assert_eq!(clamped.mb_recording.as_deref(), Some("b1a9c0e9-d987-4042-ae91-78d6a3267d69"));
    assert_eq!(clamped.mb_release, None);
    assert!(clamped.extra.is_empty());
    assert_eq!(Claim::parse(clamped.to_canonical_json().as_bytes()), Ok(clamped));
    assert_eq!(song().clamp(), song());
}

fn full_json() -> Value {
    let uuid = "b1a9c0e9-d987-4042-ae91-78d6a3267d69";
    json!({
        "version": 1, "kind": "companion", "format": "a123456789abcdef", "duration_ms": 12_345_678_900_u64,
        "title": "t", "artist": "a", "album": "l", "album_artist": "b", "track": 9999, "track_total": 9999,
        "disc": 9999, "disc_total": 9999, "year": 9999, "genre": "g", "compilation": false,
        "bitrate_kbps": 800_000, "vbr": false, "sample_rate_hz": 49_152_000, "bit_depth": 64, "channels": 255,
        "mb_recording": uuid, "mb_release": uuid,
        "audio": {"root": "0".repeat(64), "offset": 17_179_869_183_u64, "length": 17_179_869_184_u64},
        "file_name": "f.mp3", "origin": "tags",
    })
}

fn full_claim() -> Claim {
    parse(&full_json()).unwrap()
}

#[test]
fn every_member_is_read_under_the_name_it_is_written_with() {
    let claim = full_claim();
    assert!(claim.extra.is_empty());
    assert_eq!(serde_json::to_value(&claim).unwrap(), full_json());
    let full = full_json();
    assert_eq!(full.as_object().unwrap().len(), fields::NAMES.len());
    assert!(fields::NAMES.iter().all(|name| full.get(name).is_some()));
}

#[test]
fn all_texts_at_their_longest_fit_together() {
    let longest = |text: &str| Some(text.repeat(MAX_TEXT_BYTES));
    for (text, kept) in [("x", MAX_TEXT_BYTES), ("\"", MAX_TEXT_BYTES / 2)] {
        let claim = Claim {
            title: longest(text),
            artist: longest(text),
            album: longest(text),
            album_artist: longest(text),
            genre: longest(text),
            file_name: longest(text),
            extra: Map::from_iter([("later".to_owned(), json!("y".repeat(MAX_CLAIM_BYTES)))]),
            ..full_claim()
        };
        let clamped = claim.clamp();
        assert_eq!(clamped.title.as_deref().map(str::len), Some(kept));
        assert_eq!(clamped.audio, full_claim().audio);
        assert_eq!(Claim::parse(clamped.to_canonical_json().as_bytes()), Ok(clamped));
    }
}

fn claims() -> impl Strategy<Value = Claim> {
    let text = || proptest::option::of("[ -~öが\\PC\n]{0,600}");
    let number = || proptest::option::of(any::<u32>());
    let extra = proptest::collection::btree_map("[a-z]{1,8}", any::<i64>().prop_map(Value::from), 0..4);
    (any::<u16>(), [text(), text(), text()], text(), number(), number(), extra).prop_map(
        |(version, [title, artist, album], file_name, year, track, extra)| Claim {
            version,
            title,
            artist,
            album,
            file_name,
            year,
            track,
            extra: extra.into_iter().collect(),
            ..Claim::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_clamped_claim_survives_its_canonical_form(claim in claims()) {
        let clamped = claim.clamp();
        let json = clamped.to_canonical_json();
        prop_assert!(json.len() <= MAX_CLAIM_BYTES);
        let again = Claim::parse(json.as_bytes());
        prop_assert_eq!(again.as_ref(), Ok(&clamped));
        prop_assert_eq!(again.map(|claim| claim.hash()), Ok(clamped.hash()));
        prop_assert_eq!(clamped.clone().clamp(), clamped);
    }

    #[test]
    fn junk_is_refused_without_panic(junk: Vec<u8>, text in ".*") {
        prop_assert!(Claim::parse(&junk).is_err());
        prop_assert!(Claim::parse(text.as_bytes()).is_err());
    }
}
