//! The part of a song that tag editors leave alone, and its name.
//!
//! Two people's copies of a song usually differ in their tags and in nothing else. So beside its
//! [`FileId`] a song may have an [`AudioId`]: the Merkle root of its audio alone, with leaves
//! counted from where the audio begins. It groups copies, and never replaces the name of a file where bytes are
//! asked for.
//!
//! Where the audio lies is decided by the bytes, never by the name of the file:
//!
//! - **In front** ID3v2 and APEv2 tags are skipped, several in a row if need be: editors append to what they do
//!   not understand.
//! - **MP3** is then recognised by the header of a Layer III frame, and its audio reaches to the tags at the end.
//!   Other layers are left out: nobody shares them, and a text in UTF-16 begins like a Layer I frame.
//! - **FLAC** is then recognised by its marker, and its audio begins after the metadata blocks, which hold the
//!   tags and the pictures.
//! - **WAV** keeps its audio in the chunk called `data`. The size there is often wrong (a program that writes to
//!   a pipe cannot know it), so it ends with the file at the latest.
//! - **At the end** of MP3 and FLAC, tags are cut off for as long as there is one, in whatever order: ID3v1 and
//!   its extension, APEv2, Lyrics3v2, ID3v2 with a footer. Each is recognised by itself, so audio that happens to
//!   end like a tag loses those bytes in every copy alike, and its name remains the same.
//! - **Anything else has no audio identity,** nor has a file that contradicts itself. That costs a grouping;
//!   a wrong guess would cost the same, so nothing here is worth being clever about.
//!
//! Every walk has a limit, so no file can keep the scan busy.

mod file;
#[cfg(test)]
mod fixture;
mod flac;
mod mpeg;
mod song;
mod tags;
#[cfg(test)]
mod tests;
mod wav;

use std::io;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::file_id::FileId;
use crate::leaf::FileLength;

use file::File;

pub use song::{HashedSong, SongHasher};

/// Real files have one or two tags at an end, and a dozen metadata blocks or chunks; one that has more than this
/// is not worth more reads.
const MAX_STEPS: usize = 128;

/// Names the audio in a file: what it is, and where in this copy it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AudioId {
    /// The Merkle root of the audio as if it were a file. Equal in copies that differ only in their tags.
    pub root: Digest,
    /// Where the audio begins in its file.
    pub offset: u64,
    pub length: FileLength,
}

impl AudioId {
    /// What the audio would be called as a file of its own. Equal in copies that differ only in their tags; where in
    /// them it lies is left out.
    pub const fn as_file(&self) -> FileId {
        FileId::new(self.root, self.length)
    }

    /// Whether a file of this length has the bytes that this names. A stranger's claim need not.
    pub fn lies_in(&self, file: FileLength) -> bool {
        AudioSpan { offset: self.offset, length: self.length }.lies_in(file)
    }
}

/// Where in a file its audio lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpan {
    pub offset: u64,
    pub length: FileLength,
}

impl AudioSpan {
    fn between(start: u64, end: u64) -> Option<Self> {
        let length = FileLength::new(end.checked_sub(start)?).ok()?;
        Some(Self { offset: start, length })
    }

    /// What of `bytes`, which begin at `position` of the file, belongs to the span.
    fn part_of<'a>(&self, bytes: &'a [u8], position: u64) -> &'a [u8] {
        let within = |offset: u64| offset.saturating_sub(position).min(bytes.len() as u64) as usize;
        let end = self.offset.saturating_add(self.length.bytes());
        bytes.get(within(self.offset)..within(end)).unwrap_or_default()
    }

    fn lies_in(self, file: FileLength) -> bool {
        self.offset.checked_add(self.length.bytes()).is_some_and(|end| end <= file.bytes())
    }
}

/// Finds the audio of a file of this length.
///
/// `read` fills its buffer from an offset, as `read_exact_at` of a file does, and is only asked for bytes inside
/// the length. Its errors are passed on.
pub fn locate(length: FileLength, read: impl FnMut(&mut [u8], u64) -> io::Result<()>) -> io::Result<Option<AudioSpan>> {
    let mut file = File::new(length, read);
    let start = file.end_of_tags_in_front()?;
    let start = match &file.bytes_at::<4>(start)? {
        b"RIFF" if start == 0 => return file.wav_data(),
        b"fLaC" => file.first_flac_frame(start + 4)?,
        header => mpeg::is_layer_3_header(header).then_some(start),
    };
    let Some(start) = start else { return Ok(None) };
    let end = file.start_of_tags_at_end(start)?;
    Ok(AudioSpan::between(start, end))
}
