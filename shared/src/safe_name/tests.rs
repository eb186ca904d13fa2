use std::path::Component;

use proptest::prelude::*;

use super::*;

fn sanitise(name: &str) -> String {
    SafeName::sanitise(name, "Untitled").to_string()
}

#[test]
fn every_trick_in_the_book_comes_out_harmless() {
    let cases = [
        ("Title.ogg", "Title.ogg"),
        ("Björk – Jóga.flac", "Björk – Jóga.flac"),
        ("BJO\u{308}RK.mp3", "BJÖRK.mp3"),
        ("宇多田ヒカル.mp3", "宇多田ヒカル.mp3"),
        ("AC/DC - T.N.T.mp3", "AC_DC - T.N.T.mp3"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..\\..\\autorun.inf", "_.._autorun.inf"),
        ("C:\\Windows\\x.mp3", "C__Windows_x.mp3"),
        ("a\u{2215}b\u{2044}c\u{ff0f}d\u{ff3c}e.mp3", "a_b_c_d_e.mp3"),
        ("song\0.mp3\u{1b}[2J", "song.mp3[2J"),
        ("\u{202e}3pm.exe", "3pm.exe"),
        ("zero\u{200b}width\u{feff}.mp3", "zerowidth.mp3"),
        ("line\nbreak.mp3", "line break.mp3"),
        ("What? <Who> \"Why\" a|b *.mp3", "What_ _Who_ _Why_ a_b _.mp3"),
        ("file.mp3:stream", "file.mp3_stream"),
        ("con", "_con"),
        ("nul.txt.jpg", "_nul.txt.jpg"),
        ("NUL .mp3", "_NUL .mp3"),
        ("COM0", "_COM0"),
        ("lpt9.mp3", "_lpt9.mp3"),
        ("COM¹.mp3", "_COM¹.mp3"),
        ("COM10.mp3", "COM10.mp3"),
        ("Con Todo.mp3", "Con Todo.mp3"),
        ("  spaced out  ", "spaced out"),
        ("trailing dots...", "trailing dots"),
        ("...Baby One More Time.mp3", "Baby One More Time.mp3"),
        (".bashrc", "Untitled.bashrc"),
        ("....mp3", "Untitled.mp3"),
        (" . .mp3", "Untitled.mp3"),
        ("Vol. 2", "Vol. 2"),
        ("", "Untitled"),
        (".", "Untitled"),
        ("..", "Untitled"),
        ("\u{200b}", "Untitled"),
        (" . . ", "Untitled"),
    ];
    for (name, safe) in cases {
        assert_eq!(sanitise(name), safe, "{name:?}");
        assert_eq!(SafeName::new(name).is_ok(), name == safe, "{name:?}");
    }
}

#[test]
fn a_fallback_is_sanitised_too() {
    assert_eq!(SafeName::sanitise("", "../x").as_str(), "_x");
    assert_eq!(SafeName::sanitise("..", "").as_str(), "unnamed");
    assert_eq!(SafeName::sanitise(".mp3", "a.flac").as_str(), "a.mp3");
}

#[test]
fn shortening_keeps_the_extension_and_whole_characters() {
    let long = sanitise(&format!("{}.flac", "ö".repeat(300)));
    assert!(long.ends_with("ö.flac") && long.len() <= MAX_NAME_BYTES && long.len() > MAX_NAME_BYTES - 2);
    assert_eq!(sanitise(&format!("NUL{}x.mp3", " ".repeat(300))), "_NUL.mp3");
    let device = format!("nul{}.{}", " ".repeat(10), "x".repeat(300));
    assert!(sanitise(&device).starts_with("_nul"));
    assert_eq!(sanitise(&"x".repeat(300)).len(), MAX_NAME_BYTES);
}

#[test]
fn numbers_stand_before_the_extension() {
    let name = SafeName::new("Title.ogg").unwrap();
    assert_eq!(name.numbered(2).as_str(), "Title (2).ogg");
    assert_eq!(SafeName::new("Vol. 2").unwrap().numbered(3).as_str(), "Vol. 2 (3)");
    let long = SafeName::sanitise(&format!("{}.flac", "x".repeat(300)), "");
    assert!(long.numbered(u32::MAX).as_str().ends_with("x (4294967295).flac"));
}

#[test]
fn names_that_differ_only_in_case_collide() {
    let key = |name: &str| SafeName::new(name).unwrap().collision_key();
    assert_eq!(key("ÉTÉ.MP3"), key("été.mp3"));
    assert_eq!(key("Straße"), key("STRASSE"));
    assert_ne!(key("a.mp3"), key("b.mp3"));
}

#[test]
fn json_carries_only_safe_names() {
    assert_eq!(serde_json::from_str::<SafeName>("\"a.mp3\"").unwrap().as_str(), "a.mp3");
    assert!(serde_json::from_str::<SafeName>("\"../a.mp3\"").is_err());
}

/// Pieces that names are attacked with, and junk.
fn names() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("..".to_owned()),
        Just("/".to_owned()),
        Just("\\".to_owned()),
        Just("nul".to_owned()),
        Just("CoM¹".to_owned()),
        Just(" ".to_owned()),
        Just(".mp3".to_owned()),
        Just("\u{301}".to_owned()),
        Just("\u{202e}".to_owned()),
        Just("ö".repeat(110)),
        "\\PC{0,12}",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_safe_name_is_one_plain_component(name in names(), fallback in names(), number: u32) {
        let safe = SafeName::sanitise(&name, &fallback);
        for safe in [safe.numbered(number), safe] {
            let text = safe.as_str();
            prop_assert!((1..=MAX_NAME_BYTES).contains(&text.len()));
            let components: Vec<_> = Path::new(text).components().collect();
            prop_assert_eq!(components, [Component::Normal(text.as_ref())]);
            prop_assert!(!text.contains(['/', '\\', '<', '>', ':', '"', '|', '?', '*', '\0']));
            prop_assert!(!text.chars().any(is_invisible));
            prop_assert!(!text.starts_with(['.', ' ']) && !text.ends_with(['.', ' ']));
            prop_assert_eq!(text.nfc().collect::<String>(), text);
            prop_assert!(!is_device(text));
            prop_assert_eq!(SafeName::new(text), Ok(safe.clone()));
            prop_assert_eq!(SafeName::sanitise(text, "x"), safe.clone());
        }
    }
}
