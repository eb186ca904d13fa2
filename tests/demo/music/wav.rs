//! A WAV file: sound as it is, and the tags twice.
//!
//! WAV has tags of its own (`LIST INFO`), which every program reads but which do not say how letters are encoded,
//! so many programs break accents. An `id3 ` chunk with ID3v2.4 in UTF-8 says the same without that doubt.
//! The tags come before the sound: whoever plays a file while it arrives knows its name first.

use super::Song;
use super::synth::SAMPLE_RATE;

const CHANNELS: u16 = 1;
const BYTES_PER_SAMPLE: u16 = 2;

/// The whole file.
pub(super) fn encode(song: &Song, samples: &[i16]) -> Vec<u8> {
    let sound: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let parts =
        [chunk(b"fmt ", &format()), chunk(b"LIST", &info(song)), chunk(b"id3 ", &id3(song)), chunk(b"data", &sound)];
    chunk(b"RIFF", &[&b"WAVE"[..], &parts.concat()].concat())
}

/// A name, a length and a body, followed by a zero if its length is odd: RIFF aligns everything to two bytes.
fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("half a minute is far below RIFF's 4 GiB");
    let padding: &[u8] = if body.len() % 2 == 1 { &[0] } else { &[] };
    [name, &length.to_le_bytes()[..], body, padding].concat()
}

fn format() -> Vec<u8> {
    /// Integers, uncompressed.
    const PCM: u16 = 1;
    let block = CHANNELS * BYTES_PER_SAMPLE;
    [
        &PCM.to_le_bytes()[..],
        &CHANNELS.to_le_bytes(),
        &SAMPLE_RATE.to_le_bytes(),
        &(SAMPLE_RATE * u32::from(block)).to_le_bytes(),
        &block.to_le_bytes(),
        &(BYTES_PER_SAMPLE * 8).to_le_bytes(),
    ]
    .concat()
}

/// The body of the `LIST` chunk: one chunk for each tag, its text ended by a zero.
fn info(song: &Song) -> Vec<u8> {
    let (year, track) = (song.year.to_string(), song.track.to_string());
    let tags: [(&[u8; 4], &str); 6] = [
        (b"INAM", song.title),
        (b"IART", song.artist),
        (b"IPRD", song.album),
        (b"ICRD", &year),
        (b"ITRK", &track),
        (b"IGNR", song.genre),
    ];
    let chunks = tags.iter().flat_map(|(name, text)| chunk(name, &[text.as_bytes(), &[0]].concat()));
    b"INFO".iter().copied().chain(chunks).collect()
}

/// The body of the `id3 ` chunk: an ID3v2.4.0 tag, <https://id3.org/id3v2.4.0-structure>.
fn id3(song: &Song) -> Vec<u8> {
    const VERSION_AND_NO_FLAGS: [u8; 3] = [4, 0, 0];
    let (year, track) = (song.year.to_string(), song.track.to_string());
    let tags: [(&[u8; 4], &str); 7] = [
        (b"TIT2", song.title),
        (b"TPE1", song.artist),
        (b"TPE2", song.artist),
        (b"TALB", song.album),
        (b"TDRC", &year),
        (b"TRCK", &track),
        (b"TCON", song.genre),
    ];
    let frames: Vec<u8> = tags.iter().flat_map(|(name, text)| id3_frame(name, text)).collect();
    [&b"ID3"[..], &VERSION_AND_NO_FLAGS, &sync_safe(frames.len()), &frames].concat()
}

fn id3_frame(name: &[u8; 4], text: &str) -> Vec<u8> {
    const NO_FLAGS: [u8; 2] = [0, 0];
    const UTF_8: u8 = 3;
    let body = [&[UTF_8], text.as_bytes()].concat();
    [&name[..], &sync_safe(body.len()), &NO_FLAGS, &body].concat()
}

/// ID3's way to write a length: seven bits a byte, so that no player takes it for the start of an MP3 frame.
fn sync_safe(length: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| (length >> shift & 0x7f) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::songs;

    fn dvorak() -> Song {
        songs().into_iter().find(|song| song.artist == "Antonín Dvořák").unwrap()
    }

    /// The chunks in `bytes`, which they must fill to the last byte.
    fn chunks(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
            chunks.push((String::from_utf8(bytes[..4].to_vec()).unwrap(), &bytes[8..8 + length]));
            bytes = &bytes[8 + length + length % 2..];
        }
        chunks
    }

    #[test]
    fn the_chunks_fill_the_file_with_the_tags_before_the_sound() {
        let file = encode(&dvorak(), &[1, -2, 3]);
        let [(riff, body)] = &chunks(&file)[..] else { panic!("one chunk around all") };
        assert_eq!((riff.as_str(), &body[..4]), ("RIFF", &b"WAVE"[..]));
        let inside = chunks(&body[4..]);
        let names: Vec<_> = inside.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["fmt ", "LIST", "id3 ", "data"]);
        assert_eq!(inside[3].1, [1, 0, 254, 255, 3, 0]);
    }

    #[test]
    fn the_info_tags_end_with_a_zero_and_start_on_an_even_byte() {
        let info = info(&dvorak());
        let tags = chunks(&info[4..]);
        assert_eq!(tags[1], ("IART".to_owned(), &b"Anton\xc3\xadn Dvo\xc5\x99\xc3\xa1k\0"[..]));
        assert_eq!(tags[3], ("ICRD".to_owned(), &b"1893\0"[..]));
    }

    #[test]
    fn an_id3_frame_says_that_its_letters_are_utf_8() {
        assert_eq!(id3_frame(b"TPE1", "Dvořák"), b"TPE1\0\0\0\x09\0\0\x03Dvo\xc5\x99\xc3\xa1k");
    }

    #[test]
    fn the_id3_tag_is_as_long_as_its_header_says() {
        let tag = id3(&dvorak());
        assert_eq!(tag[..6], *b"ID3\x04\0\0");
        assert_eq!(tag[6..10], sync_safe(tag.len() - 10));
    }

    #[test]
    fn lengths_are_written_seven_bits_a_byte() {
        assert_eq!(sync_safe(127), [0, 0, 0, 127]);
        assert_eq!(sync_safe(128), [0, 0, 1, 0]);
        assert_eq!(sync_safe(0x0fff_ffff), [127; 4]);
    }
}
