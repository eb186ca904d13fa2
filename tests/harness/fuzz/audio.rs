//! The audio in songs of any make.

use choir_shared::audio::{AudioSpan, HashedSong, SongHasher, locate};
use choir_shared::leaf::FileLength;
use choir_shared::merkle::TreeHasher;

/// The most that a file is looked into: both ends have as many tags as are looked at, with three looks at each, and
/// there are as many blocks or chunks between them.
const MOST_READS: usize = 5 * 128;

/// A whole file.
pub fn audio(song: &[u8]) {
    let Some(span) = located(song) else { return };
    let hashed = hash(song, song.len());
    assert_eq!(hash(song, 1000), hashed, "the pieces do not matter");
    let audio = hashed.audio.expect("audio that was located is hashed");
    assert_eq!((audio.offset, audio.length), (span.offset, span.length));
    let length = FileLength::new(song.len() as u64).expect("a song that was located");
    assert!(audio.lies_in(length));

    let mut alone = TreeHasher::new();
    alone.update(&song[span.offset as usize..][..span.length.bytes() as usize]);
    assert_eq!(audio.root, alone.finish().expect("audio has a length").id.root());

    // Another tag in front moves the audio and changes nothing else. WAV files have no tags in front, and a file that
    // had as many as are looked at has no audio any more.
    let tag = b"ID3\x04\0\0\0\0\0\x05hello";
    if !song.starts_with(b"RIFF")
        && let Some(moved) = located(&[tag, song].concat())
    {
        assert_eq!((moved.offset, moved.length), (span.offset + tag.len() as u64, span.length));
    }
}

fn located(song: &[u8]) -> Option<AudioSpan> {
    let length = FileLength::new(song.len() as u64).ok()?;
    let mut reads = 0;
    let span = locate(length, |buffer, offset| {
        reads += 1;
        buffer.copy_from_slice(&song[offset as usize..][..buffer.len()]);
        Ok(())
    });
    assert!(reads <= MOST_READS, "{reads} reads of {} bytes", song.len());
    span.expect("memory can be read")
}

fn hash(song: &[u8], piece: usize) -> HashedSong {
    let length = FileLength::new(song.len() as u64).expect("a song that was located");
    let mut hasher = SongHasher::new(length, located(song));
    song.chunks(piece).for_each(|piece| hasher.update(piece));
    hasher.finish().expect("a song that was located")
}
