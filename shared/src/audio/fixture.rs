//! Songs and tags for tests, made on the fly.

use super::tags::{APE_HAS_HEADER, APE_IS_HEADER, ID3V2_HAS_FOOTER};
use super::{AudioSpan, HashedSong, SongHasher, locate};
use crate::leaf::FileLength;

pub(super) const FRAME: [u8; 4] = [0xff, 0xfb, 0x90, 0x64];

pub(super) fn mp3(bytes: usize) -> Vec<u8> {
    FRAME.into_iter().chain((0..bytes).map(|i| (i * i / 8) as u8 & 0x7f)).collect()
}

/// The marker, a block of stream information, a picture, and one frame.
pub(super) fn flac(picture: usize, frame: usize) -> Vec<u8> {
    let size = (picture as u32).to_be_bytes();
    let blocks = [&b"fLaC"[..], &[0, 0, 0, 34], &[1; 34], &[0x86, size[1], size[2], size[3]], &vec![2; picture]];
    [blocks.concat(), vec![0xff, 0xf8], vec![3; frame]].concat()
}

pub(super) fn chunk(name: &[u8; 4], size: u32, body: &[u8]) -> Vec<u8> {
    [name, &size.to_le_bytes()[..], body].concat()
}

pub(super) fn wav(chunks: &[Vec<u8>]) -> Vec<u8> {
    [&b"RIFF\xff\xff\xff\xffWAVE"[..], &chunks.concat()].concat()
}

pub(super) fn id3v2(body: usize, flags: u8) -> Vec<u8> {
    let size = [(body >> 21) as u8, (body >> 14) as u8 & 0x7f, (body >> 7) as u8 & 0x7f, body as u8 & 0x7f];
    let header = [&[4, 0, flags], &size[..]].concat();
    let footer = [b"3DI", &header[..]].concat();
    let tag = [b"ID3", &header[..], &vec![b'x'; body]].concat();
    if flags & ID3V2_HAS_FOOTER == 0 { tag } else { [tag, footer].concat() }
}

pub(super) fn id3v1() -> Vec<u8> {
    [&b"TAG"[..], &[b' '; 125]].concat()
}

pub(super) fn id3v1_extended() -> Vec<u8> {
    [&b"TAG+"[..], &[b' '; 223], &id3v1()].concat()
}

pub(super) fn ape(body: usize, with_header: bool) -> Vec<u8> {
    let size = (body as u32 + 32).to_le_bytes();
    let block = |flags: u32| {
        [&b"APETAGEX"[..], &2000u32.to_le_bytes(), &size, &[1, 0, 0, 0], &flags.to_le_bytes(), &[0; 8]].concat()
    };
    if with_header {
        [block(APE_HAS_HEADER | APE_IS_HEADER), vec![b'x'; body], block(APE_HAS_HEADER)].concat()
    } else {
        [vec![b'x'; body], block(0)].concat()
    }
}

pub(super) fn lyrics(body: usize) -> Vec<u8> {
    let text = format!("LYRICSBEGIN{}", "x".repeat(body));
    format!("{text}{:06}LYRICS200", text.len()).into_bytes()
}

/// Where the audio of `bytes` lies; fails if anything outside them is asked for.
pub(super) fn located(bytes: &[u8]) -> Option<(usize, usize)> {
    let length = FileLength::new(bytes.len() as u64).ok()?;
    let span = locate(length, |buffer, offset| {
        buffer.copy_from_slice(&bytes[offset as usize..][..buffer.len()]);
        Ok(())
    });
    let span = span.unwrap()?;
    assert!(span.lies_in(length));
    Some((span.offset as usize, (span.offset + span.length.bytes()) as usize))
}

pub(super) fn audio_of(bytes: &[u8]) -> Option<&[u8]> {
    located(bytes).map(|(start, end)| &bytes[start..end])
}

pub(super) fn hashed(bytes: &[u8], piece: usize) -> HashedSong {
    let length = FileLength::new(bytes.len() as u64).unwrap();
    let span = located(bytes).and_then(|(start, end)| AudioSpan::between(start as u64, end as u64));
    let mut hasher = SongHasher::new(length, span);
    bytes.chunks(piece).for_each(|piece| hasher.update(piece));
    hasher.finish().unwrap()
}
