//! What holds for files of every format, and for those of none.

use proptest::prelude::*;

use super::fixture::{FRAME, ape, audio_of, hashed, id3v1, id3v1_extended, id3v2, located, lyrics, mp3};
use super::tags::ID3V2_HAS_FOOTER;
use super::*;

#[test]
fn other_files_have_no_audio() {
    let utf16 = [0xff, 0xfe, b'a', 0, b'b', 0];
    let aac = [0xff, 0xf1, 0x50, 0x80, 0, 0];
    let tags_alone = [id3v2(30, 0), id3v1()].concat();
    let truncated = &id3v2(1000, 0)[..500];
    for bytes in [&b"OggS"[..], b"RIFF....AVI ", b"fLaC", b"f", &utf16, &aac, &tags_alone, truncated] {
        assert_eq!(located(bytes), None, "{bytes:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_not_a_file_without_audio() {
    let length = FileLength::new(1000).unwrap();
    let broken = locate(length, |_, _| Err(io::ErrorKind::UnexpectedEof.into()));
    assert_eq!(broken.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_walk_comes_to_an_end_in_any_file() {
    let mut reads = 0;
    let endless = [b"fLaC".to_vec(), vec![0; 1 << 20]].concat();
    let found = locate(FileLength::new(endless.len() as u64).unwrap(), |buffer, offset| {
        reads += 1;
        buffer.copy_from_slice(&endless[offset as usize..][..buffer.len()]);
        Ok(())
    });
    assert_eq!(found.unwrap(), None);
    assert!(reads < 2 * MAX_STEPS);
}

#[test]
fn the_text_form_shows_the_root_as_digits_and_a_claim_past_the_end_is_seen() {
    let id = AudioId { root: Digest::ZERO, offset: 10, length: FileLength::new(5).unwrap() };
    let text = serde_json::to_string(&id).unwrap();
    assert_eq!(text, format!(r#"{{"root":"{}","offset":10,"length":5}}"#, "0".repeat(64)));
    assert_eq!(serde_json::from_str::<AudioId>(&text).unwrap(), id);
    assert!(serde_json::from_str::<AudioId>(&text.replace("5}", "0}")).is_err());

    assert!(id.lies_in(FileLength::new(15).unwrap()));
    assert!(!id.lies_in(FileLength::new(14).unwrap()));
    assert!(!AudioId { offset: u64::MAX, ..id }.lies_in(FileLength::new(15).unwrap()));
}

fn front_tag() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![]),
        (0..40_000usize, prop_oneof![Just(0), Just(ID3V2_HAS_FOOTER)]).prop_map(|(body, flags)| id3v2(body, flags)),
        (0..500usize).prop_map(|body| ape(body, true)),
    ]
}

fn end_tag() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![]),
        Just(id3v1()),
        Just(id3v1_extended()),
        (0..500usize, any::<bool>()).prop_map(|(body, header)| ape(body, header)),
        (0..500usize).prop_map(lyrics),
        (0..500usize).prop_map(|body| id3v2(body, ID3V2_HAS_FOOTER)),
    ]
}

/// Bytes that look like the beginning of something, to lead a walk astray.
fn tempting_junk() -> impl Strategy<Value = Vec<u8>> {
    let bait = prop_oneof![
        prop::sample::select(vec![
            b"ID3\x04\0\x10\0\0\0\x05".to_vec(),
            b"3DI\x04\0\0\0\0\x01\0".to_vec(),
            b"fLaC".to_vec(),
            b"TAG+".to_vec(),
            b"TAG".to_vec(),
            b"LYRICSBEGIN".to_vec(),
            b"000020LYRICS200".to_vec(),
            b"RIFF\0\0\0\0WAVE".to_vec(),
            b"data\xff\xff\xff\xff".to_vec(),
            ape(0, false),
            ape(0, true),
            FRAME.to_vec(),
            vec![0xff, 0xf8],
            vec![0x80, 0, 0, 4],
        ]),
        prop::collection::vec(any::<u8>(), 0..150),
    ];
    prop::collection::vec(bait, 1..12).prop_map(|baits| baits.concat())
}

proptest! {
    #[test]
    fn junk_never_leads_out_of_the_file(junk in prop_oneof![tempting_junk(), prop::collection::vec(any::<u8>(), 0..600)]) {
        // `located` checks every read and the result.
        let _ = located(&junk);
    }

    #[test]
    fn two_taggings_of_the_same_audio_have_one_root(
        fronts in prop::array::uniform2(prop::collection::vec(front_tag(), 0..3)),
        ends in prop::array::uniform2(prop::collection::vec(end_tag(), 0..3)),
        audio in tempting_junk(),
        filler in 0..60_000usize,
        piece in 1..50_000usize,
    ) {
        let audio = [mp3(filler), audio].concat();
        let [one, other] = [0, 1].map(|copy| [fronts[copy].concat(), audio.clone(), ends[copy].concat()].concat());
        let [one, other] = [hashed(&one, piece), hashed(&other, 7000)].map(|song| song.audio.map(|audio| (audio.root, audio.length)));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn the_pieces_a_song_comes_in_do_not_matter(front in front_tag(), filler in 0..90_000usize, piece in 1..50_000usize) {
        let file = [front, mp3(filler), id3v1()].concat();
        let song = hashed(&file, piece);
        prop_assert_eq!(&song, &hashed(&file, file.len()));
        let audio = hashed(audio_of(&file).unwrap(), piece);
        prop_assert_eq!(song.audio.unwrap().root, audio.file.id.root());
    }
}
